"""Two windows of embeddings in, one number out.

Every metric is called `metric(reference, current, *, ...) -> float`. Windows are arrays, lists or
DataFrames of shape (n, d) and (m, d), of integers, float32 or float64, in any memory order; for the metrics
of one-dimensional samples (`psi`, `kl_divergence`, `js_divergence`) of shape (n,) or (n, 1). Float32
windows give the number that the same values in float64 give: all is computed in float64, but for the
projections of `sliced_wasserstein`. Bad windows and options raise ValueError or TypeError with the name of
the argument. A larger number means more drift, except where a docstring says otherwise.

None of these numbers says by itself whether it is large: see `helpers.calibration` for that; nor
whether anybody was hurt: see `helpers.outcomes`.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import chi2_contingency
from sklearn.base import BaseEstimator
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.metrics import pairwise_distances_argmin_min
from sklearn.metrics.pairwise import euclidean_distances
from sklearn.utils import gen_batches
from sklearn.utils.validation import check_is_fitted

from helpers.classifiers import classifier_accuracy, classifier_auc, domain_classifier
from helpers.gaussians import frechet_distance, gaussian_kl, hotelling_t2
from helpers.histograms import binned_shares, js_divergence, kl_divergence, psi
from helpers.pairs import BLAS, Kernel, bin_sums, gaussian, minus_distance, two_sample
from helpers.windows import (
    as_generator,
    as_pooled,
    as_window,
    as_windows,
    fraction,
    positive,
    total_variance,
    whole,
)

__all__ = [
    "binned_shares",
    "centroid_distance",
    "classifier_accuracy",
    "classifier_auc",
    "cluster_chi2",
    "coverage_gap",
    "domain_classifier",
    "duplicate_share",
    "energy_distance",
    "frechet_distance",
    "gaussian_kl",
    "hotelling_t2",
    "js_divergence",
    "kl_divergence",
    "median_gamma",
    "mmd2",
    "nearest_distance",
    "novelty_share",
    "psi",
    "random_directions",
    "sliced_wasserstein",
    "spread_ratio",
    "wasserstein_pc1",
]

MOST_FLOAT64 = 2048  # rows; with more of them, float32 is far more precise than the sample


# The mean family: sensitive to a moved centre, nearly blind to everything else.


def centroid_distance(reference: ArrayLike, current: ArrayLike) -> float:
    """Distance between the two means, |mean(x) - mean(y)|.

    Without drift its square has mean tr(S) (1/n + 1/m), S the covariance: compare windows of one size.
    It cannot tell you about anything that leaves the mean where it was.

    >>> centroid_distance([[0, 0], [0, 2]], [[3, 4], [3, 6]])
    5.0
    """
    x, y = as_windows(reference, current)
    return float(np.linalg.norm(x.mean(axis=0) - y.mean(axis=0)))


def energy_distance(reference: ArrayLike, current: ArrayLike) -> float:
    """Energy distance, squared form: 2 E|X-Y| - E|X-X'| - E|Y-Y'|, with Euclidean norms.

    The V-statistic: pairs of a row with itself count, so it is never negative and has, without drift,
    the mean (1/n + 1/m) E|X-X'|. `scipy.stats.energy_distance` (one-dimensional) is its square root.

    Source: Szekely & Rizzo, "Energy statistics", J. Stat. Plan. Inference 143 (2013).

    >>> energy_distance([[0.0], [0.0]], [[1.0], [1.0]])
    2.0
    """
    pooled, n = as_pooled(reference, current)
    if pooled.shape[1] == 1:
        return float(2 * areas_between(pooled[:, 0], (np.arange(len(pooled)) >= n)[:, None], power=2)[0])
    rows, unit = centred(pooled)
    return max(0.0, unit * _of_two_windows(rows, n, minus_distance, 0.0))


def mmd2(
    reference: ArrayLike, current: ArrayLike, *, gamma: float | None = None, unbiased: bool = True
) -> float:
    """Squared maximum mean discrepancy with the kernel k(x, y) = exp(-gamma |x - y|^2).

    E k(X,X') + E k(Y,Y') - 2 E k(X,Y). `unbiased` leaves out the pairs of a row with itself
    (U-statistic: mean 0 without drift, can be negative); otherwise the V-statistic.
    `gamma=None` takes one over the median squared distance within the *reference*, so that the scores
    of different weeks against one reference can be compared.

    Source: Gretton et al., "A kernel two-sample test", JMLR 13 (2012), with gamma = 1 / (2 sigma^2).

    >>> round(mmd2([[0.0], [0.0]], [[1.0], [1.0]], gamma=1.0), 4)
    1.2642
    """
    pooled, n = as_pooled(reference, current)
    gamma = median_gamma(pooled[:n]) if gamma is None else positive(gamma, "gamma")
    return _of_two_windows(kernel_rows(pooled, gamma), n, gaussian, own_pairs(unbiased))


def _of_two_windows(rows: NDArray, n: int, kernel: Kernel, own: float | None) -> float:
    (xx, _), (xy, yy) = bin_sums(rows, np.array([0, n]), kernel)
    return float(two_sample(xx, yy, xy, n, len(rows) - n, own))


def centred(pooled: NDArray) -> tuple[NDArray, float]:
    """Move the rows, in place, to mean 0 and divide by their largest value: no digit is lost far away."""
    pooled -= pooled.mean(axis=0)
    unit = max(pooled.max(), -pooled.min()) or 1.0
    pooled /= unit
    return pooled, float(unit)


def kernel_rows(pooled: NDArray, gamma: float) -> NDArray:
    """Scale the rows, in place, so that `pairs.gaussian` of them is exp(-gamma |x - y|^2)."""
    rows, unit = centred(pooled)
    scale = unit * np.sqrt(2 * gamma)
    if scale > 3e6:  # beyond that, inner products do not resolve one bandwidth any more
        raise ValueError(
            f"gamma={gamma:.3g} is too large for windows whose values differ by {scale:.1g} bandwidths: "
            "remove the outliers, or give a smaller gamma"
        )
    rows *= scale
    return rows


def own_pairs(unbiased: bool) -> float | None:
    """Return what `pairs.two_sample` counts for a row with itself: nothing in the unbiased estimate."""
    if not isinstance(unbiased, bool | np.bool_):
        raise TypeError(f"unbiased={unbiased!r} must be True or False")
    return None if unbiased else 1.0


def median_gamma(window: ArrayLike, *, n_rows: int = 1000) -> float:
    """Bandwidth by the median heuristic: one over the median squared distance of `n_rows` spread rows.

    Raises ValueError where more than half of the distances are zero.
    """
    x = as_window(window, "window")
    x = x[np.linspace(0, len(x) - 1, min(whole(n_rows, "n_rows", least=2), len(x))).astype(int)]
    rounding = 1e-28 * float((x**2).sum(axis=1).mean())  # what it leaves of the distance of two copies
    x -= x.mean(axis=0)
    median = float(np.median(euclidean_distances(x, squared=True)[np.triu_indices(len(x), k=1)]))
    if median <= max(rounding, 1e-14 * float((x**2).sum(axis=1).mean()), 1e-300):
        raise ValueError("gamma has no median heuristic where one vector fills most rows: give it yourself")
    return 1 / median


@BLAS.wrap(limits=1, user_api="blas")  # many small products: a second thread would only wait and burn time
def sliced_wasserstein(
    reference: ArrayLike, current: ArrayLike, *, n_projections: int = 100, rng: int = 0
) -> float:
    """Mean over random directions u of the 1-Wasserstein distance between u'x and u'y.

    Exact in each direction, for unequal sizes too. The directions come in blocks of at most d that are
    orthogonal to each other, so that few of them already cover the space evenly. POT's function of this
    name draws them independently and has p = 2 by default; this is its p = 1.
    A unit shift gives Gamma(d/2) / (sqrt(pi) Gamma((d+1)/2)): .10 for d = 64.
    More than 2048 rows together are projected and sorted in float32, about the pooled mean: that moves the
    score by less than a ten-millionth of the rows' root mean square distance from that mean.

    Source: Bonneel et al., "Sliced and Radon Wasserstein barycenters", JMIV 51 (2015); Rowland et al.,
    "Orthogonal estimation of Wasserstein distances", AISTATS 2019.

    >>> sliced_wasserstein([[0.0], [1.0]], [[2.0], [3.0]])
    2.0
    """
    pooled, n = as_pooled(reference, current)
    whole(n_projections, "n_projections", least=1)
    dtype = np.float64 if len(pooled) <= MOST_FLOAT64 else np.float32
    directions = random_directions(pooled.shape[1], n_projections, rng=rng).T.astype(dtype)
    mean, largest = pooled.mean(axis=0), max(pooled.max(), -pooled.min())
    unit = float(np.ldexp(1.0, np.frexp(largest)[1]))  # to divide by a power of two costs no digit
    lines = np.empty((n_projections, len(pooled)), dtype)
    for rows in gen_batches(len(pooled), 500):  # so few that they stay in the cache
        lines[:, rows] = directions @ ((pooled[rows] - mean) / unit).T.astype(dtype)
    return unit * float(np.mean(_wasserstein_by_line(lines[:, :n], lines[:, n:])))


def random_directions(dim: int, n: int, *, rng: int = 0) -> NDArray[np.float64]:
    """Return n random unit vectors as the columns of (dim, n), orthogonal within blocks of `dim`."""
    generator = as_generator(rng)
    whole(dim, "dim", least=1), whole(n, "n", least=1)
    blocks = [np.linalg.qr(generator.normal(size=(dim, min(dim, n))))[0] for _ in range(-(-n // dim))]
    return np.hstack(blocks)[:, :n]


# One direction only.


def wasserstein_pc1(reference: ArrayLike, current: ArrayLike, *, pca: PCA | None = None) -> float:
    """1-Wasserstein distance between the two windows on the first principal component of the reference.

    `pca` is a fitted scikit-learn PCA to freeze the component across weeks; by default it is fitted on
    this reference. In units of the embedding. Windows of one column are compared as they are.
    It cannot tell you about anything that happens off that one axis.

    >>> wasserstein_pc1([[0.0], [1.0]], [[2.0], [3.0]])
    2.0
    """
    pooled, n = as_pooled(reference, current)
    if pca is None and pooled.shape[1] > 1:
        total_variance(pooled[:n], "reference")
        pca = PCA(n_components=1).fit(pooled[:n])
    line = first_component(pooled, pca)
    return float(_wasserstein_by_line(line[:n].T, line[n:].T)[0])


def first_component(pooled: NDArray, pca: PCA | None) -> NDArray[np.float64]:
    """Rows (n, d) on the first component of a fitted PCA, as (n, 1); rows of one column as they are."""
    fitted(pca, PCA, "pca")
    if pca is None:
        return pooled
    if pca.n_features_in_ != pooled.shape[1]:
        raise ValueError(
            f"pca was fitted on {pca.n_features_in_} columns, the windows have {pooled.shape[1]}"
        )
    return pooled if pooled.shape[1] == 1 else pca.transform(pooled)[:, :1]


# Shape, clusters, newcomers, copies: what the mean family does not see.


def spread_ratio(reference: ArrayLike, current: ArrayLike) -> float:
    """Log of the ratio of total variances, ln(tr S_current / tr S_reference); 0 is no change.

    Negative means that the window has shrunk, so take the absolute value to rank by drift.

    >>> round(spread_ratio([[0.0], [1.0]], [[0.0], [2.0]]), 4)
    1.3863
    """
    x, y = as_windows(reference, current)
    return float(np.log(total_variance(y, "current") / total_variance(x, "reference")))


def cluster_chi2(
    reference: ArrayLike,
    current: ArrayLike,
    *,
    n_clusters: int = 12,
    clusters: KMeans | None = None,
    rng: int = 0,
) -> float:
    """Chi-squared statistic of the 2 x K table of how many rows of each window fall in each cluster.

    The clusters are fitted on the reference, or given as a fitted KMeans to stay frozen across weeks.
    Sensitive to the mix of topics; blind to what happens inside a cluster.

    >>> x = [[0.0], [0.1], [9.0], [9.1]]
    >>> cluster_chi2(x, x, n_clusters=2)
    0.0
    """
    x, y = as_windows(reference, current)
    fitted(clusters, KMeans, "clusters")
    whole(n_clusters, "n_clusters", least=2), as_generator(rng)
    if clusters is None:
        total_variance(x, "reference")
        clusters = KMeans(min(n_clusters, len(np.unique(x, axis=0))), n_init=3, random_state=rng).fit(x)
    if clusters.n_features_in_ != x.shape[1]:
        raise ValueError(
            f"clusters was fitted on {clusters.n_features_in_} columns, the windows have {x.shape[1]}"
        )
    dtype = clusters.cluster_centers_.dtype  # predict takes no other
    labels = [clusters.predict(window.astype(dtype)) for window in (x, y)]
    table = np.array([np.bincount(each, minlength=clusters.n_clusters) for each in labels])
    return float(chi2_contingency(table[:, table.sum(axis=0) > 0], correction=False).statistic)


def novelty_share(reference: ArrayLike, current: ArrayLike, *, quantile: float = 0.99, rng: int = 0) -> float:
    """Share of current rows that lie further from known rows than reference rows do.

    A random half of the reference is what is known; the `quantile` of the other half's distance to its
    nearest known row is the limit. Without drift the share is about 1 - quantile.

    >>> x = np.arange(100.0)[:, None]
    >>> novelty_share(x, [[50.0], [500.0]])
    0.5
    """
    x, y = as_windows(reference, current)
    fraction(quantile, "quantile")
    known, held_out = np.array_split(as_generator(rng).permutation(len(x)), 2)
    limit = np.quantile(nearest_distance(x[held_out], x[known]), quantile)
    return float(np.mean(nearest_distance(y, x[known]) > limit))


def nearest_distance(rows: ArrayLike, known: ArrayLike) -> NDArray[np.float64]:
    """Euclidean distance of each row (n, d) to its nearest known row (m, d): n numbers, n and m >= 1.

    >>> nearest_distance([[0.0], [5.0]], [[1.0], [2.0]])
    array([1., 3.])
    """
    rows, known = as_windows(rows, known, names=("rows", "known"), least=1)
    return pairwise_distances_argmin_min(rows, known)[1]


def duplicate_share(reference: ArrayLike, current: ArrayLike, *, decimals: int = 5) -> float:
    """How much larger a share of its window the most repeated vector takes in current than in reference.

    Rows count as equal when they agree after rounding to `decimals`; a vector that occurs once is no
    copy. Finds null vectors, caches and robots; 0 where the favourite query is as popular as ever.

    >>> duplicate_share([[0.0], [1.0], [2.0], [3.0]], [[7.0], [7.0], [7.0], [1.0]])
    0.75
    """
    if whole(decimals, "decimals", least=0) > 100:
        raise ValueError(f"decimals={decimals} must be at most 100")
    shares = []
    for window in as_windows(reference, current):
        counts = np.unique(window.round(decimals), axis=0, return_counts=True)[1]
        shares.append(counts.max() / len(window) if counts.max() > 1 else 0.0)
    return float(shares[1] - shares[0])


# Queries against the index: the question that the queries alone cannot answer.


def coverage_gap(queries: ArrayLike, index: ArrayLike) -> float:
    """One minus the mean cosine similarity of a query to its best document.

    0 where every query points exactly at a document.

    queries (n, d), index (m, d). Needs no label. What matters over time is its rise above the reference
    window's gap against the index of that day: the query-index gap.

    >>> round(coverage_gap([[1.0, 0.0], [0.0, 2.0]], [[1.0, 0.0], [5.0, 0.0]]), 12)
    0.5
    """
    q, documents = as_windows(queries, index, names=("queries", "index"))
    for name, rows in (("queries", q), ("index", documents)):
        if (np.linalg.norm(rows, axis=1) == 0).any():
            raise ValueError(f"{name} has a row of zeros, which has no direction: remove it")
    q /= np.linalg.norm(q, axis=1, keepdims=True)
    documents /= np.linalg.norm(documents, axis=1, keepdims=True)
    best = [(q[rows] @ documents.T).max(axis=1) for rows in gen_batches(len(q), 1024)]
    return 1 - float(np.concatenate(best).mean())


def fitted(model: BaseEstimator | None, kind: type[BaseEstimator], name: str) -> None:
    """Raise a TypeError naming the argument where it is neither None nor a fitted model of this kind."""
    wanted = f"{name} must be a fitted {kind.__name__} of scikit-learn"
    if not isinstance(model, kind | None):
        raise TypeError(f"{wanted}, not {type(model).__name__}")
    try:
        model is None or check_is_fitted(model)
    except NotFittedError as error:
        raise TypeError(f"{wanted}: call its fit on a reference first") from error


def _wasserstein_by_line(x: NDArray, y: NDArray) -> NDArray[np.float64]:
    """Exact 1-Wasserstein distance of each line of (k, n) and (k, m), which are sorted in place."""
    n, m = x.shape[1], y.shape[1]
    x.sort()
    y.sort()
    if n == m:  # the k-th smallest meets the k-th smallest
        return np.abs(x - y).mean(axis=1, dtype=np.float64)
    # The quantile functions are steps; between two ends of either, in units of 1 / nm, both are level.
    ends = np.union1d(np.arange(1, n + 1) * m, np.arange(1, m + 1) * n)
    apart = np.abs(x[:, (ends - 1) // m] - y[:, (ends - 1) // n])
    return apart @ np.diff(ends, prepend=0) / (n * m)


def areas_between(line: NDArray, is_current: NDArray, *, power: int) -> NDArray[np.float64]:
    """Integral of |F - G|^power, with the distribution functions of the values that are current and not.

    line (n,), is_current (n, k): k numbers. Power 1 gives the 1-Wasserstein distance, twice power 2 the
    energy distance. The values are sorted once.
    """
    order = line.argsort(kind="stable")
    gaps, ranks = np.diff(line[order]), np.arange(1, len(line))
    m, member = is_current.sum(axis=0), is_current[order[:-1]]
    areas = np.empty(len(m))
    for columns in gen_batches(len(m), 8):  # so few that they stay in the cache
        below = np.ascontiguousarray(member[:, columns].T).cumsum(axis=1, dtype=np.int32)
        between = below * (len(line) / m[columns, None]) - ranks  # n (G - F)
        areas[columns] = np.abs(between) ** power @ gaps
    return areas / (len(line) - m) ** power
