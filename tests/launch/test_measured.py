"""What a notebook's title says of time and memory was measured."""

import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from tools import measure
from tools.measure import Usage, with_row

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("??_*.ipynb"))
TABLE = "| To read | To practise | To run | Memory |\n|---|---|---|---|\n| 1 minute | 2 minutes | ? | ? |"
SOURCE = f"# %% [markdown]\n# # Break a toy\n#\n# {TABLE}\n\n# %%\nhoard = bytearray(0)\n".replace(
    "\n|", "\n# |"
)


def test_every_notebook_is_measured():
    assert sorted(measure.stated()) == [path.name[:2] for path in NOTEBOOKS]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_title_states_what_was_measured(path):
    title = nbformat.read(path, as_version=4).cells[0].source
    usage = measure.stated()[path.name[:2]]
    assert with_row(title, usage) == title
    assert usage.cpu_seconds <= 60, "longer than a minute is too long for a lesson"
    assert usage.cpu_seconds % 10 == usage.peak_mb % 50 == 0


def test_stated_is_never_less_than_measured():
    assert Usage(30, 450).rounded_up() == Usage(40, 500)
    assert Usage(28.5, 428.5).rounded_up() == Usage(30, 450)


def test_a_title_without_the_table_is_refused():
    with pytest.raises(ValueError, match="0 tables"):
        with_row("# Break a toy\n", Usage(10, 50))


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A project with one toy notebook, measured."""
    root = tmp_path_factory.mktemp("toy")
    shutil.copytree(ROOT / "tools", root / "tools")
    (root / "notebooks" / "source").mkdir(parents=True)
    (root / "notebooks" / "source" / "00_toy.py").write_text(SOURCE)
    done = build(root, "--measure")
    assert done.returncode == 0, done.stderr
    return root


def build(root, *args):
    command = [sys.executable, "-m", "tools.build", *args]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=120)


def test_measuring_writes_the_same_numbers_to_source_notebook_and_list(built, monkeypatch):
    monkeypatch.setattr(measure, "MEASURED", built / "notebooks" / "measured.json")
    usage = measure.stated()["00"]
    assert 0 < usage.cpu_seconds <= 60 and 50 <= usage.peak_mb < 500
    row = f"| 1 minute | 2 minutes | {usage.cpu_seconds} seconds | {usage.peak_mb} MB |"
    assert row in (built / "notebooks" / "source" / "00_toy.py").read_text()
    assert row in nbformat.read(built / "notebooks" / "00_toy.ipynb", as_version=4).cells[0].source


def test_a_notebook_that_holds_more_than_it_states_is_not_written(built):
    source, target = built / "notebooks" / "source" / "00_toy.py", built / "notebooks" / "00_toy.ipynb"
    before = target.read_bytes()
    source.write_text(source.read_text().replace("bytearray(0)", "b'1' * 600_000_000"))
    done = build(built, "00")
    assert done.returncode == 1 and target.read_bytes() == before
    assert "Notebook 00 held " in done.stderr and "playbook.py run 00 --measure" in done.stderr


def test_memory_of_a_kernels_children_counts(built):
    source = built / "notebooks" / "source" / "00_toy.py"
    hungry = "import subprocess, sys\n"
    hungry += "child = \"x = b'1' * 600_000_000; [x.count(b'2') for _ in range(5)]\"\n"
    hungry += "subprocess.run([sys.executable, '-c', child])\n"
    source.write_text(source.read_text().split("# %%\n")[0] + "# %%\n" + hungry)
    done = build(built, "00")
    assert done.returncode == 1 and "Notebook 00 held " in done.stderr
