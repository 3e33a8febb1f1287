"""Compare the figures of a notebook with those that are committed, by their pixels and alt texts."""

import base64
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image


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
