"""The build writes the same bytes every time, and leaves a notebook alone when a cell fails."""

import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_output

from tools.build import join_streams, read_source

ROOT = Path(__file__).resolve().parent.parent
SOURCE = """\
# %% [markdown]
# # Break a toy

# %% tags=["setup"] jupyter={"source_hidden": true}
import sys
for word in ("one", "two", "three"):
    print(word)
    sys.stdout.flush()

# %%
6 * 7
"""


@pytest.fixture
def scratch(tmp_path):
    """A project with the tools and one toy notebook."""
    shutil.copytree(ROOT / "tools", tmp_path / "tools")
    (tmp_path / "notebooks" / "source").mkdir(parents=True)
    (tmp_path / "notebooks" / "source" / "00_toy.py").write_text(SOURCE)
    return tmp_path


def build(root, *numbers):
    command = [sys.executable, "-m", "tools.build", *numbers]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=120)


def test_rebuild_changes_no_byte_and_failure_leaves_the_notebook(scratch):
    target = scratch / "notebooks" / "00_toy.ipynb"
    source = scratch / "notebooks" / "source" / "00_toy.py"

    first = build(scratch)
    assert first.returncode == 0, first.stderr
    assert "written" in first.stdout and "CPU" in first.stdout and "MB" in first.stdout
    committed = target.read_bytes()
    notebook = nbformat.reads(committed.decode(), as_version=4)
    assert [cell.id for cell in notebook.cells] == ["00-001", "00-002", "00-003"]
    assert notebook.cells[1].metadata == {"tags": ["setup"]}
    assert [output.text for output in notebook.cells[1].outputs] == ["one\ntwo\nthree\n"]
    assert notebook.cells[2].outputs[0].data["text/plain"] == "42"
    assert committed.endswith(b"}\n")

    second = build(scratch, "00")
    assert second.returncode == 0 and "unchanged" in second.stdout
    assert target.read_bytes() == committed

    source.write_text(SOURCE.replace("6 * 7", "6 / 0"))
    failed = build(scratch)
    assert failed.returncode == 1
    assert "00_toy, cell 3 of 3 (00-003) failed" in failed.stderr
    assert "ZeroDivisionError: division by zero" in failed.stderr
    assert target.read_bytes() == committed
    assert sorted(path.name for path in target.parent.iterdir()) == ["00_toy.ipynb", "source"]


def test_source_gives_ids_and_metadata(scratch):
    notebook = read_source(scratch / "notebooks" / "source" / "00_toy.py")
    assert notebook.metadata.kernelspec.display_name == "Python 3 (ipykernel)"
    assert notebook.metadata.language_info == {"name": "python"}


def test_printed_text_is_joined_and_figures_keep_their_place():
    def text(words, name="stdout"):
        return new_output("stream", name=name, text=words)

    figure = new_output("display_data", data={"text/plain": "a figure"})
    joined = join_streams([text("a"), text("b"), figure, text("c"), text("d", "stderr")])
    assert [output.get("text", "figure") for output in joined] == ["ab", "figure", "c", "d"]
