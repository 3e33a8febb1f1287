"""Where the JavaScript that the site and the slides serve themselves lies in the environment."""

from importlib.metadata import distribution
from pathlib import Path


def mathjax() -> Path:
    """Return MathJax as one file that needs no fonts beside it."""
    folder = "sphinx-mathjax-offline"
    return Path(str(distribution(folder).locate_file(f"{folder}/static/mathjax/tex-svg.js")))


def reveal() -> Path:
    """Return the folder of reveal.js."""
    return Path(str(distribution("sphinx-revealjs").locate_file("sphinx_revealjs/_static/revealjs")))
