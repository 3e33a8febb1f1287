"""Figures of the report on your own embeddings: drawn, described and coloured as in `helpers.plots`."""

import base64
from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray

from helpers.plots import COLOURS, alt_text, describe, figure_of, png
from report.panel import Score

CLIP = 12.0  # standard deviations drawn; what lies beyond gets an arrow and its number


def as_png(ax: Axes, *, dpi: int = 144) -> tuple[str, str]:
    """Return the figure of `ax` as base64 of a PNG, the same bytes every time, and its alt text."""
    figure = figure_of(ax)
    picture = png(figure, dpi=dpi)
    plt.close(figure)
    return base64.b64encode(picture).decode(), alt_text(figure)


def null_strips(ax: Axes, scores: list[Score], *, title: str) -> Axes:
    """Each score against its own null: where the shuffles lie (grey), and where the data lie.

    In standard deviations of the null from its mean, so that nine scores share one axis. A score is an
    orange triangle where its adjusted p-value is at most .05, and a blue circle otherwise.
    """
    words, numbers = [], {}
    for place, score in enumerate(scores):
        sd = float(score.null.std()) or 1.0
        null = (score.null - score.null.mean()) / sd
        limit, z = float(np.quantile(null, 0.95)), score.z
        wiggle = 0.62 * (np.arange(len(null)) * 0.618034 % 1 - 0.5)  # spread, the same every time
        ax.scatter(null, place + wiggle, s=9, marker=".", color=COLOURS["band"], alpha=0.35, linewidths=0)
        ax.plot([limit, limit], [place - 0.36, place + 0.36], color=COLOURS["alarm"], ls=":", lw=2)
        beyond = score.adjusted <= 0.05
        colour = COLOURS["current" if beyond else "reference"]
        shown = float(np.clip(z, -CLIP, CLIP))
        marker = "^" if beyond else "o"
        ax.scatter([shown], [place], s=62, color=colour, marker=marker, zorder=3)
        if abs(z) > CLIP:
            number, side = (f"{z:.0f} →", "right") if z > 0 else (f"← {z:.0f}", "left")
            ax.text(shown - np.sign(z) * 0.4, place, number, va="center", ha=side)
        state = "beyond chance" if beyond else "within chance"
        numbers[score.label] = [z, limit, state]
        words.append(f"{score.label} {z:.1f} (95 % point {limit:.1f}, {state})")
    ax.set_yticks(range(len(scores)), [score.label for score in scores])
    ax.set_ylim(len(scores) - 0.4, -0.6)
    ax.set(title=title, xlabel="standard deviations from the mean of the shuffles")
    key = {"one shuffle": (".", "band", 5), "beyond chance": ("^", "current", 8)}
    key["within chance"] = ("o", "reference", 8)
    for label, (marker, colour, size) in key.items():
        ax.plot([], [], ls="", marker=marker, color=COLOURS[colour], ms=size, label=label)
    ax.plot([], [], ls=":", lw=2, color=COLOURS["alarm"], label="95 % of the shuffles")
    ax.legend(loc="upper center", bbox_to_anchor=(0.45, -0.13), ncols=4, handletextpad=0.3)
    columns = ["score (sd)", "95 % point of the shuffles (sd)", "verdict"]
    table = pd.DataFrame.from_dict(numbers, orient="index", columns=columns)
    return describe(ax, f"Strips of {len(scores)} nulls, one a score: {', '.join(words)}.", table)


def drift_and_harm(ax: Axes, table: pd.DataFrame, *, title: str, ylabel: str) -> Axes:
    """One point a story: `drift` (a score's distance from its null) against `harm` (outcome's change)."""
    ax.axhline(0, color="0.6", linewidth=1)
    for name, drift, harm in table[["drift", "harm"]].itertuples():
        ax.scatter([drift], [harm], s=70, color=COLOURS["current"], marker="^", zorder=3)
        ax.annotate(f" {name}", (drift, harm), xytext=(6, 5), textcoords="offset points")
    ax.set_xscale("symlog", linthresh=3)
    ax.set_xticks([-1, 0, 1, 3, 10, 30, 100], ["-1", "0", "1", "3", "10", "30", "100"])
    ax.margins(x=0.15, y=0.2)
    ax.set_xlim(right=8 * max(3.0, table["drift"].max()))  # room for the last name
    ax.set(title=title, ylabel=ylabel, xlabel="drift: MMD² in standard deviations of its null")
    points = "; ".join(f"{n}: {d:.3g}, {h:+.3g}" for n, d, h in table[["drift", "harm"]].itertuples())
    numbers = table[["drift", "harm"]].set_axis(["drift (sd of its null)", ylabel], axis=1)
    return describe(ax, f"Scatter of drift against {ylabel}, one point a story: {points}.", numbers)


def small_images(axes: NDArray, images: NDArray, names: Sequence[str], *, title: str) -> NDArray:
    """Grey images (k, height, width), one a panel, each under its name."""
    for ax, image, name in zip(axes.ravel(), images, names, strict=True):
        ax.imshow(image, cmap="gray_r", vmin=0, vmax=1)
        ax.set(xticks=[], yticks=[])
        style = {"xycoords": "axes fraction", "textcoords": "offset points", "ha": "center", "fontsize": 9}
        ax.annotate(name, (0.5, 1), (0, 6), **style)  # not a title: the description has all names
        ax.spines[:].set_visible(False)
    axes.flat[0].figure.suptitle(title, x=0.01, ha="left", weight="bold", fontsize=11)
    ink = pd.DataFrame({"mean grey, 0 white to 1 black": images.mean(axis=(1, 2))}, index=list(names))
    describe(axes.flat[0], f"{len(names)} small grey images: {', '.join(names)}.", ink)
    return axes
