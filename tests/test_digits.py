"""The digits: what happens in a story is what its name says, and drift and harm part company."""

import numpy as np
import pytest

from helpers.calibration import permutation_test
from helpers.metrics import mmd2
from report.digits import STORIES, digits_case

CASES = {story: digits_case(story) for story in STORIES}


def accuracy(story, window=1):
    return CASES[story][window].outcomes["accuracy"].mean()


def mmd_z(story):
    reference, current = CASES[story]
    test = permutation_test(mmd2, reference.embeddings, current.embeddings, n_resamples=199)
    return (test.statistic - test.null.mean()) / test.null.std()


def test_reference_is_the_same_in_every_story():
    first = CASES["none"][0]
    for reference, _ in CASES.values():
        np.testing.assert_array_equal(reference.embeddings, first.embeddings)
        assert reference.outcomes.equals(first.outcomes)


def test_network_reads_well():
    assert first_digits(accuracy("none", 0)) == 0.960
    assert first_digits(accuracy("none")) == 0.972


def first_digits(value):
    return float(f"{value:.3g}")


def test_relabelling_is_invisible_and_harmful():
    ours, theirs = CASES["relabel"][1], CASES["none"][1]
    np.testing.assert_array_equal(ours.embeddings, theirs.embeddings)
    assert accuracy("relabel") < accuracy("none") - 0.1


def test_contrast_is_loud_and_harmless():
    assert mmd_z("contrast") > 50
    assert abs(accuracy("contrast") - accuracy("none")) < 0.01


def test_turned_ones_are_quiet_and_harmful():
    assert mmd_z("rotate_ones") < mmd_z("contrast") / 5
    assert accuracy("rotate_ones") < accuracy("none") - 0.08
    changed = (CASES["rotate_ones"][1].embeddings != CASES["none"][1].embeddings).any(axis=1)
    assert 0.08 < changed.mean() < 0.12


def test_unknown_story_names_those_there_are():
    with pytest.raises(ValueError, match="none, contrast, rotate_ones, relabel"):
        digits_case("fog")
