"""Pictures of an upgrade: how far each way back from a new embedder leaves a score from its usual level."""

import pandas as pd
from matplotlib.axes import Axes

from helpers.plots.base import COLOURS, describe


def dots(ax: Axes, table: pd.DataFrame, *, limit: float, title: str, xlabel: str) -> Axes:
    """One mark for each cell of a table, its own marker for each of at most four columns.

    Grey is within `limit` of 0. The axis is linear from -1 to 1 and logarithmic beyond, so that a trace and
    a scream fit side by side.
    """
    if table.shape[1] > 4:
        raise ValueError(f"table has {table.shape[1]} columns: more than four markers are hard to tell apart")
    ax.axvspan(-limit, limit, color=COLOURS["band"], alpha=0.3, linewidth=0, label="within the limit")
    colours = ("current", "reference", "outcome", "other")[: table.shape[1]]
    for place, (name, colour) in enumerate(zip(table.columns, colours, strict=True)):
        rows = [row + 0.16 * (place - (table.shape[1] - 1) / 2) for row in range(len(table))]
        ax.scatter(table[name], rows, s=60, color=COLOURS[colour], marker="o^sD"[place], label=name)
    for row in range(1, len(table)):
        ax.axhline(row - 0.5, color=COLOURS["band"], linewidth=0.5)
    ax.set_xscale("symlog", linthresh=1)
    ax.set_xticks([-1, 0, 1, 3, 10, 30, 100], ["-1", "0", "1", "3", "10", "30", "100"])
    ax.set_yticks(range(len(table)), [str(name) for name in table.index])
    low, high = min(-1.0, table.min(axis=None)), max(1.0, table.max(axis=None))
    ax.set(title=title, xlabel=xlabel, xlim=(1.4 * low, 1.4 * high), ylim=(len(table) - 0.5, -0.5))
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=4)
    rows_in_words = "; ".join(
        f"{row}: " + ", ".join(f"{name} {value:.1f}" for name, value in values.items())
        for row, values in table.iterrows()
    )
    span = f"grey from {-limit:.2f} to {limit:.2f}"
    words = f"Dots of {xlabel}, linear up to 1 and logarithmic beyond, {span}. {rows_in_words}."
    return describe(ax, words, table.rename_axis(columns=xlabel))
