"""Is that number large? The null distribution of a metric, by permuting who belongs to which window."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics.pairwise import euclidean_distances
from sklearn.utils import gen_batches

from helpers.metrics import energy_distance, median_gamma, mmd2, positive
from helpers.windows import as_windows


class TestResult(NamedTuple):
    """The observed `statistic`, its `pvalue` and the `null`: the statistic of each resample."""

    statistic: float
    pvalue: float
    null: NDArray[np.float64]


def permutation_test(
    metric: Callable[..., float],
    reference: ArrayLike,
    current: ArrayLike,
    *,
    groups: tuple[ArrayLike, ArrayLike] | None = None,
    n_resamples: int = 999,
    rng: int = 0,
) -> TestResult:
    """Test whether two windows could be one, shuffled.

    p = (1 + count(null >= statistic)) / (1 + n_resamples)

    Parameters
    ----------
    metric : `metric(reference, current) -> float`, larger for more drift; options by `functools.partial`.
        `mmd2` and `energy_distance` are computed for all resamples at once, from one pass over the
        pooled kernel or distance matrix. There the default bandwidth is the pooled median: in a test it
        must not know which row belongs to which window.
    reference, current : arrays of shape (n, d) and (m, d).
    groups : labels of (reference, current), one a row, such as sessions: groups then change sides as a
        whole, because queries of one session are not independent.
    n_resamples : the smallest possible p-value is 1 / (1 + n_resamples). Zero is impossible.
    rng : seed.

    What it cannot tell you: whether the difference matters, or is larger than between two ordinary weeks.

    Source: Phipson & Smyth, "Permutation p-values should never be zero", SAGMB 9 (2010).

    >>> rng = np.random.default_rng(0)
    >>> permutation_test(mmd2, rng.normal(size=(50, 2)), rng.normal(1.5, size=(50, 2)), n_resamples=99).pvalue
    0.01
    """
    x, y = as_windows(reference, current)
    if n_resamples < 1:
        raise ValueError(f"n_resamples={n_resamples} must be at least 1")
    in_current = _relabelings(len(x), len(y), groups, n_resamples, np.random.default_rng(rng))
    pooled = np.concatenate([x, y])
    if _function(metric) in (mmd2, energy_distance):
        values = _pairwise_statistics(metric, pooled, in_current)
    else:
        values = np.array([metric(pooled[~member], pooled[member]) for member in in_current.T])
    if not np.isfinite(values).all():
        raise ValueError("metric returned NaN or infinity, for the windows or for a resample of them")
    statistic, null = float(values[0]), values[1:]
    # Equal up to rounding counts as equal: a resample that reproduces the split must not lose by luck.
    as_large = null >= statistic - 1e-12 * abs(statistic)
    return TestResult(statistic, float((1 + as_large.sum()) / (1 + n_resamples)), null)


def _relabelings(
    n: int,
    m: int,
    groups: tuple[ArrayLike, ArrayLike] | None,
    n_resamples: int,
    rng: np.random.Generator,
) -> NDArray[np.bool_]:
    """Column 0: which pooled rows are current. Each further column: the same with the units shuffled."""
    if groups is None:
        unit_of_row = np.arange(n + m)
        unit_is_current = unit_of_row >= n
    else:
        first, second = (np.asarray(labels) for labels in groups)
        if first.shape != (n,) or second.shape != (m,):
            raise ValueError(
                f"groups has {first.shape} and {second.shape} labels for {n} and {m} rows: give one a row"
            )
        # A session that reaches into both windows is two units: it was observed on both sides.
        units_x, rows_x = np.unique(first, return_inverse=True)
        units_y, rows_y = np.unique(second, return_inverse=True)
        unit_of_row = np.concatenate([rows_x, len(units_x) + rows_y])
        unit_is_current = np.arange(len(units_x) + len(units_y)) >= len(units_x)
        if len(units_x) < 2 or len(units_y) < 2:
            raise ValueError("groups names a single group in one of the windows: there is nothing to permute")
    shuffles = [rng.permutation(unit_is_current) for _ in range(n_resamples)]
    return np.column_stack([unit_is_current, *shuffles])[unit_of_row]


def _function(metric: Callable[..., float]) -> Callable[..., float]:
    return metric.func if isinstance(metric, partial) else metric


def _pairwise_statistics(metric: Callable[..., float], pooled: NDArray, in_current: NDArray) -> NDArray:
    """MMD or energy distance of every relabeling, from one pass over the pooled matrix in blocks.

    With K the kernel (or minus the distance) without its diagonal and v a column of 0 and 1, the sums
    over pairs are v'Kv (both current), v'K1 - v'Kv (one of each), and the rest (both reference).
    """
    options = metric.keywords if isinstance(metric, partial) else {}
    is_mmd = _function(metric) is mmd2
    unbiased = is_mmd and options.get("unbiased", True)
    kernel_of = _gaussian(options.get("gamma"), pooled) if is_mmd else _minus_distance
    pooled = pooled - pooled.mean(axis=0)
    v = in_current.astype(np.float64)
    yy, y_any, total = np.zeros(v.shape[1]), np.zeros(v.shape[1]), 0.0
    for rows in gen_batches(len(pooled), 512):
        squared = euclidean_distances(pooled[rows], pooled, squared=True)
        kernel = kernel_of(squared)
        kernel[np.arange(len(kernel)), np.arange(rows.start, rows.start + len(kernel))] = 0.0
        yy += ((kernel @ v) * v[rows]).sum(axis=0)
        y_any += kernel.sum(axis=1) @ v[rows]
        total += kernel.sum()
    xy = y_any - yy
    xx = total - yy - 2 * xy
    m = v.sum(axis=0)
    n = len(pooled) - m
    if unbiased:
        return xx / (n * (n - 1)) + yy / (m * (m - 1)) - 2 * xy / (n * m)
    diagonal = float(is_mmd)  # k(x, x) = 1, the distance of a row to itself is 0
    return (xx + n * diagonal) / n**2 + (yy + m * diagonal) / m**2 - 2 * xy / (n * m)


def _gaussian(gamma: float | None, pooled: NDArray) -> Callable[[NDArray], NDArray]:
    width = median_gamma(pooled) if gamma is None else positive(gamma, "gamma")
    return lambda squared: np.exp(-width * squared)


def _minus_distance(squared: NDArray) -> NDArray:
    return -np.sqrt(squared)
