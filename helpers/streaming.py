"""States of constant size that follow a stream, merge with each other, and are saved as bytes.

Every state has `update(batch, ...)`, which adds the rows of an (n, d) batch or, where it refuses them,
changes nothing; `merge(other)`, which returns the state of both streams; `to_bytes()` and
`from_bytes(data)`; and `nbytes`.

Round once at the door, then every sum is exact, so order cannot matter. `RandomFeatureMean` and `TwoRateMean`
here, `RunningMoments` and `ClusterCounts` in `helpers.sums` turn each row into whole numbers, so small that
all later products and sums are exact (below 2^53 in float64, below 2^63 in int64). Their bits are the same
for any cut into batches, any order, any tree of merges, any BLAS, any number of threads, any processor. So
are those of `HashSample` in `helpers.samples`. The reservoirs in `helpers.reservoirs` and the sketches in
`helpers.sketches` throw dice: they keep their guarantee, but not their bits.

Time is a number in any unit. States that forget do so by the timestamps of the rows, never by their arrival.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from helpers.features import ONE, feature_sums, frequencies
from helpers.reservoirs import DecayedReservoir, Reservoir
from helpers.samples import HashSample
from helpers.sketches import ProjectionSketch
from helpers.states import expect, pack, read, same_bytes, same_settings
from helpers.sums import ClusterCounts, RunningMoments
from helpers.windows import as_batch, as_timestamps, moderate, whole

__all__ = [
    "ClusterCounts",
    "DecayedReservoir",
    "HashSample",
    "ProjectionSketch",
    "RandomFeatureMean",
    "Reservoir",
    "RunningMoments",
    "TwoRateMean",
]

MOST = 2**40  # rows in a pane: their sums stay below 2^63
FAR = 2**53  # numbers of panes stay below, where floats are still whole
PANES = 4  # to a half-life
MEMORY = 10  # half-lives; what is older would weigh less than a thousandth
ALIKE = ("dim", "n_features", "gamma", "seed")  # what states have in common that can be compared

Panes = dict[int, tuple[NDArray[np.int64], int]]  # number of a pane: sums of the features, rows


class RandomFeatureMean:
    """Mean of random Fourier features of the kernel exp(-gamma |x - y|^2): what MMD needs of a stream.

    phi(x) = sqrt(2 / n_features) (cos w_1'x, ..., sin w_1'x, ...), w ~ N(0, 2 gamma I), so that
    phi(x)'phi(y) has the mean k(x, y), and |mean phi(X) - mean phi(Y)|^2 approximates MMD^2. The noise
    of the draw is a constant factor: with the same seed the scores of all weeks carry the same one.

    Parameters
    ----------
    dim : columns of a batch.
    n_features : cosines and sines together, an even number; the error falls with its square root.
    gamma : of the kernel; `metrics.median_gamma` of a reference.
    seed : of the frequencies. Only states of the same seed, gamma and sizes can be compared or merged.
    half_life : None to remember all alike; else a row's weight halves in this time. Weights are those of
        panes of a quarter of it.
    memory : how long panes are kept, in the unit of half_life; by default ten half-lives.

    Rows are rounded to 2^-16 of the bandwidth, phases to 1/4096 of a turn. Rows that are so long that a
    phase would not be exact are refused: beyond some ten thousand bandwidths at d = 384 (`largest`).
    More than 2^40 rows in a pane raise an OverflowError.

    What it cannot tell you: where the drift is, or anything at a scale far from its one bandwidth.

    Source: Rahimi & Recht, "Random features for large-scale kernel machines", NIPS 2007; Cormode, Shkapenyuk,
    Srivastava & Xu, "Forward decay", ICDE 2009, for decay by timestamps.

    >>> rng = np.random.default_rng(0)
    >>> x, y = RandomFeatureMean(2, gamma=0.5), RandomFeatureMean(2, gamma=0.5)
    >>> x.update(rng.normal(size=(500, 2))), y.update(rng.normal(1, 1, size=(500, 2)))
    (None, None)
    >>> round(x.mmd2(y), 1)
    0.2
    """

    __hash__ = None  # type: ignore[assignment]
    __eq__ = same_bytes

    def __init__(
        self,
        dim: int,
        n_features: int = 256,
        *,
        gamma: float,
        seed: int = 0,
        half_life: float | None = None,
        memory: float | None = None,
    ) -> None:
        if whole(n_features, "n_features", least=2) % 2:
            raise ValueError(f"n_features={n_features} must be even: a sine comes with each cosine")
        self.dim, self.n_features = whole(dim, "dim", least=1), int(n_features)
        if self.dim * self.n_features > 2**24:
            raise ValueError(f"n_features={n_features} times dim={dim} must be at most 2^24: give fewer")
        self.gamma, self.seed = moderate(gamma, "gamma"), whole(seed, "seed", least=0)
        self.half_life, self.memory, self._width, self._keep = None, None, np.inf, 1
        if half_life is not None:
            self.half_life = moderate(half_life, "half_life")
            self.memory = MEMORY * self.half_life if memory is None else moderate(memory, "memory")
            if self.memory > 10_000 * self.half_life:
                raise ValueError(f"memory={memory} must be at most 10,000 half-lives: its panes are all kept")
            self._width = self.half_life / PANES
            self._keep = int(np.ceil(self.memory / self._width)) + 1
        elif memory is not None:
            raise ValueError(f"memory={memory} needs a half_life: without one nothing is forgotten")
        self._draw = frequencies(self.dim, self.n_features // 2, self.gamma, self.seed)
        self._panes: Panes = {}
        self._seen = 0

    @property
    def rows(self) -> int:
        """Rows that count: all, or those of the panes that are kept."""
        return sum(n for _, n in self._panes.values())

    @property
    def dropped(self) -> int:
        """Rows that were older than the panes that are kept."""
        return self._seen - self.rows

    @property
    def largest(self) -> float:
        """Largest coordinate that a row may have."""
        return self._draw.largest / self._draw.factor

    @property
    def nbytes(self) -> int:
        """Bytes of the sums, without the frequencies that follow from the seed."""
        return sum(sums.nbytes + 8 for sums, _ in self._panes.values())

    def update(self, batch: ArrayLike, timestamp: ArrayLike | None = None) -> None:
        """Add the rows (n, dim) of a batch; `timestamp`, of each row or of all, if there is a half-life."""
        rows = as_batch(batch, self.dim)
        numbers, place = self._panes_of(timestamp, len(rows))
        if not len(rows):
            return
        sums = feature_sums(rows, self._draw, place, len(numbers))
        counts = np.bincount(place, minlength=len(numbers)).tolist()
        self._add(dict(zip(numbers, zip(sums, counts, strict=True), strict=True)), len(rows))

    def _panes_of(self, timestamp: ArrayLike | None, n: int) -> tuple[list[int], NDArray[np.intp]]:
        """Numbers of the panes of n rows, and for each row which of them is its own."""
        if self.half_life is None:
            return [0], np.zeros(n, np.intp)
        number = np.floor(as_timestamps(timestamp, n) / self._width)
        if not (np.abs(number) < FAR).all():
            raise ValueError(
                f"timestamp is too far from 0 for half_life={self.half_life}: count from a later time"
            )
        if n == 0 or (number == number[0]).all():
            return number[:1].astype(np.int64).tolist(), np.zeros(n, np.intp)
        # What is too old beside the newest row of the batch can share a pane: it will be dropped.
        numbers, place = np.unique(np.maximum(number, number.max() - self._keep), return_inverse=True)
        return numbers.astype(np.int64).tolist(), place

    def _add(self, panes: Panes, seen: int) -> None:
        """Add panes, then let go of those that are too old beside the newest."""
        together = dict(self._panes)
        for number, (sums, rows) in panes.items():
            there, before = together.get(number, (0, 0))
            if before + rows > MOST:
                raise OverflowError(
                    f"more than {MOST} rows in a pane: begin a new state, or give a half_life"
                )
            together[number] = (there + sums, before + rows)
        newest = max(together, default=0)
        self._panes = {n: together[n] for n in sorted(together) if n > newest - self._keep}
        self._seen += seen

    def merge(self, other: "RandomFeatureMean") -> "RandomFeatureMean":
        """State of the rows of both, the same bits in any order."""
        same_settings(self, other, self._settings())
        out = RandomFeatureMean(**self._settings())
        out._add(self._panes, self._seen)
        out._add(other._panes, other._seen)
        return out

    def _mean(self, half_life: float | None) -> tuple[NDArray[np.float64], float, float]:
        """Weighted mean of the features, sum and sum of squares of the weights; age from the newest pane."""
        if not self._panes:
            raise ValueError("the state has seen no rows: update it first")
        numbers = np.array(list(self._panes))
        sums = np.array([sums for sums, _ in self._panes.values()])
        rows = np.array([n for _, n in self._panes.values()])
        age = 0.0 if half_life is None else (numbers.max() - numbers) * (self._width / half_life)
        weight = np.broadcast_to(0.5**age, numbers.shape)
        total = float(weight @ rows)
        mean = np.sqrt(2 / self.n_features) * (weight @ (sums / ONE)) / total
        return mean, total, float(weight**2 @ rows)

    @property
    def mean(self) -> NDArray[np.float64]:
        """Mean of the features, (n_features,)."""
        return self._mean(self.half_life)[0]

    def mmd2(self, other: "RandomFeatureMean") -> float:
        """Unbiased MMD^2 of two states, as `metrics.mmd2` of their rows with the same gamma.

        Of each state's pairs of rows those of a row with itself are left out:
        (|sum w phi|^2 - sum w^2) / ((sum w)^2 - sum w^2), since |phi| = 1. Half-lives may differ.
        """
        same_settings(self, other, {name: getattr(self, name) for name in ALIKE})
        means, within = [], 0.0
        for state in (self, other):
            mean, total, squares = state._mean(state.half_life)
            if total**2 <= squares:
                raise ValueError("a state has a single row: it needs two")
            means.append(mean)
            within += (float(mean @ mean) * total**2 - squares) / (total**2 - squares)
        return within - 2 * float(means[0] @ means[1])

    def _settings(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in (*ALIKE, "half_life", "memory")}

    def to_bytes(self) -> bytes:
        """Return the state in the layout of `helpers.states`."""
        arrays = {
            "pane": np.array(list(self._panes), np.int64),
            "rows": np.array([n for _, n in self._panes.values()], np.int64),
            "sums": np.array([s for s, _ in self._panes.values()], np.int64).reshape(-1, self.n_features),
        }
        fields = self._settings() | {"seen": self._seen, "drawn": self._draw.mark}
        return pack(type(self).__name__, fields, arrays)

    @classmethod
    def from_bytes(cls, data: bytes) -> "RandomFeatureMean":
        """Return the state that `to_bytes` wrote."""
        return read(cls, data)

    @classmethod
    def _read(cls, fields: dict[str, Any], arrays: dict[str, NDArray]) -> "RandomFeatureMean":
        seen, mark = whole(fields.pop("seen"), "seen", least=0), fields.pop("drawn")
        out = cls(**fields)
        if mark != out._draw.mark:
            raise ValueError("its frequencies were drawn by another NumPy")
        rows = expect(arrays["rows"], "rows", (len(arrays["rows"]),), most=MOST)
        if (rows < 1).any() or int(rows.sum()) > seen or (out.half_life is None and int(rows.sum()) != seen):
            raise ValueError("rows that were never seen")
        pane = expect(arrays["pane"], "pane", rows.shape, most=0 if out.half_life is None else FAR)
        sums = expect(arrays["sums"], "sums", (len(rows), out.n_features), most=rows[:, None] * ONE)
        out._add(dict(zip(pane.tolist(), zip(sums, rows.tolist(), strict=True), strict=True)), seen)
        return out


class TwoRateMean:
    """Two means of random features, of the recent and of the less recent past: change without a reference.

    score() = |mean with half-life `fast` - mean with half-life `slow`|^2, both read from the same panes. It
    rises when the stream changes and falls again when both means have seen the new state: it says that
    something changes, not that something is different.

    dim, n_features, gamma, seed as in `RandomFeatureMean`; fast < slow <= 1000 fast in the unit of the
    timestamps. Panes of fast / 4 are kept for seven slow half-lives: what is older would weigh less than a
    hundredth.

    What it cannot tell you: that what changed has stayed changed, or a change slower than `slow`.

    Source: Keriven, Garreau & Poli, "NEWMA: a new method for scalable model-free online change-point
    detection", IEEE Trans. Signal Process. 68 (2020).

    >>> state = TwoRateMean(1, gamma=0.5, fast=1, slow=10)
    >>> state.update(np.repeat([[0.0], [3.0]], 50, axis=0), timestamp=np.arange(100) / 5)
    >>> state.score() > 0.1
    True
    """

    __hash__ = None  # type: ignore[assignment]
    __eq__ = same_bytes

    def __init__(
        self, dim: int, n_features: int = 256, *, gamma: float, fast: float, slow: float, seed: int = 0
    ) -> None:
        self.fast, self.slow = moderate(fast, "fast"), moderate(slow, "slow")
        if not self.fast < self.slow <= 1000 * self.fast:
            raise ValueError(f"slow={slow} must be longer than fast={fast}, and at most 1000 times as long")
        self.features = RandomFeatureMean(
            dim, n_features, gamma=gamma, seed=seed, half_life=self.fast, memory=7 * self.slow
        )

    @property
    def rows(self) -> int:
        """Rows in the panes that are kept."""
        return self.features.rows

    @property
    def nbytes(self) -> int:
        """Bytes of the sums."""
        return self.features.nbytes

    def update(self, batch: ArrayLike, timestamp: ArrayLike | None = None) -> None:
        """Add the rows (n, dim) of a batch with a timestamp for each or one for all."""
        self.features.update(batch, timestamp)

    def score(self) -> float:
        """Squared distance of the two means of the features; not below 0, and not 0 without change."""
        fast, slow = (self.features._mean(half_life)[0] for half_life in (self.fast, self.slow))
        return float(((fast - slow) ** 2).sum())

    def merge(self, other: "TwoRateMean") -> "TwoRateMean":
        """State of the rows of both, the same bits in any order."""
        same_settings(self, other, {"fast": self.fast, "slow": self.slow})
        return self._of(self.features.merge(other.features), self.fast, self.slow)

    @classmethod
    def _of(cls, features: RandomFeatureMean, fast: float, slow: float) -> "TwoRateMean":
        sizes = (features.dim, features.n_features)
        out = cls(*sizes, gamma=features.gamma, fast=fast, slow=slow, seed=features.seed)
        same_settings(out.features, features, out.features._settings())
        out.features = features
        return out

    def to_bytes(self) -> bytes:
        """Return the state in the layout of `helpers.states`."""
        features = np.frombuffer(self.features.to_bytes(), np.uint8)
        return pack(type(self).__name__, {"fast": self.fast, "slow": self.slow}, {"features": features})

    @classmethod
    def from_bytes(cls, data: bytes) -> "TwoRateMean":
        """Return the state that `to_bytes` wrote."""
        return read(cls, data)

    @classmethod
    def _read(cls, fields: dict[str, Any], arrays: dict[str, NDArray]) -> "TwoRateMean":
        return cls._of(RandomFeatureMean.from_bytes(arrays["features"].tobytes()), **fields)
