"""Divergences of two one-dimensional samples, from the shares that fall in each bin."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.distance import jensenshannon
from scipy.stats import entropy

from helpers.windows import as_windows


def psi(reference: ArrayLike, current: ArrayLike, *, bins: int | ArrayLike = 10) -> float:
    """Population stability index of two 1-D samples: sum (q - p) ln(q / p) over bins.

    p, q: shares of reference and current. `bins` is a number of quantile bins of the reference, or the
    inner edges; the outer bins are open. A bin that is empty in one window counts as half an
    observation there; one that is empty in both is left out. Without drift the index is distributed
    about as (1/n + 1/m) chi2 with bins - 1 degrees of freedom: any fixed threshold, such as .1, is a
    statement about the sample size.

    >>> psi([1, 2, 3, 4], [1, 2, 3, 4], bins=2)
    0.0
    """
    p, q = binned_shares(reference, current, bins=bins)
    return float(np.sum((q - p) * np.log(q / p)))


def kl_divergence(reference: ArrayLike, current: ArrayLike, *, bins: int | ArrayLike = 30) -> float:
    """Kullback-Leibler divergence KL(current || reference) of two binned 1-D samples, in nats.

    sum q ln(q / p): the surprise of somebody who expects the reference and sees the current window.
    Swap the arguments for the other direction; the two differ. Bins and empty bins as in `psi`: without
    the half observation an empty bin of the reference would make it infinite.

    >>> kl_divergence([1, 2, 3, 4], [1, 2, 3, 4], bins=2)
    0.0
    """
    p, q = binned_shares(reference, current, bins=bins)
    return float(entropy(q, p))


def js_divergence(reference: ArrayLike, current: ArrayLike, *, bins: int | ArrayLike = 30) -> float:
    """Jensen-Shannon divergence of two binned 1-D samples, in nats: at most ln 2, symmetric for given edges.

    The mean of the KL divergences of both windows from their average. SciPy's `jensenshannon` is its
    square root. Bins as in `psi`.

    >>> js_divergence([1, 2, 3, 4], [1, 2, 3, 4], bins=2)
    0.0
    """
    p, q = binned_shares(reference, current, bins=bins)
    return float(jensenshannon(p, q) ** 2)


def binned_shares(
    reference: ArrayLike, current: ArrayLike, *, bins: int | ArrayLike = 10
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Share of each 1-D window in each bin; see `psi` for `bins`, and for what becomes of empty ones."""
    x, y = as_windows(reference, current, one_dimensional=True)
    if np.ndim(bins) == 0:
        if isinstance(bins, bool | np.bool_) or not isinstance(bins, int | np.integer) or bins < 2:
            raise ValueError(f"bins={bins!r}: give a number of bins, at least 2, or the inner edges")
        if x.min() == x.max():
            raise ValueError("reference repeats one value, which has no quantiles: give inner edges in bins")
        edges = np.unique(np.quantile(x, np.arange(1, bins) / bins))
    else:
        try:
            edges = np.sort(np.asarray(bins, dtype=np.float64))
        except (TypeError, ValueError) as error:
            raise ValueError("bins must be a number of bins or a list of finite inner edges") from error
        if edges.ndim != 1 or len(edges) == 0 or not np.isfinite(edges).all():
            raise ValueError("bins must be a number of bins or a list of finite inner edges")
    counts = [np.bincount(np.searchsorted(edges, w[:, 0]), minlength=len(edges) + 1) for w in (x, y)]
    smoothed = [np.maximum(count, 0.5)[counts[0] + counts[1] > 0] for count in counts]
    return smoothed[0] / smoothed[0].sum(), smoothed[1] / smoothed[1].sum()
