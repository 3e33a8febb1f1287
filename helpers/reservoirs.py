"""Reservoirs: samples of constant size that throw dice.

`helpers.streaming` says what all states have in common. A merge is as good as a single pass, by the same
guarantee, but has other bits. Rows are kept in float32.
"""

import hashlib
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from helpers.samples import finite_rows, join, same_width, sound_rows
from helpers.states import expect, pack, read, same_bytes, same_settings
from helpers.windows import as_timestamps, moderate, whole

FAR = 2**40  # half-lives: beyond it too few digits of a key are left for its chance


def apart(one: Any, other: Any) -> list[int]:
    """Return the seeds of two reservoirs, or raise if they share one: they would keep the same places."""
    if shared := set(one.seeds) & set(other.seeds):
        raise ValueError(f"other has thrown the same dice, seed {min(shared)}: give each worker its own seed")
    return sorted(one.seeds + other.seeds)


def sound_dice(out: Any, fields: dict[str, Any]) -> None:
    """Give a reservoir the seeds and the dice of saved fields, or raise."""
    out.seeds = [whole(seed, "seed", least=0) for seed in fields["seeds"]]
    out.seen = whole(fields["seen"], "seen", least=0)
    if not out.seeds or out.seeds != sorted(set(out.seeds)) or len(out.rows) != min(out.seen, out.size):
        raise ValueError("rows do not fit what was seen")
    out._rng.bit_generator.state = fields["dice"]


class Reservoir:
    """A uniform sample of all rows so far: Algorithm L, which skips what it does not take.

    size : rows kept; seed : of the dice, another one for each worker. A merge is a uniform sample of both
    streams, fixed by the two states, but not the sample of a single pass.

    What it cannot tell you: what is new. Drift with a share e of all rows so far moves MMD^2 by e^2 only.

    Source: Li, "Reservoir-sampling algorithms of time complexity O(n(1 + log(N/n)))", ACM TOMS 20 (1994).

    >>> state = Reservoir(3)
    >>> state.update(np.arange(100.0)[:, None])
    >>> state.seen, state.rows.shape
    (100, (3, 1))
    """

    __hash__ = None  # type: ignore[assignment]
    __eq__ = same_bytes

    def __init__(self, size: int, seed: int = 0) -> None:
        self.size, self.seeds = whole(size, "size", least=1), [whole(seed, "seed", least=0)]
        self.rows = np.empty((0, 0), np.float32)
        self.seen = 0
        self._rng = np.random.default_rng(seed)
        self._log_w = 0.0  # of the size-th smallest of `seen` uniform numbers
        self._next = 0  # the row after `seen` rows that is taken next

    @property
    def nbytes(self) -> int:
        """Bytes of the rows."""
        return self.rows.nbytes

    def update(self, batch: ArrayLike, timestamp: ArrayLike | None = None) -> None:
        """Offer the rows (n, d) of a batch; this state has no use for timestamps."""
        rows = finite_rows(batch, self.rows.shape[1] or None)
        room, seen = self.size - self.seen, self.seen + len(rows)
        if room > 0 and len(rows):
            self.rows = join(self.rows, rows[:room])
            if seen >= self.size:
                self._log_w = -self._rng.standard_exponential() / self.size
                self._next = self.size + self._skip()
        if self.size <= self._next < seen:
            self.rows = self.rows.copy()  # views that were handed out stay as they are
        while self.size <= self._next < seen:
            self.rows[self._rng.integers(self.size)] = rows[self._next - self.seen]
            self._log_w -= self._rng.standard_exponential() / self.size
            self._next += 1 + self._skip()
        self.seen = seen

    def _skip(self) -> int:
        """Rows to pass over: geometric with chance w."""
        w = max(np.exp(self._log_w), 1e-18)
        return int(self._rng.standard_exponential() / -np.log1p(-w)) if w < 1 else 0

    def merge(self, other: "Reservoir") -> "Reservoir":
        """Uniform sample of the rows of both streams."""
        same_settings(self, other, {"size": self.size})
        same_width(self.rows, other.rows)
        out = Reservoir(self.size)
        out.seeds, out.seen = apart(self, other), self.seen + other.seen
        first, second = sorted((self, other), key=lambda state: state.to_bytes())
        mark = hashlib.sha256(first.to_bytes() + second.to_bytes()).digest()
        out._rng = rng = np.random.default_rng(int.from_bytes(mark, "little"))
        left, taken = [first.seen, second.seen], [0, 0]
        for _ in range(min(self.size, out.seen)):  # a draw without replacement from both streams
            which = int(rng.integers(sum(left)) >= left[0])
            left[which] -= 1
            taken[which] += 1
        for state, k in zip((first, second), taken, strict=True):
            if k:
                out.rows = join(out.rows, state.rows[np.sort(rng.permutation(len(state.rows))[:k])])
        if out.seen >= self.size:
            out._log_w = float(np.log(rng.beta(self.size, out.seen - self.size + 1)))
            out._next = out.seen + out._skip()
        return out

    def to_bytes(self) -> bytes:
        """Return the state in the layout of `helpers.states`, dice included."""
        fields = {"size": self.size, "seeds": self.seeds, "seen": self.seen, "next": self._next}
        fields |= {"log_w": self._log_w, "dice": self._rng.bit_generator.state}
        return pack(type(self).__name__, fields, {"rows": self.rows})

    @classmethod
    def from_bytes(cls, data: bytes) -> "Reservoir":
        """Return the state that `to_bytes` wrote; it goes on as if never interrupted."""
        return read(cls, data)

    @classmethod
    def _read(cls, fields: dict[str, Any], arrays: dict[str, NDArray]) -> "Reservoir":
        out = cls(fields["size"])
        out.rows = sound_rows(arrays["rows"], out.size)
        sound_dice(out, fields)
        out._next, out._log_w = whole(fields["next"], "next", least=0), float(fields["log_w"])
        full = out.seen >= out.size
        if not -np.inf < out._log_w <= 0 or (out._next < out.seen if full else out._next or out._log_w):
            raise ValueError("a next row that is past")
        return out


class DecayedReservoir:
    """A sample in which a row's chance halves with every `half_life` of its age, by timestamps.

    size : rows kept; half_life : in the unit of the timestamps; seed : of the dice, another one for each
    worker. Each row draws the key log(-log u) - t ln 2 / half_life, and the smallest keys stay: the
    u^(1 / weight) of Efraimidis and Spirakis with weight 2^(t / half_life), on a scale on which no age
    overflows, as far as 2^40 half-lives from 0. Merging keeps the smallest keys of both, the same bits in any
    order of merges.

    What it cannot tell you: what is long past. Ten half-lives leave a row a thousandth of its chance.

    Source: Efraimidis & Spirakis, "Weighted random sampling with a reservoir", Inf. Process. Lett. 97 (2006).

    >>> state = DecayedReservoir(10, half_life=1.0)
    >>> state.update(np.arange(1000.0)[:, None], timestamp=np.arange(1000.0))
    >>> bool(state.timestamps.min() > 970)
    True
    """

    __hash__ = None  # type: ignore[assignment]
    __eq__ = same_bytes

    def __init__(self, size: int, half_life: float, seed: int = 0) -> None:
        self.size, self.half_life = whole(size, "size", least=1), moderate(half_life, "half_life")
        self.seeds = [whole(seed, "seed", least=0)]
        self.rows = np.empty((0, 0), np.float32)
        self.timestamps = np.empty(0)
        self.seen = 0
        self._keys = np.empty(0)
        self._rng = np.random.default_rng(seed)

    @property
    def nbytes(self) -> int:
        """Bytes of rows, timestamps and keys."""
        return self.rows.nbytes + self.timestamps.nbytes + self._keys.nbytes

    def update(self, batch: ArrayLike, timestamp: ArrayLike | None = None) -> None:
        """Offer the rows (n, d) of a batch, with a timestamp for each or one for all."""
        rows = finite_rows(batch, self.rows.shape[1] or None)
        times = as_timestamps(timestamp, len(rows))
        if (np.abs(times) > FAR * self.half_life).any():
            raise ValueError(
                f"timestamp is too far from 0 for half_life={self.half_life}: count from a later time"
            )
        chance = np.maximum(self._rng.standard_exponential(len(rows)), 1e-300)  # 0 has no logarithm
        self._keep(np.log(chance) - times * (np.log(2) / self.half_life), times, rows)
        self.seen += len(rows)

    def _keep(self, keys: NDArray, times: NDArray, rows: NDArray) -> None:
        """Keep the smallest keys of the old and of these."""
        if len(self._keys) == self.size:
            near = keys <= self._keys[-1]
            keys, times, rows = keys[near], times[near], rows[near]
        if not len(keys):
            return
        keys, times = np.concatenate([self._keys, keys]), np.concatenate([self.timestamps, times])
        rows = join(self.rows, rows)
        order = np.argsort(keys, kind="stable")
        if (np.diff(keys[order]) == 0).any():  # a tie may not be decided by who came first
            order = np.array(sorted(order, key=lambda i: (keys[i], times[i], rows[i].tobytes())))
        order = order[: self.size]
        self._keys, self.timestamps, self.rows = keys[order], times[order], rows[order]

    def merge(self, other: "DecayedReservoir") -> "DecayedReservoir":
        """Sample of the rows of both streams, the same bits in any order."""
        same_settings(self, other, {"size": self.size, "half_life": self.half_life})
        same_width(self.rows, other.rows)
        out = DecayedReservoir(self.size, self.half_life)
        out.seeds, out.seen = apart(self, other), self.seen + other.seen
        out._rng = np.random.default_rng([*out.seeds, out.seen])  # dice of its own
        for state in (self, other):
            out._keep(state._keys, state.timestamps, state.rows)
        return out

    def to_bytes(self) -> bytes:
        """Return the state in the layout of `helpers.states`, dice included."""
        fields: dict[str, Any] = {"size": self.size, "half_life": self.half_life, "seeds": self.seeds}
        fields |= {"seen": self.seen, "dice": self._rng.bit_generator.state}
        arrays: dict[str, NDArray] = {"keys": self._keys, "rows": self.rows, "timestamps": self.timestamps}
        return pack(type(self).__name__, fields, arrays)

    @classmethod
    def from_bytes(cls, data: bytes) -> "DecayedReservoir":
        """Return the state that `to_bytes` wrote; it goes on as if never interrupted."""
        return read(cls, data)

    @classmethod
    def _read(cls, fields: dict[str, Any], arrays: dict[str, NDArray]) -> "DecayedReservoir":
        out = cls(fields["size"], fields["half_life"])
        out.rows = sound_rows(arrays["rows"], out.size)
        sound_dice(out, fields)
        out._keys = expect(arrays["keys"], "keys", (len(out.rows),), "f8")
        out.timestamps = expect(arrays["timestamps"], "timestamps", (len(out.rows),), "f8", most=2.0**50)
        if not np.isfinite([out._keys, out.timestamps]).all() or (np.diff(out._keys) < 0).any():
            raise ValueError("keys that no rows can have")
        return out
