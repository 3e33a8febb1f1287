"""When is a daily score an alarm? Scores in units of their own history, charts, limits for an alarm budget.

A chart is called `chart(z, *, limit=inf, state=0.0, ...) -> states`. It turns daily z-scores into one state a
day; a state above `limit` is an alarm, after which the chart starts again at 0. `ewma` with weight 1 is the
chart of Shewhart, which looks at today only. Options by `functools.partial`.
"""

from collections.abc import Callable
from functools import lru_cache, partial
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.stats import beta, norm

from helpers.windows import as_generator, as_window, finite, fraction, positive, whole

NODES = 300  # of the quadrature; run lengths are then exact to about nine digits

Chart = Callable[..., NDArray[np.float64]]


def weekday_z(series: pd.Series, baseline: pd.Series) -> pd.Series:
    """Standardise a daily series by the mean and sd of a baseline, weekdays and weekends apart.

    Both are indexed by day, day 0 being a Monday. z = (x - mean) / sd of the baseline's days of that kind.
    Take the logarithm of a distance first: it is positive with a long tail, which makes its z skewed.

    >>> week = pd.Series([1.0, 2.0, 3.0, 2.0, 2.0, 7.0, 9.0])
    >>> weekday_z(week, week).round(2).tolist()
    [-1.41, 0.0, 1.41, 0.0, 0.0, -0.71, 0.71]
    """
    for name, daily in (("series", series), ("baseline", baseline)):
        if not isinstance(daily, pd.Series):
            raise TypeError(f"{name} is a {type(daily).__name__}: give a pandas Series indexed by day")
        bad = int((~np.isfinite(daily.astype(float))).sum())
        if bad:
            raise ValueError(f"{name} has {bad} missing or infinite value(s): fill or drop those days first")
    out = pd.Series(np.nan, index=series.index)
    for weekend in (False, True):
        now, then = (np.asarray(s.index) % 7 >= 5 for s in (series, baseline))
        usual = baseline[then == weekend]
        if usual.nunique() < 2:
            raise ValueError("baseline needs at least two weekdays and two weekend days that differ")
        out[now == weekend] = (series[now == weekend] - usual.mean()) / usual.std()
    return out


def ewma(
    z: ArrayLike, *, weight: float = 0.2, limit: float = np.inf, state: float = 0.0
) -> NDArray[np.float64]:
    """Exponentially weighted moving average: s = (1 - weight) s + weight z.

    z : (days,) or (days, paths), standardised: mean 0 and sd 1 in quiet time.
    weight : of today, above 0 and at most 1; 1 is the Shewhart chart.
    limit : a state above it is an alarm, and the next day starts from 0.
    state : yesterday's, for a chart that goes on.

    Returns the states, of the shape of z: the alarms are `ewma(z, limit=limit) > limit`.

    Source: Roberts, "Control chart tests based on geometric moving averages", Technometrics 1 (1959).

    >>> ewma([1.0, 1.0, 1.0], weight=0.5, limit=0.7)
    array([0.5 , 0.75, 0.5 ])
    """
    if positive(weight, "weight") > 1:
        raise ValueError(f"weight={weight} must be at most 1")
    return _states(lambda before, now: (1 - weight) * before + weight * now, z, limit, state)


def cusum(
    z: ArrayLike, *, allowance: float = 0.5, limit: float = np.inf, state: float = 0.0
) -> NDArray[np.float64]:
    """Cumulative sum: s = max(0, s + z - allowance). Arguments and result as in `ewma`.

    allowance : half the shift, in sd, that should be found soonest.

    Source: Page, "Continuous inspection schemes", Biometrika 41 (1954).

    >>> cusum([1.0, 1.0, 1.0, -3.0], limit=0.7)
    array([0.5, 1. , 0.5, 0. ])
    """
    if finite(allowance, "allowance") < 0:
        raise ValueError(f"allowance={allowance} must not be negative")
    return _states(lambda before, now: np.maximum(0.0, before + now - allowance), z, limit, state)


def _states(step: Callable, z: ArrayLike, limit: float, state: float) -> NDArray[np.float64]:
    """Take the steps of a chart, one day after the other, all paths at once."""
    z = _as_scores(z, "z")
    if limit != np.inf:
        positive(limit, "limit")
    states, before = np.empty_like(z), np.full(z.shape[1:], finite(state, "state"))
    for day, now in enumerate(z):
        states[day] = step(np.where(before > limit, 0.0, before), now)
        before = states[day]
    return states


def _as_scores(z: ArrayLike, name: str) -> NDArray[np.float64]:
    """Return finite scores (days,) or (days, paths), or raise naming them."""
    if np.ndim(z) == 1:
        return as_window(z, name, one_dimensional=True, least=1)[:, 0]
    return as_window(z, name, least=1)


# How long until an alarm?


def average_run_length(chart: Chart, limit: float, *, shift: float = 0.0, two_sided: bool = False) -> float:
    """Mean number of days until the first alarm, that day included, for independent daily z ~ N(shift, 1).

    With no shift it is the mean time between false alarms, ARL0; with one the mean delay of detection.
    L(s) = 1 + integral of L(t) p(t | s) dt over the states t without alarm, solved at Gauss-Legendre nodes.

    chart : `ewma` or `cusum`, options by `functools.partial`.
    two_sided : alarm below -limit too (for `cusum`: by a second chart of -z).

    What it cannot tell you: the run length of scores that depend on yesterday's. Positive correlation makes
    the alarms of `ewma` and `cusum` several times as frequent: see `budget_limit`.

    Source: Crowder, "A simple method for studying run-length distributions of EWMA charts", Technometrics
    29 (1987); Goel & Wu, "Determination of ARL and a contour nomogram for CUSUM charts", Technometrics 13
    (1971).

    >>> round(average_run_length(partial(ewma, weight=1), 3, two_sided=True), 1)
    370.4
    """
    function, options = _chart_and_options(chart)
    positive(limit, "limit"), finite(shift, "shift")
    if function is cusum:
        one = _cusum_run_length(limit, shift, **options)
        return 1 / (1 / one + 1 / _cusum_run_length(limit, -shift, **options)) if two_sided else one
    return _ewma_run_length(limit, shift, two_sided, **options)


def _ewma_run_length(limit: float, shift: float, two_sided: bool, weight: float = 0.2) -> float:
    ewma([0.0], weight=weight)
    lowest = shift - 9 * np.sqrt(weight / (2 - weight))  # below, nobody ever comes
    node, share = _nodes(-limit if two_sided else min(lowest, -limit), limit)

    def to_nodes(state: NDArray | float) -> NDArray:
        return norm.pdf((node - (1 - weight) * state) / weight - shift) / weight * share

    length = np.linalg.solve(np.eye(NODES) - to_nodes(node[:, None]), np.ones(NODES))
    return float(1 + to_nodes(0.0) @ length)


def _cusum_run_length(limit: float, shift: float, allowance: float = 0.5) -> float:
    cusum([0.0], allowance=allowance)
    node, share = _nodes(0.0, limit)
    state = np.append(0.0, node)[:, None]  # 0 is a state of its own: all that falls below lands there
    moves = np.hstack(
        [norm.cdf(allowance - state - shift), norm.pdf(node + allowance - state - shift) * share]
    )
    return float(np.linalg.solve(np.eye(NODES + 1) - moves, np.ones(NODES + 1))[0])


def _nodes(low: float, high: float) -> tuple[NDArray, NDArray]:
    """Gauss-Legendre nodes and weights of an interval."""
    node, share = _unit_nodes()
    return low + (node + 1) * (high - low) / 2, share * (high - low) / 2


@lru_cache
def _unit_nodes() -> tuple[NDArray, NDArray]:
    return np.polynomial.legendre.leggauss(NODES)


def _chart_and_options(chart: Chart) -> tuple[Callable, dict]:
    function, options = (chart.func, chart.keywords) if isinstance(chart, partial) else (chart, {})
    known: dict[Callable, set[str]] = {ewma: {"weight"}, cusum: {"allowance"}}
    if not callable(function) or function not in known or not set(options) <= known[function]:
        raise TypeError(f"chart={chart!r} must be `ewma` or `cusum`, or a partial of one with its option")
    return function, options


# Where to put the limit?


def run_length_limit(chart: Chart, days: float) -> float:
    """Limit at which `chart` has one false alarm in `days` days, for independent standard normal scores.

    days : mean time between false alarms (ARL0); 91 is one a quarter. Raises ValueError where not even a
        limit near 0 has alarms that often.

    >>> round(run_length_limit(partial(ewma, weight=1), 91), 3)
    2.291
    """
    positive(days, "days")
    low = high = 1e-3
    least = average_run_length(chart, low)
    if days < least:
        raise ValueError(
            f"days={days} is too few: with its limit near 0 this chart has one in {least:.1f} days"
        )
    while average_run_length(chart, high) < days:
        high *= 2
    return float(brentq(lambda limit: average_run_length(chart, limit) - days, low, high))


def budget_limit(
    chart: Chart, baseline: ArrayLike, *, days: float = 91, block: int = 14, n_paths: int = 100, rng: int = 0
) -> float:
    """Limit at which `chart` has one false alarm in `days` days, on years resampled from quiet history.

    Each of `n_paths` years has 52 weeks, put together of random stretches of `block` days: that keeps the
    scores' own distribution and their dependence from day to day (moving block bootstrap).

    baseline : (B,) daily z-scores of quiet time, at least two blocks long.

    What it cannot tell you: how loud the baseline would have been in another quarter. Of 84 days it knows
    little about what happens once in 91: see `false_alarm_interval`.

    Source: Kunsch, "The jackknife and the bootstrap for general stationary observations", Ann. Stat. 17
    (1989).
    """
    z = as_window(baseline, "baseline", one_dimensional=True)[:, 0]
    positive(days, "days"), whole(block, "block", least=1), whole(n_paths, "n_paths", least=1)
    if len(z) < 2 * block:
        raise ValueError(f"baseline has {len(z)} days for block={block}: give at least two blocks")
    n_blocks = -(-364 // block)
    starts = as_generator(rng).integers(0, len(z) - block + 1, (n_blocks, 1, n_paths))
    years = z[starts + np.arange(block)[:, None]].reshape(-1, n_paths)
    allowed = years.size / days
    low, high = 0.0, max(1.0, float(chart(years).max()))
    for _ in range(30):
        middle = (low + high) / 2
        too_many = (chart(years, limit=middle) > middle).sum() > allowed
        low, high = (middle, high) if too_many else (low, middle)
    return high


class FalseAlarms(NamedTuple):
    """False alarms to expect: their `mean`, and the range from `low` to `high` that their rate can have."""

    mean: float
    low: float
    high: float


def false_alarm_interval(n_baseline: int, days: float = 91, *, level: float = 0.9) -> FalseAlarms:
    """False alarms to expect in `days` days if the limit is the largest of `n_baseline` quiet days.

    The share of later days above that limit has the distribution Beta(1, n_baseline), whatever the scores'
    own: it is known no better than that. For independent days; dependent ones make it wider.

    >>> [round(number, 2) for number in false_alarm_interval(84)]
    [1.07, 0.06, 3.19]
    """
    whole(n_baseline, "n_baseline", least=1), positive(days, "days"), fraction(level, "level")
    share = beta(1, n_baseline)
    low, high = share.ppf([(1 - level) / 2, (1 + level) / 2])
    return FalseAlarms(days * float(share.mean()), days * float(low), days * float(high))


def effective_monitors(fires: ArrayLike) -> float:
    """How many independent monitors these are worth: share of days with any alarm / mean share of one.

    fires : (days, monitors) booleans of quiet time. From 1 (all fire together) to the number of monitors.
    To have one false alarm in 91 days from all of them together, give each a budget of one in
    91 * effective_monitors days.

    >>> effective_monitors([[True, True], [False, False], [True, False], [False, True]])
    1.5
    """
    table = np.asarray(fires)
    if table.ndim != 2 or table.dtype != bool:
        raise ValueError(
            f"fires has shape {table.shape} and dtype {table.dtype}: give booleans (days, monitors)"
        )
    if not table.any():
        raise ValueError("fires has no alarm at all: lower the limits to count some, or give more days")
    return float(table.any(axis=1).mean() / table.mean())
