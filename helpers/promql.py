"""The words of PromQL that the dashboard's rules use, in NumPy.

A series is (name, labels), labels being sorted pairs. Its values lie on one grid of times; NaN means no
sample. A vector has one array for each set of labels.
"""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

Labels = tuple[tuple[str, str], ...]
Series = tuple[str, Labels]
Vector = dict[Labels, NDArray]


def increase(t: ArrayLike, counter: ArrayLike, window: float) -> NDArray[np.float64]:
    """Growth of a counter over the `window` seconds before each time, as PromQL's increase() has it.

    t (n,) times in seconds, rising; counter (n,), NaN where there is no sample. A fall is a restart from 0.
    The growth from the first to the last sample of a window is stretched to its edges, but not to before the
    counter was 0, and by half a step at most where samples are missing: at the second time below, 2 in a
    minute become 4 in two. NaN where a window has fewer than two samples.

    What it cannot tell you: what happened before the first sample. A counter must start at 0, or its first
    event is lost. Prometheus 3 leaves out a sample on the window's early edge, which counts here and before.

    Source: `extrapolatedRate` in Prometheus 2.42, promql/functions.go.

    >>> increase([0, 60, 120, 180], [5, 7, 1, 2], 120).tolist()
    [nan, 4.0, 3.0, 2.0]
    """
    t, counter = np.asarray(t, float), np.asarray(counter, float)
    there = np.isfinite(counter)
    time, value = t[there], counter[there]
    if len(time) < 2:
        return np.full(len(t), np.nan)
    step = np.diff(value, prepend=value[0])
    grown = np.where(step < 0, value, step).cumsum()
    first, last = np.searchsorted(time, t - window), np.searchsorted(time, t, side="right") - 1
    enough, first = last > first, np.minimum(first, len(time) - 1)
    growth, seen = grown[last] - grown[first], time[last] - time[first]
    with np.errstate(divide="ignore", invalid="ignore"):
        between = seen / (last - first)
        since_zero = np.where(growth > 0, seen * value[first] / growth, np.inf)
        before, after = np.minimum(time[first] - (t - window), since_zero), t - time[last]
        edges = sum(np.where(gap < 1.1 * between, gap, between / 2) for gap in (before, after))
        return np.where(enough, growth * (seen + edges) / seen, np.nan)


def hold(t: ArrayLike, condition: ArrayLike, wait: float = 0, keep: float = 0) -> NDArray[np.bool_]:
    """When an alert fires: once its condition has held for `wait` seconds, and for `keep` after it ended.

    t (n,) times of evaluation in seconds; condition (n,) booleans. `wait` and `keep` are a rule's `for` and
    `keep_firing_for`. One false moment starts the waiting anew, but does not end an alert that fires.

    >>> hold([0, 60, 120, 180, 240], [True, True, False, False, True], wait=60, keep=60).tolist()
    [False, True, True, False, False]
    """
    firing, since, ended = False, np.nan, np.nan
    out = []
    for now, is_true in zip(np.asarray(t, float), np.asarray(condition, bool), strict=True):
        if is_true:
            since, ended = (now if np.isnan(since) else since), np.nan
            firing = firing or now - since >= wait
        else:
            ended = now if np.isnan(ended) else ended
            firing = firing and now - ended < keep
            since = since if firing else np.nan
        out.append(firing)
    return np.array(out, bool)


def over_time(t: NDArray, values: NDArray, window: float, what: str) -> NDArray[np.float64]:
    """Largest ("max") or smallest ("min") sample of each window; t is evenly spaced."""
    rolling = pd.Series(values).rolling(int(window // (t[1] - t[0])) + 1, min_periods=1)
    return getattr(rolling, what)().to_numpy()


def pick(series: Mapping[Series, NDArray], metric: str, **wanted: str) -> Vector:
    """Select the series of a metric whose labels have one of the wanted values, written "a|b"."""
    return {
        labels: values
        for (name, labels), values in series.items()
        if name == metric and all(dict(labels).get(key) in each.split("|") for key, each in wanted.items())
    }


def sum_by(vector: Vector, *by: str) -> Vector:
    """Add the series that agree in the labels `by`; what is absent does not count."""
    groups: dict[Labels, list[NDArray]] = {}
    for labels, values in vector.items():
        groups.setdefault(tuple(pair for pair in labels if pair[0] in by), []).append(values)
    return {
        labels: np.where(np.isfinite(rows).any(axis=0), np.nansum(rows, axis=0), np.nan)
        for labels, rows in groups.items()
    }


def match(formula: Callable[..., NDArray], *vectors: Vector) -> Vector:
    """Apply a formula to the series that have the same labels in all vectors."""
    common = [labels for labels in vectors[0] if all(labels in other for other in vectors)]
    return {labels: formula(*(vector[labels] for vector in vectors)) for labels in common}


def above(values: NDArray, limit: float) -> NDArray[np.float64]:
    """Return the values above the limit; the others are absent."""
    return np.where(values > limit, values, np.nan)
