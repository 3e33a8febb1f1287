"""Close what nbval leaves open when it compares notebooks with their committed outputs.

nbval compares text. It passes over figures, over the alt text of figures, and over cells that
were never run or that carry a marker to be skipped. Here all of these count.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from nbval.plugin import IPyNbCell
from PIL import Image


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


def figures_of(outputs: Sequence[Any]) -> list[tuple[str, str | None]]:
    """Return the base64 PNG and the alt text of each figure among a cell's outputs."""
    return [
        (output["data"]["image/png"], output["metadata"].get("image/png", {}).get("alt"))
        for output in outputs
        if "image/png" in output.get("data", {})
    ]


def compare_figures(
    committed: list[tuple[str, str | None]], drawn: list[tuple[str, str | None]], limit: float
) -> str:
    """Say how the figures of a cell differ; an empty text when they do not."""
    if len(committed) != len(drawn):
        return f"{len(committed)} figures are committed, {len(drawn)} were drawn"
    for place, ((old, old_alt), (new, new_alt)) in enumerate(zip(committed, drawn, strict=True), 1):
        difference = figure_difference(old, new)
        if difference > limit:
            return f"figure {place}: RMS pixel difference {difference:.3g}, allowed {limit:g}"
        if old_alt != new_alt:
            return f"figure {place}: the alt text was {old_alt!r} and is now {new_alt!r}"
    return ""


def figure_difference(old: str, new: str) -> float:
    """Return the RMS pixel difference (0 to 255) of two base64 PNGs; infinite if sizes differ."""
    if old.strip() == new.strip():
        return 0.0
    before, after = pixels(old), pixels(new)
    if before.shape != after.shape:
        return float("inf")
    return float(np.sqrt(np.mean((before - after) ** 2)))


def pixels(png: str) -> np.ndarray:
    """Decode a base64 PNG to height x width x 4 values of 0 to 255."""
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(png))).convert("RGBA"), float)
