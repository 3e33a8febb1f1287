"""environment.yml, requirements.txt and the packages at work agree."""

import re
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent
DEPENDENCIES = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
LISTED = [Requirement(line) for entry in DEPENDENCIES if isinstance(entry, dict) for line in entry["pip"]]
LOCK_LINES = (ROOT / "requirements.txt").read_text().splitlines()
# A package may be locked to several versions, each for some systems: only one counts here.
LOCKED = {
    lock.name: lock for lock in map(Requirement, LOCK_LINES) if lock.marker is None or lock.marker.evaluate()
}


def test_only_python_and_pip_come_from_conda():
    assert [entry for entry in DEPENDENCIES if isinstance(entry, str)] == ["python=3.11", "pip"]


@pytest.mark.parametrize("wanted", LISTED, ids=str)
def test_list_is_exact_and_the_lock_obeys_it(wanted):
    # Binder brings its own JupyterLab, so that one is a range.
    assert wanted.name == "jupyterlab" or str(wanted.specifier).startswith("==")
    assert wanted.specifier.contains(str(LOCKED[wanted.name].specifier).removeprefix("=="))


@pytest.mark.parametrize("name", LOCKED)
def test_what_is_installed_is_what_is_locked(name):
    assert f"=={version(name)}" == str(LOCKED[name].specifier)


def test_lock_names_versions_and_nothing_else():
    line = re.compile(r"[a-z0-9-]+==[\w.]+( ; [\w\s.'=!<>()]+)?")
    assert [text for text in LOCK_LINES if not line.fullmatch(text)] == []


def test_helpers_depend_only_on_what_is_listed():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert set(project["dependencies"]) <= {wanted.name for wanted in LISTED}
