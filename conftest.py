"""Close what nbval leaves open when it compares notebooks with their committed outputs.

nbval compares text. It passes over figures, over the alt text of figures, and over cells that
were never run or that carry a marker to be skipped. Here all of these count.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from nbval.plugin import IPyNbCell

from tools.comparison import compare_figures, figures_of


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the setting that says how much a figure may differ."""
    parser.addini("nb_figure_rms", "allowed RMS pixel difference of notebook figures", default="0.5")


def pytest_itemcollected(item: pytest.Item) -> None:
    """Make every notebook cell that nbval found a strict one."""
    if type(item) is IPyNbCell:
        item.__class__ = StrictCell


class StrictCell(IPyNbCell):
    """A notebook cell whose figures and alt texts are compared too, and that cannot opt out."""

    def runtest(self) -> None:
        """Run the cell and compare all it shows with what is committed."""
        if self.cell.execution_count is None:
            self.raise_cell_error("The committed cell was never run.")
        if self.options["skip"] or not self.options["check"]:
            self.raise_cell_error("The cell is marked so that its output is not compared.")
        super().runtest()

    def compare_outputs(
        self, test: Sequence[Any], ref: Sequence[Any], skip_compare: Sequence[str] | None = None
    ) -> bool:
        """Compare texts as nbval does, then figures and their alt texts."""
        if not super().compare_outputs(test, ref, skip_compare):
            return False
        limit = float(self.config.getini("nb_figure_rms"))
        problem = compare_figures(figures_of(ref), figures_of(test), limit)
        if problem:
            self.comparison_traceback.append(problem)
        return not problem
