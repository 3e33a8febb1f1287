"""Open a file of numbers: `.npy`, `.npz`, Parquet or CSV. Nothing is ever unpickled.

Whatever is wrong with the file becomes a `TableError` of one line. What its columns mean is the
business of `report.tables`.
"""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

KEY = "embeddings"  # of an archive with several arrays, or a table with several list columns


class TableError(ValueError):
    """A file cannot be used. The message is one line: the file, what is wrong, what to do."""


def check_file(path: Path, formats: Sequence[str]) -> str:
    """Return the suffix of a file that is there, can be read, is not empty and ends as it should."""
    suffix = path.suffix.lower()
    if not path.exists():
        raise TableError(f"{path}: there is no such file; check the name and the current folder")
    if not path.is_file():
        raise TableError(f"{path}: is a folder; name a file")
    if suffix not in formats:
        known = ", ".join(formats)
        wrong = f"unknown format '{suffix}'" if suffix else "its name has no ending to tell the format"
        raise TableError(f"{path}: {wrong}; save it as one of {known}")
    try:
        with path.open("rb") as file:
            empty = not file.read(1)
    except OSError as error:
        raise TableError(f"{path}: cannot be read ({error.strerror}); check its access") from None
    if empty:
        raise TableError(f"{path}: is empty; write it again")
    return suffix


def read_numpy(path: Path, suffix: str) -> NDArray:
    """Read the array of a `.npy`, or of a `.npz` its one array or the one named `embeddings`."""
    try:
        if suffix == ".npz":
            with path.open("rb") as file:
                if file.read(2) != b"PK":
                    raise TableError(
                        f"{path}: is not an archive written by numpy.savez (pickles are never opened); "
                        "write it again with numpy.savez(file, embeddings=array)"
                    )
            with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
                names = list(archive.files)
                if len(names) != 1 and KEY not in names:
                    raise TableError(
                        f"{path}: holds {len(names)} arrays ({listed(names)}); keep one, or name one '{KEY}'"
                    )
                return np.asarray(archive[KEY if KEY in names else names[0]])
        with path.open("rb") as file:
            if file.read(6) != b"\x93NUMPY":
                raise TableError(
                    f"{path}: is not an array written by numpy.save (pickles are never opened); "
                    "write it again with numpy.save(file, array)"
                )
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except TableError:
        raise
    except ValueError as error:
        if not re.search("allow_pickle|Python objects", str(error)):
            raise _damaged(path) from None
        raise TableError(
            f"{path}: holds Python objects (dtype object), which are never unpickled; save numbers: "
            "numpy.save(file, numpy.array(rows, dtype='float32'))"
        ) from None
    except Exception:  # broken bytes raise whatever the parser stumbles over
        raise _damaged(path) from None


def read_parquet(path: Path) -> pa.Table:
    """Read a Parquet file."""
    try:
        with path.open("rb") as file:
            table = pq.ParquetFile(file).read()
        table.validate(full=True)
        return table.rename_columns([str(name) for name in table.column_names])
    except Exception:
        raise _damaged(path) from None


def read_csv(path: Path) -> pd.DataFrame:
    """Read a table whose first line is its header, unless all of it is numbers other than 0, 1, 2, ..."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            first = file.readline().rstrip("\r\n")
        separator = max(",;\t", key=first.count)
        cells = [cell.strip().strip('"') for cell in first.split(separator)]
        header = None if _all_numbers(cells) and not _counts_up(cells) else 0
        return pd.read_csv(
            path,
            sep=separator,
            header=header,
            encoding="utf-8-sig",
        )
    except pd.errors.ParserError as error:
        line = re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", str(error))
        detail = f"line {line[2]} has {line[3]} cells instead of {line[1]}" if line else "is damaged"
        raise TableError(f"{path}: {detail}; write the file again") from None
    except pd.errors.EmptyDataError:
        raise TableError(f"{path}: holds no table; write it again") from None
    except (ValueError, OSError):
        raise TableError(f"{path}: is not text in UTF-8; write it again as a CSV") from None


def _all_numbers(cells: Sequence[str]) -> bool:
    try:
        [float(cell) for cell in cells]
    except ValueError:
        return False
    return True


def _counts_up(cells: Sequence[str]) -> bool:
    return len(cells) > 1 and cells in (
        [str(i) for i in range(len(cells))],
        [str(i + 1) for i in range(len(cells))],
    )


def listed(names: Sequence[str], most: int = 6) -> str:
    """Write names with commas, the first few of many."""
    shown = ", ".join(str(name) for name in names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")


def _damaged(path: Path) -> TableError:
    return TableError(f"{path}: is damaged or cut off; write it again")
