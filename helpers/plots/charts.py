"""Pictures of alarms: a chart with its limit, shares of false alarms, budgets that hold or do not."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from numpy.typing import NDArray

from helpers.plots.base import COLOURS, describe, legible
from helpers.plots.scores import strips


def control_chart(
    ax: Axes,
    z: pd.Series,
    states: NDArray,
    limit: float,
    *,
    title: str,
    label: str,
    events: Mapping[str, tuple[float, float]] | None = None,
) -> Axes:
    """Daily scores as faint points, the state of a chart as a line, its limit and its alarms."""
    days, alarm = z.index.to_numpy(), states > limit
    low, high = min(z.min(), states.min()), max(z.max(), states.max(), limit)
    room = 0.2 if events else 0.05  # for their names
    for event, (first, last) in (events or {}).items():
        ax.axvspan(first - 0.5, last + 0.5, color=COLOURS["alarm"], alpha=0.13, linewidth=0)
        ax.text(first, 0.98, event, transform=ax.get_xaxis_transform(), va="top", color=COLOURS["alarm"])
    ax.scatter(days, z, s=14, color=COLOURS["band"], linewidths=0, label="score of the day")
    ax.plot(days, states, color=COLOURS["current"], linewidth=1.5, label=label)
    ax.axhline(limit, color=COLOURS["alarm"], linestyle=":", linewidth=1.5, label=f"limit {limit:.2f}")
    ax.scatter(
        days[alarm], states[alarm], s=34, color=COLOURS["alarm"], marker="D", zorder=3,
        label=f"alarms: {alarm.sum()}",
    )  # fmt: skip
    ax.set(title=title, xlabel="day", ylabel="sd from an ordinary day")
    ax.set_ylim(low - 0.05 * (high - low), high + room * (high - low))
    ax.margins(x=0.01)
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=4)
    when = ", ".join(str(day) for day in days[alarm])
    shaded = "".join(
        f" {event} is shaded from day {a:g} to {b:g}." for event, (a, b) in (events or {}).items()
    )
    table = pd.DataFrame({"score of the day": z, label: states}).rename_axis(index="day", columns="sd")
    return describe(
        ax,
        f"Control chart of {label} from day {days[0]} to {days[-1]}: daily scores as points between "
        f"{z.min():.2f} and {z.max():.2f}, the state as a line up to {states.max():.2f}, a dotted limit at "
        f"{limit:.2f}; {alarm.sum()} alarms{', on day ' if when else ''}{when}.{shaded}",
        table,
    )


def alarm_map(ax: Axes, table: pd.DataFrame, *, title: str, xlabel: str = "", unit: str) -> Axes:
    """Shares of windows with an alarm, in percent: the darker, the more; `unit` says of which windows."""
    shades = sns.light_palette(COLOURS["alarm"], as_cmap=True)
    style = {"vmin": 0, "vmax": 100, "annot": True, "fmt": ".0f", "linewidths": 1, "cbar": False}
    sns.heatmap(table, ax=ax, cmap=shades, **style)
    legible(ax)
    ax.set(title=title, xlabel=xlabel, ylabel="")
    ax.tick_params(axis="both", rotation=0, length=0)
    rows = "; ".join(
        f"{row}: " + ", ".join(f"{column} {value:.0f}" for column, value in values.items())
        for row, values in table.iterrows()
    )
    words = f"Table of {unit}. {rows}.".replace("\n", " ")
    return describe(ax, words, table.rename_axis(columns=unit))


def budget_strips(
    ax: Axes, rates: pd.DataFrame, *, budget: float, span: tuple[float, float], span_label: str,
    title: str, xlabel: str,
) -> Axes:  # fmt: skip
    """`strips` of what each product (row) had of each monitor (column), the budget and its honest span."""
    strips(ax, rates, title=title, xlabel=xlabel)
    ax.axvspan(*span, color=COLOURS["band"], alpha=0.3, linewidth=0, zorder=0, label=span_label)
    ax.axvline(budget, color=COLOURS["alarm"], linestyle=":", linewidth=2, label="budget")
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2)
    inside = float(np.mean((rates >= span[0]) & (rates <= span[1])))
    return describe(
        ax,
        f"A dotted line marks the budget, {budget:g}; a grey span ({span_label}) from {span[0]:.2f} to "
        f"{span[1]:.2f} holds {inside:.0%} of the points.",
    )
