"""Read your own embeddings and outcomes from files, or say in one line what is wrong with them.

Embeddings: `.npy`, `.npz`, `.parquet` (`.pq`) or `.csv`. Outcomes: Parquet or CSV. Nothing is ever
unpickled. Rows are counted from 0, as NumPy and pandas count them. Every fault of a file raises
`TableError` with the file, what is wrong and what to do about it.
"""

import re
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from sklearn.utils import gen_batches

from helpers.log import Log
from report.formats import KEY, TableError, check_file, listed, read_csv, read_numpy, read_parquet

FEWEST_ROWS = 20
AT_ONCE = 10_000  # rows looked at together
FORMATS = (".npy", ".npz", ".parquet", ".pq", ".csv")


class Embeddings(NamedTuple):
    """Rows (n, d) in float32, the columns they came from (None if unnamed), and a note for readers."""

    rows: NDArray[np.float32]
    columns: list[str] | None
    note: str


def read_windows(reference: Path, current: Path, outcomes: Path | None = None) -> tuple[Log, Log, list[str]]:
    """Read two files of embeddings and, if there is one, the outcomes of their rows.

    `outcomes` has one row for each row of `reference`, then one for each row of `current`. Returns both
    windows as `Log`s and notes on what was used of each file.
    """
    x, y = read_embeddings(reference), read_embeddings(current)
    widths = x.rows.shape[1], y.rows.shape[1]
    if widths[0] != widths[1]:
        raise TableError(
            f"{current}: has {widths[1]} dimensions, but {reference} has {widths[0]}; "
            "use embeddings of the same model in both files"
        )
    if x.columns and y.columns and x.columns != y.columns:
        place = next(i for i, (a, b) in enumerate(zip(x.columns, y.columns, strict=True)) if a != b)
        raise TableError(
            f"{current}: dimension {place} is column '{y.columns[place]}', but in {reference} it is "
            f"'{x.columns[place]}'; use the same columns in the same order"
        )
    if not any((x.rows[rows] != x.rows[0]).any() for rows in gen_batches(len(x.rows), AT_ONCE)):
        raise TableError(f"{reference}: every row is the same vector; choose a reference window that worked")
    notes = [f"{reference.name}: {x.note}", f"{current.name}: {y.note}"]
    table = pd.DataFrame(index=range(len(x.rows) + len(y.rows)))
    if outcomes is not None:
        table, note = read_outcomes(outcomes, len(x.rows), len(y.rows))
        notes.append(f"{outcomes.name}: {note}")
    before, after = table[: len(x.rows)], table[len(x.rows) :].reset_index(drop=True)
    return Log(x.rows, before), Log(y.rows, after), notes


def read_embeddings(path: Path) -> Embeddings:
    """Read one file of embeddings, a row for each query or document.

    `.npy`: an (n, d) array. `.npz`: its one array, or the one named `embeddings`. Parquet: its one list
    column, or else its numeric columns, as for CSV. Of the numeric columns, those named alike with a
    number at the end (e0, e1, ...) are used if there are such, and otherwise all; text is left out.
    """
    suffix = check_file(path, FORMATS)
    if suffix in (".npy", ".npz"):
        found = Embeddings(read_numpy(path, suffix), None, "")
    else:
        table = read_parquet(path) if suffix != ".csv" else read_csv(path)
        found = _from_table(path, table)
    rows = _checked(path, found.rows)
    shape = f"{rows.shape[0]:,} rows of {rows.shape[1]} dimensions"
    return Embeddings(rows, found.columns, shape + found.note)


def read_outcomes(path: Path, n_reference: int, n_current: int) -> tuple[pd.DataFrame, str]:
    """Read outcomes, numeric or boolean columns, and the column `session` if there is one.

    Returns them with one row for each row of the reference and then of the current window, and a note.
    A missing number stays NaN. Text columns are left out.
    """
    suffix = check_file(path, (".parquet", ".pq", ".csv"))
    table = read_csv(path) if suffix == ".csv" else read_parquet(path).to_pandas(ignore_metadata=True)
    wanted = n_reference + n_current
    if len(table) != wanted:
        raise TableError(
            f"{path}: has {len(table):,} rows, expected {wanted:,}; give one row for each of the "
            f"{n_reference:,} reference rows, then one for each of the {n_current:,} current rows"
        )
    table = table[[name for name in table if not _is_index(name)]]
    kept = pd.DataFrame(index=table.index)
    for name in table.columns.drop("session", errors="ignore"):
        values = table[name]
        if values.dtype == object and values.dropna().isin([True, False]).all():
            values = values.map({True: 1.0, False: 0.0})  # booleans with gaps
        if pd.api.types.is_numeric_dtype(values) and values.notna().any():
            kept[str(name)] = values.astype(float)
            bad = np.flatnonzero(np.isinf(kept[str(name)]))
            if len(bad):
                raise TableError(
                    f"{path}: column '{name}' is infinite in {len(bad)} row(s), first row {bad[0]}; "
                    "repair them or leave them empty"
                )
    left_out = [str(name) for name in table if name not in kept and name != "session"]
    note = f"outcomes {listed(list(kept))}" if len(kept.columns) else "no outcomes"
    if "session" in table:
        missing = np.flatnonzero(table["session"].isna())
        if len(missing):
            raise TableError(
                f"{path}: column 'session' is empty in {len(missing)} row(s), first row {missing[0]}; "
                "fill it, or drop the column to shuffle single rows"
            )
        kept["session"] = table["session"].to_numpy()
        note += ", and sessions"
    if not len(kept.columns):
        raise TableError(
            f"{path}: has no numeric or boolean column (found: {listed(left_out)}); add an outcome, "
            "such as success as 0 or 1"
        )
    return kept, note + (f"; left out {listed(left_out)}" if left_out else "")


def _from_table(path: Path, table: pa.Table | pd.DataFrame) -> Embeddings:
    if isinstance(table, pa.Table):
        lists = [field.name for field in table.schema if _is_list(field.type)]
        if len(lists) > 1 and KEY in lists:
            lists = [KEY]
        if len(lists) > 1:
            raise TableError(
                f"{path}: has {len(lists)} list columns ({listed(lists)}); keep the one with the "
                f"embeddings, or name it '{KEY}'"
            )
        if lists:
            others = [name for name in table.column_names if name != lists[0]]
            note = f", from the list column '{lists[0]}'"
            note += f"; left out {listed(others)}" if others else ""
            return Embeddings(_from_lists(path, table[lists[0]], lists[0]), None, note)
        table = table.to_pandas(ignore_metadata=True)
    return _from_columns(path, table)


def _from_lists(path: Path, column: pa.ChunkedArray, name: str) -> NDArray:
    if len(column) == 0:
        return np.empty((0, 2))
    nulls = np.flatnonzero(column.is_null().to_numpy())
    if len(nulls):
        raise TableError(
            f"{path}: column '{name}' is empty in {len(nulls)} row(s), first row {nulls[0]}; drop them"
        )
    array = column.combine_chunks()
    if isinstance(array, pa.ChunkedArray):
        array = pa.concat_arrays(array.chunks)
    if not _is_number(array.type.value_type):
        raise TableError(f"{path}: column '{name}' holds lists of {array.type.value_type}; store numbers")
    if not pa.types.is_fixed_size_list(array.type):
        lengths = array.value_lengths().to_numpy()
        odd = np.flatnonzero(lengths != lengths[0])
        if len(odd):
            raise TableError(
                f"{path}: column '{name}' has {lengths[odd[0]]} numbers in row {odd[0]} and "
                f"{lengths[0]} in row 0; use one model for all rows"
            )
    return array.flatten().to_numpy(zero_copy_only=False).reshape(len(array), -1)


def _from_columns(path: Path, table: pd.DataFrame) -> Embeddings:
    if len(table) == 0:
        return Embeddings(np.empty((0, 2), np.float32), None, "")
    table = table.rename(columns=str)
    names = [name for name in table if not _is_index(name)]
    numeric = [name for name in names if pd.api.types.is_numeric_dtype(table[name])]
    for name in set(names) - set(numeric):
        first = table[name].dropna().head(1).astype(str).str.strip()
        if first.str.startswith("[").any():
            raise TableError(
                f"{path}: column '{name}' holds vectors as text; save it as a Parquet list column, or "
                "give each dimension a column"
            )
    stems = Counter(re.sub(r"\d+$", "", name) for name in numeric if name[-1:].isdigit())
    stem, count = stems.most_common(1)[0] if stems else ("", 0)
    used = [name for name in numeric if re.fullmatch(re.escape(stem) + r"\d+", name)]
    used = used if count >= 2 else numeric
    if len(used) < 2:
        raise TableError(
            f"{path}: has {len(used)} numeric column(s) among {listed(names)}; give one numeric column "
            "for each dimension, or one list column in Parquet"
        )
    left_out = [name for name in table if name not in used]
    note = f", from the columns {used[0]} to {used[-1]}"
    note += f"; left out {listed(left_out)}" if left_out else ""
    unnamed = list(table.columns) == [str(i) for i in range(table.shape[1])]
    rows = table[used].to_numpy(dtype=np.float64, na_value=np.nan)
    return Embeddings(rows.astype(np.float32), None if unnamed else used, "" if unnamed else note)


def _checked(path: Path, array: NDArray) -> NDArray[np.float32]:
    if not (np.issubdtype(array.dtype, np.number) or array.dtype == bool):
        raise TableError(f"{path}: has dtype {array.dtype}; save numbers, for example float32")
    if np.iscomplexobj(array):
        raise TableError(f"{path}: holds complex numbers; save real ones")
    if array.ndim != 2 or array.shape[1] < 2:
        raise TableError(
            f"{path}: has shape {array.shape}; give (n, d), a row for each embedding, d at least 2"
        )
    if len(array) < FEWEST_ROWS:
        count = "no rows" if len(array) == 0 else f"{len(array)} row(s)"
        raise TableError(f"{path}: has {count}; give at least {FEWEST_ROWS}, better a few hundred")
    with np.errstate(over="ignore"):
        rows = np.ascontiguousarray(array, dtype=np.float32)
    finite = [np.isfinite(rows[part]).all(axis=1) for part in gen_batches(len(rows), AT_ONCE)]
    bad = np.flatnonzero(~np.concatenate(finite))
    if len(bad):
        cut = "; the last row is incomplete, the file looks cut off" if bad[0] == len(rows) - 1 else ""
        raise TableError(
            f"{path}: has NaN, infinity or empty cells in {len(bad)} row(s), first row {bad[0]}{cut}; "
            "drop or repair them"
        )
    return rows


def _is_list(kind: pa.DataType) -> bool:
    types = pa.types
    return types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)


def _is_number(kind: pa.DataType) -> bool:
    return pa.types.is_floating(kind) or pa.types.is_integer(kind)


def _is_index(name: object) -> bool:
    """Tell whether a column is a pandas index that was written along."""
    return str(name) in ("", "Unnamed: 0", "__index_level_0__")
