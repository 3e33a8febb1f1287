import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ortho_group

from helpers.alignment import align, linear_map, misfit, procrustes
from helpers.metrics import energy_distance
from helpers.synthetic import Event, Log, Product

UPGRADE = Event("rotation", start=0, size=0.5, index_follows=True)


def rotated(seed, n=40, dim=5):
    """Old embeddings, and the same turned by a random orthogonal matrix."""
    rng = np.random.default_rng(seed)
    turn = ortho_group.rvs(dim, random_state=seed)
    old = rng.normal(size=(n, dim)) + 1
    return old, old @ turn, turn


@pytest.fixture(scope="module")
def product():
    return Product(0)


# Procrustes.


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 8))
def test_a_rotation_is_undone_exactly(seed, dim):
    old, new, turn = rotated(seed, dim=dim)
    found = procrustes(old, new)
    np.testing.assert_allclose(found, turn.T, atol=1e-9)
    np.testing.assert_allclose(new @ found, old, atol=1e-9)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_the_map_is_orthogonal_and_no_other_orthogonal_map_fits_better(seed):
    rng = np.random.default_rng(seed)
    old, new = rng.normal(size=(2, 30, 4))
    found = procrustes(old, new)
    np.testing.assert_allclose(found.T @ found, np.eye(4), atol=1e-12)
    best = ((new @ found - old) ** 2).sum()
    for other in ortho_group.rvs(4, size=20, random_state=seed):
        assert best <= ((new @ other - old) ** 2).sum() + 1e-9


def test_identical_spaces_need_no_map():
    old, _, _ = rotated(1)
    np.testing.assert_allclose(procrustes(old, old), np.eye(5), atol=1e-12)


def test_a_change_of_units_changes_nothing_about_the_rotation():
    old, new, _ = rotated(2)
    np.testing.assert_allclose(procrustes(old, 1000 * new), procrustes(old, new), atol=1e-12)


def test_too_few_pairs_are_refused_by_procrustes():
    old, new, _ = rotated(3, n=4)
    with pytest.raises(ValueError, match="4 pairs that do not span all 5 columns"):
        procrustes(old, new)


# The ridge map.


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000))
def test_without_penalty_the_ridge_map_is_least_squares(seed):
    rng = np.random.default_rng(seed)
    old, new = rng.normal(size=(30, 3)), rng.normal(size=(30, 4))
    found = linear_map(old, new, alpha=0)
    assert found.shape == (4, 3)
    np.testing.assert_allclose(found, np.linalg.lstsq(new, old)[0], atol=1e-8)


def test_any_linear_change_is_undone_where_a_rotation_is_not_enough():
    old, new, _ = rotated(4)
    bent = new * np.array([1.0, 2.0, 0.5, 3.0, 1.0])
    assert misfit(old, bent @ linear_map(old, bent, alpha=0)) < 1e-20
    assert misfit(old, bent @ procrustes(old, bent)) > 0.05


def test_a_larger_penalty_gives_a_smaller_map():
    old, new, _ = rotated(5)
    sizes = [np.linalg.norm(linear_map(old, new, alpha)) for alpha in (0, 0.01, 0.1, 1, 10)]
    assert np.all(np.diff(sizes) < 0)


def test_the_penalty_depends_neither_on_the_number_of_pairs_nor_on_the_unit():
    old, new, _ = rotated(6)
    once = linear_map(old, new, alpha=0.3)
    twice = linear_map(np.tile(old, (2, 1)), np.tile(new, (2, 1)), alpha=0.3)
    np.testing.assert_allclose(twice, once, rtol=1e-9)
    np.testing.assert_allclose(linear_map(old, 10 * new, alpha=0.3), once / 10, rtol=1e-9)


def test_the_ridge_map_of_a_unit_space_is_one_over_one_plus_alpha():
    np.testing.assert_allclose(linear_map(np.eye(3), np.eye(3), alpha=0.25), np.eye(3) / 1.25)


def test_too_few_pairs_need_a_penalty():
    old, new, _ = rotated(7, n=4)
    assert linear_map(old, new).shape == (5, 5)
    with pytest.raises(ValueError, match="4 rows that do not span all 5 columns"):
        linear_map(old, new, alpha=0)


# How well it fits.


def test_misfit_is_nothing_for_a_perfect_map_and_one_for_the_mean():
    old, _, _ = rotated(8)
    assert misfit(old, old) == 0
    assert misfit(old, np.tile(old.mean(axis=0), (len(old), 1))) == pytest.approx(1)


# A log brought back.


def test_the_upgrade_of_the_product_is_undone(product):
    upgraded, untouched = product.run(7, [UPGRADE], start=-3), product.run(7, start=-3)
    mapping = procrustes(product.index(-1).embeddings, product.index(0, [UPGRADE]).embeddings)
    back = align(upgraded, mapping, first_day=0)
    assert back.embeddings.dtype == np.float32
    np.testing.assert_allclose(back.embeddings, untouched.embeddings, atol=1e-6)
    assert back.outcomes is upgraded.outcomes
    early = (upgraded.outcomes["day"] < 0).to_numpy()
    np.testing.assert_array_equal(back.embeddings[early], upgraded.embeddings[early])


def test_alignment_takes_the_energy_distance_of_an_upgrade_back_to_that_of_quiet(product):
    reference = product.run(7, start=-7).embeddings
    mapping = procrustes(product.index(-1).embeddings, product.index(0, [UPGRADE]).embeddings)
    upgraded, quiet = product.run(7, [UPGRADE]), product.run(7).embeddings
    raw = energy_distance(reference, upgraded.embeddings)
    aligned = energy_distance(reference, align(upgraded, mapping, first_day=0).embeddings)
    assert raw > 0.02
    assert aligned == pytest.approx(energy_distance(reference, quiet), abs=1e-6)


def test_aligned_rows_have_unit_length_after_a_map_that_shrinks():
    log = Log(np.eye(2, dtype=np.float32), pd.DataFrame({"day": [0, 1]}))
    back = align(log, np.array([[0.5, 0.0], [0.1, 0.1]]), first_day=1)
    np.testing.assert_allclose(back.embeddings, [[1, 0], [0.5**0.5, 0.5**0.5]], rtol=1e-6)


# The public door.


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: procrustes([[1, 0], [0, 1]], [[1, 0]]), "new has 1 row(s): give at least 2"),
        (lambda: procrustes(np.eye(3), np.eye(3)[:2]), "old has 3 rows and new 2: give each text in both"),
        (lambda: procrustes(np.eye(2), np.ones((2, 3))), "old has 2 columns and new 3: no rotation joins"),
        (lambda: procrustes(np.eye(2), np.zeros((2, 2))), "new has only zeros"),
        (lambda: procrustes([[1, np.nan], [0, 1]], np.eye(2)), "old has NaN"),
        (lambda: linear_map(np.eye(2), np.eye(2), alpha=-1), "alpha=-1 must be zero or positive"),
        (lambda: linear_map(np.eye(2), np.eye(2), alpha=np.inf), "alpha=inf must be a finite number"),
        (lambda: linear_map(np.zeros((2, 2)), np.eye(2)), "old has only zeros"),
        (lambda: misfit(np.ones((3, 2)), np.eye(3)[:, :2]), "old repeats one vector"),
        (lambda: misfit(np.eye(2), np.ones((2, 3))), "aligned has 3 columns and old 2: give new @ M"),
    ],
)
def test_what_cannot_be_aligned_is_refused_by_name(call, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        call()


def test_a_map_of_another_width_is_refused():
    log = Log(np.eye(2, dtype=np.float32), pd.DataFrame({"day": [0, 1]}))
    with pytest.raises(ValueError, match=re.escape("mapping has shape (3, 3): give (2, 2)")):
        align(log, np.eye(3), first_day=0)
