"""The dashboard in Matplotlib: the same panels as in Grafana and on the page, from the same series."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.dates import MO, WeekdayLocator, num2date
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import ArrayLike, NDArray

from helpers.plots.base import COLOURS, describe, use_style

Series = tuple[str, tuple[tuple[str, str], ...]]
# Colour and hatch, as on the page and in Grafana; the orange is too light for white without an outline.
SEVERITIES = {"page": (COLOURS["alarm"], ""), "ticket": ("#E69F00", "///")}
OUTLINE: dict[str, Any] = {"edgecolor": "#332200", "linewidth": 0.6}
COLOURS_OF_LINES = ["black", "#0072B2", "#D55E00", "#009E73", "#CC79A7"]  # "all" comes first
DASHES: list[Any] = ["-", "--", ":", "-.", (0, (5, 1, 1, 1, 1, 1))]
SCALES = {"share": (100.0, "%"), "seconds": (1 / 86400, "days"), "limits": (1.0, "limits")}
ABREAST = 4
SMALL, MEDIUM, LARGE = 9, 10, 13  # points


def dashboard_view(
    t: ArrayLike,
    evaluated: Mapping[Series, ArrayLike],
    panels: Sequence[Any],
    *,
    title: str,
    stories: Sequence[tuple[str, float, float, str]] = (),
    width: float = 11,
) -> Figure:
    """Draw the panels of a dashboard, one line of charts a row, below the alerts.

    t (n,) : seconds since 1970. evaluated : exported and recorded series and ALERTS, (n,) each, NaN for none.
    panels : as in `dashboard.panels.PANELS`; of each row the first four are drawn.
    stories : (title, start, end, ...), shaded in the chart of the alerts. title : the finding.
    """
    use_style()
    times = np.asarray(t, np.float64).astype("int64").astype("datetime64[s]")
    lines = _lines(panels)
    firing = _alerts(evaluated)
    heights = [1.6 + 0.19 * len(firing), *(2.0 for _ in lines)]
    figure = plt.figure(figsize=(width, sum(heights) + 0.5), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left", weight="bold", fontsize=LARGE)
    top, *below = figure.subfigures(1 + len(lines), 1, height_ratios=heights, squeeze=False)[:, 0]
    _timeline(top.subplots(), times, firing, stories)
    for part, (row, chosen) in zip(below, lines.items(), strict=True):
        part.suptitle(row, x=0.01, ha="left", fontsize=LARGE - 1, color="#4D5B6A")
        for ax, panel in zip(part.subplots(1, len(chosen), squeeze=False)[0], chosen, strict=True):
            _curves(ax, times, evaluated, panel)
            _shaded(ax, stories)
    _legend(figure, evaluated, panels)
    return figure


def _lines(panels: Sequence[Any]) -> dict[str, list[Any]]:
    """Return the first panels of each row, but not of the alerts' own row."""
    above = {panel.row for panel in panels if panel.kind == "timeline"}
    found: dict[str, list[Any]] = {}
    for panel in panels:
        if panel.row not in above and len(found.setdefault(panel.row, [])) < ABREAST:
            found[panel.row].append(panel)
    return found


def _alerts(evaluated: Mapping[Series, ArrayLike]) -> list[tuple[str, str, NDArray[np.bool_]]]:
    """Return (severity, name and segment, when it fired), pages first; outcomes share a lane."""
    lanes: dict[tuple[str, str], NDArray[np.bool_]] = {}
    for (metric, pairs), values in evaluated.items():
        labels = dict(pairs)
        if metric == "ALERTS" and labels["severity"] in SEVERITIES:
            name = " · ".join(filter(None, [labels["alertname"], labels.get("segment", "")]))
            firing = np.asarray(values) == 1
            lanes[labels["severity"], name] = lanes.get((labels["severity"], name), False) | firing
    # The monitor's own troubles, Drift..., come last.
    order = sorted(lanes, key=lambda lane: (lane[0], lane[1].startswith("Drift"), lane[1]))
    return [(*lane, lanes[lane]) for lane in order if lanes[lane].any()]


def _timeline(
    ax: Axes, times: NDArray, firing: list[tuple[str, str, NDArray]], stories: Sequence[tuple[Any, ...]]
) -> None:
    """Draw when each alert fired, over the stories, which have numbers."""
    ax.set_title("Which alerts fire?", fontsize=MEDIUM, pad=16)
    words, numbers = [], {}
    for number, span in enumerate(_shaded(ax, stories), 1):
        ax.text(
            span[0], 1.01, str(number), transform=ax.get_xaxis_transform(), weight="bold", fontsize=MEDIUM
        )
    for place, (severity, name, on) in enumerate(firing):
        colour, hatch = SEVERITIES[severity]
        edges = np.flatnonzero(np.diff(np.concatenate([[0], on, [0]])))
        for first, last in edges.reshape(-1, 2):
            start, end = times[first], times[min(last, len(times) - 1)]
            bar: dict[str, Any] = {"color": colour, "hatch": hatch, **OUTLINE}
            ax.barh(place, end - start, left=start, height=0.72, **bar)
        spells = len(edges) // 2
        numbers[f"{severity}, {name}"] = [spells, 100 * on.mean(), _day(times[edges[0]])]
        words.append(f"{severity} {name}, {spells} spell{'s' * (spells != 1)}, {on.mean():.0%} of the time")
    ax.set_yticks(range(len(firing)), [name for _, name, _ in firing], fontsize=SMALL)
    ax.set(xlim=(times[0], times[-1]), ylim=(len(firing) - 0.4, -0.6))
    _dates(ax, 12)
    for severity, (colour, hatch) in SEVERITIES.items():
        ax.barh(np.nan, np.nan, color=colour, hatch=hatch, label=severity, **OUTLINE)
    told = [f"{number} {story[0]}" for number, story in enumerate(stories, 1)]
    for line in told:
        ax.plot([], [], linestyle="", label=line)
    ax.legend(loc="upper center", bbox_to_anchor=(0.25, -0.1), ncols=3, fontsize=SMALL, handlelength=1.6)
    shaded = f" Shaded: {'; '.join(told)}." if told else ""
    columns = ["spells", "time it fires (%)", "first fires"]
    table = pd.DataFrame.from_dict(numbers, orient="index", columns=columns)
    describe(ax, f"Timeline of alerts. {'; '.join(words) or 'No alert fires'}.{shaded}", table)


def _shaded(ax: Axes, stories: Sequence[tuple[Any, ...]]) -> list[NDArray]:
    """Shade the stories; return their starts and ends."""
    spans = [np.array(story[1:3]).astype("int64").astype("datetime64[s]") for story in stories]
    for span in spans:
        ax.axvspan(*span, color=COLOURS["band"], alpha=0.25, linewidth=0)
    return spans


def _curves(ax: Axes, times: NDArray, evaluated: Mapping[Series, ArrayLike], panel: Any) -> None:
    """Draw one panel: a line for each series, and its limit."""
    scale, unit = SCALES.get(panel.unit, (1.0, ""))
    words, lines = [], {}
    for place, (name, values) in enumerate(_chosen(evaluated, panel)):
        lines[name or panel.title] = scale * values
        ax.plot(times, scale * values, linewidth=1.1, zorder=2 + (place == 0), **_style(place))
        last = values[-1]
        words.append(f"{name} {scale * last:.3g}".strip() if np.isfinite(last) else f"{name} none".strip())
    if not words:
        ax.text(0.5, 0.5, "no data", transform=ax.transAxes, ha="center")
        words.append("no data")
    limit = _limit(evaluated, panel)
    if limit is not None:
        ax.axhline(scale * limit, color=COLOURS["alarm"], linestyle=":", linewidth=1.5)
        words.append(f"limit {scale * limit:.3g}")
    _label(ax, times, panel, unit)
    table = _weekly(times, lines).rename_axis(
        index="week from", columns=f"mean of the week{unit and f', {unit}'}"
    )
    describe(ax, f"Last values{f' in {unit}' if unit else ''}: {', '.join(words)}.", table)


def _weekly(times: NDArray, lines: Mapping[str, NDArray]) -> pd.DataFrame:
    """Return the mean of each line in each week."""
    weeks = pd.DataFrame(lines, pd.DatetimeIndex(times)).resample("7D").mean()
    return weeks.set_axis([_day(start) for start in weeks.index])


def _day(time: Any) -> str:
    return f"{pd.Timestamp(time):%d %b}".lstrip("0")


def _label(ax: Axes, times: NDArray, panel: Any, unit: str) -> None:
    """Give a chart its title, ticks and unit."""
    ax.set_title(panel.title, fontsize=SMALL)
    ax.set_xlim(times[0], times[-1])
    whole = panel.unit in ("count", "yes")
    ax.yaxis.set_major_locator(MaxNLocator(4, integer=whole, steps=[1, 2, 5, 10]))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.6g}{'%' * (unit == '%')}"))
    ax.tick_params(labelsize=SMALL)
    ax.set_ylabel("" if unit == "%" else unit, fontsize=SMALL)
    _dates(ax)


def _style(place: int) -> dict[str, Any]:
    """Return colour and dashes of a line: no two of the first 25 agree in both."""
    colours = len(COLOURS_OF_LINES)
    return {
        "color": COLOURS_OF_LINES[place % colours],
        "linestyle": DASHES[(place + place // colours) % len(DASHES)],
    }


def _chosen(evaluated: Mapping[Series, ArrayLike], panel: Any) -> list[tuple[str, NDArray]]:
    """Return the series of a panel and their names, everybody first."""
    found = [
        (dict(pairs).get(panel.legend, ""), np.asarray(values, np.float64))
        for (metric, pairs), values in evaluated.items()
        if metric == panel.metric and panel.match.items() <= dict(pairs).items()
    ]
    found = [(name, values) for name, values in found if name != "other"]
    return sorted(found, key=lambda line: (line[0] != "all", line[0]))


def _limit(evaluated: Mapping[Series, ArrayLike], panel: Any) -> float | None:
    """Return the limit of a panel: a number, or the last one of the series that holds it."""
    if not isinstance(panel.limit, str):
        return panel.limit
    held = [
        float(np.asarray(values)[-1])
        for (metric, pairs), values in evaluated.items()
        if metric == panel.limit and panel.match.items() <= dict(pairs).items()
    ]
    return held[0] if held else None


def _dates(ax: Axes, most: int = 3) -> None:
    first, last = ax.get_xlim()
    every = max(1, round((last - first) / 7 / most))
    ax.xaxis.set_major_locator(WeekdayLocator(MO, every))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda day, _: f"{num2date(day):%d %b}".lstrip("0")))
    ax.tick_params(axis="x", labelsize=SMALL)


def _legend(figure: Figure, evaluated: Mapping[Series, ArrayLike], panels: Sequence[Any]) -> None:
    """Name the segments once for all charts."""
    names = [name for panel in panels if panel.legend == "segment" for name, _ in _chosen(evaluated, panel)]
    lines = []
    for place, name in enumerate(sorted(set(filter(None, names)), key=lambda name: (name != "all", name))):
        lines.append(Line2D([], [], label=name, **_style(place)))
    lines.append(Line2D([], [], color=COLOURS["alarm"], linestyle=":", linewidth=1.5, label="limit"))
    figure.legend(handles=lines, loc="outside lower left", ncols=8, fontsize=MEDIUM)
