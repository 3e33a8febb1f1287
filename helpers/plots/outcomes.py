"""Pictures of harm: drift beside outcomes, events, placebos, parts of a change."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from numpy.typing import NDArray

from helpers.plots.base import COLOURS, MARKERS, describe, headline, legible
from helpers.plots.scores import timeline
from helpers.plots.tables import clouds, quantiles


def joined_timelines(
    axes: NDArray,
    table: pd.DataFrame,
    *,
    bands: pd.DataFrame,
    events: Mapping[str, tuple[float, float]],
    outcomes: Sequence[str],
    title: str,
    xlabel: str = "week",
) -> NDArray:
    """Stacked panels on one time axis, one a column: scores, and `outcomes` in percent; `bands`: min, max."""
    for ax, name in zip(axes.flat, table.columns, strict=True):
        colour, unit = ("outcome", "% of queries") if name in outcomes else ("current", "score")
        timeline(
            ax, table[name], title=name, ylabel=unit, band=(bands[name].min(), bands[name].max()),
            colour=colour, events=events, name_events=ax is axes.flat[0], xlabel=xlabel,
            band_label="usual range",
        )  # fmt: skip
        ax.get_legend().remove()
        ax.label_outer()
    headline(axes, title)
    return axes


def harm_scatter(
    ax: Axes, events: pd.DataFrame, score: str, *, title: str, xlabel: str, limit: float = 3.0
) -> Axes:
    """One mark for each event: its `score` (z) against column `effect` (points), by column `kind`."""
    kinds = list(dict.fromkeys(events["kind"]))
    palette = sns.color_palette("colorblind", len(kinds))
    for kind, colour, marker in zip(kinds, palette, "osPX^v<>D"[: len(kinds)], strict=True):
        rows = events[events["kind"] == kind]
        style = {"color": colour, "marker": marker, "s": 48, "edgecolors": "black", "linewidths": 0.4}
        ax.scatter(rows[score], rows["effect"], label=kind, alpha=0.85, **style)
    ax.axhline(-1, color="black", linestyle="--", linewidth=1)
    ax.axvline(limit, color=COLOURS["alarm"], linestyle=":", linewidth=1.5)
    ax.set(title=title, xlabel=xlabel, ylabel="effect on success (points)")
    ax.label_outer()
    mean = events.groupby("kind", sort=False)[[score, "effect"]].mean()
    text = "; ".join(f"{row.Index} ({row[1]:.1f}, {row[2]:.1f})" for row in mean.itertuples())
    windows = {kind: events.loc[events["kind"] == kind, [score, "effect"]].to_numpy() for kind in kinds}
    return describe(
        ax,
        f"Scatter plot of {len(events)} events, {xlabel} against effect on success in points, with "
        f"lines at {limit:g} and -1. Means by kind: {text}.",
        clouds(windows, (xlabel, "effect on success (points)")),
    )


def placebo_paths(ax: Axes, path: pd.Series, placebos: pd.DataFrame, *, title: str, ylabel: str) -> Axes:
    """An outcome around an onset, day 0, over the same around placebo onsets, with the means."""
    mean, null = path.loc[0:].mean(), placebos.loc[0:].mean()
    low, high = null.quantile([0.05, 0.95])
    ax.plot(placebos, color=COLOURS["band"], alpha=0.2, linewidth=0.7)
    ax.plot(path, color=COLOURS["outcome"], marker="o", markersize=4, linewidth=1.2, label="after the alarm")
    span, end = "90 % of the placebos' means", path.index[-1] + 0.5
    ax.fill_between([-0.5, end], low, high, color="black", alpha=0.35, linewidth=0, label=span)
    ax.hlines(mean, -0.5, end, color=COLOURS["outcome"], linewidth=4, label=f"its mean, {mean:+.1f}")
    ax.axvline(-0.5, color=COLOURS["alarm"], linestyle=":", linewidth=2)
    ax.set(title=title, xlabel="days since the onset", ylabel=ylabel, xticks=path.index[::5])
    ax.legend(loc="upper left", fontsize=8)
    placebo = quantiles(dict(placebos.T.items()))[["5 %", "median", "95 %"]].add_prefix("placebos, ")
    table = placebo.assign(**{"after the alarm": path}).rename_axis(index="day", columns=ylabel)
    return describe(
        ax,
        f"Lines of {ylabel} from day {path.index[0]} to {path.index[-1]} around an onset, over {len(null)} "
        f"grey placebo paths. Mean from day 0 on: {mean:+.1f}; {span} lie from {low:+.1f} to {high:+.1f}.",
        table,
    )


def change_map(
    ax: Axes, change: pd.DataFrame, truth: pd.DataFrame, found: pd.DataFrame, *, title: str
) -> Axes:
    """Measured changes in points, the true ones in brackets; coloured and bold where `found`."""
    text = change.map("{:+.1f}".format) + "  (" + truth.map("{:+.1f}".format) + ")"
    style = {"cmap": "PuOr", "vmin": -12, "vmax": 12, "linewidths": 1, "cbar": False}
    sns.heatmap(change.where(found, 0.0), ax=ax, **style)
    for row, column in np.ndindex(change.shape):
        weight = "bold" if found.iat[row, column] else "normal"
        words = str(text.iat[row, column])
        ax.text(column + 0.5, row + 0.5, words, ha="center", va="center", weight=weight)
    legible(ax)
    ax.set(title=title, xlabel="", ylabel="")
    ax.tick_params(axis="y", rotation=0)
    cells = found.stack()
    named = "; ".join(f"{row}, {column} {text.at[row, column]}" for row, column in cells[cells].index)
    size = f"{change.shape[0]} alarms by {change.shape[1]} outcomes"
    parts = {"measured": change, "true": truth, "found": found.map({True: "yes", False: "no"}.get)}
    table = pd.concat([part.add_suffix(f", {name}") for name, part in parts.items()], axis=1)
    table = table[[f"{outcome}, {name}" for outcome in change for name in parts]]
    words = f"Table of {size}, changes in points, true effects in brackets. Found: {named}."
    return describe(ax, words, table.rename_axis(columns="change (points)"))


def mix_and_rate(ax: Axes, table: pd.DataFrame, *, title: str, xlabel: str) -> Axes:
    """Two bars for each bucket (row) of `outcomes.decompose`: its `mix` and its `rate` part of a change."""
    place = np.arange(len(table))
    words = {"mix": "who came", "rate": "how they fared"}
    for part, colour, hatch, shift in (("mix", "other", "//", -0.2), ("rate", "outcome", "", 0.2)):
        label = f"{part} ({words[part]}): {table[part].sum():+.3g}"
        ax.barh(place + shift, table[part], 0.38, color=COLOURS[colour], hatch=hatch, label=label)
    ax.axvline(0, color="black", linewidth=0.8)
    ax.set_yticks(place, [str(name) for name in table.index])
    ax.set(title=title, xlabel=xlabel, ylim=(len(table) - 0.5, -0.5))
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=2)
    largest = table[["mix", "rate"]].sum(axis=1).abs().idxmax()
    return describe(
        ax,
        f"Horizontal bars of {xlabel} for {len(table)} buckets: mix {table['mix'].sum():+.3g} and rate "
        f"{table['rate'].sum():+.3g} together; the largest is {largest} with mix "
        f"{table.at[largest, 'mix']:+.3g} and rate {table.at[largest, 'rate']:+.3g}.",
        table[["mix", "rate"]].rename_axis(columns=xlabel),
    )


def quadrants(
    ax: Axes, points: pd.DataFrame, *, limits: tuple[float, float], corners: Sequence[str], title: str
) -> Axes:
    """Named points (x, y) in a plane cut at `limits`; `corners`: low-low, high-low, low-high, high-high."""
    x, y = points.to_numpy().T
    ax.scatter(x, y, s=80, color=COLOURS["current"], marker=MARKERS["current"])
    for name, place in points.iterrows():
        ax.annotate(str(name), place, (0, 9), textcoords="offset points", ha="center")
    reach = 1.5 * (points - np.array(limits)).abs().max().to_numpy()
    low = np.maximum(np.array(limits) - reach, np.minimum(points.min().to_numpy(), 0) - 0.35 * reach)
    ax.set(title=title, xlabel=points.columns[0], ylabel=points.columns[1])
    ax.set(xlim=(low[0], limits[0] + reach[0]), ylim=(low[1], limits[1] + reach[1]))
    ax.axvline(limits[0], color=COLOURS["alarm"], linestyle=":", linewidth=1.5)
    ax.axhline(limits[1], color=COLOURS["alarm"], linestyle=":", linewidth=1.5)
    for corner, name in zip(range(4), corners, strict=True):
        right, top = corner % 2, corner // 2
        ax.text(
            0.01 + 0.98 * right, 0.02 + 0.96 * top, name, transform=ax.transAxes, color=COLOURS["alarm"],
            ha="right" if right else "left", va="top" if top else "bottom", weight="bold",
        )  # fmt: skip
    text = "; ".join(f"{row.Index} at ({row[1]:.1f}, {row[2]:.1f})" for row in points.itertuples())
    axes_names = " and ".join(points.columns)
    return describe(ax, f"Plane of {axes_names}, cut at {limits[0]:g} and {limits[1]:g}: {text}.", points)
