"""The engine: fast paths against brute force, exact levels, power, published values, bad input."""

import math
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.linalg import sqrtm
from scipy.spatial.distance import cdist
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA

import helpers.calibration as calibration
from helpers import metrics
from helpers.calibration import permutation_test
from helpers.metrics import (
    centroid_distance,
    classifier_accuracy,
    energy_distance,
    frechet_distance,
    gaussian_kl,
    hotelling_t2,
    mmd2,
    sliced_wasserstein,
    wasserstein_pc1,
)
from helpers.pairs import bin_sums, gaussian, minus_distance


def windows(n=60, m=45, d=4, seed=0, shift=0.5):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)), rng.normal(shift, 1.3, size=(m, d))


def slow(metric):
    """Return the same metric in a form that the test has to call once for each relabeling."""
    return lambda x, y: metric(x, y)


# Sums over pairs.


@pytest.mark.parametrize(
    "n, n_bins", [(2, 1), (5, 5), (255, 3), (256, 4), (257, 257), (1500, 7), (1500, 1500)]
)
@pytest.mark.parametrize("kernel", [gaussian, minus_distance], ids=lambda kernel: kernel.__name__)
def test_bin_sums_are_the_sums_over_all_pairs_but_of_a_row_with_itself(n, n_bins, kernel):
    rng = np.random.default_rng(n)
    rows = rng.normal(size=(n, 3))
    starts = np.sort(np.concatenate([[0], 1 + rng.choice(n - 1, n_bins - 1, replace=False)])).astype(int)
    distance = cdist(rows, rows)
    pairs = np.exp(-(distance**2) / 2) if kernel is gaussian else -distance
    pairs = np.tril(pairs, -1)
    expected = np.add.reduceat(np.add.reduceat(pairs, starts, axis=0), starts, axis=1)
    np.testing.assert_allclose(bin_sums(rows, starts, kernel), expected, rtol=1e-9, atol=1e-9)


def test_bin_sums_have_the_same_bits_every_time():
    rows, starts = np.random.default_rng(0).normal(size=(3000, 3)), np.arange(0, 3000, 7)
    assert np.array_equal(bin_sums(rows, starts, gaussian), bin_sums(rows, starts, gaussian))


# Sliced Wasserstein.


@pytest.mark.parametrize("sizes", [(1500, 1500), (2000, 700)], ids=str)
@pytest.mark.parametrize("d", [1, 40])
@pytest.mark.parametrize("offset", [0.0, 1e3, 1e6])
@pytest.mark.parametrize("exponent", [1, 5], ids=["normal", "heavy tails"])
def test_float32_moves_sliced_wasserstein_by_less_than_is_stated(sizes, d, offset, exponent, monkeypatch):
    rng = np.random.default_rng(0)
    x, y = (offset + rng.normal(size=(k, d)) ** exponent for k in sizes)
    fast = sliced_wasserstein(x, y, n_projections=40)
    monkeypatch.setattr(metrics, "MOST_FLOAT64", 10_000)
    exact = sliced_wasserstein(x, y, n_projections=40)
    pooled = np.vstack([x, y]) - np.vstack([x, y]).mean(axis=0)
    assert 0 < abs(fast - exact) < 1e-7 * math.sqrt((pooled**2).sum(axis=1).mean())


@pytest.mark.parametrize("sizes", [(2, 2), (3, 7), (40, 40), (25, 60), (60, 24)], ids=str)
def test_the_distance_of_each_line_is_the_one_of_scipy(sizes):
    rng = np.random.default_rng(1)
    x, y = (rng.normal(size=(5, k)).round(1) for k in sizes)
    expected = [stats.wasserstein_distance(u, v) for u, v in zip(x, y, strict=True)]
    np.testing.assert_allclose(metrics._wasserstein_by_line(x, y), expected, rtol=1e-12)


# Fast paths.

PCA_3 = PCA(2).fit(np.random.default_rng(9).normal(size=(50, 3)))
FAST = {
    "centroid": (centroid_distance, 3),
    "energy, one column": (energy_distance, 1),
    "wasserstein, one column": (wasserstein_pc1, 1),
    "wasserstein, frozen component": (partial(wasserstein_pc1, pca=PCA_3), 3),
    "classifier": (classifier_accuracy, 3),
    "classifier, stiff": (partial(classifier_accuracy, ridge=1.0), 3),
}


@pytest.mark.parametrize("name", FAST)
@pytest.mark.parametrize("sizes", [(24, 17), (9, 30), (12, 12), (2, 6)], ids=str)
@pytest.mark.parametrize("grouped", [False, True], ids=["rows", "groups"])
def test_fast_paths_give_the_numbers_of_single_calls(name, sizes, grouped):
    metric, d = FAST[name]
    x, y = windows(*sizes, d)
    groups = (np.arange(len(x)) // 2, np.arange(len(y)) // 3) if grouped and len(x) > 2 else None
    fast = permutation_test(metric, x, y, groups=groups, n_resamples=70)
    each = permutation_test(slow(metric), x, y, groups=groups, n_resamples=70)
    assert fast.statistic == pytest.approx(metric(x, y), rel=1e-9)
    np.testing.assert_allclose(fast.null, each.null, rtol=1e-9, atol=1e-12)
    assert fast.pvalue == each.pvalue


def test_leaving_one_row_out_in_closed_form_is_leaving_it_out():
    x, y = windows(15, 11, 3)
    rows, side = np.vstack([x, y]), np.repeat([1 / 15, -1 / 11], [15, 11])
    rows = rows - rows.mean(axis=0)
    penalty = 0.01 * (rows**2).sum() * np.eye(3)
    right = []
    for row in range(26):
        rest = np.arange(26) != row
        weights = np.linalg.solve(rows[rest].T @ rows[rest] + penalty, rows[rest].T @ side[rest])
        right.append(rows[row] @ weights * side[row] > 0)
    expected = (np.mean(right[:15]) + np.mean(right[15:])) / 2
    assert classifier_accuracy(x, y) == pytest.approx(expected)


# Many rows change sides in bins.


@pytest.fixture
def bins_from_40_units(monkeypatch):
    monkeypatch.setattr(calibration, "MOST_UNITS", 40)
    monkeypatch.setattr(calibration, "MOST_BINS", 16)
    monkeypatch.setattr(calibration, "FEWEST_BINS", 4)


@pytest.mark.parametrize("sizes", [(60, 60), (50, 43), (300, 21), (21, 300), (500, 2)], ids=str)
def test_bins_that_move_are_of_equal_size_and_all_rows_have_a_place(sizes, bins_from_40_units):
    n, m = sizes
    rng = np.random.default_rng(0)
    unit, (bins_x, bins_y), fixed = calibration._bins(np.arange(n + m), (n, m), rng)
    assert fixed == 1 and len(unit) == n + m
    counts = np.bincount(unit, minlength=bins_x + bins_y)
    moving = counts[1:-1]
    assert len(set(moving)) == 1 and 2 <= min(bins_x, bins_y) and len(moving) <= 16
    assert (unit[:n] < bins_x).all() and (unit[n:] >= bins_x).all()
    sides = calibration._sides((bins_x, bins_y), 30, rng, fixed=1)
    assert not sides[0].any() and sides[-1].all()
    assert len(set(map(bytes, sides.T.copy()))) > (2 if min(sizes) < 3 else 20)
    np.testing.assert_array_equal(counts @ sides, m)  # every resample has windows of the same sizes


@pytest.mark.parametrize("sizes", [(5000, 5000), (1500, 1000), (2400, 400), (300, 4000)], ids=str)
def test_nearly_all_rows_move_unless_one_window_is_tiny(sizes):
    rng = np.random.default_rng(0)
    unit, (bins_x, bins_y), _ = calibration._bins(np.arange(sum(sizes)), sizes, rng)
    first, *moving, last = np.bincount(unit, minlength=bins_x + bins_y)
    assert max(first, last) < moving[0] and min(bins_x, bins_y) > calibration.FEWEST_BINS
    assert len(moving) <= calibration.MOST_BINS


@pytest.mark.parametrize("name", FAST)
def test_fast_paths_give_the_numbers_of_single_calls_in_bins_too(name, bins_from_40_units):
    metric, d = FAST[name]
    x, y = windows(90, 70, d)
    fast = permutation_test(metric, x, y, n_resamples=40)
    each = permutation_test(slow(metric), x, y, n_resamples=40)
    np.testing.assert_allclose(fast.null, each.null, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("metric", [mmd2, energy_distance], ids=lambda metric: metric.__name__)
@pytest.mark.parametrize("grouped", [False, True], ids=["rows", "groups"])
def test_binned_resamples_are_permutations_of_the_rows(metric, grouped, bins_from_40_units):
    x, y = windows(90, 70)
    groups = (np.arange(90) // 2, np.arange(70) // 2) if grouped else None
    options = {"gamma": 0.1} if metric is mmd2 else {}
    fast = permutation_test(partial(metric, **options), x, y, groups=groups, n_resamples=50)
    each = permutation_test(slow(partial(metric, **options)), x, y, groups=groups, n_resamples=50)
    # More rows than MOST_UNITS: float32, within a millionth of the mean kernel.
    np.testing.assert_allclose(fast.null, each.null, atol=1e-6 * (1 if options else 3))
    assert fast.statistic == pytest.approx(metric(x, y, **options), abs=3e-6)


def test_large_windows_far_from_the_origin_give_the_statistic_of_the_metric():
    rng = np.random.default_rng(1)
    x, y = 1e3 + rng.normal(size=(1500, 20)), 1e3 + rng.normal(0.1, size=(1000, 20))
    for metric, size in ((partial(mmd2, gamma=0.02), 1.0), (energy_distance, 6.0)):
        test = permutation_test(metric, x, y, n_resamples=99)
        assert test.statistic == pytest.approx(metric(x, y), abs=1e-6 * size)
        assert test.pvalue == 0.01


def test_few_sessions_of_many_rows_tie_as_they_should():
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(1200, 3)), rng.normal(size=(1200, 3))
    groups = (np.arange(1200) // 400, np.arange(1200) // 400)
    test = permutation_test(partial(mmd2, gamma=0.2), x, y, groups=groups, n_resamples=400)
    # 20 splits of six sessions in two, each as large as its mirror image.
    assert len(np.unique(test.null.round(12))) == 10
    assert (
        np.isclose(test.null, test.statistic, rtol=0, atol=1e-12).sum() == (test.null == test.statistic).sum()
    )


# Exact levels.

METRICS = {
    "mmd2": (partial(mmd2, gamma=0.3), 2),
    "mmd2, median bandwidth": (mmd2, 2),
    "energy": (energy_distance, 2),
    "energy, one column": (energy_distance, 1),
    "wasserstein, one column": (wasserstein_pc1, 1),
    "classifier": (classifier_accuracy, 2),
}


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("binned", [False, True], ids=["rows", "bins"])
def test_the_level_is_the_nominal_one(name, binned, monkeypatch):
    if binned:  # 12 bins of two rows each; one row of the larger window always stays
        monkeypatch.setattr(calibration, "MOST_UNITS", 20)
        monkeypatch.setattr(calibration, "MOST_BINS", 12)
        monkeypatch.setattr(calibration, "FEWEST_BINS", 6)
    metric, d = METRICS[name]
    rng, repetitions = np.random.default_rng(3), 1500
    pvalues = np.array(
        [
            permutation_test(
                metric, rng.normal(size=(12, d)), rng.normal(size=(13, d)), n_resamples=99, rng=repetition
            ).pvalue
            for repetition in range(repetitions)
        ]
    )
    for level in (0.05, 0.01):
        low, high = stats.binom.interval(0.999, repetitions, level)
        count = (pvalues <= level + 1e-12).sum()
        # A discrete statistic ties with its null, which makes its test cautious, never loose.
        assert count <= high and (name == "classifier" or count >= low)


def test_power_of_the_mean_family_is_what_the_theory_gives():
    n, d, squared, repetitions = 100, 64, 0.25, 300
    rng, shift = np.random.default_rng(4), 0.5 * np.eye(64)[0]
    limit = stats.norm.ppf(0.95) * math.sqrt(8 * d)
    theory = stats.norm.cdf((n * squared - limit) / math.sqrt(8 * d + 8 * n * squared))
    assert theory == pytest.approx(0.323, abs=0.001)
    rejections = {"mmd2": 0, "energy_distance": 0}
    for repetition in range(repetitions):
        x, y = rng.normal(size=(n, d)), rng.normal(size=(n, d)) + shift
        for metric in (mmd2, energy_distance):
            test = permutation_test(metric, x, y, n_resamples=99, rng=repetition)
            rejections[metric.__name__] += test.pvalue <= 0.05
    for count in rejections.values():
        assert abs(count / repetitions - theory) < 0.09


# Ground truth.


def test_mmd_reproduces_the_documented_example_of_frouros():
    np.random.seed(31)
    x = np.random.multivariate_normal([1, 1], [[2, 0], [0, 2]], size=100)
    y = np.random.multivariate_normal([0, 0], [[2, 1], [1, 2]], size=100)
    sigma = 0.5
    assert mmd2(x, y, gamma=1 / (2 * sigma**2)) == pytest.approx(0.02146955300299802, abs=1e-15)


def normal_sample(mean, covariance, n=40, seed=5):
    """Return rows whose sample mean and covariance are exactly these."""
    d = len(mean)
    rows = np.random.default_rng(seed).normal(size=(n, d))
    rows -= rows.mean(axis=0)
    rows = rows @ np.linalg.inv(np.linalg.cholesky(np.cov(rows.T).reshape(d, d))).T
    return rows @ np.linalg.cholesky(covariance).T + mean


def test_gaussian_kl_is_the_closed_form():
    standard, wide = normal_sample([0.0], [[1.0]]), normal_sample([1.0], [[4.0]], n=30)
    assert gaussian_kl(wide, standard) == pytest.approx(0.443147, abs=5e-7)
    means, a, b = [1.0, -2.0], np.array([[2.0, 0.5], [0.5, 1.0]]), np.array([[1.0, -0.3], [-0.3, 3.0]])
    inverse = np.linalg.inv(a)
    moved = np.array(means) - 1
    ratio = np.linalg.det(a) / np.linalg.det(b)
    expected = (np.trace(inverse @ b) + moved @ inverse @ moved - 2 + math.log(ratio)) / 2
    assert gaussian_kl(normal_sample([1, 1], a), normal_sample(means, b)) == pytest.approx(expected)


def test_jeffreys_divergence_of_a_shift_is_its_square():
    x = normal_sample([0.0], [[1.0]])
    for shift in (0.25, 0.5, 1.0):
        assert gaussian_kl(x, x + shift) + gaussian_kl(x + shift, x) == pytest.approx(shift**2)


def test_frechet_distance_is_the_closed_form():
    x, y = normal_sample([0, 0, 0], np.eye(3)), normal_sample([1, 2, 2], 4 * np.eye(3), n=30)
    assert frechet_distance(x, y) == pytest.approx(12)
    x, y = windows(40, 30, 5)
    r, c = np.cov(x.T), np.cov(y.T)
    moved = x.mean(axis=0) - y.mean(axis=0)
    expected = moved @ moved + np.trace(r + c - 2 * np.real(sqrtm(r @ c)))
    assert frechet_distance(x, y) == pytest.approx(expected, rel=1e-9)
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-12)
    assert frechet_distance(x[:3], y[:4]) > 0  # fewer rows than columns


def test_frechet_distance_without_drift_grows_with_the_dimension():
    n, d, rng = 200, 20, np.random.default_rng(6)
    samples = [frechet_distance(rng.normal(size=(n, d)), rng.normal(size=(n, d))) for _ in range(60)]
    assert np.mean(samples) == pytest.approx(2 * d / n + d * (d + 1) / (2 * n), rel=0.05)


def test_hotelling_t2_is_the_square_of_t_and_follows_f():
    x, y = windows(30, 20, 1)
    assert hotelling_t2(x, y) == pytest.approx(stats.ttest_ind(x, y).statistic[0] ** 2)
    rng, n, m, d = np.random.default_rng(7), 15, 12, 4
    scaled = (n + m - d - 1) / ((n + m - 2) * d)
    samples = [scaled * hotelling_t2(rng.normal(size=(n, d)), rng.normal(size=(m, d))) for _ in range(800)]
    assert stats.kstest(samples, stats.f(d, n + m - d - 1).cdf).pvalue > 0.001


@pytest.mark.parametrize("metric", [gaussian_kl, hotelling_t2], ids=lambda metric: metric.__name__)
def test_linear_maps_do_not_matter(metric):
    x, y = windows()
    turn = np.random.default_rng(8).normal(size=(4, 4)) * [1, 1e-6, 1e6, 1]
    assert metric(x @ turn + 5, y @ turn + 5) == pytest.approx(metric(x, y), rel=1e-6)


@pytest.mark.parametrize("metric", [gaussian_kl, hotelling_t2], ids=lambda metric: metric.__name__)
def test_singular_covariances_are_refused(metric):
    x, y = windows()
    for spoil in (
        lambda w: np.hstack([w, w[:, :1]]),
        lambda w: np.hstack([w, np.full((len(w), 1), 0.1)]),
        lambda w: w[:2],
        lambda w: np.full((5, 4), 0.1),
    ):
        with pytest.raises(ValueError, match="singular covariance.*project both windows"):
            metric(spoil(x), spoil(y))


# Memory.


def test_fifty_thousand_rows_are_never_pooled_twice():
    import tracemalloc

    x = np.random.default_rng(9).normal(size=(6000, 50)).astype(np.float32)
    tracemalloc.start()
    mmd2(x, x, gamma=0.1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 * 8 * 12_000 * 50 + 40e6  # the pooled rows in float64, once and a bit, and the tiles


# Bad input: an error that names the argument and says what to do; never a warning, never NaN.

CALLS = {
    name: getattr(metrics, name)
    for name in metrics.__all__
    if name not in ("domain_classifier", "median_gamma", "random_directions")
} | {"permutation_test": partial(permutation_test, mmd2, n_resamples=9)}
ONE_COLUMN = {"psi", "kl_divergence", "js_divergence", "binned_shares"}
NAMES = {"coverage_gap": ("queries", "index"), "nearest_distance": ("rows", "known")}


class Hostile:
    def __array__(self, dtype=None, copy=None):
        raise TypeError("no table")


def one_value(window, value):
    spoiled = window.astype(np.result_type(window, np.asarray(value).dtype))
    spoiled[1, 0] = value
    return spoiled


BAD = {
    "NaN": lambda w: one_value(w, np.nan),
    "infinity": lambda w: one_value(w, np.inf),
    "infinity in float32": lambda w: one_value(w, -np.inf).astype(np.float32),
    "empty": lambda w: w[:0],
    "empty list": lambda w: [],
    "no columns": lambda w: w[:, :0],
    "three dimensions": lambda w: w[None],
    "no dimension": lambda w: 3.0,
    "strings": lambda w: w.astype(str),
    "words": lambda w: [["a"] * w.shape[1]] * len(w),
    "objects": lambda w: w.astype(object),
    "None": lambda w: None,
    "complex": lambda w: w + 1j,
    "booleans": lambda w: w > 0,
    "dates": lambda w: w.astype("datetime64[s]"),
    "ragged": lambda w: [[1.0, 2.0], [3.0]],
    "integers beyond 64 bits": lambda w: [[10**30] * w.shape[1]] * len(w),
    "integers beyond all floats": lambda w: [[0.5] * w.shape[1], [10**400] * w.shape[1]],
    "masked": lambda w: np.ma.masked_array(w, mask=w > 0),
    "missing": lambda w: pd.DataFrame(w).astype("Float64").mask(w > 1),
    "huge": lambda w: one_value(w, 1e200),
    "hostile": lambda w: Hostile(),
    "a set": lambda w: {1, 2, 3},
    "other columns": lambda w: np.hstack([w, w]),
}


def pair_for(name):
    return windows(d=1 if name in ONE_COLUMN else 4)


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize("name", CALLS)
def test_bad_windows_are_refused_by_name(name, place, bad):
    pair = list(pair_for(name))
    pair[place] = BAD[bad](pair[place])
    argument = NAMES.get(name, ("reference", "current"))[place]
    with pytest.raises((ValueError, TypeError)) as error:
        CALLS[name](*pair)
    text = str(error.value)
    assert argument in text and any(word in text for word in ("give", "remove", "use", "rescale")), text


@pytest.mark.parametrize("name", sorted(CALLS.keys() - {"nearest_distance"}))
@pytest.mark.parametrize("place", [0, 1])
def test_one_row_is_refused_by_name(name, place):
    pair = list(pair_for(name))
    pair[place] = pair[place][:1]
    with pytest.raises(ValueError, match="has 1 row.*give at least 2"):
        CALLS[name](*pair)


EXTREME = {
    "constant": lambda w: np.full_like(w, 0.1),
    "zeros": lambda w: 0 * w,
    "large": lambda w: 1e40 * w,
    "tiny": lambda w: 1e-40 * w,
    "far": lambda w: 1e12 + w,
    "two distinct rows": lambda w: np.repeat(w[:2], 20, axis=0),
    "two rows": lambda w: w[:2],
    "small integers": lambda w: (100 * w).clip(-128, 127).astype(np.int8),
    "unsigned integers": lambda w: (50 * w**2).clip(0, 255).astype(np.uint8),
    "half precision": lambda w: w.astype(np.float16),
}


@pytest.mark.parametrize("extreme", EXTREME)
@pytest.mark.parametrize("both", [False, True], ids=["one", "both"])
@pytest.mark.parametrize("name", CALLS)
def test_extreme_windows_give_a_number_or_an_error_but_no_warning(name, both, extreme):
    x, y = pair_for(name)
    spoil = EXTREME[extreme]
    try:
        result = CALLS[name](spoil(x) if both else x, spoil(y))
    except (ValueError, TypeError) as error:
        assert any(
            word in str(error) for word in ("give", "no spread", "use", "remove", "too large", "rows")
        ), error
    else:
        numbers = result.null if name == "permutation_test" else result
        assert np.isfinite(numbers).all()


UNFITTED, OTHER = PCA(1), PCA(1).fit(np.eye(3))
OPTIONS = [
    (metric, {name: value}, name)
    for metric, name, values in [
        (mmd2, "gamma", [0, -1, np.nan, np.inf, "1", True, 1j, [1.0], 1e300]),
        (mmd2, "unbiased", [None, "yes", 2]),
        (metrics.sliced_wasserstein, "n_projections", [0, -3, 1.5, "9", True, None]),
        (metrics.sliced_wasserstein, "rng", [-1, 1.5, "0", None, True]),
        (wasserstein_pc1, "pca", ["pc1", UNFITTED, OTHER, KMeans(2)]),
        (metrics.psi, "bins", [1, 0, -2, 1.5, True, "auto", None, [], [np.nan], [[1.0]], ["a"], 1j]),
        (metrics.cluster_chi2, "n_clusters", [0, 1, -1, 2.5, "3", None, True]),
        (metrics.cluster_chi2, "clusters", ["kmeans", KMeans(2), KMeans(2, n_init=1).fit(np.eye(3)), PCA_3]),
        (metrics.cluster_chi2, "rng", [-1, "0"]),
        (metrics.novelty_share, "quantile", [0, 1, -0.1, 2, np.nan, "0.9", True, None]),
        (metrics.novelty_share, "rng", [-1, 0.5]),
        (metrics.duplicate_share, "decimals", [-1, 1.5, "5", 1000, None]),
        (metrics.classifier_auc, "n_folds", [0, 1, 46, 2.5, "5", None, True]),
        (metrics.classifier_auc, "rng", [-1, "0"]),
        (classifier_accuracy, "ridge", [0, -1, np.nan, "1", None]),
    ]
    for value in values
]
GROUPS = {
    "too few": (range(60), range(44)),
    "too many": (range(61), range(45)),
    "right in sum alone": (range(61), range(44)),
    "flat": list(range(105)),
    "one": (range(60),),
    "a column": (np.arange(60)[:, None], range(45)),
    "missing": (np.where(np.arange(60) == 3, np.nan, np.arange(60)), range(45)),
    "None": (np.array([None, *range(59)], dtype=object), range(45)),
    "a word": "session",
}


@pytest.mark.parametrize(
    "metric, options, name", OPTIONS, ids=[f"{f.__name__}-{o}"[:60] for f, o, _ in OPTIONS]
)
def test_impossible_options_are_refused_by_name(metric, options, name):
    pair = windows(d=1 if metric is metrics.psi else 4)
    with pytest.raises((ValueError, TypeError)) as error:
        metric(*pair, **options)
    assert name in str(error.value)
    if metric in (mmd2, classifier_accuracy):  # the fast path refuses what the metric refuses
        with pytest.raises((ValueError, TypeError), match=name):
            permutation_test(partial(metric, **options), *pair, n_resamples=9)


@pytest.mark.parametrize("bad", GROUPS)
@pytest.mark.parametrize(
    "call",
    [partial(permutation_test, mmd2), metrics.classifier_auc],
    ids=["permutation_test", "classifier_auc"],
)
def test_impossible_groups_are_refused_by_name(call, bad):
    with pytest.raises((ValueError, TypeError), match="^groups"):
        call(*windows(), groups=GROUPS[bad])


@pytest.mark.parametrize(
    "call, name",
    [
        (lambda x, y: permutation_test("mmd2", x, y), "metric='mmd2'"),
        (lambda x, y: permutation_test(lambda a, b: "a", x, y, n_resamples=9), "metric returned 'a'"),
        (lambda x, y: permutation_test(lambda a, b: a[0], x, y, n_resamples=9), "metric returned"),
        (lambda x, y: permutation_test(lambda a, b: None, x, y, n_resamples=9), "metric returned"),
        (lambda x, y: permutation_test(lambda a, b: 1j, x, y, n_resamples=9), "metric returned"),
        (lambda x, y: permutation_test(partial(mmd2, sigma=1), x, y), "sigma"),
        (lambda x, y: permutation_test(partial(energy_distance, gamma=1), x, y), "gamma"),
        (lambda x, y: permutation_test(mmd2, x, y, n_resamples=1.5), "n_resamples=1.5"),
        (lambda x, y: permutation_test(mmd2, x, y, n_resamples=-5), "n_resamples=-5"),
        (lambda x, y: permutation_test(mmd2, x, y, n_resamples=True), "n_resamples=True"),
        (lambda x, y: permutation_test(mmd2, x, y, rng=-1), "rng=-1"),
        (lambda x, y: permutation_test(mmd2, x, y, rng="a"), "rng='a'"),
        (lambda x, y: permutation_test(mmd2, x, y, rng=None), "rng=None"),
        (lambda x, y: metrics.median_gamma(x, n_rows=0), "n_rows=0"),
        (lambda x, y: metrics.random_directions(0, 3), "dim=0"),
        (lambda x, y: metrics.random_directions(3, 0), "n=0"),
        (lambda x, y: metrics.domain_classifier(x, np.zeros(5)), "side"),
        (lambda x, y: metrics.domain_classifier(x * np.nan, np.arange(60) % 2), "rows"),
        (lambda x, y: metrics.psi(np.ones(9), y[:, 0]), "reference repeats one value"),
        (lambda x, y: metrics.cluster_chi2(np.ones((9, 4)), y), "reference repeats one vector"),
    ],
)
def test_other_impossible_arguments_are_refused_by_name(call, name):
    with pytest.raises((ValueError, TypeError)) as error:
        call(*windows())
    assert name in str(error.value)


def test_a_masked_array_without_a_mask_and_a_nullable_table_are_tables():
    x, y = windows()
    expected = energy_distance(x, y)
    assert energy_distance(np.ma.masked_array(x), y) == expected
    assert energy_distance(pd.DataFrame(x), y) == expected


# The benchmarks.


def test_a_peer_that_is_missing_is_reported():
    from benchmarks.__main__ import OURS, Case, behind, summary, table

    case = Case("mmd", 10, 10, 2, 9, {"hyppo": 9})
    time = {"wall": 1.0, "cpu": 2.0, "peak": 3e6, "all": 4e6}
    results = {OURS: summary([time]), "hyppo": summary([{"missing": "No module named 'hyppo'"}])}
    assert "| hyppo | missing |" in table([(case, results)])
    results["hyppo"] = summary([time | {"cpu": 1.0, "version": "1"}])
    assert "hyppo needs 0.5 of our CPU time" in behind([(case, results)])


def test_a_goal_is_reached_missed_or_not_measured():
    from benchmarks.__main__ import LIMIT, OURS, Case, goals

    def line(goal, **cpu):
        results = {
            name: {"missing": "module"} if each is None else {"cpu": each} for name, each in cpu.items()
        }
        table = goals([(Case("mmd", 2000, 2000, 384, 500, {}), {OURS: {"cpu": 1.0}} | results)])
        return next(each for each in table.splitlines() if goal in each)

    for slower, verdict in ((99.0, "99 | missed"), (101.0, "101 | reached"), (None, "0 | not measured")):
        peers = {"Alibi Detect": 250.0, "TorchDrift": slower}
        assert f"| at least 100 | {verdict} |" in line("TorchDrift", **peers)
    for limit, verdict in ((0.5, "2 | missed"), (0.8, "1.25 | reached")):
        assert f"| at most 1.3 | {verdict} |" in line("limit", **{LIMIT: limit})


def test_each_goal_is_about_one_case_of_the_plan():
    from benchmarks.__main__ import GOALS, PLAN

    for goal in GOALS:
        assert sum(case.title().startswith(goal.case) for case in PLAN) == 1, goal


@pytest.mark.parametrize("task, d", [("mmd", 3), ("wasserstein 1-D", 1), ("sliced wasserstein", 3)])
def test_the_worker_measures_our_own(task, d):
    from benchmarks.worker import answer

    permutations = 0 if task == "sliced wasserstein" else 9
    job = {"implementation": "ours", "task": task, "n": 30, "m": 20, "d": d, "permutations": permutations}
    result = answer(job)
    assert result["cpu"] >= 0 and math.isfinite(result["value"])


def test_the_worker_says_what_is_missing_and_what_fails(monkeypatch):
    from benchmarks import worker

    def absent(*_):
        raise ImportError("No module named 'absent'")

    monkeypatch.setitem(worker.IMPLEMENTATIONS, "absent", absent)
    monkeypatch.setitem(worker.IMPLEMENTATIONS, "broken", lambda *_: lambda: 1 / 0)
    job = {"task": "mmd", "n": 30, "m": 20, "d": 3, "permutations": 9}
    assert worker.answer(job | {"implementation": "absent"}) == {"missing": "No module named 'absent'"}
    assert worker.answer(job | {"implementation": "broken"})["failed"].startswith("ZeroDivisionError")


def test_the_modules_stay_short():
    folder = Path(metrics.__file__).parent
    for name in ("metrics", "calibration", "pairs", "histograms", "gaussians", "classifiers", "windows"):
        assert len((folder / f"{name}.py").read_text(encoding="utf-8").splitlines()) < 400
