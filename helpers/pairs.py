"""Sums of a kernel over all pairs of rows, without ever holding the matrix of pairs.

Energy distance and MMD, and all resamples of them in a permutation test, are made of three numbers: the
sums over pairs within reference, within current, and between the two. `bin_sums` adds a kernel up over
bins of rows in one pass; `two_sample` makes the statistic of the three sums.

Rows come about the pooled mean. Squared distances are made of inner products, so that in float64 a
distance is exact to about 1e-8 of the windows' spread, wherever the windows lie, and in float32 to 1e-3.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import scipy.linalg  # noqa: F401  it brings a BLAS of its own, which must be there when BLAS is made
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

TILE = 256, 1024  # rows and columns of a tile: large enough for BLAS, small enough to stay in the cache
BLAS = ThreadpoolController()

Kernel = Callable[[NDArray], NDArray]  # from minus half the squared distances, in place


def gaussian(half: NDArray) -> NDArray:
    """exp(-|x - y|^2 / 2): scale the rows to choose the bandwidth."""
    np.minimum(half, 0, out=half)  # rounding can leave a positive number
    return np.exp(half, out=half)


def minus_distance(half: NDArray) -> NDArray:
    """-|x - y|, the kernel of the energy distance."""
    np.minimum(half, 0, out=half)
    half *= -2
    np.sqrt(half, out=half)
    return np.negative(half, out=half)


def bin_sums(rows: NDArray, starts: NDArray, kernel: Kernel) -> NDArray[np.float64]:
    """Sum the kernel over all pairs of different rows, by the bins of the two rows.

    rows : (n, d), near the origin.
    starts : first row of each of the b bins, ascending from 0; each bin has at least one row.

    Returns (b, b), lower triangular: each pair counts once, at [bin of the later row, bin of the earlier].
    Computed in tiles, one at a time on each core.
    """
    half_square = np.einsum("ij,ij->i", rows, rows) / 2
    bin_of = np.repeat(np.arange(len(starts)), np.diff(starts, append=len(rows)))
    sums = np.zeros((len(starts), len(starts)))

    n, (height, width) = len(rows), TILE

    def band_sums(top: int) -> tuple[slice, NDArray]:
        bottom = min(top + height, n)
        bins = slice(bin_of[top], bin_of[bottom - 1] + 1)
        cuts = [0, *starts[bins][1:] - top, bottom - top]
        band = np.zeros((bins.stop - bins.start, bins.stop))
        buffer = np.empty(height * width, rows.dtype)
        for left in range(0, bottom, width):
            right = min(left + width, bottom)
            half = buffer[: (bottom - top) * (right - left)].reshape(bottom - top, right - left)
            np.dot(rows[top:bottom], rows[left:right].T, out=half)
            half -= half_square[top:bottom, None]
            half -= half_square[left:right]
            values = kernel(half)
            if right > top:  # a row and itself are no pair, and each pair counts once
                values = np.tril(values, top - left - 1)
            across = slice(bin_of[left], bin_of[right - 1] + 1)
            if len(starts) < n:
                values = np.stack([values[a:b].sum(axis=0) for a, b in pairwise(cuts)])
                values = np.add.reduceat(values, np.maximum(starts[across] - left, 0), axis=1)
            band[:, across] += values
        return bins, band

    # NumPy's exp and sqrt use one core, so the cores share out the bands, each with one thread of BLAS.
    with BLAS.limit(limits=1, user_api="blas"), ThreadPoolExecutor(os.cpu_count()) as pool:
        share_out = map if n <= height else pool.map
        for bins, band in share_out(band_sums, range(0, n, height)):  # in order: the same bits every time
            sums[bins, : bins.stop] += band
    return sums


def two_sample(
    xx: NDArray, yy: NDArray, xy: NDArray, n: int | NDArray, m: int | NDArray, own: float | None
) -> NDArray:
    """Mean kernel within x plus mean within y minus twice the mean between, from sums over unordered pairs.

    own : the kernel of a row with itself, to count these pairs too (V-statistic); None leaves them out.
    """
    if own is None:
        return 2 * (xx / (n * (n - 1)) + yy / (m * (m - 1)) - xy / (n * m))
    return (2 * xx + n * own) / n**2 + (2 * yy + m * own) / m**2 - 2 * xy / (n * m)
