"""The committed figures are what `playbook.py figures` draws, byte for byte."""

import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
NAMES = ["pca_week_0_week_4", "pc1_week_0", "pc1_week_4", "same_queries_opposite_fate"]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    folder = tmp_path_factory.mktemp("figures")
    subprocess.run([sys.executable, "-m", "tools.figures", "--out", folder], cwd=ROOT, check=True)
    return folder


@pytest.mark.parametrize("name", NAMES)
def test_a_redrawn_figure_has_the_committed_bytes(drawn, name):
    assert (drawn / f"{name}.svg").read_bytes() == (ROOT / "figures" / f"{name}.svg").read_bytes()


def test_only_these_figures_are_drawn_and_committed(drawn):
    for folder in (drawn, ROOT / "figures"):
        assert sorted(path.stem for path in folder.glob("*")) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_figure_describes_itself_and_names_no_date(name):
    text = (ROOT / "figures" / f"{name}.svg").read_text(encoding="utf-8")
    description = ElementTree.fromstring(text).find(".//{http://purl.org/dc/elements/1.1/}description")
    assert description is not None
    assert any(character.isdigit() for character in description.text)
    assert "<dc:date>" not in text
