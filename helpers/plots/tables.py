"""The numbers of a figure as tables: for readers who cannot see it, and for those who want to reckon on."""

from collections.abc import Mapping, Sequence
from html import escape
from math import ceil

import numpy as np
import pandas as pd
from numpy.typing import NDArray

SUMMARY = "The numbers of this figure"
LONG, KEPT = 30, 20  # a table of more rows than LONG is thinned to about KEPT
QUANTILES = {"lowest": 0, "5 %": 0.05, "25 %": 0.25, "median": 0.5, "75 %": 0.75, "95 %": 0.95, "highest": 1}


def clouds(windows: Mapping[str, NDArray], names: Sequence[str] = ("PC1", "PC2")) -> pd.DataFrame:
    """Return the size, centre and spread (standard deviation) of each window, (n, 2)."""
    rows = {
        name: [len(points), *points.mean(axis=0), *points.std(axis=0)] for name, points in windows.items()
    }
    columns = ["n", *(f"centre, {name}" for name in names), *(f"spread, {name}" for name in names)]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns).astype({"n": int})


def quantiles(values: Mapping[str, NDArray]) -> pd.DataFrame:
    """Return, for each entry, how many values it has and where they lie."""
    rows = {name: [len(each), *np.quantile(each, list(QUANTILES.values()))] for name, each in values.items()}
    return pd.DataFrame.from_dict(rows, orient="index", columns=["n", *QUANTILES]).astype({"n": int})


def bins(heights: NDArray, edges: NDArray, name: str, unit: str) -> pd.DataFrame:
    """Return a histogram as a table, neighbouring bins joined until at most twenty are left."""
    starts = np.arange(0, len(heights), ceil(len(heights) / KEPT))
    ends = np.append(edges[starts[1:]], edges[-1])
    places = 1 - int(np.floor(np.log10(edges[1] - edges[0])))  # an edge near 0 must not look precise
    low, high = edges[starts].round(places), ends.round(places)
    labels = [f"{digits(a)} to {digits(b)}" for a, b in zip(low, high, strict=True)]
    index = pd.Index(labels, name=unit)
    sums = np.add.reduceat(heights, starts)
    whole = (sums == np.rint(sums)).all()  # counts, not shares
    return pd.DataFrame({name: sums.astype(int) if whole else sums}, index=index)


def joined(held: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """Put two tables of one panel side by side, or one below the other if they have columns in common."""
    below = set(held.columns) & set(table.columns)
    together = pd.concat([held, table], axis=0 if below else 1)
    in_order = held.index.is_monotonic_increasing and table.index.is_monotonic_increasing
    return together.sort_index() if in_order and not below else together


def thinned_table(table: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """Return some rows of a long table, each column's extremes among them, and words on which these are."""
    if len(table) <= LONG:
        return table, ""
    step = ceil(len(table) / KEPT)
    step += step % 7 == 0  # every seventh day is always the same weekday
    kept = {*range(0, len(table), step), len(table) - 1}
    for _, column in table.select_dtypes("number").dropna(axis=1, how="all").items():
        kept |= {int(np.nanargmin(column)), int(np.nanargmax(column))}
    note = f"One row in {step} of {len(table)}, the last, and where a column is lowest or highest."
    return table.iloc[sorted(kept)], note


def digits(value: object) -> str:
    """Write a whole number in full, any other with three significant digits, so that machines agree."""
    if isinstance(value, int | np.integer):
        return f"{value:,}"
    if not isinstance(value, float | np.floating):
        return str(value).replace("\n", " ")
    if np.isnan(value):
        return "none"
    settled = (
        round(float(value), 12) + 0.0
    )  # what is left of a sum that should be 0, and its sign, are chance
    return f"{float(f'{settled:.3g}'):,.12g}"


def in_words(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table whose cells and names are all texts."""
    cells = table.astype(object).map(digits)
    cells.columns = pd.Index([digits(name) for name in table.columns], name=table.columns.name)
    return cells.set_axis(pd.Index([digits(name) for name in table.index], name=table.index.name))


def as_text(panels: Sequence[tuple[str, pd.DataFrame]]) -> str:
    """Return the tables of a figure as plain text, each below its title."""
    parts = [SUMMARY]
    for title, table in panels:
        shown, note = thinned_table(table)
        parts.append("\n".join(filter(None, [title, note, in_words(shown).to_string()])))
    return "\n\n".join(parts)


def as_html(panels: Sequence[tuple[str, pd.DataFrame]]) -> str:
    """Return the tables of a figure as HTML that stays folded until somebody opens it, with no script."""
    tables = "\n".join(html_table(title, table) for title, table in panels)
    return f'<details class="figure-data">\n<summary>{SUMMARY}</summary>\n{tables}\n</details>'


def html_table(title: str, table: pd.DataFrame) -> str:
    """Return one table: its caption, the unit over the columns, a header for each column and each row."""
    shown, note = thinned_table(table)
    cells = in_words(shown)
    caption = escape(" ".join(filter(None, [title, note])))
    unit, corner = (escape(str(axis.name or "")) for axis in (cells.columns, cells.index))
    head = f'<tr><td></td><th scope="colgroup" colspan="{cells.shape[1]}">{unit}</th></tr>\n' if unit else ""
    names = "".join(f'<th scope="col">{escape(name)}</th>' for name in cells.columns)
    first = f'<th scope="col">{corner}</th>' if corner else "<td></td>"
    rows = "\n".join(
        f'<tr><th scope="row">{escape(name)}</th>{"".join(f"<td>{escape(cell)}</td>" for cell in row)}</tr>'
        for name, *row in cells.itertuples()
    )
    return (
        f"<table>\n<caption>{caption}</caption>\n<thead>\n{head}<tr>{first}{names}</tr>\n</thead>\n"
        f"<tbody>\n{rows}\n</tbody>\n</table>"
    )
