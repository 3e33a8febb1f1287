"""What all figures share: colours, style, a canvas, words for who cannot see it, and a way out."""

import io
import re
from pathlib import Path
from weakref import WeakKeyDictionary

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from IPython.display import display
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image
from seaborn.utils import relative_luminance

from helpers.plots.tables import as_html, as_text, joined

# Okabe and Ito's blue, vermilion and green, Tol's wine, a grey and a brown: distinct for the colour-blind,
# and dark enough for a thin line on white.
COLOURS = {
    "reference": "#0072B2",
    "current": "#D55E00",
    "alarm": "#882255",
    "outcome": "#009E73",
    "band": "#8892A0",
    "other": "#6E4B00",
}
MARKERS = {"reference": "o", "current": "^", "alarm": "v", "outcome": "s", "band": "P", "other": "D"}
_descriptions: WeakKeyDictionary[Axes, str] = WeakKeyDictionary()
_tables: WeakKeyDictionary[Axes, pd.DataFrame] = WeakKeyDictionary()


def use_style() -> None:
    """Set the look of all figures."""
    sns.set_theme(style="white", context="notebook", font_scale=0.85)
    plt.rcParams.update(
        {
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.titlelocation": "left",
            "axes.titleweight": "bold",
            "figure.constrained_layout.use": True,
            "figure.dpi": 96,
            "legend.frameon": False,
            "svg.hashsalt": "embedding-drift-playbook",
        }
    )


def canvas(rows: int = 1, columns: int = 1, *, width: float = 7.2, height: float = 3.6, **options) -> NDArray:
    """Return an array of `Axes` of shape (rows, columns); sizes in inches."""
    use_style()
    _, axes = plt.subplots(rows, columns, figsize=(width, height), squeeze=False, **options)
    return axes


def describe(ax: Axes, text: str, table: pd.DataFrame | None = None) -> Axes:
    """Add a sentence, and the numbers behind it, to what a reader who cannot see `ax` is told."""
    text = re.sub(r"-(0(?:\.0+)?)(?!\.?\d)", r"\1", text)  # the sign of a zero is chance
    _descriptions[ax] = " ".join(filter(None, [_descriptions.get(ax), text]))
    if table is not None:
        _tables[ax] = joined(_tables[ax], table) if ax in _tables else table.copy()
    return ax


def data(ax: Axes | NDArray) -> list[pd.DataFrame]:
    """Return the numbers that the figure of `ax` shows: one table for each panel that has some."""
    return [_tables[panel].copy() for panel in figure_of(ax).axes if panel in _tables]


def alt_text(figure: Figure) -> str:
    """All that is said about a figure, panel by panel."""
    panels = []
    for ax in figure.axes:
        panels.append(" ".join(filter(None, [titles(ax), _descriptions.get(ax, "")])))
    return " ".join(filter(None, [sentence(figure.get_suptitle()), *panels]))


def titles(ax: Axes) -> str:
    """Return the titles of a panel, from the left, as sentences."""
    texts = [ax.get_title(loc=place).replace("\n", " ") for place in ("left", "center", "right")]
    return " ".join(sentence(text) for text in texts if text)


def sentence(title: str) -> str:
    """Return a title as a sentence; an empty one stays empty."""
    return title if not title or title[-1] in ".?" else f"{title}."


def figure_of(ax: Axes | NDArray) -> Figure:
    """Return the figure that an `Axes`, or the first of an array of them, belongs to."""
    figure = (ax.flat[0] if isinstance(ax, np.ndarray) else ax).get_figure(root=True)
    assert figure is not None  # only an Axes taken off its figure has none
    return figure


def show(ax: Axes | NDArray) -> None:
    """Display the figure of `ax`, its description as text and as alternative text, and then its numbers."""
    figure = figure_of(ax)
    text = alt_text(figure)
    whole = sentence(figure.get_suptitle())
    panels = [(titles(panel) or whole, _tables[panel]) for panel in figure.axes if panel in _tables]
    picture = png(figure)
    plt.close(figure)
    display(
        {"image/png": picture, "text/plain": text},
        metadata={"image/png": {"alt": text}},
        raw=True,
    )
    if panels:
        display({"text/html": as_html(panels), "text/plain": as_text(panels)}, raw=True)


def png(figure: Figure, *, dpi: int | None = None) -> bytes:
    """Return the figure as PNG of 256 colours, a third of the usual size: same data, same bytes."""
    drawing, picture = io.BytesIO(), io.BytesIO()
    figure.savefig(drawing, format="png", dpi=dpi or "figure")
    colours = Image.open(drawing).convert("RGB")
    colours.quantize(256, dither=Image.Dither.NONE).save(picture, format="PNG", optimize=True)
    return picture.getvalue()


def headline(axes: NDArray, title: str) -> None:
    """Give a figure of several panels one title that states the finding."""
    figure_of(axes).suptitle(title, x=0.01, ha="left", weight="bold", fontsize=11)


def legible(ax: Axes) -> None:
    """Write each number of a heat map in black or in white, whichever stands out more from its cell.

    Source: the contrast ratio of WCAG 2.2, 1.4.3.
    """
    cells = ax.collections[0]
    shades = cells.to_rgba(np.ma.array(cells.get_array()).compressed())  # a cell without a value has no text
    for text, shade in zip(ax.texts, shades, strict=True):
        luminance = relative_luminance(shade)
        text.set_color("white" if 1.05 / (luminance + 0.05) > (luminance + 0.05) / 0.05 else "black")


def thinned(rows: NDArray, n: int) -> NDArray:
    """Return at most `n` rows, spread evenly, so that no day of the week is left out."""
    return rows[np.linspace(0, len(rows) - 1, min(n, len(rows))).astype(int)]


def save_svg(ax: Axes | NDArray, path: Path) -> Path:
    """Write the figure of `ax` as SVG, the same bytes for the same data, its description inside."""
    figure = figure_of(ax)
    metadata = {"Date": None, "Creator": None, "Description": alt_text(figure)}
    drawing = io.StringIO()
    figure.savefig(drawing, format="svg", metadata=metadata)
    plt.close(figure)
    path.write_text(drawing.getvalue(), encoding="utf-8", newline="\n")
    return path
