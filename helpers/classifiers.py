"""Can a classifier tell the windows apart? Two scores, and the model that ranks who drifted."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import cholesky, solve_triangular
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.utils import gen_batches

from helpers.pairs import BLAS
from helpers.windows import as_generator, as_groups, as_pooled, as_window, positive, total_variance, whole


@BLAS.wrap(limits=1, user_api="blas")  # many small products: a second thread would only wait and burn time
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
    pooled, n = as_pooled(reference, current)
    m = len(pooled) - n
    side = np.repeat([0, 1], [n, m])
    if not 2 <= whole(n_folds, "n_folds", least=0) <= min(n, m):
        raise ValueError(f"n_folds={n_folds} must be at least 2, and at most the rows of the smaller window")
    as_generator(rng)
    labels = None
    folds: StratifiedKFold = StratifiedKFold(n_folds, shuffle=True, random_state=rng)
    if groups is not None:
        labels = np.concatenate(as_groups(groups, n, m))
        if len(np.unique(labels)) < n_folds:
            raise ValueError(f"groups has fewer groups than n_folds={n_folds}: use fewer folds")
        folds = StratifiedGroupKFold(n_folds, shuffle=True, random_state=rng)
    areas = []
    for train, test in folds.split(pooled, side, labels):
        if len(np.unique(side[train])) < 2 or len(np.unique(side[test])) < 2:
            raise ValueError(f"groups leaves a fold without rows of both windows: lower n_folds={n_folds}")
        model = domain_classifier(pooled[train], side[train])
        areas.append(roc_auc_score(side[test], model.decision_function(pooled[test])))
    return float(np.mean(areas))


def domain_classifier(rows: NDArray, side: NDArray) -> Pipeline:
    """Fit the classifier of `classifier_auc`: rows (n, d), side 0 (reference) or 1 (current)."""
    rows, side = as_window(rows, "rows"), np.asarray(side)
    if side.shape != (len(rows),) or set(np.unique(side)) != {0, 1}:
        raise ValueError(f"side must be 0 or 1 for each of the {len(rows)} rows, and each at least once")
    total_variance(rows, "rows")
    # Newton steps end at machine precision, so that every machine finds the same coefficients.
    logistic = LogisticRegression(C=0.01, class_weight="balanced", solver="newton-cholesky", tol=1e-8)
    # The last billionth of the variance is rounding, which whitening would blow up.
    whitening = PCA(n_components=1 - 1e-9, svd_solver="full", whiten=True)
    return make_pipeline(whitening, logistic).fit(rows, side)


def classifier_accuracy(reference: ArrayLike, current: ArrayLike, *, ridge: float = 0.01) -> float:
    """Leave-one-out accuracy of a linear classifier that tells the windows apart; .5 is no difference.

    The mean of the accuracies in the two windows, so that their sizes do not matter. The classifier is
    ridge regression on the side, with labels 1/n and -1/m. What leaving a row out does to its own score
    is known in closed form, (f_i - h_i y_i) / (1 - h_i) with f = H y, and the hat matrix H does not know
    the labels: `calibration.permutation_test` gets all resamples of it from two matrix products.

    ridge : penalty as a multiple of the total sum of squares.

    Rows must be independent: a copy of a row gives the row away.

    Source: Friedman, "On multivariate goodness-of-fit and two-sample testing" (2003).

    >>> round(classifier_accuracy([[0.0], [1.0], [2.0]], [[7.0], [8.0], [9.0]]), 12)
    1.0
    """
    pooled, n = as_pooled(reference, current)
    is_current = np.arange(len(pooled)) >= n
    return float(accuracies(pooled, is_current[:, None], ridge)[0])


def accuracies(pooled: NDArray, is_current: NDArray, ridge: float = 0.01) -> NDArray[np.float64]:
    """`classifier_accuracy` of the pooled rows (n, d) for each column of `is_current` (n, resamples)."""
    positive(ridge, "ridge")
    total_variance(pooled, "reference and current together")
    rows = pooled - pooled.mean(axis=0)
    rows /= np.abs(rows).max()
    penalty = ridge * (rows**2).sum() * np.eye(rows.shape[1])
    half = solve_triangular(cholesky(rows.T @ rows + penalty, lower=True), rows.T, lower=True)
    leverage = (half**2).sum(axis=0)[:, None]  # H = half' half
    shares = np.empty(is_current.shape[1])
    for columns in gen_batches(len(shares), 256):
        member = is_current[:, columns]
        m = member.sum(axis=0)
        y = np.where(member, -1 / m, 1 / (len(rows) - m))
        left_out = half.T @ (half @ y) - leverage * y
        shares[columns] = (np.abs(y) * (left_out * y > 0)).sum(axis=0) / 2
    return shares
