"""Is that number large? Nulls by permuting who belongs to which window; nulls and limits by history.

The second kind, charts and their limits, is in `helpers.charts` and can be had from here too.
"""

import inspect
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array
from sklearn.utils import gen_batches

from helpers.charts import (
    FalseAlarms,
    average_run_length,
    budget_limit,
    cusum,
    effective_monitors,
    ewma,
    false_alarm_interval,
    run_length_limit,
    weekday_z,
)
from helpers.classifiers import accuracies
from helpers.metrics import (
    areas_between,
    centred,
    centroid_distance,
    classifier_accuracy,
    energy_distance,
    first_component,
    kernel_rows,
    median_gamma,
    mmd2,
    own_pairs,
    wasserstein_pc1,
)
from helpers.pairs import BLAS, bin_sums, gaussian, minus_distance, two_sample
from helpers.windows import as_generator, as_groups, as_pooled, as_window, positive, whole

__all__ = [
    "FalseAlarms",
    "Power",
    "TestResult",
    "average_run_length",
    "budget_limit",
    "cusum",
    "design_effect",
    "effective_monitors",
    "ewma",
    "false_alarm_interval",
    "permutation_test",
    "power",
    "run_length_limit",
    "weekday_z",
]

# Single units (rows or sessions) change sides up to MOST_UNITS of them, beyond it random bins of units.
MOST_UNITS, MOST_BINS, FEWEST_BINS = 2048, 512, 32


class TestResult(NamedTuple):
    """The observed `statistic`, its `pvalue` and the `null`: the statistic of each resample."""

    statistic: float
    pvalue: float
    null: NDArray[np.float64]


@BLAS.wrap(limits=1, user_api="blas")  # many small products: a second thread would only wait and burn time
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
        All resamples at once are computed for `mmd2`, `energy_distance`, `centroid_distance`,
        `classifier_accuracy`, and for `wasserstein_pc1` of one column or with a frozen `pca`. In `mmd2` the
        default bandwidth is here the pooled median: in a test it must not know which row belongs to which
        window.
    reference, current : arrays of shape (n, d) and (m, d).
    groups : labels of (reference, current), one a row, such as sessions: groups then change sides as a
        whole, because queries of one session are not independent.
    n_resamples : the smallest possible p-value is 1 / (1 + n_resamples). Zero is impossible.
    rng : seed.

    Windows of more than 2048 rows (or groups) together change sides in some 500 random bins of equally many;
    what is left over stays on its side: less than a bin of each window, or more of the larger window where
    the other has less than a sixteenth of all. These are still permutations of rows, so that the level is
    exact, and all rows count in the statistic. From that size on `mmd2` and `energy_distance` work in
    float32, which moves the statistic by less than a millionth of the mean kernel or distance.

    What it cannot tell you: whether the difference matters, or is larger than between two ordinary weeks.

    Source: Phipson & Smyth, "Permutation p-values should never be zero", SAGMB 9 (2010);
    Domingo-Enrich, Dwivedi & Mackey, "Cheap permutation testing" (2025), for the bins.

    >>> rng = np.random.default_rng(0)
    >>> permutation_test(mmd2, rng.normal(size=(50, 2)), rng.normal(1.5, size=(50, 2)), n_resamples=99).pvalue
    0.01
    """
    pooled, n = as_pooled(reference, current)
    whole(n_resamples, "n_resamples", least=1)
    function, options = _function_and_options(metric)
    generator = as_generator(rng)
    unit, n_units, fixed = _bins(*_units(n, len(pooled) - n, groups), generator)
    sides = _sides(n_units, n_resamples, generator, fixed=fixed)
    one_column = pooled.shape[1] == 1
    scale = None
    if function is mmd2 or (function is energy_distance and not one_column):
        values, scale = _pair_statistics(function, pooled, unit, sides, generator, **options)
    elif function is energy_distance:
        values = 2 * areas_between(pooled[:, 0], sides[unit], power=2)
    elif function is wasserstein_pc1 and (one_column or options.get("pca") is not None):
        values = areas_between(first_component(pooled, options.get("pca"))[:, 0], sides[unit], power=1)
    elif function is classifier_accuracy:
        values = accuracies(pooled, sides[unit], **options)
    elif function is centroid_distance:
        values = _centroid_distances(pooled, unit, sides)
    else:
        values = _one_by_one(metric, pooled, sides[unit])
    if not np.isfinite(values).all():
        raise ValueError("metric returned NaN or infinity, for the windows or for a resample of them")
    statistic, null = float(values[0]), values[1:]
    # Equal up to rounding counts as equal: a resample that reproduces the split must not lose by luck.
    rounding = 1e-12 * (float(np.abs(values).max()) if scale is None else scale)
    null = np.where(np.abs(null - statistic) <= rounding, statistic, null)
    count = int((null >= statistic).sum())
    return TestResult(statistic, (1 + count) / (1 + n_resamples), null)


def _function_and_options(metric: Callable[..., float]) -> tuple[Callable[..., float], dict]:
    """Look inside a `functools.partial`; options that the metric does not know are refused by name."""
    if not callable(metric):
        raise TypeError(
            f"metric={metric!r} must be a function of (reference, current): give it without quotes"
        )
    if not isinstance(metric, partial) or metric.args:
        return metric, {}
    if not isinstance(metric.func, np.ufunc):
        inspect.signature(metric.func).bind(None, None, **metric.keywords)
    return metric.func, metric.keywords


def _units(
    n: int, m: int, groups: tuple[ArrayLike, ArrayLike] | None
) -> tuple[NDArray[np.intp], tuple[int, int]]:
    """Unit of each pooled row, and how many units either window has; those of the reference come first."""
    if groups is None:
        return np.arange(n + m), (n, m)
    # A session that reaches into both windows is two units: it was observed on both sides.
    labels = [np.unique(each, return_inverse=True) for each in as_groups(groups, n, m)]
    (units_x, of_x), (units_y, of_y) = labels
    if len(units_x) < 2 or len(units_y) < 2:
        raise ValueError("groups names a single group in one of the windows: there is nothing to permute")
    return np.concatenate([of_x, len(units_x) + of_y]), (len(units_x), len(units_y))


def _bins(
    unit: NDArray, n_units: tuple[int, int], rng: np.random.Generator
) -> tuple[NDArray[np.intp], tuple[int, int], int]:
    """Put many units into few bins at random; the first and the last bin, if 1 is returned, never move.

    The other bins have equally many units, so that they can change sides: so many that nearly all units
    move, unless the smaller window then had fewer than FEWEST_BINS of them.
    """
    if sum(n_units) <= MOST_UNITS:
        return unit, n_units, 0
    size = max(1, min(-(-sum(n_units) // MOST_BINS), min(n_units) // FEWEST_BINS))
    most = MOST_BINS - min(n_units) // size

    def bins(count: int) -> NDArray[np.intp]:
        moving = min(count // size, most) * size
        bin_of = np.zeros(count, int)  # bin 0 is for those that stay
        bin_of[rng.permutation(count)[:moving]] = 1 + np.arange(moving) // size
        return bin_of

    x, y = (bins(count) for count in n_units)
    last = x.max() + y.max() + 1
    return np.concatenate([x, last - y])[unit], (x.max() + 1, y.max() + 1), 1


def _sides(
    n_units: tuple[int, int], n_resamples: int, rng: np.random.Generator, *, fixed: int = 0
) -> NDArray[np.bool_]:
    """Column 0: which units are current. Each further column: the same, shuffled, with `fixed` ends kept."""
    observed = np.arange(sum(n_units)) >= n_units[0]
    sides = np.repeat(observed[:, None], 1 + n_resamples, axis=1)
    moving = slice(fixed, len(observed) - fixed)
    integers = observed[moving].astype(np.intp)  # NumPy shuffles these faster than booleans
    for resample in range(1, 1 + n_resamples):
        sides[moving, resample] = rng.permutation(integers)
    return sides


def _pair_statistics(
    function: Callable[..., float],
    pooled: NDArray,
    unit: NDArray,
    sides: NDArray,
    rng: np.random.Generator,
    gamma: float | None = None,
    unbiased: bool = True,
) -> tuple[NDArray[np.float64], float]:
    """MMD or energy distance of every relabeling from one pass over the pairs, and the size of the kernel.

    With L the sums of the kernel by units, each pair once, and v a column of 0 and 1, the sums over pairs
    are v'Lv (both current), v'(L + L')1 - 2 v'Lv (one of each), and the rest (both reference).
    """
    if function is mmd2:
        # Of rows drawn from all, so that the bandwidth does not know who is where.
        gamma = median_gamma(rng.permutation(pooled)) if gamma is None else positive(gamma, "gamma")
        rows, size, kernel, own = kernel_rows(pooled, gamma), 1.0, gaussian, own_pairs(unbiased)
    else:
        (rows, size), kernel, own = centred(pooled), minus_distance, 0.0
    # Half the work, and close to the mean, in units of the kernel, rounding is far below the noise.
    if len(rows) > MOST_UNITS and np.abs(rows).max() < 10:
        rows = rows.astype(np.float32)
    order = unit.argsort(kind="stable")
    units, starts, n_rows = np.unique(unit[order], return_index=True, return_counts=True)
    sums = bin_sums(rows[order], starts, kernel)
    v = sides[units].astype(np.float64)
    # L is lower triangular: rows further down meet more columns.
    bands = gen_batches(len(v), 128)
    yy = sum(np.einsum("ij,ij->j", sums[band, : band.stop] @ v[: band.stop], v[band]) for band in bands)
    xy = (sums.sum(axis=0) + sums.sum(axis=1)) @ v - 2 * yy
    xx = sums.sum() - yy - xy
    m = n_rows @ v
    scale = 2 * size * abs(float(sums.sum())) / len(rows) ** 2
    return size * two_sample(xx, yy, xy, len(rows) - m, m, own), scale


def _centroid_distances(pooled: NDArray, unit: NDArray, sides: NDArray) -> NDArray[np.float64]:
    """Distance of the two means for every relabeling, from the sums of the rows of each unit."""
    n_rows = len(pooled)
    belongs = csr_array((np.ones(n_rows), (unit, np.arange(n_rows))), shape=(len(sides), n_rows))
    of_units = belongs @ (pooled - pooled.mean(axis=0))
    current = sides.T.astype(np.float64) @ of_units
    reference = of_units.sum(axis=0) - current
    m = (belongs.sum(axis=1) @ sides)[:, None]
    return np.linalg.norm(reference / (n_rows - m) - current / m, axis=1)


def _one_by_one(metric: Callable[..., float], pooled: NDArray, is_current: NDArray) -> NDArray[np.float64]:
    """Call the metric for every relabeling."""
    values = [metric(pooled[~member], pooled[member]) for member in is_current.T]
    try:
        return np.array(values, dtype=np.float64).reshape(len(values))
    except (TypeError, ValueError) as error:
        raise TypeError(f"metric returned {values[0]!r}: it must return one real number") from error


class Power(NamedTuple):
    """The share of simulated pairs of windows for which a rule fires, and its standard error."""

    rate: float
    standard_error: float


def power(
    fires: Callable[[NDArray, NDArray], bool],
    draw: Callable[[np.random.Generator], tuple[NDArray, NDArray]],
    *,
    n_repeats: int = 200,
    rng: int = 0,
) -> Power:
    """Simulate how often a rule fires: its power if `draw` changes something, its false alarms if not.

    fires : `fires(reference, current) -> bool`, such as a p-value below .05 or a score above a threshold.
    draw : `draw(generator) -> (reference, current)`, a new pair of windows at each call.
    The standard error is that of (k + 1) / (n_repeats + 2), k the count: never zero, even if k is.

    >>> power(lambda x, y: y.mean() > 1, lambda rng: (rng.normal(size=1), rng.normal(size=1))).rate
    0.17
    """
    for name, function in (("fires", fires), ("draw", draw)):
        if not callable(function):
            raise TypeError(f"{name}={function!r} must be a function: give it without quotes")
    whole(n_repeats, "n_repeats", least=1)
    generator = as_generator(rng)
    count = sum(bool(fires(*draw(generator))) for _ in range(n_repeats))
    likely = (count + 1) / (n_repeats + 2)
    return Power(count / n_repeats, float(np.sqrt(likely * (1 - likely) / n_repeats)))


def design_effect(counts: ArrayLike) -> float:
    """How many times more a share varies from window to window than it would for independent queries.

    counts : (windows, K), how many queries of each window fall in each of K buckets. For each bucket, with
    overall share p: the variance of its share over windows / (p (1 - p) mean(1 / queries)); the mean over
    the buckets. 1 for independent queries; n queries are worth n / design effect.
    Whatever moves shares is in it, sessions, weekdays and wandering alike: choose windows of one kind.

    Source: Kish, "Survey Sampling" (1965).

    >>> round(design_effect([[40, 60], [60, 40], [50, 50]]), 9)
    4.0
    """
    table = as_window(counts, "counts")
    n = table.sum(axis=1)
    if (table < 0).any() or (n == 0).any():
        raise ValueError("counts has a negative number or an empty window: leave that window out")
    p = table.sum(axis=0) / n.sum()
    varying = (p > 0) & (p < 1)
    if not varying.any():
        raise ValueError("counts has all queries in one bucket: there is no share to vary")
    variance = (table / n[:, None]).var(axis=0, ddof=1)[varying]
    return float(np.mean(variance / (p * (1 - p))[varying]) / np.mean(1 / n))
