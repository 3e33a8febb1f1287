"""A sample by hash, which merges exactly. `helpers.streaming` says what all states have in common."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from helpers.states import expect, pack, read, same_bytes, same_settings
from helpers.windows import as_batch, whole

SALT = 0x1E3779B97F4A7C15  # pandas gives the number 0 the hash 0, which no sample would ever let go


def finite_rows(batch: ArrayLike, dim: int | None) -> NDArray[np.float32]:
    """Return the rows (n, dim) of a batch in float32, or raise; any width where dim is None."""
    rows = as_batch(batch, dim)
    with np.errstate(over="ignore"):
        small = rows.astype(np.float32)
    if not np.isfinite(small).all():
        bad = int((~np.isfinite(small)).any(axis=1).sum())
        raise ValueError(f"batch has NaN, infinity or more than float32 holds in {bad} row(s): remove them")
    return small


def hashes_of(ids: ArrayLike, n: int) -> NDArray[np.uint64]:
    """Return the hash of one id a row, all whole numbers or all strings, or raise naming `ids`."""
    advice = f"give {n}, one a row, all whole numbers or all strings"
    try:
        names = np.asarray(ids)
        if names.shape != (n,) or np.ma.is_masked(ids) or (n and names.dtype.kind not in "iuUO"):
            raise ValueError(f"has shape {names.shape} and dtype {names.dtype}")
        if names.dtype.kind in "iu":
            return pd.util.hash_array(names.astype(np.int64) ^ SALT)
        if not all(isinstance(name, str) for name in ids):  # type: ignore[union-attr]
            raise ValueError("has things that are no strings")
        return pd.util.hash_array(names.astype(object), categorize=False)
    except (ValueError, TypeError, OverflowError) as error:
        raise ValueError(f"ids {error}: {advice}") from error


def join(one: NDArray, two: NDArray) -> NDArray:
    """Return a new array of the rows of both; `one` may be empty and of no width."""
    return np.concatenate([one.reshape(-1, two.shape[1]), two])


def same_width(one: NDArray, two: NDArray) -> None:
    """Raise unless the rows kept by two states have the same number of columns."""
    if len(one) and len(two) and one.shape[1] != two.shape[1]:
        raise ValueError(
            f"other has rows of {two.shape[1]} columns and not {one.shape[1]}: use one model for both"
        )


def sound_rows(rows: NDArray, most: int) -> NDArray[np.float32]:
    """Return the rows of saved bytes, or raise."""
    expect(rows, "rows", (len(rows), rows.shape[-1]), "f4")
    if len(rows) > most or not np.isfinite(rows).all() or (len(rows) > 0) != (rows.shape[1] > 0):
        raise ValueError("rows that no sample keeps")
    return rows


class HashSample:
    """The rows whose ids have the smallest hashes: a uniform sample of the ids, the same on every machine.

    size : rows kept, in float32. An id counts once however often it comes; of two rows with one id the one
    with the smaller bytes stays. Merges and single pass give the same bits. The number 1 and the string "1"
    are two ids.

    What it cannot tell you: how often an id came. And whoever chooses the ids can choose the sample.

    Source: Cohen & Kaplan, "Summarizing data using bottom-k sketches", PODC 2007. The hashes are
    those of pandas' `hash_array`.

    >>> state = HashSample(2)
    >>> state.update([[1.0], [2.0], [3.0]], ids=[11, 12, 13])
    >>> state.rows.shape
    (2, 1)
    """

    __hash__ = None  # type: ignore[assignment]
    __eq__ = same_bytes

    def __init__(self, size: int) -> None:
        self.size = whole(size, "size", least=1)
        self.hashes = np.empty(0, np.uint64)
        self.rows = np.empty((0, 0), np.float32)

    @property
    def nbytes(self) -> int:
        """Bytes of rows and hashes."""
        return self.rows.nbytes + self.hashes.nbytes

    def update(self, batch: ArrayLike, ids: ArrayLike, timestamp: ArrayLike | None = None) -> None:
        """Offer the rows (n, d) of a batch, each with an id, a whole number or a string."""
        rows = finite_rows(batch, self.rows.shape[1] or None)
        self.hashes, self.rows = self._smallest(hashes_of(ids, len(rows)), rows)

    def _smallest(self, hashes: NDArray[np.uint64], rows: NDArray[np.float32]) -> tuple[NDArray, NDArray]:
        """The smallest hashes among the kept and the new ones, each once, with their rows."""
        if len(self.hashes) == self.size:
            near = hashes <= self.hashes[-1]
            hashes, rows = hashes[near], rows[near]
        if not len(hashes):
            return self.hashes, self.rows
        hashes = np.concatenate([self.hashes, hashes])
        rows = join(self.rows, rows)
        kept, first, of = np.unique(hashes, return_index=True, return_inverse=True)
        for place in np.flatnonzero(np.bincount(of)[of] > 1):  # one id, perhaps with different rows
            if rows[place].tobytes() < rows[first[of[place]]].tobytes():
                first[of[place]] = place
        return kept[: self.size], rows[first[: self.size]]

    def merge(self, other: "HashSample") -> "HashSample":
        """State of the rows of both, the same bits in any order."""
        same_settings(self, other, {"size": self.size})
        out = HashSample(self.size)
        same_width(self.rows, other.rows)
        for state in (self, other):
            out.hashes, out.rows = out._smallest(state.hashes, state.rows)
        return out

    def to_bytes(self) -> bytes:
        """Return the state in the layout of `helpers.states`."""
        return pack(type(self).__name__, {"size": self.size}, {"hashes": self.hashes, "rows": self.rows})

    @classmethod
    def from_bytes(cls, data: bytes) -> "HashSample":
        """Return the state that `to_bytes` wrote."""
        return read(cls, data)

    @classmethod
    def _read(cls, fields: dict[str, Any], arrays: dict[str, NDArray]) -> "HashSample":
        out = cls(**fields)
        out.rows = sound_rows(arrays["rows"], out.size)
        out.hashes = expect(arrays["hashes"], "hashes", (len(out.rows),), "u8")
        if (out.hashes[1:] <= out.hashes[:-1]).any():
            raise ValueError("hashes out of order")
        return out
