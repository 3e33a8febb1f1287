"""Two windows of embeddings in, one number out.

Every metric is called `metric(reference, current, *, ...) -> float`. Windows are arrays, lists or
DataFrames of shape (n, d) and (m, d), float32 or float64; for the metrics of one-dimensional samples
(`psi`, `kl_divergence`, `js_divergence`) of shape (n,) or (n, 1). Bad windows raise ValueError with the
name of the argument. A larger number means more drift, except where a docstring says otherwise.

None of these numbers says by itself whether it is large: see `helpers.calibration` for that; nor
whether anybody was hurt: see `helpers.outcomes`.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.distance import jensenshannon
from scipy.stats import chi2_contingency, entropy
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import pairwise_distances_argmin_min, roc_auc_score
from sklearn.metrics.pairwise import euclidean_distances
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.utils import gen_batches

from helpers.windows import as_window, as_windows

ROWS_AT_ONCE = 1024  # distance matrices are made in blocks of so many rows, to bound the memory


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
    x, y = _centred(*as_windows(reference, current))
    return 2 * _mean_pair(x, y, _distance) - _mean_pair(x, x, _distance) - _mean_pair(y, y, _distance)


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
    x, y = _centred(*as_windows(reference, current))
    gamma = median_gamma(x) if gamma is None else positive(gamma, "gamma")

    def kernel(squared: NDArray) -> NDArray:
        return np.exp(-gamma * squared)

    within = [_mean_pair(window, window, kernel) for window in (x, y)]
    if unbiased:  # k(x, x) = 1, so the n pairs of a row with itself add exactly n to the sum
        sizes = len(x), len(y)
        within = [(n * n * mean - n) / (n * (n - 1)) for n, mean in zip(sizes, within, strict=True)]
    return within[0] + within[1] - 2 * _mean_pair(x, y, kernel)


def median_gamma(window: ArrayLike, *, n_rows: int = 1000) -> float:
    """Bandwidth by the median heuristic: one over the median squared distance of `n_rows` spread rows.

    Raises ValueError where more than half of the distances are zero.
    """
    x = as_window(window, "window")
    x = x[np.linspace(0, len(x) - 1, min(n_rows, len(x))).astype(int)]
    squared = euclidean_distances(x, squared=True)[np.triu_indices(len(x), k=1)]
    median = float(np.median(squared))
    if median <= 1e-14 * float((x**2).sum(axis=1).mean()):  # what rounding leaves of zero
        raise ValueError("gamma has no median heuristic where one vector fills most rows: give it yourself")
    return 1 / median


def positive(value: float, name: str) -> float:
    """Return `value` if it is a positive finite number, or raise a ValueError naming it."""
    if not (np.isreal(value) and 0 < value < np.inf):
        raise ValueError(f"{name}={value} must be a positive finite number")
    return float(value)


def sliced_wasserstein(
    reference: ArrayLike, current: ArrayLike, *, n_projections: int = 100, rng: int = 0
) -> float:
    """Mean over random directions u of the 1-Wasserstein distance between u'x and u'y.

    Exact in each direction, for unequal sizes too. The directions come in blocks of at most d that are
    orthogonal to each other, so that few of them already cover the space evenly. POT's function of this
    name draws them independently and has p = 2 by default; this is its p = 1.
    A unit shift gives Gamma(d/2) / (sqrt(pi) Gamma((d+1)/2)): .10 for d = 64.

    Source: Bonneel et al., "Sliced and Radon Wasserstein barycenters", JMIV 51 (2015); Rowland et al.,
    "Orthogonal estimation of Wasserstein distances", AISTATS 2019.

    >>> sliced_wasserstein([[0.0], [1.0]], [[2.0], [3.0]])
    2.0
    """
    x, y = as_windows(reference, current)
    if not isinstance(n_projections, int | np.integer) or n_projections < 1:
        raise ValueError(f"n_projections={n_projections!r} must be a whole number, at least 1")
    directions = random_directions(x.shape[1], n_projections, rng=rng)
    return float(np.mean(_wasserstein_by_column(x @ directions, y @ directions)))


def random_directions(dim: int, n: int, *, rng: int = 0) -> NDArray[np.float64]:
    """Return n random unit vectors as the columns of (dim, n), orthogonal within blocks of `dim`."""
    generator = np.random.default_rng(rng)
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
    x, y = as_windows(reference, current)
    if pca is not None and pca.n_features_in_ != x.shape[1]:
        raise ValueError(f"pca was fitted on {pca.n_features_in_} columns, the windows have {x.shape[1]}")
    if x.shape[1] == 1:
        return float(_wasserstein_by_column(x, y)[0])
    if pca is None:
        total_variance(x, "reference")
        pca = PCA(n_components=1).fit(x)
    return float(_wasserstein_by_column(pca.transform(x)[:, :1], pca.transform(y)[:, :1])[0])


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
        if not isinstance(bins, int | np.integer) or bins < 2:
            raise ValueError(f"bins={bins!r}: give a number of bins, at least 2, or the inner edges")
        edges = np.unique(np.quantile(x, np.arange(1, bins) / bins))
    else:
        edges = np.sort(np.asarray(bins, dtype=np.float64))
        if edges.ndim != 1 or len(edges) == 0 or not np.isfinite(edges).all():
            raise ValueError("bins must be a number of bins or a list of finite inner edges")
    counts = [np.bincount(np.searchsorted(edges, w[:, 0]), minlength=len(edges) + 1) for w in (x, y)]
    smoothed = [np.maximum(count, 0.5)[counts[0] + counts[1] > 0] for count in counts]
    return smoothed[0] / smoothed[0].sum(), smoothed[1] / smoothed[1].sum()


# Shape, clusters, newcomers, copies: what the mean family does not see.


def spread_ratio(reference: ArrayLike, current: ArrayLike) -> float:
    """Log of the ratio of total variances, ln(tr S_current / tr S_reference); 0 is no change.

    Negative means that the window has shrunk, so take the absolute value to rank by drift.

    >>> round(spread_ratio([[0.0], [1.0]], [[0.0], [2.0]]), 4)
    1.3863
    """
    x, y = as_windows(reference, current)
    return float(np.log(total_variance(y, "current") / total_variance(x, "reference")))


def total_variance(window: NDArray, name: str) -> float:
    """Trace of the covariance of (n, d); raise a ValueError naming the window where it is zero."""
    variance = float(window.var(axis=0, ddof=1).sum())
    if variance <= 1e-20 * float((window**2).mean()):  # what rounding leaves of a constant
        raise ValueError(f"{name} repeats one vector in all of its rows: it has no spread")
    return variance


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
    if clusters is None:
        clusters = KMeans(min(n_clusters, len(np.unique(x, axis=0))), n_init=3, random_state=rng).fit(x)
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
    if not 0 < quantile < 1:
        raise ValueError(f"quantile={quantile} must lie between 0 and 1")
    known, held_out = np.array_split(np.random.default_rng(rng).permutation(len(x)), 2)
    limit = np.quantile(nearest_distance(x[held_out], x[known]), quantile)
    return float(np.mean(nearest_distance(y, x[known]) > limit))


def nearest_distance(rows: ArrayLike, known: ArrayLike) -> NDArray[np.float64]:
    """Euclidean distance of each row (n, d) to its nearest known row (m, d): n numbers, n and m >= 1.

    >>> nearest_distance([[0.0], [5.0]], [[1.0], [2.0]])
    array([1., 3.])
    """
    rows, known = as_window(rows, "rows", least=1), as_window(known, "known", least=1)
    if rows.shape[1] != known.shape[1]:
        raise ValueError(f"rows has {rows.shape[1]} columns and known {known.shape[1]}: use one model")
    return pairwise_distances_argmin_min(rows, known)[1]


def duplicate_share(reference: ArrayLike, current: ArrayLike, *, decimals: int = 5) -> float:
    """How much larger a share of its window the most repeated vector takes in current than in reference.

    Rows count as equal when they agree after rounding to `decimals`; a vector that occurs once is no
    copy. Finds null vectors, caches and robots; 0 where the favourite query is as popular as ever.

    >>> duplicate_share([[0.0], [1.0], [2.0], [3.0]], [[7.0], [7.0], [7.0], [1.0]])
    0.75
    """
    shares = []
    for window in as_windows(reference, current):
        counts = np.unique(window.round(decimals), axis=0, return_counts=True)[1]
        shares.append(counts.max() / len(window) if counts.max() > 1 else 0.0)
    return float(shares[1] - shares[0])


def classifier_auc(
    reference: ArrayLike,
    current: ArrayLike,
    *,
    groups: tuple[ArrayLike, ArrayLike] | None = None,
    n_folds: int = 5,
    rng: int = 0,
) -> float:
    """Out-of-fold ROC AUC of a classifier that tries to tell the windows apart; .5 is no difference.

    Logistic regression on whitened principal components, the AUC averaged over the folds. `groups`, the
    labels of sessions or of repeated texts in (reference, current), keeps each group within one fold:
    without it, copies of a query on both sides of a fold look like drift.
    A new cluster with a share e of the traffic cannot lift the best AUC above .5 + e / 2.

    Source: Lopez-Paz & Oquab, "Revisiting classifier two-sample tests", ICLR 2017.
    """
    x, y = as_windows(reference, current)
    rows, side = np.vstack([x, y]), np.repeat([0, 1], [len(x), len(y)])
    if not 2 <= n_folds <= min(len(x), len(y)):
        raise ValueError(f"n_folds={n_folds} must be at least 2, and at most the rows of the smaller window")
    labels = None
    folds: StratifiedKFold = StratifiedKFold(n_folds, shuffle=True, random_state=rng)
    if groups is not None:
        labels = np.concatenate([np.asarray(groups[0]), np.asarray(groups[1])])
        if len(labels) != len(rows):
            raise ValueError(
                f"groups has {len(labels)} labels for {len(rows)} rows: give one a row, reference first"
            )
        if len(np.unique(labels)) < n_folds:
            raise ValueError(f"groups has fewer groups than n_folds={n_folds}: use fewer folds")
        folds = StratifiedGroupKFold(n_folds, shuffle=True, random_state=rng)
    areas = []
    for train, test in folds.split(rows, side, labels):
        if len(np.unique(side[train])) < 2 or len(np.unique(side[test])) < 2:
            raise ValueError(f"groups leaves a fold without rows of both windows: lower n_folds={n_folds}")
        model = domain_classifier(rows[train], side[train])
        areas.append(roc_auc_score(side[test], model.decision_function(rows[test])))
    return float(np.mean(areas))


def domain_classifier(rows: NDArray, side: NDArray) -> Pipeline:
    """Fit the classifier of `classifier_auc`: rows (n, d), side 0 (reference) or 1 (current)."""
    total_variance(rows, "rows")
    # Newton steps end at machine precision, so that every machine finds the same coefficients.
    logistic = LogisticRegression(C=0.01, class_weight="balanced", solver="newton-cholesky", tol=1e-8)
    # The last billionth of the variance is rounding, which whitening would blow up.
    whitening = PCA(n_components=1 - 1e-9, svd_solver="full", whiten=True)
    return make_pipeline(whitening, logistic).fit(rows, side)


# Queries against the index: the question that the queries alone cannot answer.


def coverage_gap(queries: ArrayLike, index: ArrayLike) -> float:
    """One minus the mean cosine similarity of a query to its best document.

    0 where every query points exactly at a document.

    queries (n, d), index (m, d). Needs no label. What matters over time is its rise above the reference
    window's gap against the index of that day: the query-index gap.

    >>> round(coverage_gap([[1.0, 0.0], [0.0, 2.0]], [[1.0, 0.0], [5.0, 0.0]]), 12)
    0.5
    """
    q, documents = as_window(queries, "queries"), as_window(index, "index")
    if q.shape[1] != documents.shape[1]:
        raise ValueError(
            f"queries has {q.shape[1]} columns and index {documents.shape[1]}: use one model for both"
        )
    for name, rows in (("queries", q), ("index", documents)):
        if (np.linalg.norm(rows, axis=1) == 0).any():
            raise ValueError(f"{name} has a row of zeros, which has no direction: remove it")
    q /= np.linalg.norm(q, axis=1, keepdims=True)
    documents /= np.linalg.norm(documents, axis=1, keepdims=True)
    best = [(q[rows] @ documents.T).max(axis=1) for rows in gen_batches(len(q), ROWS_AT_ONCE)]
    return 1 - float(np.concatenate(best).mean())


def _centred(x: NDArray, y: NDArray) -> tuple[NDArray, NDArray]:
    """Move both windows so that the pooled mean is 0: distances stay, rounding errors shrink."""
    mean = np.concatenate([x, y]).mean(axis=0)
    return x - mean, y - mean


def _distance(squared: NDArray) -> NDArray:
    return np.sqrt(squared)


def _mean_pair(x: NDArray, y: NDArray, of_squared_distance: Callable[[NDArray], NDArray]) -> float:
    """Mean of a function of the squared distance over all pairs of a row of x and a row of y."""
    total = 0.0
    for rows in gen_batches(len(x), ROWS_AT_ONCE):
        squared = euclidean_distances(x[rows], y, squared=True)
        if x is y:  # a row and itself: rounding must not make them strangers
            squared[np.arange(len(squared)), np.arange(rows.start, rows.start + len(squared))] = 0.0
        total += float(of_squared_distance(squared).sum())
    return total / (len(x) * len(y))


def _wasserstein_by_column(x: NDArray, y: NDArray) -> NDArray:
    """Exact 1-Wasserstein distance of each column: the area between the two distribution functions."""
    pooled = np.ascontiguousarray(np.concatenate([x, y]).T)  # sorting along rows is faster
    order = pooled.argsort(axis=1)
    step = np.where(order < len(x), 1 / len(x), -1 / len(y))
    between = np.abs(step.cumsum(axis=1)[:, :-1])
    return (between * np.diff(np.take_along_axis(pooled, order, axis=1), axis=1)).sum(axis=1)
