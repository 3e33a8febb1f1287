"""Every example in a helper's docstring shows what really happens."""

import doctest
import importlib
import pkgutil

import pytest

import helpers

MODULES = [module.name for module in pkgutil.walk_packages(helpers.__path__, "helpers.")]


def run(name):
    flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    return doctest.testmod(importlib.import_module(name), optionflags=flags)


@pytest.mark.parametrize("name", MODULES)
def test_examples_show_what_happens(name):
    assert run(name).failed == 0


@pytest.mark.parametrize("name", ["synthetic", "events", "metrics", "calibration"])
def test_modules_of_the_first_lessons_have_examples(name):
    assert run(f"helpers.{name}").attempted > 0
