"""Metrics against closed forms, published values, brute force, and against what they must not change."""

import math
import tracemalloc
from functools import partial

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.spatial.distance import cdist
from scipy.special import gammaln
from scipy.stats import norm
from sklearn.cluster import KMeans
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA

from helpers.metrics import (
    binned_shares,
    centroid_distance,
    classifier_auc,
    cluster_chi2,
    coverage_gap,
    domain_classifier,
    duplicate_share,
    energy_distance,
    js_divergence,
    kl_divergence,
    median_gamma,
    mmd2,
    nearest_distance,
    novelty_share,
    psi,
    random_directions,
    sliced_wasserstein,
    spread_ratio,
    wasserstein_pc1,
)

MANY_COLUMNS = {
    metric.__name__: metric
    for metric in [
        centroid_distance,
        energy_distance,
        mmd2,
        sliced_wasserstein,
        wasserstein_pc1,
        spread_ratio,
        cluster_chi2,
        novelty_share,
        duplicate_share,
        classifier_auc,
        coverage_gap,
    ]
}
ONE_COLUMN = {"psi": psi, "kl_divergence": kl_divergence, "js_divergence": js_divergence}
ALL = MANY_COLUMNS | ONE_COLUMN | {"binned_shares": binned_shares}
NAMES = {"coverage_gap": ("queries", "index")}  # all others: reference, current


def named(metric):
    """Name a metric with its options; a test's name must be the same in every process."""
    options = "".join(f"-{key}={value}" for key, value in getattr(metric, "keywords", {}).items())
    return getattr(metric, "func", metric).__name__ + options


def windows(name, n=60, m=45, seed=0):
    """Two windows of unequal size that differ, with as many columns as the metric takes."""
    rng = np.random.default_rng(seed)
    columns = 1 if name in ONE_COLUMN or name == "binned_shares" else 4
    return rng.normal(size=(n, columns)), rng.normal(0.5, 1.3, size=(m, columns))


def normal_grid(n):
    """Return the quantiles of N(0, 1) in the middle of n equal shares: a sample without sampling error."""
    return norm.ppf((np.arange(n) + 0.5) / n)


def agrees(samples, expected, sigmas=4):
    return abs(np.mean(samples) - expected) < sigmas * np.std(samples) / math.sqrt(len(samples))


# Energy distance.


def expected_distance(shift, scale):
    """E|Z| for Z ~ N(shift, scale^2)."""
    folded = scale * math.sqrt(2 / math.pi) * math.exp(-(shift**2) / (2 * scale**2))
    return folded + shift * (1 - 2 * norm.cdf(-shift / scale))


@pytest.mark.parametrize(
    "shift, scale, squared",
    [(1, 1, 0.541807), (2, 1, 1.944260), (0.5, 1, 0.139596), (0, 2, 0.183111), (1, 2, 0.534105)],
)
def test_energy_distance_of_normals_is_the_closed_form(shift, scale, squared):
    x = normal_grid(3000)[:, None]
    assert energy_distance(x, shift + scale * x) == pytest.approx(squared, abs=5e-4)


@pytest.mark.parametrize("shift, scale", [(0, 1), (1, 1), (0, 2)])
def test_energy_distance_of_small_samples_has_the_mean_of_a_v_statistic(shift, scale):
    rng, n, m = np.random.default_rng(1), 20, 50
    samples = [
        energy_distance(rng.normal(size=(n, 1)), rng.normal(shift, scale, size=(m, 1))) for _ in range(600)
    ]
    across = expected_distance(shift, math.hypot(1, scale))
    within = [expected_distance(0, math.sqrt(2) * sd) for sd in (1, scale)]
    assert agrees(samples, 2 * across - (1 - 1 / n) * within[0] - (1 - 1 / m) * within[1])
    if (shift, scale) == (0, 1):
        assert (1 / n + 1 / m) * across == pytest.approx(0.07899, abs=5e-6)


def test_energy_distance_is_the_square_of_the_one_of_scipy():
    rng = np.random.default_rng(2)
    for n, m in [(2, 2), (5, 9), (40, 17)]:
        x, y = rng.normal(size=n), rng.normal(0.5, 2, size=m)
        assert energy_distance(x[:, None], y[:, None]) == pytest.approx(
            stats.energy_distance(x, y) ** 2, rel=1e-9
        )


@pytest.mark.parametrize(
    "first, second, published", [(0, 50, 123.55381), (0, 100, 195.30396), (50, 100, 38.85415)]
)
def test_energy_distance_reproduces_the_edist_of_r_on_iris(first, second, published):
    iris = load_iris().data
    x, y = iris[first : first + 50], iris[second : second + 50]
    assert 50 * 50 / 100 * energy_distance(x, y) == pytest.approx(published, abs=5e-6)


def test_energy_distance_is_the_mean_over_all_pairs():
    x, y = windows("energy_distance")
    brute = 2 * cdist(x, y).mean() - cdist(x, x).mean() - cdist(y, y).mean()
    assert energy_distance(x, y) == pytest.approx(brute, rel=1e-10)


# Maximum mean discrepancy.


def closed_mmd2(dim, squared_shift, scale, gamma):
    """MMD^2 between N(0, I) and N(shift, scale^2 I)."""

    def mean_kernel(variance, squared):
        wide = 1 + 2 * gamma * variance
        return wide ** (-dim / 2) * math.exp(-gamma * squared / wide)

    within = mean_kernel(2, 0) + mean_kernel(2 * scale**2, 0)
    return within - 2 * mean_kernel(1 + scale**2, squared_shift)


MMD_CASES = [
    (1, 1, 1.0, 1 / 2, 0.177268),
    (10, 1, 1.0, 1 / 20, 0.032802),
    (64, 1, 1.0, 1 / 128, 0.005639),
    (64, 0, 1.1, 1 / 128, 0.003588),
]


@pytest.mark.parametrize("dim, squared_shift, scale, gamma, expected", MMD_CASES)
def test_unbiased_mmd_has_the_closed_form_as_its_mean(dim, squared_shift, scale, gamma, expected):
    assert closed_mmd2(dim, squared_shift, scale, gamma) == pytest.approx(expected, abs=5e-7)
    rng, samples = np.random.default_rng(3), []
    for _ in range(300):
        x, y = rng.normal(size=(40, dim)), scale * rng.normal(size=(30, dim))
        y[:, 0] += math.sqrt(squared_shift)
        samples.append(mmd2(x, y, gamma=gamma))
    assert agrees(samples, expected)


def test_unbiased_mmd_is_zero_on_average_and_biased_mmd_is_not():
    rng, n, m, gamma = np.random.default_rng(4), 20, 50, 0.1
    pairs = [(rng.normal(size=(n, 5)), rng.normal(size=(m, 5))) for _ in range(400)]
    assert agrees([mmd2(x, y, gamma=gamma) for x, y in pairs], 0)
    mean_kernel = (1 + 4 * gamma) ** (-5 / 2)
    biased = [mmd2(x, y, gamma=gamma, unbiased=False) for x, y in pairs]
    assert agrees(biased, (1 / n + 1 / m) * (1 - mean_kernel))
    assert min(biased) >= 0


@pytest.mark.parametrize("n, m", [(2, 2), (3, 7), (60, 45)])
def test_mmd_is_the_mean_over_pairs_with_and_without_the_diagonal(n, m):
    x, y = windows("mmd2", n, m)
    xx, yy, xy = (np.exp(-0.3 * cdist(a, b) ** 2) for a, b in [(x, x), (y, y), (x, y)])
    v = xx.mean() + yy.mean() - 2 * xy.mean()
    u = (xx.sum() - n) / (n * (n - 1)) + (yy.sum() - m) / (m * (m - 1)) - 2 * xy.mean()
    assert mmd2(x, y, gamma=0.3, unbiased=False) == pytest.approx(v, rel=1e-10)
    assert mmd2(x, y, gamma=0.3) == pytest.approx(u, rel=1e-10)


def test_the_default_bandwidth_is_the_median_of_the_reference_alone():
    x, y = windows("mmd2")
    squared = cdist(x, x)[np.triu_indices(len(x), 1)] ** 2
    assert median_gamma(x) == pytest.approx(1 / np.median(squared))
    for current in (y, 3 * y):
        expected = mmd2(x, current, gamma=median_gamma(x))
        assert mmd2(x, current) == pytest.approx(expected, rel=1e-12)


def test_the_bandwidth_uses_rows_from_the_whole_window():
    drifting = np.random.default_rng(5).normal(size=(2500, 3)) * np.linspace(1, 3, 2500)[:, None]
    exact = 1 / np.median(cdist(drifting, drifting)[np.triu_indices(2500, 1)] ** 2)
    assert median_gamma(drifting) == pytest.approx(exact, rel=0.05)
    assert median_gamma(drifting, n_rows=200) == pytest.approx(exact, rel=0.2)


@pytest.mark.parametrize("metric", [energy_distance, mmd2], ids=lambda metric: metric.__name__)
def test_windows_longer_than_a_block_give_the_same_number(metric):
    x, y = windows("mmd2", n=2100, m=1030)
    a, b, c = cdist(x, x), cdist(y, y), cdist(x, y)
    if metric is energy_distance:
        expected = 2 * c.mean() - a.mean() - b.mean()
        assert metric(x, y) == pytest.approx(expected, rel=1e-9)
    else:
        a, b, c = (np.exp(-0.1 * distance**2) for distance in (a, b, c))
        expected = a.mean() + b.mean() - 2 * c.mean()
        assert metric(x, y, gamma=0.1, unbiased=False) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("metric", [energy_distance, mmd2], ids=lambda metric: metric.__name__)
def test_the_matrix_of_all_pairs_is_never_held_as_a_whole(metric):
    x = np.random.default_rng(5).normal(size=(5000, 2))
    tracemalloc.start()
    metric(x, x + 1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.7 * 8 * 5000**2


# Wasserstein distances.


@pytest.mark.parametrize(
    "metric", [wasserstein_pc1, partial(sliced_wasserstein, n_projections=3)], ids=["pc1", "sliced"]
)
def test_one_column_gives_the_exact_wasserstein_distance(metric):
    x = normal_grid(20_000)[:, None]
    assert metric(x, 2 * x) == pytest.approx(math.sqrt(2 / math.pi), abs=1e-4)
    assert metric(x, 1 + 2 * x) == pytest.approx(1.166631, abs=1e-4)
    rng = np.random.default_rng(6)
    for n, m in [(2, 2), (7, 12), (50, 31)]:
        a, b = rng.normal(size=n).round(1), rng.normal(1, 2, size=m).round(1)
        expected = stats.wasserstein_distance(a, b)
        assert metric(a[:, None], b[:, None]) == pytest.approx(expected, abs=1e-12)


def test_one_column_is_compared_as_it_is_even_where_it_is_constant():
    assert wasserstein_pc1(np.full((5, 1), 0.1), np.full((3, 1), 2.1)) == pytest.approx(2)


def test_the_example_of_scipy_gives_five():
    x, y = np.array([[0.0], [1], [3]]), np.array([[5.0], [6], [8]])
    assert wasserstein_pc1(x, y) == pytest.approx(5)
    assert sliced_wasserstein(x, y) == pytest.approx(5)


@pytest.mark.parametrize("dim, expected", [(2, 0.636620), (64, 0.100126), (384, 0.040743)])
def test_sliced_wasserstein_of_a_unit_shift_is_the_mean_of_a_coordinate(dim, expected):
    formula = math.exp(gammaln(dim / 2) - gammaln((dim + 1) / 2)) / math.sqrt(math.pi)
    assert formula == pytest.approx(expected, abs=5e-7)
    x = np.random.default_rng(7).normal(size=(3, dim))
    shift = np.eye(dim)[0]
    sd = math.sqrt(1 / dim - expected**2)
    n_projections = 4000
    result = sliced_wasserstein(x, x + shift, n_projections=n_projections)
    assert abs(result - expected) < 4 * sd / math.sqrt(n_projections)


def test_sliced_wasserstein_is_the_mean_over_all_unit_directions():
    x, y = windows("sliced_wasserstein")
    directions = np.random.default_rng(99).normal(size=(4, 2000))
    directions /= np.linalg.norm(directions, axis=0)
    by_scipy = [stats.wasserstein_distance(x @ u, y @ u) for u in directions.T]
    error = 4 * np.std(by_scipy) / math.sqrt(2000)
    assert abs(sliced_wasserstein(x, y, n_projections=2000) - np.mean(by_scipy)) < 2 * error


@pytest.mark.parametrize("n", [1, 3, 5, 12])
def test_directions_are_orthonormal_within_blocks(n):
    directions = random_directions(5, n)
    assert directions.shape == (5, n)
    for start in range(0, n, 5):
        block = directions[:, start : start + 5]
        np.testing.assert_allclose(block.T @ block, np.eye(block.shape[1]), atol=1e-12)
    assert np.array_equal(directions, random_directions(5, n, rng=0))
    assert not np.array_equal(directions, random_directions(5, n, rng=1))


def test_the_seed_fixes_the_directions():
    x, y = windows("sliced_wasserstein")
    assert sliced_wasserstein(x, y) == sliced_wasserstein(x, y, rng=0)
    assert sliced_wasserstein(x, y) != sliced_wasserstein(x, y, rng=1)


def test_wasserstein_on_pc1_sees_its_axis_and_no_other():
    rng = np.random.default_rng(8)
    x = rng.normal(size=(500, 5)) * [3, 1, 1, 1, 1]
    assert wasserstein_pc1(x, x + [2, 0, 0, 0, 0]) == pytest.approx(2, rel=0.02)
    assert wasserstein_pc1(x, x + [0, 2, 0, 0, 0]) < 0.3


def test_a_frozen_component_is_used_as_it_is():
    x, y = windows("wasserstein_pc1")
    pca = PCA(n_components=3).fit(np.random.default_rng(9).normal(size=(99, 4)))
    by_scipy = stats.wasserstein_distance(pca.transform(x)[:, 0], pca.transform(y)[:, 0])
    assert wasserstein_pc1(x, y, pca=pca) == pytest.approx(by_scipy, rel=1e-10)
    assert wasserstein_pc1(x, y, pca=pca) != pytest.approx(wasserstein_pc1(x, y))


# Divergences of binned samples.


@pytest.mark.parametrize("shift, expected", [(0.25, 0.059816), (0.5, 0.237749), (1.0, 0.926142)])
def test_decile_psi_of_a_shifted_normal_is_the_closed_form(shift, expected):
    x = normal_grid(100_000)
    assert psi(x, x + shift) == pytest.approx(expected, abs=2e-5)


def test_psi_of_fine_bins_approaches_the_squared_shift():
    x = normal_grid(100_000)
    for shift in (0.25, 0.5, 1.0):
        fine = psi(x, x + shift, bins=np.linspace(-4, 5, 91))
        assert fine == pytest.approx(shift**2, rel=0.005)


def test_kl_is_of_current_from_reference():
    x = normal_grid(100_000)
    fine = kl_divergence(1 + 2 * x, x, bins=np.linspace(-6, 8, 281))
    assert 0.99 * 0.443147 < fine < 0.443147
    edges = np.linspace(-3, 4, 15)
    narrow, wide = (np.diff(norm.cdf([-np.inf, *edges, np.inf], *at)) for at in [(0, 1), (1, 2)])
    for reference, current, p, q in [(1 + 2 * x, x, wide, narrow), (x, 1 + 2 * x, narrow, wide)]:
        expected = stats.entropy(q, p)
        assert kl_divergence(reference, current, bins=edges) == pytest.approx(expected, rel=0.01)


def test_small_tables_give_the_numbers_worked_by_hand():
    x, y, bins = [0, 0, 0, 1], [0, 1, 1, 1], [0.5]
    assert psi(x, y, bins=bins) == pytest.approx(math.log(3))
    assert kl_divergence(x, y, bins=bins) == pytest.approx(0.5 * math.log(3))
    js = 0.75 * math.log(0.75 / 0.5) + 0.25 * math.log(0.25 / 0.5)
    assert js_divergence(x, y, bins=bins) == pytest.approx(js)


def test_js_never_exceeds_ln_2_and_reaches_it():
    assert js_divergence(np.zeros(1000), np.ones(1000), bins=[0.5]) <= math.log(2)
    assert js_divergence(np.zeros(10**6), np.ones(10**6), bins=[0.5]) == pytest.approx(math.log(2), abs=1e-5)


def test_an_empty_bin_counts_as_half_an_observation():
    p, q = binned_shares([0, 0, 0, 0], [0, 0, 1, 1], bins=[0.5])
    assert p == pytest.approx([4 / 4.5, 0.5 / 4.5]) and q == pytest.approx([0.5, 0.5])
    assert math.isfinite(kl_divergence([0, 0, 0, 0], [0, 0, 1, 1], bins=[0.5]))


def test_a_bin_that_is_empty_in_both_windows_counts_for_nothing():
    x, y = [0, 0, 1, 1], [0, 0, 0, 1, 1, 1]
    for metric in (psi, kl_divergence, js_divergence):
        assert metric(x, y, bins=[0.5, 5, 6]) == 0
        assert metric([0, 0], y, bins=[0.5, 5]) == pytest.approx(metric([0, 0], y, bins=[0.5]))


def test_bins_are_quantiles_of_the_reference_with_open_ends():
    x = np.arange(100.0)
    p, q = binned_shares(x, [-1e9, 1e9], bins=4)
    assert p == pytest.approx([0.25] * 4)
    assert q == pytest.approx([1 / 3, 0.5 / 3, 0.5 / 3, 1 / 3])


def test_psi_without_drift_is_chi_squared_scaled_by_the_sizes():
    rng = np.random.default_rng(10)
    scaled = [psi(rng.normal(size=600), rng.normal(size=900)) / (1 / 600 + 1 / 900) for _ in range(500)]
    assert stats.kstest(scaled, stats.chi2(9).cdf).pvalue > 0.001
    assert agrees(scaled, 9)


@pytest.mark.parametrize(
    "n, bins, limit, share", [(100, 10, 0.1, 0.85), (500, 10, 0.1, 0.004), (100, 20, 0.25, 0.91)]
)
def test_a_fixed_psi_threshold_is_a_test_of_the_sample_size(n, bins, limit, share):
    rng = np.random.default_rng(11)
    above = [psi(rng.normal(size=n), rng.normal(size=n), bins=bins) > limit for _ in range(400)]
    assert abs(np.mean(above) - share) < 4 * math.sqrt(share * (1 - share) / 400) + 0.02


# Shape, clusters, newcomers, copies, classifier, index.


def test_spread_ratio_is_the_log_of_the_variance_ratio():
    x, y = windows("spread_ratio")
    traces = [np.trace(np.cov(window.T)) for window in (x, y)]
    assert spread_ratio(x, y) == pytest.approx(math.log(traces[1] / traces[0]))
    assert spread_ratio(x, 2 * x) == pytest.approx(math.log(4))
    assert spread_ratio(x, x + 7) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("value", [0.1, 1 / 3, 1e6])
def test_what_rounding_leaves_of_a_constant_is_no_spread(value):
    x, constant = np.random.default_rng(0).normal(size=(997, 3)), np.full((997, 3), value)
    with pytest.raises(ValueError, match="^current repeats one vector"):
        spread_ratio(x, constant)
    for metric in (spread_ratio, wasserstein_pc1):
        with pytest.raises(ValueError, match="^reference repeats one vector"):
            metric(constant, x)
    near = [value * (1 + size * x) for size in (1e-6, 2e-6)]
    assert spread_ratio(*near) == pytest.approx(math.log(4), abs=1e-3)


@pytest.mark.parametrize("dim", [1, 3, 64])
@pytest.mark.parametrize("value", [0.1, 1 / 3, 7.7])
def test_what_rounding_leaves_of_a_constant_gives_no_bandwidth(dim, value):
    x, constant = np.random.default_rng(0).normal(size=(60, dim)), np.full((400, dim), value)
    for call in (lambda: mmd2(constant, x), lambda: mmd2(constant, constant), lambda: median_gamma(constant)):
        with pytest.raises(ValueError, match="^gamma has no median heuristic"):
            call()
    assert mmd2(constant, constant, gamma=1.0) == pytest.approx(0, abs=1e-12)


def test_centroid_distance_is_the_length_of_the_shift():
    x, y = windows("centroid_distance")
    assert centroid_distance(x, x + [3, 4, 0, 0]) == pytest.approx(5)
    expected = np.linalg.norm(x.mean(axis=0) - y.mean(axis=0))
    assert centroid_distance(x, y) == pytest.approx(expected)


def test_squared_centroid_distance_without_drift_has_the_mean_it_should():
    rng = np.random.default_rng(12)
    squared = [
        centroid_distance(rng.normal(size=(20, 6)), rng.normal(size=(30, 6))) ** 2 for _ in range(1000)
    ]
    assert agrees(squared, 6 * (1 / 20 + 1 / 30))


def test_cluster_chi2_is_the_statistic_of_the_table_of_counts():
    rng = np.random.default_rng(13)
    centres = 50 * np.eye(3)
    x_counts, y_counts = [50, 30, 20], [20, 30, 70]
    x, y = (
        np.repeat(centres, counts, axis=0) + 0.1 * rng.normal(size=(sum(counts), 3))
        for counts in (x_counts, y_counts)
    )
    expected = stats.chi2_contingency([x_counts, y_counts], correction=False).statistic
    assert cluster_chi2(x, y, n_clusters=3) == pytest.approx(expected)
    frozen = KMeans(3, n_init=1, random_state=0).fit(x)
    assert cluster_chi2(x, y, clusters=frozen) == pytest.approx(expected)
    assert cluster_chi2(x, x[::-1], n_clusters=3) == pytest.approx(0, abs=1e-12)


def test_two_clusters_get_no_continuity_correction():
    x, y = ([[0.0]] * a + [[9.0]] * b for a, b in [(6, 4), (3, 7)])
    assert cluster_chi2(x, y, n_clusters=2) == pytest.approx(20 * (6 * 7 - 4 * 3) ** 2 / (9 * 11 * 10 * 10))


def test_cluster_chi2_without_drift_has_one_mean_per_degree_of_freedom():
    rng = np.random.default_rng(14)
    frozen = KMeans(6, n_init=1, random_state=0).fit(rng.normal(size=(500, 2)))
    samples = [
        cluster_chi2(rng.normal(size=(150, 2)), rng.normal(size=(100, 2)), clusters=frozen)
        for _ in range(200)
    ]
    assert agrees(samples, 5)


def test_novelty_share_without_drift_is_what_the_quantile_leaves():
    rng = np.random.default_rng(15)
    for quantile in (0.99, 0.9):
        shares = [
            novelty_share(rng.normal(size=(600, 3)), rng.normal(size=(300, 3)), quantile=quantile)
            for _ in range(60)
        ]
        assert agrees(shares, 1 - quantile, sigmas=5)


def test_novelty_share_counts_the_newcomers():
    x, y = (np.random.default_rng(seed).normal(size=(1000, 3)) for seed in (0, 1))
    y[:100] += 30
    assert novelty_share(x, y) == pytest.approx(0.1 + 0.01, abs=0.02)
    assert novelty_share(x, x[:200] * 0) == 0


def test_a_reference_sorted_by_topic_sees_the_same_newcomers():
    rng = np.random.default_rng(15)
    x = rng.normal(size=(400, 3)) + np.repeat([0, 100], 200)[:, None]
    y = np.vstack([rng.normal(size=(90, 3)), 30 + rng.normal(size=(10, 3))])
    assert novelty_share(x, y) == pytest.approx(0.1, abs=0.04)


def test_nearest_distance_is_the_least_of_all():
    x, y = windows("energy_distance")
    np.testing.assert_allclose(nearest_distance(x, y), cdist(x, y).min(axis=1), rtol=1e-9)
    np.testing.assert_allclose(nearest_distance(x, x), 0, atol=1e-7)


def test_duplicate_share_finds_repeats_beyond_rounding():
    x, y = windows("duplicate_share", n=100, m=50)
    x[:3], y[:10] = x[0], y[0]
    assert duplicate_share(x, y) == pytest.approx(10 / 50 - 3 / 100)
    y[:10] += 1e-9 * np.arange(10)[:, None]
    assert duplicate_share(x, y) == pytest.approx(10 / 50 - 3 / 100)
    assert duplicate_share(x, y, decimals=12) == pytest.approx(0 - 3 / 100)


def test_windows_without_copies_have_a_duplicate_share_of_zero_whatever_their_sizes():
    x, y = windows("duplicate_share", n=5, m=50)
    assert duplicate_share(x, y) == 0 == duplicate_share(y, x)
    x[1] = x[0]
    assert duplicate_share(y, x) == pytest.approx(2 / 5)


def test_a_favourite_query_that_stays_popular_is_no_duplicate_drift():
    x, y = windows("duplicate_share", n=100, m=50)
    x[:20], y[:10] = 1.0, 1.0
    assert duplicate_share(x, y) == 0
    assert duplicate_share(y[10:], y) > 0 > duplicate_share(y, y[10:])


@pytest.mark.parametrize("shift, expected", [(0.5, 0.638163), (1, 0.760250), (2, 0.921350)])
def test_classifier_auc_reaches_the_best_possible_for_a_shift(shift, expected):
    assert norm.cdf(shift / math.sqrt(2)) == pytest.approx(expected, abs=5e-7)
    rng, n = np.random.default_rng(16), 3000
    x, y = rng.normal(size=(n, 3)), rng.normal(size=(n, 3)) + [shift, 0, 0]
    assert abs(classifier_auc(x, y) - expected) < 4 * math.sqrt(2 / (12 * n))


@pytest.mark.parametrize("share", [0.05, 0.2, 0.5])
def test_a_new_cluster_cannot_lift_the_auc_above_its_blind_spot(share):
    rng, n = np.random.default_rng(17), 4000
    x, y = rng.normal(size=(n, 4)), rng.normal(size=(n, 4))
    y[: int(share * n), 0] += 15
    bound = 0.5 + share / 2
    assert bound - 0.03 < classifier_auc(x, y) < bound + 4 * math.sqrt(2 / (12 * n))


def test_classifier_auc_without_drift_is_one_half():
    rng = np.random.default_rng(18)
    areas = [classifier_auc(rng.normal(size=(90, 5)), rng.normal(size=(60, 5))) for _ in range(25)]
    assert agrees(areas, 0.5)
    assert classifier_auc(rng.normal(size=(40, 200)), rng.normal(size=(40, 200))) < 0.75


def test_copies_of_a_query_look_like_drift_unless_grouped():
    rng = np.random.default_rng(19)
    text_x, text_y = np.arange(25).repeat(8), 25 + np.arange(25).repeat(8)
    texts = rng.normal(size=(50, 40))
    x, y = texts[text_x], texts[text_y]
    assert classifier_auc(x, y) > 0.9
    assert classifier_auc(x, y, groups=(text_x, text_y)) < 0.75


def test_directions_without_variance_do_not_reach_the_classifier():
    x, y = windows("classifier_auc")
    wide_x, wide_y = (np.hstack([w, np.full((len(w), 2), 0.1), w[:, :1]]) for w in (x, y))
    rows, side = np.vstack([wide_x, wide_y]), np.repeat([0, 1], [len(x), len(y)])
    assert domain_classifier(rows, side)[0].n_components_ == 4
    doubled = np.hstack([rows[:, :1] * math.sqrt(2), rows[:, 1:4]])
    assert classifier_auc(wide_x, wide_y) == pytest.approx(classifier_auc(doubled[:60], doubled[60:]))


def test_the_domain_classifier_ranks_the_newcomers_first():
    rng = np.random.default_rng(20)
    x, y = rng.normal(size=(800, 10)), rng.normal(size=(800, 10))
    y[:40, 0] += 8
    rows, side = np.vstack([x, y]), np.repeat([0, 1], 800)
    score = domain_classifier(rows, side).decision_function(y)
    assert set(np.argsort(-score)[:40]) == set(range(40))


def test_coverage_gap_is_one_minus_the_mean_best_cosine():
    queries, index = windows("coverage_gap", n=2500)
    cosine = 1 - cdist(queries, index, "cosine")
    assert coverage_gap(queries, index) == pytest.approx(1 - cosine.max(axis=1).mean(), rel=1e-9)
    assert coverage_gap(5 * queries, 0.1 * index) == pytest.approx(coverage_gap(queries, index))
    assert coverage_gap(index, index) == pytest.approx(0, abs=1e-12)


def test_coverage_gap_grows_when_documents_leave():
    queries, index = windows("coverage_gap", n=200, m=100)
    assert coverage_gap(queries, index[:30]) > coverage_gap(queries, index)


# What must not matter, and what must.


def rotation_and_shift(dim):
    rng = np.random.default_rng(21)
    rotation = np.linalg.qr(rng.normal(size=(dim, dim)))[0]
    return lambda window: window @ rotation + np.arange(dim)


@pytest.mark.parametrize(
    "metric",
    [
        energy_distance,
        mmd2,
        partial(mmd2, gamma=0.2, unbiased=False),
        centroid_distance,
        spread_ratio,
        wasserstein_pc1,
        novelty_share,
    ],
    ids=named,
)
def test_turning_and_moving_both_windows_changes_nothing(metric):
    x, y = windows("mmd2")
    move = rotation_and_shift(4)
    assert metric(move(x), move(y)) == pytest.approx(metric(x, y), rel=1e-9)
    if metric is not spread_ratio:
        assert metric(move(x), y) != pytest.approx(metric(x, y), rel=1e-3)


@pytest.mark.parametrize("name", ["energy_distance", "centroid_distance", "sliced_wasserstein"])
def test_distances_scale_with_the_embedding(name):
    x, y = windows(name)
    assert ALL[name](10 * x, 10 * y) == pytest.approx(10 * ALL[name](x, y), rel=1e-9)


def test_mmd_with_the_median_bandwidth_does_not_depend_on_the_scale():
    x, y = windows("mmd2")
    assert mmd2(10 * x, 10 * y) == pytest.approx(mmd2(x, y), rel=1e-9)


@pytest.mark.parametrize(
    "metric",
    [
        energy_distance,
        partial(mmd2, gamma=0.2),
        partial(mmd2, gamma=0.2, unbiased=False),
        centroid_distance,
        sliced_wasserstein,
    ],
    ids=named,
)
def test_symmetric_metrics_are_symmetric(metric):
    x, y = windows("mmd2")
    assert metric(x, y) == pytest.approx(metric(y, x), rel=1e-9)


def test_psi_and_js_are_symmetric_over_given_edges_and_kl_is_not():
    x, y = windows("psi")
    bins = np.linspace(-2, 2, 9)
    for metric in (psi, js_divergence):
        n = min(len(x), len(y))
        assert metric(x[:n], y[:n], bins=bins) == pytest.approx(metric(y[:n], x[:n], bins=bins))
    assert kl_divergence(x, y, bins=bins) != pytest.approx(kl_divergence(y, x, bins=bins))


def test_spread_ratio_changes_sign_when_the_windows_swap():
    x, y = windows("spread_ratio")
    assert spread_ratio(x, y) == pytest.approx(-spread_ratio(y, x))


@pytest.mark.parametrize(
    "name",
    sorted(ALL.keys() - {"mmd2", "classifier_auc", "novelty_share", "coverage_gap", "binned_shares"}),
)
def test_a_window_does_not_drift_from_itself(name):
    x, _ = windows(name)
    assert ALL[name](x, x) == pytest.approx(0, abs=1e-7)


def test_biased_mmd_of_a_window_with_itself_is_zero():
    x, _ = windows("mmd2")
    assert mmd2(x, x, unbiased=False) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("name", sorted(ALL.keys() - {"binned_shares"}))
def test_float32_lists_and_data_frames_are_accepted(name):
    metric = ALL[name]
    x, y = (window.astype(np.float32) for window in windows(name))
    expected = metric(x.astype(float), y.astype(float))
    assert type(metric(x, y)) is float
    for convert in (np.asarray, np.asfortranarray, np.ndarray.tolist, pd.DataFrame):
        assert metric(convert(x), convert(y)) == pytest.approx(expected, rel=1e-6, abs=1e-9)
    strided = np.repeat(x, 2, axis=0)[::2]
    assert metric(strided, y) == pytest.approx(expected, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("name", sorted(ONE_COLUMN))
def test_one_column_may_be_flat_a_series_or_a_matrix(name):
    x, y = windows(name)
    flat = ONE_COLUMN[name](x.ravel(), y.ravel())
    assert flat == ONE_COLUMN[name](x, y)
    assert flat == ONE_COLUMN[name](pd.Series(x.ravel()), y.ravel().tolist())


@pytest.mark.parametrize("name", sorted(ALL.keys() - {"binned_shares"}))
def test_integers_are_numbers(name):
    x, y = windows(name)
    x, y = (10 * x).astype(int), (10 * y).astype(np.int16)
    assert ALL[name](x, y) == pytest.approx(ALL[name](x.astype(float), y.astype(float)))


@pytest.mark.parametrize("name", sorted(ALL.keys() - {"binned_shares"}))
def test_windows_are_left_as_they_were(name):
    x, y = windows(name)
    copies = x.copy(), y.copy()
    ALL[name](x, y)
    assert np.array_equal(x, copies[0]) and np.array_equal(y, copies[1])


@pytest.mark.parametrize("name", sorted(ALL.keys() - {"binned_shares"}))
def test_the_same_call_gives_the_same_bits(name):
    x, y = windows(name)
    assert ALL[name](x, y) == ALL[name](x, y)


ORDER_MATTERS = {"binned_shares", "classifier_auc", "novelty_share", "cluster_chi2"}


@pytest.mark.parametrize("name", sorted(ALL.keys() - ORDER_MATTERS))
def test_the_order_of_rows_does_not_matter(name):
    x, y = windows(name)
    rng = np.random.default_rng(22)
    shuffled = ALL[name](rng.permutation(x), rng.permutation(y))
    assert shuffled == pytest.approx(ALL[name](x, y), rel=1e-9)


# Families and their blind spots.


@pytest.mark.parametrize("metric", [energy_distance, partial(mmd2, gamma=1 / 128), centroid_distance])
def test_the_mean_family_has_the_power_the_theory_gives(metric):
    rng, n, d, squared = np.random.default_rng(23), 100, 64, 0.25
    shift = math.sqrt(squared) * np.eye(d)[0]
    null, moved = [], []
    for _ in range(200):
        x, y = rng.normal(size=(n, d)), rng.normal(size=(n, d))
        null.append(metric(x, y))
        moved.append(metric(x, y[::-1] + shift))
    power = np.mean(np.array(moved) > np.quantile(null, 0.95))
    limit = norm.ppf(0.95) * math.sqrt(8 * d)
    theory = norm.cdf((n * squared - limit) / math.sqrt(8 * d + 8 * n * squared))
    assert theory == pytest.approx(0.323, abs=0.001)
    assert abs(power - theory) < 0.15


def test_the_mean_family_is_one_metric_under_the_null():
    rng, scores = np.random.default_rng(24), []
    power_law = np.arange(1, 31) ** -0.5
    for _ in range(80):
        x, y = (rng.normal(size=(80, 30)) * power_law for _ in range(2))
        scores.append(
            [
                centroid_distance(x, y) ** 2,
                energy_distance(x, y),
                mmd2(x, y),
                sliced_wasserstein(x, y) ** 2,
            ]
        )
    assert np.corrcoef(np.transpose(scores)).min() > 0.9


DRIFTS = {
    "moved": lambda y: y + 0.1,
    "wider": lambda y: 1.07 * y,
    "repeated": lambda y: np.vstack([np.repeat(y[:1], 8, axis=0), y[8:]]),
    "newcomers": lambda y: np.vstack([y[:4] + 3, y[4:8] - 3, y[8:]]),
}
SEES = {
    "centroid_distance": ["moved"],
    "spread_ratio": ["wider", "newcomers"],
    "duplicate_share": ["repeated"],
    "novelty_share": ["wider", "newcomers"],
}


@pytest.mark.parametrize("name", SEES)
@pytest.mark.parametrize("drift", DRIFTS)
def test_each_family_sees_its_own_drift_and_is_blind_to_the_rest(name, drift):
    rng = np.random.default_rng(25)
    x = rng.normal(size=(400, 20))
    quiet = [ALL[name](x, rng.normal(size=(400, 20))) for _ in range(40)]
    loud = [ALL[name](x, DRIFTS[drift](rng.normal(size=(400, 20)))) for _ in range(20)]
    power = np.mean(np.array(loud) > np.quantile(quiet, 0.95))
    if drift in SEES[name]:
        assert power > 0.6
    else:
        assert power < 0.4


# Bad windows are refused by name.


def with_value(window, value):
    spoiled = window.copy()
    spoiled[1, 0] = value
    return spoiled


BAD = {
    "NaN": (lambda w: with_value(w, np.nan), "NaN or infinity in 1 row"),
    "infinity": (lambda w: with_value(w, -np.inf), "NaN or infinity in 1 row"),
    "empty": (lambda w: w[:0], "0 row(s): give at least 2"),
    "empty list": (lambda w: [], "give "),
    "one row": (lambda w: w[:1], "1 row(s): give at least 2"),
    "no columns": (lambda w: w[:, :0], "give an array of shape"),
    "three dimensions": (lambda w: w[None], "give an array of shape"),
    "ragged": (lambda w: [[1.0, 2.0], [3.0]], "is no table: give numbers, all rows of the same length"),
    "a number": (lambda w: 3.0, "give an array of shape"),
    "nothing": (lambda w: None, "give numbers"),
    "objects": (lambda w: w.astype(object), "give numbers"),
    "strings": (lambda w: w.astype(str), "give numbers"),
    "dates": (lambda w: w.astype("datetime64[s]"), "give numbers"),
    "complex": (lambda w: w + 1j, "give real numbers"),
}


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize("name", ALL)
def test_a_bad_window_is_refused_by_name(name, place, bad):
    pair = list(windows(name))
    spoil, message = BAD[bad]
    pair[place] = spoil(pair[place])
    with pytest.raises(ValueError) as error:
        ALL[name](*pair)
    argument = NAMES.get(name, ("reference", "current"))[place]
    assert str(error.value).startswith(argument) and message in str(error.value)


@pytest.mark.parametrize("name", MANY_COLUMNS)
def test_windows_of_different_models_are_refused(name):
    x, y = windows(name)
    with pytest.raises(ValueError) as error:
        MANY_COLUMNS[name](x, y[:, :3])
    first, second = NAMES.get(name, ("reference", "current"))
    assert f"{first} has 4 columns and {second} 3" in str(error.value)


@pytest.mark.parametrize("place, argument", [(0, "rows"), (1, "known")])
@pytest.mark.parametrize("bad", sorted(BAD.keys() - {"one row"}))
def test_nearest_distance_refuses_a_bad_window_by_name(place, argument, bad):
    pair = list(windows("nearest_distance"))
    spoil, message = BAD[bad]
    pair[place] = spoil(pair[place])
    with pytest.raises(ValueError) as error:
        nearest_distance(*pair)
    assert str(error.value).startswith(argument)
    assert message.replace("at least 2", "at least 1") in str(error.value)


def test_nearest_distance_takes_single_rows_of_one_model():
    x, y = windows("nearest_distance")
    assert nearest_distance(x[:1], y[:1]) == pytest.approx(np.linalg.norm(x[:1] - y[:1]))
    with pytest.raises(ValueError, match="rows has 4 columns and known 3: use one model"):
        nearest_distance(x, y[:, :3])


@pytest.mark.parametrize("name", MANY_COLUMNS)
def test_a_flat_window_is_refused_where_rows_are_vectors(name):
    x, y = windows(name)
    with pytest.raises(ValueError, match=r"has shape \(60,\): give an array of shape \(n, d\)"):
        MANY_COLUMNS[name](x[:, 0], y)


@pytest.mark.parametrize("name", ONE_COLUMN)
def test_several_columns_are_refused_where_one_is_wanted(name):
    x, y = windows(name)
    with pytest.raises(ValueError, match=r"current has shape \(45, 2\)"):
        ONE_COLUMN[name](x, np.hstack([y, y]))


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda x, y: mmd2(x, y, gamma=0), "gamma=0 must be a positive finite number"),
        (lambda x, y: mmd2(x, y, gamma=-1.0), "gamma=-1.0 must be a positive finite number"),
        (lambda x, y: mmd2(x, y, gamma=math.nan), "gamma=nan must be a positive finite number"),
        (lambda x, y: mmd2(x, y, gamma=math.inf), "gamma=inf must be a positive finite number"),
        (lambda x, y: mmd2(0 * x, y), "gamma has no median heuristic where one vector fills most rows"),
        (lambda x, y: median_gamma(0 * x), "gamma has no median heuristic where one vector fills most rows"),
        (lambda x, y: median_gamma(x[0]), "window has shape (4,)"),
        (lambda x, y: sliced_wasserstein(x, y, n_projections=0), "n_projections=0 must be a whole number"),
        (lambda x, y: sliced_wasserstein(x, y, n_projections=0.5), "n_projections=0.5 must be a whole"),
        (
            lambda x, y: wasserstein_pc1(x, y, pca=PCA().fit(x[:, :3])),
            "pca was fitted on 3 columns, the windows have 4",
        ),
        (
            lambda x, y: wasserstein_pc1(x[:, :1], y[:, :1], pca=PCA().fit(x)),
            "pca was fitted on 4 columns, the windows have 1",
        ),
        (lambda x, y: psi(x[:, 0], y[:, 0], bins=1), "bins=1: give a number of bins, at least 2"),
        (lambda x, y: psi(x[:, 0], y[:, 0], bins=1.5), "bins=1.5: give a number of bins"),
        (lambda x, y: psi(x[:, 0], y[:, 0], bins=None), "bins=None: give a number of bins"),
        (lambda x, y: psi(x[:, 0], y[:, 0], bins="auto"), "bins='auto': give a number of bins"),
        (lambda x, y: psi(x[:, 0], y[:, 0], bins=[]), "bins must be a number of bins or a list"),
        (lambda x, y: psi(x[:, 0], y[:, 0], bins=[0, np.nan]), "bins must be a number of bins"),
        (lambda x, y: psi(x[:, 0], y[:, 0], bins=[[0.0]]), "bins must be a number of bins"),
        (lambda x, y: spread_ratio(0 * x, y), "reference repeats one vector in all of its rows"),
        (lambda x, y: spread_ratio(x, 0 * y), "current repeats one vector in all of its rows"),
        (lambda x, y: novelty_share(x, y, quantile=1), "quantile=1 must lie between 0 and 1"),
        (lambda x, y: novelty_share(x, y, quantile=-0.1), "quantile=-0.1 must lie"),
        (lambda x, y: classifier_auc(x[:4], y), "n_folds=5 must be at least 2, and at most the rows"),
        (lambda x, y: classifier_auc(x, y[:4]), "n_folds=5 must be at least 2, and at most the rows"),
        (lambda x, y: classifier_auc(x, y, n_folds=1), "n_folds=1 must be at least 2"),
        (lambda x, y: classifier_auc(0 * x, 0 * y), "rows repeats one vector in all of its rows"),
        (
            lambda x, y: classifier_auc(x, y, groups=(np.arange(60) % 2, np.arange(45) % 2)),
            "groups has fewer groups than n_folds=5",
        ),
        (
            lambda x, y: classifier_auc(x, y, groups=(np.zeros(60), np.arange(1, 46))),
            "groups leaves a fold without rows of both windows: lower n_folds=5",
        ),
        (
            lambda x, y: classifier_auc(x, y, groups=(range(60), range(44))),
            "groups has (60,) and (44,) labels for 60 and 45 rows",
        ),
        (lambda x, y: coverage_gap(0 * x, y), "queries has a row of zeros"),
        (lambda x, y: coverage_gap(x, 0 * y), "index has a row of zeros"),
    ],
)
def test_impossible_options_are_refused_by_name(call, message):
    with pytest.raises(ValueError) as error:
        call(*windows("mmd2"))
    assert message in str(error.value)
