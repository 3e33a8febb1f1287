"""Pictures of windows: clouds of points, histograms, what a plane holds and hides."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import ArrayLike, NDArray

from helpers.plots.base import COLOURS, MARKERS, describe, headline, thinned
from helpers.plots.tables import bins, clouds


def scatter(
    ax: Axes,
    reference: NDArray,
    current: NDArray,
    *,
    title: str,
    labels: tuple[str, str] = ("reference", "current"),
    axes_names: tuple[str, str] = ("PC1", "PC2"),
    n_points: int = 1000,
) -> Axes:
    """Two windows as points in a frozen plane: arrays (n, 2). Draws about `n_points` of each."""
    for side, rows, label in [("reference", reference, labels[0]), ("current", current, labels[1])]:
        rows = thinned(rows, n_points)
        ax.scatter(
            rows[:, 0],
            rows[:, 1],
            s=9,
            alpha=0.45,
            color=COLOURS[side],
            marker=MARKERS[side],
            linewidths=0,
            label=label,
            zorder=2,
        )
    centre = [np.mean(rows, axis=0) for rows in (reference, current)]
    ax.set(title=title, xlabel=axes_names[0], ylabel=axes_names[1])
    ax.legend(markerscale=2, loc="best", frameon=True, framealpha=0.85, edgecolor="none")
    spread = [np.std(rows, axis=0) for rows in (reference, current)]
    return describe(
        ax,
        f"Scatter plot of {axes_names[0]} against {axes_names[1]}: {labels[0]} as circles with centre "
        f"({centre[0][0]:.2f}, {centre[0][1]:.2f}) and standard deviations "
        f"({spread[0][0]:.2f}, {spread[0][1]:.2f}), "
        f"{labels[1]} as triangles with centre ({centre[1][0]:.2f}, {centre[1][1]:.2f}) "
        f"and standard deviations ({spread[1][0]:.2f}, {spread[1][1]:.2f}).",
        clouds(dict(zip(labels, (reference, current), strict=True)), axes_names),
    )


def planes(
    axes: NDArray,
    panels: Mapping[str, tuple[NDArray, NDArray]],
    *,
    labels: tuple[str, str] = ("reference", "current"),
    title: str,
    n_points: int = 600,
) -> NDArray:
    """Panels on shared axes: a reference and a current window (n, 2) each, large marks at their centres."""
    everything = np.concatenate([rows for windows in panels.values() for rows in windows])
    low, high = everything.min(axis=0), everything.max(axis=0)
    low, high = low - 0.03 * (high - low), high + 0.03 * (high - low)
    sides = [{"color": COLOURS[side], "marker": MARKERS[side]} for side in ("reference", "current")]
    for ax, (name, windows) in zip(axes.flat, panels.items(), strict=True):
        drawn = [thinned(rows, n_points) for rows in windows]
        for start in range(0, n_points, 50):  # in turns, so that neither window covers the other
            for rows, side in zip(drawn, sides, strict=True):
                ax.scatter(*rows[start : start + 50].T, s=10, alpha=0.5, linewidths=0, **side)
        for rows, label, side in zip(windows, labels, sides, strict=True):
            where, wide = rows.mean(axis=0), rows.std(axis=0)
            ax.scatter(*where, s=110, edgecolors="white", label=label, zorder=3, **side)
            place = f"({where[0]:.2f}, {where[1]:.2f}), spread ({wide[0]:.2f}, {wide[1]:.2f})"
            describe(ax, f"{label}: centre {place}.", clouds({label: rows}))
        ax.set_title(name, fontsize=10)
        ax.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), xlabel="PC1", ylabel="PC2")
        ax.label_outer()
    figure = axes.flat[0].figure
    figure.legend(*axes.flat[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    headline(axes, title)
    return axes


def weekly_panels(
    axes: NDArray,
    windows: Mapping[str, NDArray],
    *,
    reference: NDArray,
    flagged: Sequence[str] = (),
) -> NDArray:
    """Small multiples: each window (n, 2) over the same reference, in one plane, on shared axes."""
    everything = np.concatenate([reference, *windows.values()])
    low, high = everything.min(axis=0), everything.max(axis=0)
    margin = 0.03 * (high - low)
    for ax, (name, rows) in zip(axes.flat, windows.items(), strict=True):
        ax.scatter(*thinned(reference, 500).T, s=4, color=COLOURS["band"], alpha=0.5, linewidths=0)
        side = "current" if name in flagged else "reference"
        ax.scatter(
            *thinned(rows, 500).T, s=6, color=COLOURS[side], marker=MARKERS[side], alpha=0.5, linewidths=0
        )
        ax.set_title(name + (" (event)" if name in flagged else ""), fontsize=9)
        ax.set(
            xlim=(low[0] - margin[0], high[0] + margin[0]),
            ylim=(low[1] - margin[1], high[1] + margin[1]),
        )
        ax.set(xticks=[], yticks=[])
        words = f"Scatter of PC1 and PC2, mean ({rows[:, 0].mean():.2f}, {rows[:, 1].mean():.2f})."
        describe(ax, words, clouds({name: rows}))
    return axes


def histogram(
    ax: Axes,
    values: ArrayLike,
    *,
    title: str,
    edges: Sequence[float] | NDArray,
    side: str = "reference",
    label: str | None = None,
    xlabel: str = "position on PC1",
    shares: bool = False,
) -> Axes:
    """One window's distribution on one axis, over given bin `edges`, so that panels can be compared.

    `shares` draws percentages of the window in place of counts, so that a small one is seen beside a large.
    """
    values, name = np.asarray(values), "queries (%)" if shares else "queries"
    style: dict[str, Any] = {"color": COLOURS[side], "hatch": "" if side == "reference" else "///"}
    style["weights"] = np.full(len(values), 100 / len(values)) if shares else None
    heights, limits, _ = ax.hist(
        values, bins=list(edges), edgecolor="white", alpha=0.55, label=label, **style
    )
    ax.axvline(values.mean(), color=COLOURS[side], linestyle="--", linewidth=1.5)
    ax.set(title=title, xlabel=xlabel, ylabel=name)
    if label:
        ax.legend()
    return describe(
        ax,
        f"Histogram of {xlabel}{f', {label}' if label else ''}: {len(values)} values, mean "
        f"{values.mean():.3f} (dashed line), standard deviation {values.std():.3f}.",
        bins(np.asarray(heights), limits, f"{label}, {name}" if label else name, xlabel),
    )


def cdf_gap(
    ax: Axes, reference: ArrayLike, current: ArrayLike, *, title: str, xlabel: str = "position on PC1"
) -> Axes:
    """Distribution functions of two 1-D windows, the area between them shaded: the 1-Wasserstein distance."""
    windows = {"reference": np.sort(np.ravel(reference)), "current": np.sort(np.ravel(current))}
    x, y = windows.values()

    def share(values: NDArray, at: NDArray) -> NDArray:
        return 100 * np.searchsorted(values, at, side="right") / len(values)

    pooled = np.sort(np.concatenate([x, y]))
    area = float((np.abs(share(x, pooled) - share(y, pooled))[:-1] * np.diff(pooled)).sum() / 100)
    grid = np.linspace(pooled[0], pooled[-1], 301).round(4)
    for (side, values), line in zip(windows.items(), ("-", "--"), strict=True):
        ax.plot(grid, share(values, grid), color=COLOURS[side], linestyle=line, linewidth=1.5, label=side)
    ax.fill_between(grid, share(x, grid), share(y, grid), color=COLOURS["other"], alpha=0.5, linewidth=0)
    ax.set(title=title, xlabel=xlabel, ylabel="queries to the left (%)")
    ax.text(0.97, 0.08, f"area = {area:.4f}", transform=ax.transAxes, ha="right")
    ax.legend(loc="upper left")
    table = pd.DataFrame({side: share(values, grid) for side, values in windows.items()}, index=grid)
    return describe(
        ax,
        f"Two rising curves: the share of the reference (solid) and of the current window (dashed) below "
        f"each {xlabel}, medians {np.median(x):.3f} and {np.median(y):.3f}; the shaded area between them is "
        f"{area:.4f}.",
        table.rename_axis(index=xlabel, columns="queries to the left (%)"),
    )


def scree(ax: Axes, shares: NDArray, *, title: str, level: float = 0.9) -> Axes:
    """Variance (shares) on each component, the first two in colour; the running total, marked at `level`."""
    number, total = np.arange(1, len(shares) + 1), 100 * np.cumsum(shares)
    enough = min(int(np.searchsorted(total, 100 * level)) + 1, len(shares))
    colours = [COLOURS["reference"]] * 2 + [COLOURS["band"]] * (len(shares) - 2)
    ax.bar(number, 100 * shares, color=colours)
    ax.plot(number, total, color=COLOURS["other"], linewidth=2, label="running total")
    for count, below in ((2, 3), (enough, 12)):
        ax.plot(count, total[count - 1], marker="s", color=COLOURS["alarm"])
        text = f"{count} components: {total[count - 1]:.0f} %"
        ax.text(count + 1.5, total[count - 1] - below, text, color=COLOURS["alarm"], va="center")
    ax.set(title=title, xlabel="principal component", ylabel="variance (%)", ylim=(0, 103))
    ax.legend(loc="lower right")
    first, second, last = 100 * shares[[0, 1, -1]]
    table = pd.DataFrame({"variance (%)": 100 * shares, "running total (%)": total}, index=number)
    return describe(
        ax,
        f"Bars of the variance on each of {len(shares)} components, falling from {first:.1f} % over "
        f"{second:.1f} % to {last:.1f} %, and their running total: {total[1]:.0f} % for two "
        f"components, {total[enough - 1]:.0f} % for {enough}.",
        table.rename_axis(index="principal component"),
    )


def centres(ax: Axes, quiet: NDArray, moved: NDArray, *, ellipse: NDArray, title: str, label: str) -> Axes:
    """Centres (k, 2) of quiet weeks and of one `moved` week (2,), as distances from the reference's centre.

    `ellipse` (2,) are the half-axes within which sampling alone leaves them; a circle holds all quiet weeks.
    """
    angle, reach = np.linspace(0, 2 * np.pi, 200), float(np.linalg.norm(quiet, axis=1).max())
    ring = np.array([np.cos(angle), np.sin(angle)])
    band = COLOURS["band"]
    ax.fill(*(ellipse[:, None] * ring), color=band, alpha=0.6, label="95 % by sampling alone")
    ax.plot(*(reach * ring), color=band, linestyle="--", label="furthest quiet week")
    ax.scatter(*quiet.T, color=COLOURS["reference"], marker="o", label="a quiet week")
    ax.scatter(moved[0], moved[1], s=80, color=COLOURS["current"], marker="^", label=label)
    ax.plot(0, 0, marker="+", color="black", markersize=12, linestyle="", label="reference")
    ax.set(title=title, xlabel="centre on PC1", ylabel="centre on PC2", aspect="equal")
    ax.legend(loc="center left", bbox_to_anchor=(1.02, 0.5))
    outside = int((((quiet / ellipse) ** 2).sum(axis=1) > 1).sum())
    names = [
        *(f"quiet week {number}" for number in range(1, len(quiet) + 1)),
        label,
        "half-axes of the ellipse",
    ]
    table = pd.DataFrame(np.vstack([quiet, moved, ellipse]), names, ["centre on PC1", "centre on PC2"])
    return describe(
        ax,
        f"Scatter plot of {len(quiet)} weekly centres around the reference's at (0, 0): {outside} lie "
        f"outside the small grey ellipse of half-axes ({ellipse[0]:.3f}, {ellipse[1]:.3f}), all within the "
        f"dashed circle of radius {reach:.3f}; {label} is a triangle at ({moved[0]:.3f}, {moved[1]:.3f}).",
        table,
    )
