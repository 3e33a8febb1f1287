"""The first cell of a notebook is silent at home, fetches the helpers on Colab, and says what it lacks."""

import json
import os
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from tools import colab, links
from tools.links import Setting

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOK = min((ROOT / "notebooks").glob("??_*.ipynb"))
SHOW = """
import os, sys
print(os.getcwd(), os.path.abspath(sys.path[0]), os.environ["OMP_NUM_THREADS"], "numpy" in sys.modules)
"""


def cell(where):
    """Return the set-up cell under a setting."""
    text = links.in_notebook(NOTEBOOK.read_text("utf-8"), where, NOTEBOOK.name)
    return "".join(json.loads(text)["cells"][1]["source"])


def run(source, folder, **variables):
    env = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    command = [sys.executable, "-c", source + SHOW]
    return subprocess.run(command, cwd=folder, env=env | variables, capture_output=True, text=True)


@pytest.fixture
def room(tmp_path):
    """An empty folder on a pretended Colab, and the variables that let git find a small project."""
    project, folder = tmp_path / "project", tmp_path / "content"
    for name in ("helpers", "notebooks", "tools"):
        (project / name).mkdir(parents=True)
        (project / name / "kept.txt").touch()
    (project / "tools" / "colab.py").write_text("print('installing')")
    git = ["git", "-c", "user.name=n", "-c", "user.email=n@example.org", "-C", str(project)]
    for command in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-q", "-m", "x"]):
        subprocess.run([*git, *command], check=True)
    folder.mkdir()
    return folder, {
        "PYTHONPATH": str(ROOT / "tests" / "launch" / "stub"),
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.{project.as_uri()}.insteadOf",
        "GIT_CONFIG_VALUE_0": "https://github.com/some-body/playbook",
    }


def test_at_home_the_cell_finds_the_helpers_and_says_nothing():
    done = run(cell(Setting()), ROOT / "notebooks")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{ROOT / 'notebooks'} {ROOT} 1 False\n"


def test_threads_that_you_chose_stay():
    done = run(cell(Setting()), ROOT / "notebooks", OMP_NUM_THREADS="3")
    assert done.stdout.split()[2] == "3"


def test_on_colab_the_cell_fetches_the_project_once_and_goes_to_its_notebooks(room):
    folder, variables = room
    first = run(cell(Setting("some-body/playbook", "main")), folder, **variables)
    assert first.returncode == 0, first.stderr
    place = folder / "playbook"
    assert first.stdout == f"installing\n{place / 'notebooks'} {place} 1 False\n"

    (place / "mine.txt").touch()
    restarted = run(cell(Setting("some-body/playbook", "main")), folder, **variables)
    assert restarted.stdout == first.stdout and (place / "mine.txt").exists()

    again = run(cell(Setting("some-body/playbook", "main")), place / "notebooks", **variables)
    assert again.stdout == f"{place / 'notebooks'} {place} 1 False\n"


def test_on_colab_without_an_address_the_cell_says_what_to_run(room):
    folder, variables = room
    done = run(cell(Setting()), folder, **variables)
    assert done.returncode == 1 and not list(folder.iterdir())
    assert done.stderr.startswith("This copy has no address yet.")
    assert "playbook.py links OWNER/REPO" in done.stderr and "Traceback" not in done.stderr


def test_an_address_that_nobody_has_fails_and_leaves_nothing_behind(room):
    folder, variables = room
    shutil.rmtree(folder.parent / "project")
    done = run(cell(Setting("some-body/playbook", "main")), folder, **variables)
    assert done.returncode == 1 and "git" in done.stderr and not list(folder.iterdir())


# --- what Colab lacks -----------------------------------------------------------------------


def test_nothing_is_installed_where_nothing_is_missing(monkeypatch):
    monkeypatch.setattr(colab.importlib.util, "find_spec", lambda name: name)
    assert colab.missing() == []


def test_what_is_missing_is_installed_as_locked_and_distributed_as_colabs_dask(monkeypatch):
    there = {"dask": "spec", "zict": "spec"}
    monkeypatch.setattr(colab.importlib.util, "find_spec", there.get)
    monkeypatch.setattr(colab, "version", lambda name: "2025.12.0")
    locked = {name: version(name) for name in ("datasketches", "sortedcontainers", "tblib")}
    wanted = [f"{name}=={number}" for name, number in (locked | {"distributed": "2025.12.0"}).items()]
    assert sorted(colab.missing()) == sorted(wanted)


def test_colabs_own_packages_are_never_among_them():
    pinned = {
        line.split("==")[0] for line in (ROOT / "tests" / "launch" / "colab.txt").read_text().split("\n")
    }
    assert "numpy" in pinned and not pinned & set(colab.WANTED)
