"""Quantile sketches, which merge within their error; `helpers.streaming` says what all states share."""

import struct
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from helpers.states import expect, pack, read, same_bytes, same_settings
from helpers.windows import as_batch, as_window, whole


def check_kll(data: bytes, size: int) -> None:
    """Raise unless these are the bytes of a sorted KLL sketch: on some others the library would crash.

    Little-endian: words before the items, version, family 15, flags (one byte each), size (two), 8, 0. Then
    nothing if it is empty, its one item, or n (eight bytes), size (two), number of levels, 0, places at which
    the levels begin in a buffer (four each), smallest and largest item, items. One of level k stands for 2^k.
    """
    if len(data) < 8 or data[2:3] + data[4:8] != struct.pack("<BH2B", 15, size, 8, 0):
        raise ValueError("a sketch of another kind or size")
    start = (data[0], data[1], data[3])
    if start == (2, 1, 1) and len(data) == 8:
        return
    if start == (2, 2, 6) and len(data) == 16:
        counts, n, items = [1], 1, np.frombuffer(data, "<f8", offset=8)[[0, 0, 0]]
    elif start == (5, 1, 2) and len(data) > 20:
        n, same_size, levels, unused = struct.unpack_from("<QHBB", data, 8)
        begin = np.frombuffer(data, "<u4", levels, offset=20).tolist()
        room = sum(max(8, ((2 * size << level) // 3**level + 1) // 2) for level in range(levels))
        counts = [int(count) for count in np.diff([*begin, room])]
        items = np.frombuffer(data, "<f8", offset=20 + 4 * levels)
        if (same_size, unused) != (size, 0) or min(counts) < 0:
            raise ValueError("a sketch with impossible levels")
    else:
        raise ValueError("a sketch with an impossible start")
    by_level = np.split(items[2:], np.cumsum(counts)[:-1])
    if len(items) != 2 + sum(counts) or sum(count << level for level, count in enumerate(counts)) != n:
        raise ValueError("a sketch with items missing")
    if not np.isfinite(items).all() or any((np.diff(level) < 0).any() for level in by_level):
        raise ValueError("a sketch with items out of order")
    if items.min() < items[0] or items.max() > items[1]:
        raise ValueError("a sketch with items beyond its range")


class ProjectionSketch:
    """Quantiles of a stream along fixed directions: one KLL sketch of Apache DataSketches for each.

    directions : (d, k), such as the first components of a frozen PCA or `metrics.random_directions`.
    size : the K of the sketch; 200 gives ranks within 1.33 % (`rank_error`).

    Up to `size` rows the sketch is exact. Then it throws dice that cannot be seeded: two passes over one
    stream, or two merges, or a restored state and the one that went on, agree within `rank_error` only, not
    in their digits. A distance below what that error makes of it means nothing.

    What it cannot tell you: drift across its directions, or below `rank_error` along them.

    Source: Karnin, Lang & Liberty, "Optimal quantile approximation in streams", FOCS 2016.
    """

    __hash__ = None  # type: ignore[assignment]
    __eq__ = same_bytes

    def __init__(self, directions: ArrayLike, *, size: int = 200) -> None:
        try:
            from datasketches import kll_doubles_sketch
        except ImportError as error:
            raise ImportError(
                "ProjectionSketch needs the package datasketches: pip install datasketches"
            ) from error
        self.directions = as_window(directions, "directions", least=1)
        self.size, self._make = whole(size, "size", least=8), kll_doubles_sketch
        if self.size > 65535:
            raise ValueError(f"size={size} must be at most 65535")
        self._sketches = [kll_doubles_sketch(self.size) for _ in range(self.directions.shape[1])]

    @property
    def seen(self) -> int:
        """Rows seen."""
        return int(self._sketches[0].n)

    @property
    def nbytes(self) -> int:
        """Bytes of the sketches."""
        return sum(map(len, self._saved()))

    @property
    def rank_error(self) -> float:
        """How far a rank may be off, with 99 % confidence."""
        return float(self._sketches[0].normalized_rank_error(False))

    def update(self, batch: ArrayLike, timestamp: ArrayLike | None = None) -> None:
        """Add the rows (n, d) of a batch; this state has no use for timestamps."""
        rows = as_batch(batch, len(self.directions))
        with np.errstate(over="ignore", invalid="ignore"):
            lines = self.directions.T @ rows.T.astype(np.float64)
        if not np.isfinite(lines).all():
            bad = int((~np.isfinite(lines)).any(axis=0).sum())
            raise ValueError(f"batch has NaN, infinity or values that overflow in {bad} row(s): remove them")
        for sketch, line in zip(self._sketches, lines, strict=True):
            sketch.update(line)

    def quantiles(self, q: ArrayLike) -> NDArray[np.float64]:
        """Quantiles (len(q), k) along each direction."""
        if not self.seen:
            raise ValueError("the state has seen no rows: update it first")
        wanted = as_window(q, "q", one_dimensional=True, least=1)[:, 0].tolist()
        if not 0 <= min(wanted) <= max(wanted) <= 1:
            raise ValueError("q has numbers beyond 0 and 1: give shares of the rows")
        return np.array([sketch.get_quantiles(wanted) for sketch in self._sketches]).T

    def wasserstein(self, other: "ProjectionSketch") -> float:
        """Mean 1-Wasserstein distance over the directions, from 200 quantiles of each."""
        same_settings(self, other, {"directions": self.directions})
        q = (np.arange(200) + 0.5) / 200
        return float(np.abs(self.quantiles(q) - other.quantiles(q)).mean())

    def merge(self, other: "ProjectionSketch") -> "ProjectionSketch":
        """Sketch of the rows of both streams, with the same `rank_error`."""
        same_settings(self, other, {"directions": self.directions, "size": self.size})
        out = ProjectionSketch(self.directions, size=self.size)
        for state in (self, other):
            for sketch, more in zip(out._sketches, state._sketches, strict=True):
                sketch.merge(more)
        return out

    def _saved(self) -> list[bytes]:
        for sketch in self._sketches:
            if not sketch.is_empty():
                sketch.get_quantile(0.5)  # sorts it, as every reading does: now none can change its bytes
        return [sketch.serialize() for sketch in self._sketches]

    def to_bytes(self) -> bytes:
        """Return the state in the layout of `helpers.states`."""
        saved = self._saved()
        sketches = np.frombuffer(b"".join(saved), np.uint8)
        fields = {"size": self.size, "lengths": [len(each) for each in saved]}
        return pack(type(self).__name__, fields, {"directions": self.directions, "sketches": sketches})

    @classmethod
    def from_bytes(cls, data: bytes) -> "ProjectionSketch":
        """Return the state that `to_bytes` wrote."""
        return read(cls, data)

    @classmethod
    def _read(cls, fields: dict[str, Any], arrays: dict[str, NDArray]) -> "ProjectionSketch":
        out = cls(arrays["directions"], size=fields["size"])
        lengths = [whole(length, "length", least=8) for length in fields["lengths"]]
        saved = expect(arrays["sketches"], "sketches", (sum(lengths),), "u1").tobytes()
        ends = np.cumsum(lengths).tolist()
        parts = [saved[end - length : end] for end, length in zip(ends, lengths, strict=True)]
        for part in parts:
            check_kll(part, out.size)
        out._sketches = [out._make.deserialize(part) for part in parts]
        if len(parts) != out.directions.shape[1] or len({sketch.n for sketch in out._sketches}) > 1:
            raise ValueError("not one sketch a direction")
        return out
