"""Sums over a stream that are exact but for one rounding of each value at the door."""

from collections import deque
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from helpers.rounding import BLOCK, power_above, whole_blocks
from helpers.states import expect, pack, read, same_bytes, same_settings
from helpers.windows import as_batch, as_window, moderate, whole


class RunningMoments:
    """Mean and covariance of a stream, exact but for one rounding of each value.

    dim : columns of a batch.
    scale : a size that values rarely pass, 1 for unit vectors; the next power of 2 counts. Values are rounded
        to 2^-14 of it, and refused beyond 4 times it. More than `MOST` rows raise an OverflowError.

    Few rows wait until they are 256, as sums of many are faster: nobody can tell, since the sums are exact.

    What it cannot tell you: any change that leaves mean and covariance alone, such as a new small cluster.

    >>> state = RunningMoments(1)
    >>> state.update([[0.25], [0.75]])
    >>> state.mean, state.covariance
    (array([0.5]), array([[0.125]]))
    """

    MOST = 2**31 - 1  # of products of at most 2^32, so that their sums stay below 2^63
    __hash__ = None  # type: ignore[assignment]
    __eq__ = same_bytes

    def __init__(self, dim: int, *, scale: float = 1.0) -> None:
        self.dim, self.scale = whole(dim, "dim", least=1), moderate(scale, "scale")
        self._factor = 2.0**14 / power_above(self.scale)
        self.rows = 0
        self._sum = np.zeros(self.dim, np.int64)
        self._products = np.zeros((self.dim, self.dim), np.int64)
        self._waiting, self._waits = np.empty((BLOCK, self.dim)), 0

    @property
    def nbytes(self) -> int:
        """Bytes of the sums and of the rows that wait."""
        return self._sum.nbytes + self._products.nbytes + self._waiting.nbytes

    def update(self, batch: ArrayLike, timestamp: ArrayLike | None = None) -> None:
        """Add the rows (n, dim) of a batch; this state has no use for timestamps."""
        rows = as_batch(batch, self.dim)
        self._check_room(len(rows))
        if len(rows) > BLOCK:  # all blocks are looked at before the first is added
            deque(self._blocks(rows), maxlen=0)
        for _, x in self._blocks(rows):
            if self._waits + len(x) > BLOCK:
                self._settle()
            self._waiting[self._waits : self._waits + len(x)] = x
            self._waits += len(x)
        self.rows += len(rows)

    def _blocks(self, rows: NDArray) -> Iterator[tuple[slice, NDArray[np.float64]]]:
        return whole_blocks(rows, self._factor, 2.0**16, "give a larger scale")

    def _check_room(self, rows: int) -> None:
        if self.rows + rows > self.MOST:
            raise OverflowError(
                f"more than {self.MOST} rows: begin a new state, and merge none into this one"
            )

    def _settle(self) -> None:
        """Add the rows that wait."""
        if self._waits:
            x, self._waits = self._waiting[: self._waits], 0
            self._sum += x.sum(axis=0).astype(np.int64)
            self._products += (x.T @ x).astype(np.int64)

    def merge(self, other: "RunningMoments") -> "RunningMoments":
        """State of the rows of both, the same bits in any order."""
        same_settings(self, other, {"dim": self.dim, "scale": self.scale})
        out = RunningMoments(self.dim, scale=self.scale)
        for state in (self, other):
            out._check_room(state.rows)
            state._settle()
            out._sum += state._sum
            out._products += state._products
            out.rows += state.rows
        return out

    @property
    def mean(self) -> NDArray[np.float64]:
        """Mean, (dim,)."""
        if not self.rows:
            raise ValueError("the state has seen no rows: update it first")
        self._settle()
        return self._sum / self.rows / self._factor

    @property
    def covariance(self) -> NDArray[np.float64]:
        """Covariance with divisor n - 1, (dim, dim)."""
        if self.rows < 2:
            raise ValueError(f"the state has seen {self.rows} row(s): a covariance needs two")
        self._settle()
        mean = self._sum / self.rows
        centred = self._products / self.rows - np.outer(mean, mean)
        return centred * (self.rows / (self.rows - 1)) / self._factor**2

    def to_bytes(self) -> bytes:
        """Return the state in the layout of `helpers.states`."""
        self._settle()
        fields = {"dim": self.dim, "scale": self.scale, "rows": self.rows}
        return pack(type(self).__name__, fields, {"sum": self._sum, "products": self._products})

    @classmethod
    def from_bytes(cls, data: bytes) -> "RunningMoments":
        """Return the state that `to_bytes` wrote."""
        return read(cls, data)

    @classmethod
    def _read(cls, fields: dict[str, Any], arrays: dict[str, NDArray]) -> "RunningMoments":
        dim, rows = whole(fields["dim"], "dim", least=1), whole(fields["rows"], "rows", least=0)
        # Before the constructor makes room for so many columns.
        total = expect(arrays["sum"], "sum", (dim,))
        products = expect(arrays["products"], "products", (dim, dim), most=rows * 2**32)
        out = cls(dim, scale=fields["scale"])
        out._check_room(rows)
        squares = zip(total.tolist(), np.diag(products).tolist(), strict=True)
        if (products != products.T).any() or any(x * x > rows * xx for x, xx in squares):
            raise ValueError("products that no rows have")
        out._sum, out._products, out.rows = total, products, rows
        return out


class ClusterCounts:
    """How many rows are nearest to each of k centres, and how many are far from all: the novel ones.

    centres : (k, d), such as those of a KMeans of the reference, or some rows of the reference themselves.
    limit : distance to the nearest centre beyond which a row is novel.

    Rows and centres are rounded to about a millionth of the largest coordinate of a centre plus `limit`, so
    that a near tie falls the same way in every batch. A row further out is novel, however far it is.

    What it cannot tell you: movement within the reach of one centre.

    >>> state = ClusterCounts([[0.0, 0.0], [4.0, 0.0]], limit=1.0)
    >>> state.update([[0.1, 0.0], [3.5, 0.0], [9.0, 0.0]])
    >>> state.counts
    array([1, 1, 1])
    """

    MOST = 2**62
    __hash__ = None  # type: ignore[assignment]
    __eq__ = same_bytes

    def __init__(self, centres: ArrayLike, *, limit: float) -> None:
        self.centres, self.limit = as_window(centres, "centres", least=1), moderate(limit, "limit")
        k, dim = self.centres.shape
        size = power_above(float(np.abs(self.centres).max()) + self.limit)
        self._most = 2.0 ** ((51 - (dim - 1).bit_length()) // 2)  # sums of dim products stay below 2^53
        self._factor = self._most / 2 / size
        self._reach = (self.limit * self._factor) * (self.limit * self._factor)
        self._whole = np.rint(self.centres * self._factor)
        self._square = np.einsum("ij,ij->i", self._whole, self._whole)
        self.counts = np.zeros(k + 1, np.int64)

    @property
    def rows(self) -> int:
        """Rows counted."""
        return int(self.counts.sum())

    @property
    def shares(self) -> NDArray[np.float64]:
        """Share of the rows for each centre, and last of the novel ones."""
        if not self.rows:
            raise ValueError("the state has seen no rows: update it first")
        return self.counts / self.rows

    @property
    def nbytes(self) -> int:
        """Bytes of the counts, without the centres."""
        return self.counts.nbytes

    @property
    def largest(self) -> float:
        """Largest coordinate that a row may have."""
        return float(np.finfo(np.float64).max)

    def assign(self, batch: ArrayLike) -> NDArray[np.intp]:
        """Number of the nearest centre of each row, k where it is novel; counts nothing."""
        rows = as_batch(batch, self.centres.shape[1])
        out = np.empty(len(rows), np.intp)
        for block, x in whole_blocks(rows, self._factor):
            np.clip(x, -self._most, self._most, out=x)  # from there on a row is novel
            half = self._square - 2 * (x @ self._whole.T)  # squared distances less |x|^2
            nearest = half.argmin(axis=1)
            square = half[np.arange(len(x)), nearest] + np.einsum("ij,ij->i", x, x)
            out[block] = np.where(square > self._reach, len(self._whole), nearest)
        return out

    def update(self, batch: ArrayLike, timestamp: ArrayLike | None = None) -> None:
        """Count the rows (n, d) of a batch; this state has no use for timestamps."""
        self._add(np.bincount(self.assign(batch), minlength=len(self.counts)))

    def _add(self, counts: NDArray[np.int64]) -> None:
        if self.rows + int(counts.sum()) > self.MOST:
            raise OverflowError(f"more than {self.MOST} rows: begin a new state")
        self.counts = self.counts + counts

    def merge(self, other: "ClusterCounts") -> "ClusterCounts":
        """State of the rows of both, the same bits in any order."""
        same_settings(self, other, {"centres": self.centres, "limit": self.limit})
        out = ClusterCounts(self.centres, limit=self.limit)
        out._add(self.counts)
        out._add(other.counts)
        return out

    def to_bytes(self) -> bytes:
        """Return the state in the layout of `helpers.states`."""
        arrays = {"centres": self.centres, "counts": self.counts}
        return pack(type(self).__name__, {"limit": self.limit}, arrays)

    @classmethod
    def from_bytes(cls, data: bytes) -> "ClusterCounts":
        """Return the state that `to_bytes` wrote."""
        return read(cls, data)

    @classmethod
    def _read(cls, fields: dict[str, Any], arrays: dict[str, NDArray]) -> "ClusterCounts":
        out = cls(arrays["centres"], limit=fields["limit"])
        out.counts = expect(arrays["counts"], "counts", out.counts.shape)
        if (out.counts < 0).any() or sum(out.counts.tolist()) > cls.MOST:
            raise ValueError("counts that no rows have")
        return out
