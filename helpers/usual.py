"""A monitor's scores in quiet time, and when one of them is an alarm: `helpers.charts` for a whole panel.

Arrays have one row a day and one column a score, in the order of `helpers.panel.FAMILY`.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from helpers.charts import budget_limit, ewma, run_length_limit
from helpers.events import is_weekend
from helpers.panel import FAMILY

IS_OUTCOME = np.array([family == "outcome" for family in FAMILY.values()])
IS_SHARE = IS_OUTCOME | (np.array(list(FAMILY)) == "novelty")
BLOCK = 14  # days
FEWEST_DAYS = 28  # of a baseline
LOWEST = -3.0  # z of a very good day: it must not hide the bad ones that follow


class Usual(NamedTuple):
    """Mean and sd, (2, scores) for weekdays and weekends, and the limit (scores,) of the chart of z."""

    mean: NDArray[np.float64]
    sd: NDArray[np.float64]
    limit: NDArray[np.float64]

    def z(self, day: NDArray, values: NDArray) -> NDArray[np.float64]:
        """Standardise the values of some days; NaN stays."""
        kind = is_weekend(day).astype(int)
        return (values - self.mean[kind]) / self.sd[kind]


def usual_of(day: NDArray, queries: NDArray, values: NDArray, budget_days: float) -> Usual:
    """Calibrate on the values of quiet days, so that each kind of score has its budget.

    day, queries (n,), values (n, scores) : of the baseline's days.
    budget_days : mean days between false alarms from all drift scores together, and from all outcomes.

    Each fortnight is standardised by the other days, as the days to come will be by all of these: by
    themselves they look quieter than those will. The limit is `charts.budget_limit`, or that of independent
    normal scores where it is higher: 84 days have not seen what happens once in 400.

    Raises ValueError for fewer than 28 days, or too few of a kind to compare a fortnight with.

    What it cannot tell you: how loud another quarter would have been; see `charts.false_alarm_interval`.
    """
    block = (day - day[:1]) // BLOCK
    for kind, name in enumerate(("weekdays", "weekend days")):
        fortnights = np.unique(block[is_weekend(day) == kind], return_counts=True)[1]
        if len(day) < FEWEST_DAYS or fortnights.sum() - fortnights.max(initial=0) < 2:
            raise ValueError(f"{len(day)} days, {fortnights.sum()} of them {name}, are too few")
    z = np.empty_like(values)
    for each in np.unique(block):
        inside = block == each
        others = Usual(*_moments(day[~inside], queries[~inside], values[~inside]), np.empty(0))
        z[inside] = others.z(day[inside], values[inside])
    limit = []
    for score, is_outcome in enumerate(IS_OUTCOME):
        days = budget_days * int((is_outcome == IS_OUTCOME).sum())
        limit.append(max(budget_limit(ewma, z[:, score], days=days), _normal_limit(days)))
    return Usual(*_moments(day, queries, values), np.array(limit))


@lru_cache
def _normal_limit(days: float) -> float:
    return run_length_limit(ewma, days)


def _moments(day: NDArray, queries: NDArray, values: NDArray) -> tuple[NDArray, NDArray]:
    """Mean and sd of weekdays and weekends; a share that never moved moves by one query."""
    mean, sd = np.empty((2, 2, len(FAMILY)))
    for kind in (0, 1):
        here = is_weekend(day) == kind
        mean[kind], sd[kind] = values[here].mean(axis=0), values[here].std(axis=0, ddof=1)
        sd[kind] = np.maximum(sd[kind], np.where(IS_SHARE, 1 / np.median(queries[here]), 1e-9))
    return mean, sd


def run_charts(z: NDArray, limit: NDArray, state: NDArray) -> NDArray[np.float64]:
    """States of the EWMA charts of z after yesterday's `state` (scores,); a day of NaN leaves them alone."""
    there, states = np.isfinite(z[:, 0]), np.empty_like(z)
    if there.any():
        columns = zip(z[there].T, limit, state, strict=True)
        each = [ewma(np.maximum(of, LOWEST), limit=top, state=before) for of, top, before in columns]
        states[there] = np.column_stack(each)
    for day in np.flatnonzero(~there):
        before = states[day - 1] if day else state
        states[day] = np.where(before > limit, 0.0, before)
    return states
