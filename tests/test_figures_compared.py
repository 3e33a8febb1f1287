"""Figures are compared by their pixels and by their alt text."""

import base64
import io

import numpy as np
from PIL import Image

from tools.comparison import compare_figures, figure_difference


def png(values, **options):
    """Encode an array as a base64 PNG."""
    file = io.BytesIO()
    Image.fromarray(np.asarray(values, np.uint8)).save(file, "png", **options)
    return base64.b64encode(file.getvalue()).decode()


GREY = np.full((40, 60, 4), 200)


def test_same_pixels_in_another_file_differ_by_nothing():
    assert png(GREY) != png(GREY, compress_level=0)
    assert figure_difference(png(GREY), png(GREY, compress_level=0)) == 0


def test_difference_is_the_root_of_the_mean_square():
    other = GREY.copy()
    other[:, :30] += 10
    assert np.isclose(figure_difference(png(GREY), png(other)), 10 / np.sqrt(2))


def test_other_sizes_never_match():
    assert figure_difference(png(GREY), png(GREY[1:])) == np.inf


def test_problem_is_named():
    old, changed = png(GREY), png(GREY - 1)
    assert compare_figures([(old, "alt")], [(old, "alt")], 0.5) == ""
    assert "RMS pixel difference 1" in compare_figures([(old, "alt")], [(changed, "alt")], 0.5)
    assert "alt text" in compare_figures([(old, "alt")], [(old, "other")], 0.5)
    assert "1 figures are committed, 0 were drawn" in compare_figures([(old, "alt")], [], 0.5)
