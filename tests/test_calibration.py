"""Permutation tests: exact relabelings, honest levels, sessions that move as a whole."""

import math
import tracemalloc
from functools import cache, partial
from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from helpers.calibration import permutation_test
from helpers.metrics import centroid_distance, energy_distance, median_gamma, mmd2, psi
from helpers.synthetic import Product


def windows(n=24, m=17, d=3, seed=0, shift=0.4):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)), rng.normal(shift, 1, size=(m, d))


def mean_difference(x, y):
    return abs(float(x.mean() - y.mean()))


def slow(metric):
    """Return the same metric in a form that the test has to call once for each relabeling."""
    return lambda x, y: metric(x, y)


# All relabelings at once.


@pytest.mark.parametrize(
    "options",
    [{}, {"unbiased": False}, {"gamma": 0.05}, {"gamma": 2.0, "unbiased": False}],
    ids=str,
)
@pytest.mark.parametrize("sizes", [(24, 17), (9, 30), (12, 12), (2, 6)], ids=str)
@pytest.mark.parametrize("grouped", [False, True], ids=["rows", "groups"])
def test_mmd_of_all_relabelings_equals_mmd_of_each(options, sizes, grouped):
    x, y = windows(*sizes)
    groups = (np.arange(len(x)) // 2, np.arange(len(y)) // 3) if grouped and len(x) > 2 else None
    fast = permutation_test(partial(mmd2, **options), x, y, groups=groups, n_resamples=40)
    pooled_gamma = {"gamma": median_gamma(np.vstack([x, y]))}
    each = partial(mmd2, **pooled_gamma | options)
    brute = permutation_test(slow(each), x, y, groups=groups, n_resamples=40)
    assert fast.statistic == pytest.approx(each(x, y), rel=1e-9)
    np.testing.assert_allclose(fast.null, brute.null, rtol=1e-8, atol=1e-12)
    assert fast.pvalue == brute.pvalue


@pytest.mark.parametrize("sizes", [(24, 17), (9, 30), (12, 12), (2, 6)], ids=str)
@pytest.mark.parametrize("grouped", [False, True], ids=["rows", "groups"])
def test_energy_of_all_relabelings_equals_energy_of_each(sizes, grouped):
    x, y = windows(*sizes)
    groups = (np.arange(len(x)) // 2, np.arange(len(y)) // 3) if grouped and len(x) > 2 else None
    fast = permutation_test(energy_distance, x, y, groups=groups, n_resamples=40)
    brute = permutation_test(slow(energy_distance), x, y, groups=groups, n_resamples=40)
    assert fast.statistic == pytest.approx(energy_distance(x, y), rel=1e-9)
    np.testing.assert_allclose(fast.null, brute.null, rtol=1e-8, atol=1e-12)
    assert fast.pvalue == brute.pvalue


def test_windows_longer_than_a_block_give_the_same_numbers():
    x, y = windows(900, 400)
    each = partial(mmd2, gamma=0.2)
    fast = permutation_test(each, x, y, n_resamples=3)
    brute = permutation_test(slow(each), x, y, n_resamples=3)
    np.testing.assert_allclose([fast.statistic, *fast.null], [brute.statistic, *brute.null])


def test_far_away_windows_lose_no_digits():
    x, y = windows()
    near = permutation_test(energy_distance, x, y, n_resamples=20)
    far = permutation_test(energy_distance, x + 1e6, y + 1e6, n_resamples=20)
    np.testing.assert_allclose(far.null, near.null, rtol=1e-6)


def test_the_pooled_matrix_is_never_held_as_a_whole():
    x, y = windows(2500, 2500, d=2)
    whole_matrix = 8 * 5000**2
    tracemalloc.start()
    permutation_test(mmd2, x, y, n_resamples=30)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.5 * whole_matrix


# The p-value.


def test_the_pvalue_counts_the_observed_split_too():
    x, y = windows(shift=10)
    result = permutation_test(mmd2, x, y, n_resamples=99)
    assert result.pvalue == 1 / 100
    assert len(result.null) == 99 and result.null.max() < result.statistic


@pytest.mark.parametrize("metric", [mmd2, energy_distance, mean_difference])
@pytest.mark.parametrize("n_resamples", [1, 19, 200])
def test_the_pvalue_follows_from_the_null_and_is_never_zero(metric, n_resamples):
    for seed in range(20):
        result = permutation_test(metric, *windows(seed=seed), n_resamples=n_resamples, rng=seed)
        count = (result.null >= result.statistic).sum()
        assert result.pvalue == (1 + count) / (1 + n_resamples)
        assert 1 / (1 + n_resamples) <= result.pvalue <= 1


@pytest.mark.parametrize(
    "metric",
    [mmd2, energy_distance, partial(mmd2, unbiased=False)],
    ids=["mmd2", "energy_distance", "biased mmd2"],
)
def test_a_split_and_its_mirror_image_count_as_equal(metric):
    for seed in range(60):
        x, y = windows(3, 3, seed=seed, shift=1)
        pvalue = permutation_test(metric, x, y, n_resamples=500, rng=seed).pvalue
        assert pvalue > 0.06  # at least 2 of the 20 splits are as large


def test_identical_rows_give_a_pvalue_of_one():
    x = np.ones((10, 2))
    assert permutation_test(energy_distance, x, x, n_resamples=50).pvalue == 1
    assert permutation_test(partial(mmd2, gamma=1.0), x, x, n_resamples=50).pvalue == 1


def test_the_pvalue_approaches_the_one_of_all_splits():
    x, y = windows(5, 4, d=1, seed=3)
    pooled = np.concatenate([x, y])
    splits = [np.isin(np.arange(9), chosen) for chosen in combinations(range(9), 4)]
    values = np.array([mean_difference(pooled[~s], pooled[s]) for s in splits])
    exact = np.mean(values >= mean_difference(x, y) - 1e-12)
    estimate = permutation_test(mean_difference, x, y, n_resamples=4000).pvalue
    assert abs(estimate - exact) < 4 * math.sqrt(exact * (1 - exact) / 4000) + 1 / 4000


def test_the_seed_fixes_the_resamples():
    first, again, other = (permutation_test(mmd2, *windows(), n_resamples=30, rng=rng) for rng in (0, 0, 1))
    assert np.array_equal(first.null, again.null) and not np.array_equal(first.null, other.null)


def test_any_metric_with_options_can_be_tested():
    x, y = windows(60, 50, d=1, shift=2)
    assert permutation_test(partial(psi, bins=5), x, y, n_resamples=49).pvalue == 1 / 50
    x, y = windows(60, 50, shift=2)
    assert permutation_test(centroid_distance, x, y, n_resamples=49).pvalue == 1 / 50


# Level and power.


def within_binomial_error(rejections, n, level=0.05):
    low, high = stats.binom.interval(0.999, n, level)
    return low <= rejections <= high


def test_the_level_on_independent_rows_is_the_nominal_one():
    rng = np.random.default_rng(1)
    pvalues = [
        permutation_test(
            mean_difference, rng.normal(size=(15, 1)), rng.normal(size=(25, 1)),
            n_resamples=99, rng=repetition,
        ).pvalue
        for repetition in range(300)
    ]  # fmt: skip
    assert within_binomial_error(np.sum(np.array(pvalues) <= 0.05), 300)
    assert stats.kstest(pvalues, "uniform").pvalue > 0.001


@pytest.mark.parametrize("metric", [mmd2, energy_distance], ids=["mmd2", "energy_distance"])
def test_the_level_of_the_fast_path_is_the_nominal_one(metric):
    rng = np.random.default_rng(2)
    pvalues = [
        permutation_test(
            metric, rng.normal(size=(20, 4)), rng.normal(size=(12, 4)),
            n_resamples=99, rng=repetition,
        ).pvalue
        for repetition in range(300)
    ]  # fmt: skip
    assert within_binomial_error(np.sum(np.array(pvalues) <= 0.05), 300)
    assert stats.kstest(pvalues, "uniform").pvalue > 0.001


@cache
def rejections_of_quiet_days(by_session, **world):
    product = Product(seed=0, queries_per_day=250, wander=0, weekend=0, **world)
    reference = product.run(28, start=-28)
    sessions = reference.outcomes["session"]
    kept = np.random.default_rng(0).choice(sessions.unique(), sessions.nunique() // 10, False)
    reference = reference.where(sessions.isin(kept))
    quiet, rejected = product.run(40), []
    for day in range(40):
        today = quiet.days(day, day)
        groups = (reference.outcomes["session"], today.outcomes["session"])
        result = permutation_test(
            mmd2,
            reference.embeddings,
            today.embeddings,
            groups=groups if by_session else None,
            n_resamples=99,
        )
        rejected.append(result.pvalue <= 0.05)
    return sum(rejected)


def test_permuting_queries_of_sessions_fires_on_quiet_days():
    assert rejections_of_quiet_days(False) > 0.3 * 40


def test_permuting_sessions_keeps_the_level():
    assert within_binomial_error(rejections_of_quiet_days(True), 40)


def test_permuting_queries_is_right_where_queries_are_independent():
    assert within_binomial_error(rejections_of_quiet_days(False, session_length=1, loyalty=0), 40)


# Groups.


def test_groups_change_sides_as_a_whole():
    groups = np.repeat(np.arange(8), [1, 2, 3, 4, 1, 2, 3, 4]), np.repeat(np.arange(5), 4)
    x = groups[0][:, None].astype(float)
    y = 100 + groups[1][:, None].astype(float)
    seen = []

    def record(reference, current):
        seen.append((set(reference.ravel()), set(current.ravel())))
        return float(len(current))

    permutation_test(record, x, y, groups=groups, n_resamples=50)
    assert all(left.isdisjoint(right) for left, right in seen)
    assert all(len(right) == 5 and len(left) == 8 for left, right in seen)
    assert len({frozenset(right) for _, right in seen}) > 30


def test_one_row_a_group_is_the_same_as_no_groups():
    x, y = windows()
    plain = permutation_test(mmd2, x, y, n_resamples=30)
    grouped = permutation_test(mmd2, x, y, groups=(np.arange(len(x)), np.arange(len(y))), n_resamples=30)
    assert np.array_equal(plain.null, grouped.null) and plain.pvalue == grouped.pvalue


def test_a_label_on_both_sides_is_two_groups():
    x, y = windows(12, 12)
    labels = np.arange(12) // 3
    shared = permutation_test(mmd2, x, y, groups=(labels, labels), n_resamples=30)
    apart = permutation_test(mmd2, x, y, groups=(labels, labels + 4), n_resamples=30)
    assert np.array_equal(shared.null, apart.null)


def test_labels_may_be_words():
    x, y = windows(6, 6)
    words = np.array(["a", "a", "b", "b", "c", "c"])
    by_word = permutation_test(mmd2, x, y, groups=(words, words), n_resamples=20)
    by_number = permutation_test(mmd2, x, y, groups=(np.arange(6) // 2, np.arange(6) // 2), n_resamples=20)
    assert np.array_equal(by_word.null, by_number.null)


# Errors and untouched arguments.


def test_windows_are_left_as_they_were_and_lists_are_accepted():
    x, y = windows()
    copies = x.copy(), y.copy()
    from_arrays = permutation_test(mmd2, x, y, n_resamples=9)
    assert np.array_equal(x, copies[0]) and np.array_equal(y, copies[1])
    from_lists = permutation_test(mmd2, x.tolist(), y.tolist(), n_resamples=9)
    assert from_lists.pvalue == from_arrays.pvalue


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda x, y: permutation_test(mmd2, x * np.nan, y), "reference has NaN"),
        (lambda x, y: permutation_test(mmd2, x, y[:1]), "current has 1 row"),
        (lambda x, y: permutation_test(mmd2, x, y[:, :2]), "reference has 3 columns"),
        (lambda x, y: permutation_test(mmd2, x, y, n_resamples=0), "n_resamples=0"),
        (lambda x, y: permutation_test(partial(mmd2, gamma=0), x, y), "gamma=0 must be a positive finite"),
        (lambda x, y: permutation_test(partial(mmd2, gamma=-1), x, y), "gamma=-1 must be a positive finite"),
        (lambda x, y: permutation_test(partial(mmd2, gamma=math.inf), x, y), "gamma=inf must be a positive"),
        (lambda x, y: permutation_test(mmd2, 0 * x, 0 * y), "gamma has no median heuristic"),
        (lambda x, y: permutation_test(lambda *_: math.nan, x, y), "metric returned NaN or infinity"),
        (lambda x, y: permutation_test(lambda *_: math.inf, x, y), "metric returned NaN or infinity"),
        (
            lambda x, y: permutation_test(lambda a, b: math.nan if a[0, 0] != x[0, 0] else 1.0, x, y),
            "metric returned NaN or infinity, for the windows or for a resample",
        ),
        (
            lambda x, y: permutation_test(mmd2, x, y, groups=(range(24), range(16))),
            "groups has (24,) and (16,) labels for 24 and 17 rows",
        ),
        (
            lambda x, y: permutation_test(mmd2, x, y, groups=(np.zeros(24), range(17))),
            "groups names a single group in one of the windows",
        ),
    ],
)
def test_impossible_tests_are_refused_by_name(call, message):
    with pytest.raises(ValueError) as error:
        call(*windows())
    assert message in str(error.value)
