"""What must hold for all windows: symmetry, zeros, rotations, copies, precision. Examples by Hypothesis."""

from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.distance import cdist

from helpers.calibration import permutation_test
from helpers.metrics import (
    centroid_distance,
    energy_distance,
    frechet_distance,
    js_divergence,
    mmd2,
    psi,
    sliced_wasserstein,
    spread_ratio,
)

SYMMETRIC = {
    "centroid": centroid_distance,
    "energy": energy_distance,
    "mmd": partial(mmd2, gamma=0.01),
    "mmd, biased": partial(mmd2, gamma=0.01, unbiased=False),
    "sliced": partial(sliced_wasserstein, n_projections=5),
    "frechet": frechet_distance,
}
ROTATED = {name: SYMMETRIC[name] for name in ("centroid", "energy", "mmd", "mmd, biased", "frechet")}
ZERO = {name: SYMMETRIC[name] for name in ("centroid", "energy", "mmd, biased", "sliced", "frechet")}
COPIED = {name: SYMMETRIC[name] for name in ("centroid", "energy", "mmd, biased", "sliced")}
# Distances made of inner products: what is left of 1e-16 after a square root, times the windows' size.
CLOSE = {"rel": 1e-7, "abs": 2e-6}
few = settings(max_examples=40, deadline=None, derandomize=True)


def window(d, least=2):
    values = st.integers(-50, 50).map(lambda k: k / 5) | st.floats(-10, 10, width=32)
    return st.integers(least, 9).flatmap(lambda n: arrays(np.float64, (n, d), elements=values))


pairs = st.integers(1, 4).flatmap(lambda d: st.tuples(window(d), window(d)))
seeds = st.integers(0, 2**32 - 1)


@pytest.mark.parametrize("name", SYMMETRIC)
@few
@given(pair=pairs)
def test_swapping_the_windows_changes_nothing(name, pair):
    x, y = pair
    assert SYMMETRIC[name](x, y) == pytest.approx(SYMMETRIC[name](y, x), **CLOSE)


@pytest.mark.parametrize("name", ZERO)
@few
@given(pair=pairs, seed=seeds)
def test_a_window_does_not_drift_from_itself_in_another_order(name, pair, seed):
    x = pair[0]
    shuffled = np.random.default_rng(seed).permutation(x)
    assert ZERO[name](x, shuffled) == pytest.approx(0, abs=2e-6)


@pytest.mark.parametrize("name", SYMMETRIC)
@few
@given(pair=pairs, seed=seeds)
def test_the_order_of_rows_does_not_matter(name, pair, seed):
    x, y = pair
    rng = np.random.default_rng(seed)
    shuffled = SYMMETRIC[name](rng.permutation(x), rng.permutation(y))
    assert shuffled == pytest.approx(SYMMETRIC[name](x, y), **CLOSE)


@pytest.mark.parametrize("name", ROTATED)
@few
@given(pair=pairs, seed=seeds)
def test_turning_and_moving_both_windows_changes_nothing(name, pair, seed):
    x, y = pair
    rng = np.random.default_rng(seed)
    rotation = np.linalg.qr(rng.normal(size=(x.shape[1], x.shape[1])))[0]
    shift = rng.normal(size=x.shape[1]) * 100
    moved = ROTATED[name](x @ rotation + shift, y @ rotation + shift)
    assert moved == pytest.approx(ROTATED[name](x, y), **CLOSE)


@pytest.mark.parametrize("name", COPIED)
@few
@given(pair=pairs, times=st.integers(2, 4))
def test_writing_every_row_several_times_changes_nothing(name, pair, times):
    x, y = pair
    copied = COPIED[name](np.repeat(x, times, axis=0), np.repeat(y, times, axis=0))
    assert copied == pytest.approx(COPIED[name](x, y), **CLOSE)


@few
@given(pair=pairs)
def test_what_is_a_distance_is_never_negative(pair):
    x, y = pair
    for name in ("centroid", "energy", "sliced", "frechet"):
        assert SYMMETRIC[name](x, y) >= 0
    assert SYMMETRIC["mmd, biased"](x, y) >= -1e-12


@few
@given(pair=st.tuples(window(1, least=4), window(1, least=4)))
def test_divergences_of_shares_are_never_negative_and_js_is_bounded(pair):
    x, y = pair
    edges = [-5.0, 0.0, 5.0]
    assert psi(x, y, bins=edges) >= 0
    assert 0 <= js_divergence(x, y, bins=edges) <= np.log(2) + 1e-12


@pytest.mark.parametrize("name", SYMMETRIC)
@few
@given(pair=pairs)
def test_float32_gives_the_number_of_the_same_values_in_float64(name, pair):
    x, y = (w.astype(np.float32) for w in pair)
    assert SYMMETRIC[name](x, y) == SYMMETRIC[name](x.astype(np.float64), y.astype(np.float64))


def brute(name, x, y):
    """Return the number by differences of rows, in extended precision where the machine has it."""
    x, y = (w.astype(np.longdouble) for w in (x, y))
    mean = np.vstack([x, y]).mean(axis=0)
    a, b, c = (cdist(np.float64(u - mean), np.float64(v - mean)) for u, v in [(x, x), (y, y), (x, y)])
    if name == "energy":
        return 2 * c.mean() - a.mean() - b.mean()
    a, b, c = (np.exp(-0.01 * distance**2) for distance in (a, b, c))
    return a.mean() + b.mean() - 2 * c.mean()


@pytest.mark.parametrize("name", ["energy", "mmd, biased"])
@pytest.mark.parametrize("offset", [0.0, 1e3])
@few
@given(seed=seeds, spread=st.sampled_from([1e-4, 1e-2, 1.0]), jitter=st.sampled_from([0.0, 1e-6, 1e-3, 1.0]))
def test_far_windows_and_nearly_identical_rows_keep_their_digits(name, offset, seed, spread, jitter):
    rng = np.random.default_rng(seed)
    x = offset + spread * rng.normal(size=(12, 5))
    y = x + spread * jitter * rng.normal(size=(12, 5))
    stated = 1e-7 * (spread * 10 if name == "energy" else 1e-4)
    assert SYMMETRIC[name](x, y) == pytest.approx(brute(name, x, y), abs=stated)


@pytest.mark.parametrize("name", ["energy", "mmd"])
@few
@given(seed=seeds)
def test_rounding_windows_to_float32_far_away_costs_what_the_rounding_does(name, seed):
    rng = np.random.default_rng(seed)
    x, y = 1e3 + rng.normal(size=(40, 6)), 1e3 + rng.normal(0.3, size=(30, 6))
    step = 1e3 * np.finfo(np.float32).eps  # of each value, at random: distances move by less than this
    moved = abs(SYMMETRIC[name](x.astype(np.float32), y.astype(np.float32)) - SYMMETRIC[name](x, y))
    assert moved < step * (1 if name == "energy" else 0.1)


@few
@given(pair=pairs, seed=st.integers(0, 1000))
def test_pvalues_are_multiples_that_are_never_zero_and_symmetric_metrics_do_not_mind_a_swap(pair, seed):
    x, y = pair
    test = permutation_test(energy_distance, x, y, n_resamples=19, rng=seed)
    assert round(test.pvalue * 20) == pytest.approx(test.pvalue * 20) and 1 <= round(test.pvalue * 20) <= 20
    assert test.pvalue == (1 + (test.null >= test.statistic).sum()) / 20


@few
@given(pair=pairs)
def test_spread_changes_sign_when_the_windows_swap(pair):
    x, y = pair
    if min(w.var(axis=0).sum() for w in pair) > 1e-3:
        assert spread_ratio(x, y) == pytest.approx(-spread_ratio(y, x), abs=1e-9)
