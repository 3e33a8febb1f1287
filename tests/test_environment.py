"""environment.yml, requirements.txt and the packages at work agree."""

import re
import tomllib
from importlib.metadata import files, requires, version
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

from tools import colab, lock
from tools.progress import Progress

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
DEPENDENCIES = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
LISTED = [Requirement(line) for entry in DEPENDENCIES if isinstance(entry, dict) for line in entry["pip"]]
TOOLS = list(map(Requirement, PROJECT["dependency-groups"]["tools"]))
LOCK_LINES = (ROOT / "requirements.txt").read_text().splitlines()
TOOLS_LINES = (ROOT / "tools" / "requirements.txt").read_text().splitlines()
MOST_MB = 800


def locked(lines):
    """Return name -> package. One may have several versions, each for some systems: one counts here."""
    return {lock.name: lock for lock in map(Requirement, lines) if not lock.marker or lock.marker.evaluate()}


LOCKED, TOOLS_LOCKED = locked(LOCK_LINES), locked(TOOLS_LINES)


def test_only_python_and_pip_come_from_conda():
    assert [entry for entry in DEPENDENCIES if isinstance(entry, str)] == ["python=3.11", "pip"]


@pytest.mark.parametrize("wanted", LISTED + TOOLS, ids=str)
def test_list_is_exact_and_the_lock_obeys_it(wanted):
    # Binder brings its own JupyterLab, so that one is a range.
    assert wanted.name == "jupyterlab" or str(wanted.specifier).startswith("==")
    package = (LOCKED | TOOLS_LOCKED)[wanted.name]
    assert wanted.specifier.contains(str(package.specifier).removeprefix("=="))


@pytest.mark.parametrize("name", LOCKED | TOOLS_LOCKED)
def test_what_is_installed_is_what_is_locked(name):
    assert f"=={version(name)}" == str((LOCKED | TOOLS_LOCKED)[name].specifier)


def test_tools_come_on_top_and_bring_what_they_need():
    assert not set(LOCKED) & set(TOOLS_LOCKED)
    for name in TOOLS_LOCKED:
        for needed in map(Requirement, requires(name) or ()):
            if needed.marker is None or needed.marker.evaluate({"extra": ""}):
                assert needed.name.replace("_", "-") in LOCKED | TOOLS_LOCKED


def test_what_the_list_installs_is_small():
    # Bytecode does not count: our set-up leaves it to Python, which makes it for what is imported.
    paths = [Path(file.locate()) for name in LOCKED for file in files(name) or () if file.suffix != ".pyc"]
    assert sum(path.stat().st_size for path in paths if path.exists()) / 1e6 < MOST_MB


def test_lock_names_versions_and_nothing_else():
    line = re.compile(r"[a-z0-9-]+==[\w.]+( ; [\w\s.'=!<>()]+)?")
    assert [text for text in LOCK_LINES + TOOLS_LINES if not line.fullmatch(text)] == []


def test_helpers_depend_only_on_what_is_listed():
    assert set(PROJECT["project"]["dependencies"]) <= {wanted.name for wanted in LISTED}


# --- the locks are compiled from the lists ---------------------------------------------------


@pytest.fixture
def lists(tmp_path, monkeypatch):
    """Small lists and locks, and a resolver that knows version 2 of everything."""
    texts = {
        "LIST": "  - pip:\n      - numpy==1\n      - jupyterlab>=4.4,<5\n",
        "LOCK": "jupyterlab==4.4.1\nnumpy==1\n",
        "TOOLS_LIST": '[dependency-groups]\ntools = ["ruff==1"]\n',
        "TOOLS_LOCK": "ruff==1\n",
    }
    for name, text in texts.items():
        monkeypatch.setattr(lock, name, tmp_path / name)
        (tmp_path / name).write_text(text)

    def resolve(python, folder, wanted, preferred):
        kept = dict(line.split("==", 1) for line in preferred.split())
        exact = (re.split(r"==|>=", line)[0] for line in wanted)
        pins = dict(line.split("==") for line in wanted if "==" in line)
        return "".join(f"{name}=={pins.get(name, kept.get(name, '2'))}\n" for name in sorted(exact))

    monkeypatch.setattr(lock, "resolve", resolve)
    monkeypatch.setattr(lock, "listen", lambda command: [])
    return lambda upgrade: [text for text in lock.compiled(tmp_path, upgrade, Progress()).values()]


def test_locks_keep_their_versions_unless_the_lists_change(lists):
    assert lists(upgrade=False) == [
        path.read_text() for path in (lock.LIST, lock.LOCK, lock.TOOLS_LIST, lock.TOOLS_LOCK)
    ]
    lock.LIST.write_text(lock.LIST.read_text().replace("numpy==1", "numpy==3"))
    assert lists(upgrade=False)[1] == "jupyterlab==4.4.1\nnumpy==3\n"


def test_an_upgrade_raises_lists_and_locks_together_and_leaves_ranges(lists):
    assert lists(upgrade=True) == [
        "  - pip:\n      - numpy==2\n      - jupyterlab>=4.4,<5\n",
        "jupyterlab==2\nnumpy==2\n",
        '[dependency-groups]\ntools = ["ruff==2"]\n',
        "ruff==2\n",
    ]


def test_where_systems_differ_the_list_gets_the_version_of_python_3_11():
    forked = "numpy==2 ; python_full_version < '3.12'\nnumpy==3 ; python_full_version >= '3.12'\n"
    assert lock.raised("      - numpy==1\n", forked) == "      - numpy==2\n"


@pytest.mark.parametrize("name", colab.WANTED)
def test_what_is_brought_to_colab_is_locked(name):
    assert name in LOCKED
