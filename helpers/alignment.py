"""One space for two embedders: maps from the new embedder's space back to the old one's, from pairs.

A pair is one text, such as a document, embedded by both. A map M is used as `new @ M`; scale the rows to
length 1 afterwards where that matters.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import solve, svd

from helpers.log import Log
from helpers.windows import as_window, finite, total_variance


def procrustes(old: ArrayLike, new: ArrayLike) -> NDArray[np.float64]:
    """Orthogonal map of the new space onto the old one: the M with M'M = I that minimises |new M - old|^2.

    M = U V', with new' old = U S V' the singular value decomposition.

    old, new : (n, d), row i of both the same text. Returns (d, d).

    Distances and cosines among the new embeddings stay as they are, so no drift between texts is mapped away.

    What it cannot tell you: whether one rotation explains the upgrade. See `misfit`, on pairs left out.

    Raises ValueError where the pairs do not span the space, so that many maps fit equally well.

    Source: Schönemann, "A generalized solution of the orthogonal Procrustes problem", Psychometrika (1966).

    >>> old = np.eye(2)
    >>> new = old @ np.array([[0.0, 1.0], [-1.0, 0.0]])
    >>> (new @ procrustes(old, new)).round(12) + 0
    array([[1., 0.],
           [0., 1.]])
    """
    x, y = _pairs(old, new)
    if x.shape[1] != y.shape[1]:
        raise ValueError(
            f"old has {x.shape[1]} columns and new {y.shape[1]}: no rotation joins them, use linear_map"
        )
    left, size, right = svd(y.T @ x)
    if size[-1] <= 1e-10 * size[0]:
        raise ValueError(
            f"old and new have {len(x)} pairs that do not span all {x.shape[1]} columns: "
            "give more pairs, of more diverse texts"
        )
    return left @ right


def linear_map(old: ArrayLike, new: ArrayLike, alpha: float = 1e-3) -> NDArray[np.float64]:
    """Ridge regression of old on new: the M that minimises |new M - old|^2 + alpha s |M|^2.

    M = (new'new + alpha s I)^-1 new'old, s = trace(new'new) / d the mean of the squared singular values, so
    that `alpha` has no unit and does not depend on the number of pairs.

    old : (n, d_old). new : (n, d_new). Returns (d_new, d_old); the two models may differ in width.
    Raises ValueError for a negative alpha, and for alpha = 0 where the rows do not span the new space.

    What it cannot tell you: how well it maps texts unlike the pairs. Unlike a rotation it can shrink what it
    has not learned, which hides drift: choose `alpha` by the `misfit` on pairs left out.

    >>> old, new = np.eye(2), 2 * np.eye(2)
    >>> linear_map(old, new, alpha=0).round(12) + 0
    array([[0.5, 0. ],
           [0. , 0.5]])
    """
    x, y = _pairs(old, new)
    if finite(alpha, "alpha") < 0:
        raise ValueError(f"alpha={alpha} must be zero or positive")
    gram = y.T @ y
    if alpha == 0 and np.linalg.matrix_rank(gram, hermitian=True) < len(gram):
        raise ValueError(
            f"new has {len(y)} rows that do not span all {y.shape[1]} columns: give more pairs, or alpha > 0"
        )
    penalty = alpha * np.trace(gram) / len(gram)
    return solve(gram + penalty * np.eye(len(gram)), y.T @ x, assume_a="pos")


def misfit(old: ArrayLike, aligned: ArrayLike) -> float:
    """Share of the variance of the old embeddings that the aligned ones miss.

        sum |aligned - old|^2 / sum |old - mean of old|^2

    0 is a perfect map, 1 no better than the mean old embedding for every text. Ask it of pairs that the map
    has not seen. Both are (n, d). Raises ValueError where the widths differ, or the old rows are all alike.

    >>> misfit([[0.0], [2.0]], [[0.0], [1.0]])
    0.5
    """
    x, y = _pairs(old, aligned, names=("old", "aligned"))
    if x.shape[1] != y.shape[1]:
        raise ValueError(f"aligned has {y.shape[1]} columns and old {x.shape[1]}: give new @ M")
    total_variance(x, "old")
    return float(((y - x) ** 2).sum() / ((x - x.mean(axis=0)) ** 2).sum())


def align(log: Log, mapping: ArrayLike, first_day: int) -> Log:
    """Bring the embeddings of the days from `first_day` on into the old space, and leave the others.

    mapping : (d, d), by `procrustes` or `linear_map`. Rows are scaled to length 1 again.
    Raises ValueError where the mapping is of another width than the log's embeddings.
    """
    m = as_window(mapping, "mapping", least=1)
    width = log.embeddings.shape[1]
    if m.shape != (width, width):
        raise ValueError(f"mapping has shape {m.shape}: give ({width}, {width}), as the log's embeddings")
    rows = log.embeddings @ m
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    new = (log.outcomes["day"] >= first_day).to_numpy()
    return Log(np.where(new[:, None], rows, log.embeddings).astype(np.float32), log.outcomes)


def _pairs(
    old: ArrayLike, new: ArrayLike, names: tuple[str, str] = ("old", "new")
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    x, y = as_window(old, names[0]), as_window(new, names[1])
    if len(x) != len(y):
        raise ValueError(f"{names[0]} has {len(x)} rows and {names[1]} {len(y)}: give each text in both")
    for name, rows in zip(names, (x, y), strict=True):
        if not rows.any():
            raise ValueError(f"{name} has only zeros: nothing can be aligned")
    return x, y
