"""Compare means and covariances: exact for normal windows, two moments of any others.

The covariances have divisor n - 1. In high dimension they need many rows: with few, the scores measure
the sample size. Project on some principal components of the reference first.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from helpers.windows import as_windows

SMALLEST = 1e-12  # eigenvalue of a correlation matrix below which it is singular but for rounding


def gaussian_kl(reference: ArrayLike, current: ArrayLike) -> float:
    """Kullback-Leibler divergence KL(current || reference) of the fitted normal distributions, in nats.

    (tr(R^-1 C) + d' R^-1 d - dim + ln det R - ln det C) / 2, with covariances R of reference and C of
    current, and d the difference of the means. Unchanged by any invertible linear map of both windows.
    Swap the arguments for the other direction; the two differ.

    reference (n, dim), current (m, dim), each with more rows than columns. Raises ValueError where a
    covariance is singular. It cannot tell you about anything beyond two moments.

    Source: Kullback, "Information theory and statistics", Wiley (1959), chapter 9.

    >>> round(gaussian_kl([[-1.0], [1.0], [3.0]], [[-1.0], [0.0], [1.0]]), 6)
    0.443147
    """
    x, y = as_windows(reference, current)
    x, y = _in_units(x, y)
    r = _covariance(x - x.mean(axis=0), len(x) - 1, "reference has")
    c = _covariance(y - y.mean(axis=0), len(y) - 1, "current has")
    moved = y.mean(axis=0) - x.mean(axis=0)
    log_det = np.linalg.slogdet(r)[1] - np.linalg.slogdet(c)[1]
    quadratic = np.trace(np.linalg.solve(r, c)) + moved @ np.linalg.solve(r, moved)
    return max(0.0, float(quadratic - len(r) + log_det) / 2)


def frechet_distance(reference: ArrayLike, current: ArrayLike) -> float:
    """Squared Frechet distance of the fitted normal distributions: their squared 2-Wasserstein distance.

    |d|^2 + tr(R + C - 2 (R^1/2 C R^1/2)^1/2), with covariances R and C, and d the difference of the
    means; in squared units of the embedding. The FID of images is this number.

    reference (n, dim), current (m, dim), any n and m from 2. Without drift and for N(0, I) its mean is about
    2 dim / n + dim (dim + 1) / (2 n), n = m: never compare windows of different sizes.

    Source: Dowson & Landau, "The Frechet distance between multivariate normal distributions",
    J. Multivariate Anal. 12 (1982).

    >>> round(frechet_distance([[-1.0], [1.0]], [[1.0], [5.0]]), 12)
    11.0
    """
    x, y = as_windows(reference, current)
    moved = y.mean(axis=0) - x.mean(axis=0)
    # With R = A'A and C = B'B the trace of the root is the sum of the singular values of A B'.
    roots = [np.linalg.qr(w - w.mean(axis=0), mode="r") / np.sqrt(len(w) - 1) for w in (x, y)]
    common = np.linalg.norm(roots[0] @ roots[1].T, "nuc")
    spread = sum((root**2).sum() for root in roots)
    return max(0.0, float(moved @ moved + spread - 2 * common))


def hotelling_t2(reference: ArrayLike, current: ArrayLike) -> float:
    """Hotelling's two-sample T^2: the difference of the means in units of its standard error, squared.

    n m / (n + m) d' S^-1 d, with S the pooled covariance; in one dimension the square of Student's t.
    For normal windows of one covariance T^2 (n + m - dim - 1) / ((n + m - 2) dim) has without drift the
    F distribution with dim and n + m - dim - 1 degrees of freedom.

    reference (n, dim), current (m, dim), n + m at least dim + 2. Raises ValueError where S is singular.
    It cannot tell you about anything that leaves the mean where it was.

    Source: Hotelling, "The generalization of Student's ratio", Ann. Math. Stat. 2 (1931).

    >>> round(hotelling_t2([[0.0], [2.0]], [[4.0], [6.0]]), 12)
    8.0
    """
    x, y = as_windows(reference, current)
    x, y = _in_units(x, y)
    n, m = len(x), len(y)
    moved = y.mean(axis=0) - x.mean(axis=0)
    within = np.vstack([x - x.mean(axis=0), y - y.mean(axis=0)])
    pooled = _covariance(within, n + m - 2, "reference and current together have")
    return float(n * m / (n + m) * moved @ np.linalg.solve(pooled, moved))


def _in_units(x: NDArray, y: NDArray) -> tuple[NDArray, NDArray]:
    """Both windows about the reference's mean, each column in units of its largest value: no overflow."""
    centre = x.mean(axis=0)
    noise = 1e-14 * np.maximum(np.abs(x).max(axis=0), np.abs(y).max(axis=0))
    x, y = x - centre, y - centre
    largest = np.maximum(np.abs(x).max(axis=0), np.abs(y).max(axis=0))
    unit = np.where(largest > noise, largest, np.inf)  # what rounding leaves of a constant becomes 0
    return x / unit, y / unit


def _covariance(centred: NDArray, freedom: int, whose: str) -> NDArray:
    """Covariance of rows about their mean, or a ValueError where it has no inverse."""
    covariance = centred.T @ centred / freedom
    sd = np.sqrt(np.diag(covariance))
    if sd.min() < SMALLEST or np.linalg.eigvalsh(covariance / np.outer(sd, sd))[0] < SMALLEST:
        raise ValueError(
            f"{whose} a singular covariance, of {len(centred)} rows in {len(sd)} columns: give more rows, or "
            "project both windows on a few principal components of the reference"
        )
    return covariance
