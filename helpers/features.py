"""Random Fourier features in whole numbers: rows are rounded once, and all sums after that are exact.

A row becomes whole multiples of a step, frequencies are whole numbers too, so that their products are exact
phases: below 2^53 whatever the order of the additions. A phase is rounded to 1/4096 of a turn, and a table
has the cosine and the sine of each, as whole numbers again.
"""

import hashlib
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from helpers.rounding import power_above, whole_blocks

PHASE = 33  # bits of a phase, in turns
TURN = 12  # the first of them choose one of 4096 cosines
ONE = 2**22  # in the table of cosines
COSINES = np.rint(np.cos(2 * np.pi * np.arange(2**TURN) / 2**TURN) * ONE).astype(np.int64)
# A cosine above bit 32, its sine below: sums of BLOCK rows stay apart, as BLOCK * ONE < 2^31.
PAIRS = (COSINES << 32) + np.roll(COSINES, 2**TURN // 4)
TO_WHOLE = 1.5 * 2.0**52  # add it, and a float has the nearest whole number in its last bits


class Draw(NamedTuple):
    """Frequencies in 2^-TURN turns for a unit of row * `factor`, exact up to `largest`; their checksum."""

    frequencies: NDArray[np.float64]
    factor: float
    largest: float
    mark: str


@lru_cache(maxsize=16)
def frequencies(dim: int, n: int, gamma: float, seed: int) -> Draw:
    """Draw n frequencies of the kernel exp(-gamma |x - y|^2), and say which rows they are exact for."""
    width = np.sqrt(2 * gamma)  # one over the bandwidth
    factor = 2.0**16 * power_above(width)
    turns = np.random.default_rng(seed).normal(size=(dim, n)) * width / (2 * np.pi)
    drawn = np.rint(turns / factor * 2.0**PHASE)
    largest = 2.0**52 / max(1.0, np.abs(drawn).sum(axis=0).max())
    mark = hashlib.sha256(drawn.astype("<f8").tobytes()).hexdigest()[:16]
    return Draw(drawn / 2.0 ** (PHASE - TURN), factor, largest, mark)


def feature_sums(rows: NDArray, draw: Draw, place: NDArray[np.intp], n: int) -> NDArray[np.int64]:
    """Sums (n, features) of cosines, then of sines, times ONE: of the rows in each of n places."""
    half = draw.frequencies.shape[1]
    sums = np.zeros((n, 2 * half), np.int64)
    advice = "give a smaller gamma, or rescale"
    for block, numbers in whole_blocks(rows, draw.factor, draw.largest, advice):
        turns = numbers @ draw.frequencies
        turns += TO_WHOLE
        pairs = PAIRS.take(turns.view(np.int64) & (2**TURN - 1), mode="wrap")
        for k in np.unique(place[block]) if n > 1 else [0]:
            both = (pairs[place[block] == k] if n > 1 else pairs).sum(axis=0)
            sines = both.astype(np.int32)  # the lower half, with its sign
            sums[k, :half] += (both - sines) >> 32
            sums[k, half:] += sines
    return sums
