"""The dashboard as one HTML page: served by Prometheus as a console, or with its data inside and no server.

Both are made of the same files in dashboard/assets. The page asks nobody but the Prometheus that serves
it, and without a server nobody at all: its content security policy forbids the rest.
"""

import base64
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jinja2 import Template
from numpy.typing import ArrayLike, NDArray

from dashboard.panels import MEANING, PANELS, RUNBOOK, TITLE, Panel, rows

ASSETS = Path(__file__).parent / "assets"
SCRIPTS = ["data.js", "charts.js", "page.js"]  # one after the other, as one script
Series = tuple[str, tuple[tuple[str, str], ...]]


def page(
    t: ArrayLike,
    series: Mapping[Series, ArrayLike],
    *,
    stories: Sequence[tuple[str, float, float, str]] = (),
) -> str:
    """Return the page with its data inside, to be opened from a disk or shown in a notebook.

    t : (n,) seconds since 1970, evenly spaced. series : exported and recorded series and ALERTS, by name and
        labels, (n,) values each, NaN where there is none; those that no panel draws are left out.
    stories : (title, start, end, what it shows), start and end in seconds; each becomes a button.

    Raises ValueError naming what does not fit. Numbers below 1,000 keep four significant digits.
    """
    times = _grid(t)
    drawn = {metric for panel in PANELS for metric in (panel.metric, panel.limit)}
    chosen = sorted(name for name in series if name[0] in drawn)
    data = {
        "start": times[0],
        "step": times[1] - times[0],
        "n": len(times),
        "series": [[name, dict(labels), _runs(series[name, labels], len(times))] for name, labels in chosen],
        "stories": [dict(zip(("title", "start", "end", "shows"), story, strict=True)) for story in stories],
    }
    return _render(data)


def console() -> str:
    """Return the page that Prometheus serves; it asks that Prometheus for its data."""
    return _render(None)


def _grid(t: ArrayLike) -> NDArray[np.float64]:
    times = np.asarray(t, np.float64)
    if times.ndim != 1 or len(times) < 2 or not np.isfinite(times).all():
        raise ValueError("t must be a list of at least two finite times in seconds")
    steps = np.diff(times)
    if steps[0] <= 0 or not np.allclose(steps, steps[0]):
        raise ValueError("t must go up in even steps: resample it first")
    return times


def _runs(values: ArrayLike, n: int) -> list:
    """Return values as JSON can hold them: null for none, and [value, times] for a value that stays."""
    array = np.asarray(values, np.float64)
    if array.shape != (n,):
        raise ValueError(f"series has shape {array.shape}: give one value for each of the {n} times")
    found: list = []
    for value in map(_short, array.tolist()):
        if found and found[-1][0] == value:
            found[-1][1] += 1
        else:
            found.append([value, 1])
    return [value if times == 1 else [value, times] for value, times in found]


def _short(value: float) -> float | None:
    if not math.isfinite(value):
        return None
    short = round(value) if abs(value) >= 1000 else float(f"{value:.4g}")
    return int(short) if short == int(short) else short


def _render(data: dict | None) -> str:
    style, script = _asset("page.css"), "".join(map(_asset, SCRIPTS))
    server = "'self'" if data is None else "'none'"
    policy = f"default-src 'none'; img-src data:; style-src {_hash(style)}; script-src {_hash(script)}; "
    policy += f"connect-src {server}; base-uri 'none'; form-action 'none'"
    html = Template((ASSETS / "page.html").read_text(encoding="utf-8"), keep_trailing_newline=True)
    board = {"rows": _board(), "meaning": MEANING, "runbook": RUNBOOK}
    return html.render(
        title=TITLE,
        policy=policy,
        style=style,
        script=script,
        board=_json(board),
        data=None if data is None else _json(data),
    )


def _board() -> list[dict]:
    return [
        {"title": title, "panels": [_fields(panel) for panel in panels]}
        for title, panels in rows(PANELS).items()
    ]


def _fields(panel: Panel) -> dict:
    return {name: value for name, value in panel._asdict().items() if name != "row"}


def _asset(name: str) -> str:
    """Return a file without its comments: Prometheus's template engine would cut them and spoil the hash."""
    lines = (ASSETS / name).read_text(encoding="utf-8").splitlines()
    return "\n".join(line for line in lines if not line.strip().startswith(("//", "/*"))) + "\n"


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _json(data: dict) -> str:
    """Return JSON that can neither end its script element nor start a template's action."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace("{{", "{\\u007b")
