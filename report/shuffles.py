"""The panel's scores, prepared so that a thousand shuffles of two windows cost seconds.

`statistic(name, pooled, ...)` does all that is slow once (sorting, clustering, distances, inverting),
without knowing which rows are current. What it returns, a function of the boolean "is current", only
looks up and adds: it is called for the windows as they are and for every shuffle alike, which is what
makes the permutation test exact. The values agree with `helpers.metrics` on the same rows: exactly for
spread, clusters and copies, up to the random directions for sliced Wasserstein, and to about two points
of AUC for the classifier, which is ridge regression here and logistic there.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata
from sklearn.decomposition import PCA

from helpers.metrics import nearest_distance
from helpers.outcomes import Buckets

FOLDS = 5
RIDGE = 400.0  # about the C = .01 of `metrics.domain_classifier`, for least squares
MOST_COMPONENTS = 512

Statistic = Callable[[NDArray[np.bool_]], float]
Groups = tuple[NDArray[np.intp], NDArray[np.intp]] | None  # sessions of both windows, one a row


def statistic(name: str, pooled: NDArray, pca: PCA, buckets: Buckets, groups: Groups = None) -> Statistic:
    """Prepare the score `name` for the pooled rows (n + m, d), reference first.

    `pca` and `buckets` are learnt elsewhere, on rows that are not among these.
    """
    if name == "sliced_wasserstein":
        directions = np.random.default_rng(0).normal(size=(pooled.shape[1], 100))
        return _wasserstein(pooled @ (directions / np.linalg.norm(directions, axis=0)))
    if name == "wasserstein_pc1":
        return _wasserstein(pca.transform(pooled)[:, :1])
    if name == "spread_ratio":
        return _spread(pooled - pooled.mean(axis=0))
    if name == "cluster_chi2":
        return _chi2(buckets.clusters.predict(pooled))
    if name == "novelty_share":
        return _novelty(nearest_distance(pooled, buckets.known))
    if name == "duplicate_share":
        return _duplicates(np.unique(pooled.round(5), axis=0, return_inverse=True)[1].ravel())
    return _auc(pooled, folds_of(pooled, groups))


def _wasserstein(projected: NDArray) -> Statistic:
    """Mean over the columns of the 1-Wasserstein distance: each column is sorted once."""
    order = projected.argsort(axis=0).T
    gaps = np.diff(np.take_along_axis(projected.T, order, axis=1), axis=1)

    def score(is_current: NDArray) -> float:
        m = is_current.sum()
        step = np.where(is_current, -1 / m, 1 / (len(is_current) - m))
        between = np.abs(step[order].cumsum(axis=1)[:, :-1])
        return float(np.einsum("ij,ij->", between, gaps) / len(order))

    return score


def _spread(centred: NDArray) -> Statistic:
    """Absolute log ratio of the total variances, from sums of squares."""
    square, total = (centred**2).sum(axis=1), centred.sum(axis=0)
    smallest = 1e-12 * square.mean()

    def score(is_current: NDArray) -> float:
        current_sum = centred[is_current].sum(axis=0)
        variances = []
        for member, rows_sum in ((is_current, current_sum), (~is_current, total - current_sum)):
            n = member.sum()
            variances.append((square[member].sum() - rows_sum @ rows_sum / n) / (n - 1))
        return float(abs(np.log(max(variances[0], smallest) / max(variances[1], smallest))))

    return score


def _chi2(cluster: NDArray) -> Statistic:
    """Chi-squared statistic of windows by clusters."""
    count = np.bincount(cluster)
    cluster, count = np.unique(cluster, return_inverse=True)[1], count[count > 0]

    def score(is_current: NDArray) -> float:
        seen = np.bincount(cluster[is_current], minlength=len(count))
        share = is_current.mean()
        return float(((seen - count * share) ** 2 / (count * share * (1 - share))).sum())

    return score


def _novelty(distance: NDArray) -> Statistic:
    """Share of current rows further from the known than 99 % of the held-out reference."""

    def score(is_current: NDArray) -> float:
        return float(np.mean(distance[is_current] > np.quantile(distance[~is_current], 0.99)))

    return score


def _duplicates(value: NDArray) -> Statistic:
    """Share of the most repeated vector, current less reference; a vector that occurs once is no copy."""

    def share(members: NDArray) -> float:
        most = np.bincount(value[members]).max()
        return most / members.sum() if most > 1 else 0.0

    return lambda is_current: float(share(is_current) - share(~is_current))


def folds_of(pooled: NDArray, groups: Groups = None) -> NDArray[np.intp]:
    """Return each row's fold: sessions stay together, or without them copies of one vector do."""
    if groups is None:
        unit = np.unique(pooled.round(5), axis=0, return_inverse=True)[1].ravel()
    else:
        unit = np.concatenate(groups)
    return (np.random.default_rng(0).permutation(unit.max() + 1) % FOLDS)[unit]


def out_of_fold(pooled: NDArray, fold: NDArray) -> Callable[[NDArray], NDArray]:
    """Return a function from who is current to each row's score by a classifier that never saw it.

    Ridge regression of the window on whitened principal components of the pooled rows.

    For a fold with rows Z the weights are (Z'Z of the others + ridge)^-1 Z'(y - mean y) of the others.
    Only the last factor depends on who is current, so that a shuffle costs two products with Z.
    """
    z = _whitened(pooled)
    parts = [z[fold == k] for k in range(FOLDS)]
    ridge = RIDGE * np.eye(z.shape[1])
    gram = z.T @ z
    inverse = [np.linalg.inv(gram - part.T @ part + ridge) for part in parts]

    def scores(is_current: NDArray) -> NDArray:
        y = is_current - is_current.mean()
        own = np.array([part.T @ y[fold == k] for k, part in enumerate(parts)])
        others = own.sum(axis=0) - own
        out = np.empty(len(z))
        for k, part in enumerate(parts):
            out[fold == k] = part @ (inverse[k] @ others[k])
        return out

    return scores


def _auc(pooled: NDArray, fold: NDArray) -> Statistic:
    """Out-of-fold AUC, averaged over the folds that hold rows of both windows."""
    scores = out_of_fold(pooled, fold)

    def score(is_current: NDArray) -> float:
        decided, areas = scores(is_current), []
        for k in range(FOLDS):
            inside = is_current[fold == k]
            m, n = inside.sum(), (~inside).sum()
            if m and n:
                ranks = rankdata(decided[fold == k])[inside].sum()
                areas.append((ranks - m * (m + 1) / 2) / (m * n))
        return float(np.mean(areas)) if areas else 0.5

    return score


def _whitened(pooled: NDArray) -> NDArray:
    """Principal components of the pooled rows with unit variance: no more than a third of the rows."""
    most = max(1, min(MOST_COMPONENTS, len(pooled) // 3, pooled.shape[1]))
    exact = pooled.shape[1] <= MOST_COMPONENTS
    solver = "covariance_eigh" if exact else "randomized"
    pca = PCA(most, svd_solver=solver, random_state=0).fit(pooled)
    kept = pca.explained_variance_ > 1e-9 * pca.explained_variance_[0]
    return pca.transform(pooled)[:, kept] / np.sqrt(pca.explained_variance_[kept])
