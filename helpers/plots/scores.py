"""Pictures of scores: bars, curves, timelines with their bands, nulls, tables of power."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from numpy.typing import NDArray

from helpers.plots.base import COLOURS, MARKERS, describe, headline, legible
from helpers.plots.tables import digits, quantiles


def bars(
    ax: Axes, values: pd.Series, *, title: str, xlabel: str, base: str | None = None, decimals: int = 1
) -> Axes:
    """One horizontal bar for each entry, with its number; `base`, or the first, is the reference."""
    base = values.index[0] if base is None else base
    colours = [COLOURS["reference" if name == base else "current"] for name in values.index]
    drawn = ax.barh([str(name) for name in values.index], values, color=colours, height=0.62)
    ax.bar_label(drawn, fmt=f"%.{decimals}f", padding=4)
    ax.invert_yaxis()
    ax.margins(x=0.12)
    ax.set(title=title, xlabel=xlabel)
    entries = ", ".join(f"{name} {value:.{decimals}f}" for name, value in values.items())
    return describe(ax, f"Horizontal bars of {xlabel}: {entries}.", values.to_frame(xlabel))


def curves(
    ax: Axes, table: pd.DataFrame, *, title: str, xlabel: str, ylabel: str, colours: Sequence[str],
    dashed: Sequence[str] = (), log_x: bool = False, limit: tuple[float, str] | None = None,
) -> Axes:  # fmt: skip
    """One line for each column over the index; `dashed` ones, such as theory, have no markers."""
    for place, (name, colour) in enumerate(zip(table.columns, colours, strict=True)):
        shape = {"linestyle": "--"} if name in dashed else {"marker": "o^sDv"[place % 5], "markersize": 5}
        ax.plot(table.index, table[name], color=COLOURS[colour], label=name, linewidth=1.6, **shape)
    ax.set(title=title, xlabel=xlabel, ylabel=ylabel)
    if log_x:
        ax.set_xscale("log")
        ax.set_xticks(list(table.index), [_tick(x) for x in table.index])
        ax.minorticks_off()
    if limit:
        ax.axhline(limit[0], color=COLOURS["alarm"], linestyle=":", label=limit[1])
    ax.legend(loc="best")
    ends = [f"{name} from {line.iloc[0]:.3g} to {line.iloc[-1]:.3g}" for name, line in table.items()]
    marked = f" A dotted line marks {limit[0]:g}, {limit[1]}." if limit else ""
    span = f"{digits(table.index[0])} to {digits(table.index[-1])}"
    words = f"Lines of {ylabel} over {xlabel} from {span}: {'; '.join(ends)}.{marked}"
    return describe(ax, words, table.rename_axis(index=xlabel, columns=ylabel))


def _tick(x: float) -> str:
    """Name a place on a logarithmic axis: large powers of ten as such, all others in full."""
    power = round(np.log10(x))
    return f"$10^{{{power}}}$" if power >= 5 and x == 10.0**power else f"{x:,g}"


def timeline(
    ax: Axes,
    values: pd.Series,
    *,
    title: str,
    ylabel: str,
    band: tuple[float, float] | None = None,
    events: Mapping[str, tuple[float, float]] | None = None,
    colour: str = "current",
    label: str | None = None,
    xlabel: str = "week",
    band_label: str = "range of the quiet weeks",
    name_events: bool = True,
    dashed: bool = False,
) -> Axes:
    """A series over time with the band of quiet time and shaded events (name to first and last x).

    In a stack of panels `name_events=False` keeps the shades and leaves their names to the first panel.
    """
    ax.plot(
        values.index,
        values,
        color=COLOURS[colour],
        marker=MARKERS[colour] if len(values) <= 100 else None,
        linestyle="--" if dashed else "-",
        markersize=4,
        linewidth=1.5 if len(values) <= 100 else 0.9,
        label=label,
    )
    if band:
        ax.axhspan(*band, color=COLOURS["band"], alpha=0.3, linewidth=0, label=band_label)
    for name, (first, last) in (events or {}).items():
        ax.axvspan(first - 0.5, last + 0.5, color=COLOURS["alarm"], alpha=0.13, linewidth=0)
        ax.text(
            first - 0.4,
            0.97,
            name if name_events else "",
            transform=ax.get_xaxis_transform(),
            va="top",
            color=COLOURS["alarm"],
        )
    if events and name_events:  # room for their names
        low, high = ax.get_ylim()
        ax.set_ylim(low, high + 0.12 * (high - low))
    ax.set(title=title, xlabel=xlabel, ylabel=ylabel)
    if label or band:
        ax.legend(loc="best")
    shaded = "".join(
        f" {name} is shaded from {xlabel} {first:g} to {last:g}."
        for name, (first, last) in (events or {}).items()
        if name_events
    )
    grey = f" The grey band ({band_label}) spans {band[0]:.3g} to {band[1]:.3g}." if band else ""
    line = "Dashed line" if dashed else "Line"
    table = values.to_frame(label or ylabel).rename_axis(index=xlabel, columns=ylabel if label else None)
    return describe(
        ax,
        f"{line} of {label or ylabel} over {len(values)} {xlabel}s, between {values.min():.3g} ({xlabel} "
        f"{values.idxmin()}) and {values.max():.3g} ({xlabel} {values.idxmax()}).{grey}{shaded}",
        table,
    )


def null_panels(axes: NDArray, tests: Mapping[str, tuple[float, float, NDArray]], *, title: str) -> NDArray:
    """Small multiples of (statistic, p-value, null): each score's null, its 95 % point and today's value."""
    figure = axes.flat[0].figure
    for ax, (name, (statistic, pvalue, null)) in zip(axes.flat, tests.items(), strict=True):
        limit, noticed = float(np.quantile(null, 0.95)), bool(pvalue <= 0.05)
        ax.hist(null, bins=20, color=COLOURS["band"], label="labels shuffled")
        ax.axvline(limit, color=COLOURS["alarm"], linestyle=":", linewidth=2, label="95 % of these lie below")
        ax.axvline(statistic, color=COLOURS["current"], linewidth=2.5, label="true labels")
        text = f"{name}: p = {pvalue:.3f}" + " (noticed)" * noticed
        ax.set_title(text, fontsize=10, color=COLOURS["alarm"] if noticed else "black")
        ax.tick_params(labelsize=8)
        ax.set(yticks=[])
        ax.locator_params(axis="x", nbins=4)
        span = f"Null from {null.min():.3g} to {null.max():.3g}, 95 % below {limit:.3g}"
        numbers = quantiles({"score": null}).T.drop("n").rename("labels shuffled, {}".format)
        numbers.loc["true labels"] = statistic
        numbers.loc["p-value"] = pvalue
        describe(ax, f"{span}; with the true labels {statistic:.3g}.", numbers)
    figure.legend(*axes.flat[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    headline(axes, title)
    return axes


def score_history(
    axes: NDArray,
    scores: pd.DataFrame,
    quiet: pd.DataFrame,
    *,
    event: str,
    weeks: tuple[int, int],
    title: str,
) -> NDArray:
    """One panel for each score (column) by week, over the range of the same score in `quiet` weeks."""
    figure = axes.flat[0].figure
    for ax, name in zip(axes.flat, scores.columns, strict=True):
        timeline(
            ax, scores[name], title=name, ylabel="score", band=(quiet[name].min(), quiet[name].max()),
            events={event: weeks}, label="this week",
        )  # fmt: skip
        ax.texts[0].set_visible(ax is axes.flat[0])  # one name is enough
        ax.get_legend().remove()
        ax.label_outer()
    figure.legend(*axes.flat[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    headline(axes, title)
    return axes


def heatmap(
    ax: Axes, table: pd.DataFrame, *, title: str, colour_label: str = "power (%)", vmax: float = 100
) -> Axes:
    """A table of percentages as colours, each cell with its number."""
    sns.heatmap(
        table, ax=ax, annot=True, fmt=".0f", cmap="cividis", vmin=0, vmax=vmax, linewidths=0.5,
        cbar_kws={"label": colour_label}, annot_kws={"fontsize": 8},
    )  # fmt: skip
    legible(ax)
    ax.set(title=title, xlabel="", ylabel="")
    ax.tick_params(axis="x", rotation=35)
    for tick in ax.get_xticklabels():
        tick.set_horizontalalignment("right")
    highest = table.idxmax(axis=1)
    rows = "; ".join(f"{name}: highest {table.loc[name].max():.0f}, {highest[name]}" for name in table.index)
    words = f"Heat map of {colour_label}, {table.shape[0]} rows by {table.shape[1]} columns. {rows}."
    return describe(ax, words, table.rename_axis(columns=colour_label))


def family_heatmap(ax: Axes, table: pd.DataFrame, *, title: str) -> Axes:
    """A `heatmap` whose rows are (family, score): families set apart, their names in bold at the left."""
    families = table.index.get_level_values(0)
    heatmap(ax, table.set_axis(table.index.get_level_values(1)), title=title)
    rows = [np.flatnonzero(families == family) for family in families.unique()]
    for family in rows:
        ax.axhline(family[-1] + 1, color="white", linewidth=5)
    names = ax.secondary_yaxis(-0.22)
    names.set_yticks([family.mean() + 0.5 for family in rows], list(families.unique()), weight="bold")
    names.tick_params(length=0)
    names.spines["left"].set_visible(False)
    return describe(ax, "Families, from the top: " + ", ".join(families.unique()) + ".")


def strips(ax: Axes, table: pd.DataFrame, *, title: str, xlabel: str) -> Axes:
    """One row of points for each column of the table, its median as a bar."""
    for row, name in enumerate(table.columns):
        offset = np.linspace(-0.18, 0.18, len(table))
        ax.scatter(table[name], row + offset, s=30, color=COLOURS["current"], linewidths=0)
        ax.vlines(table[name].median(), row - 0.32, row + 0.32, color="black", linewidth=2)
    ax.axvline(0, color=COLOURS["band"], linestyle="--", linewidth=1)
    ax.set_yticks(range(table.shape[1]), [str(name) for name in table.columns])
    ax.invert_yaxis()
    ax.set(title=title, xlabel=xlabel)
    entries = table.agg(["min", "max", "median"]).T.itertuples()
    text = "; ".join(f"{row[0]} {row[1]:.2f} to {row[2]:.2f}, median {row[3]:.2f}" for row in entries)
    numbers = quantiles(dict(table.items())).rename_axis(columns=xlabel)
    return describe(ax, f"Strips of {len(table)} points each, {xlabel}: {text}.", numbers)
