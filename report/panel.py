"""A panel of scores over two windows of your own embeddings, each score with its permutation null.

One score sees one kind of change, so the panel has nine, of seven families. Each is tested by
`helpers.calibration.permutation_test` on what `report.shuffles` has prepared for it.

Three scores compare with something known beforehand: a first principal component, clusters, known
rows. These are learnt on one part of the reference and tested on the part held out (`freeze`).
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import false_discovery_control
from sklearn.decomposition import PCA

from helpers.calibration import TestResult, permutation_test
from helpers.log import Log
from helpers.metrics import energy_distance, median_gamma, mmd2
from helpers.outcomes import Buckets
from report.shuffles import Groups, Statistic, folds_of, out_of_fold, statistic

MOST_ROWS = 2000  # of each window in a test: what bounds the cost
FEWEST_SESSIONS = 10  # of a window, to be shuffled

# name -> label, family, what it sees, what it is blind to
ABOUT = {
    "mmd2": ("MMD²", "centre", "a moved centre of the cloud", "wider clouds, small new groups"),
    "energy_distance": (
        "energy distance", "centre", "a moved centre of the cloud",
        "wider clouds, small new groups",
    ),
    "sliced_wasserstein": (
        "sliced Wasserstein", "centre", "a moved centre, averaged over 100 directions",
        "what happens in a few directions only",
    ),
    "wasserstein_pc1": (
        "Wasserstein on PC1", "one axis", "movement along the widest axis of the reference",
        "everything off that axis",
    ),
    "spread_ratio": (
        "spread ratio", "spread", "a cloud that grew wider or narrower",
        "moves that keep the width",
    ),
    "cluster_chi2": (
        "cluster shares (χ²)", "mix", "known topics that gained or lost traffic",
        "what happens inside a topic",
    ),
    "novelty_share": (
        "novelty share", "newcomers", "rows far from every known row",
        "known topics asked more often, copies of one row",
    ),
    "duplicate_share": (
        "duplicate share", "copies", "null vectors, caches, robots", "anything without copies"
    ),
    "classifier_auc": (
        "classifier AUC", "boundary", "a direction, however thin, that tells the windows apart",
        "wider clouds; a new group with share e lifts it to .5 + e/2 at most",
    ),
}  # fmt: skip

OnStep = Callable[[str, int, int], None]  # label, steps done, steps in all


class Score(NamedTuple):
    """One score of the panel: its value, its null by permutation, and how surprising it is."""

    name: str
    value: float
    null: NDArray[np.float64]
    pvalue: float
    adjusted: float
    n_reference: int

    @property
    def label(self) -> str:
        """Name for readers."""
        return ABOUT[self.name][0]

    @property
    def limit(self) -> float:
        """Value that 95 % of the shuffles stay below."""
        return float(np.quantile(self.null, 0.95))

    @property
    def z(self) -> float:
        """Distance from the mean of the null in its standard deviations."""
        sd = float(self.null.std())
        return (self.value - float(self.null.mean())) / sd if sd > 0 else 0.0


class Frozen(NamedTuple):
    """What is learnt from a part of the reference, and the row numbers of the rest of it."""

    pca: PCA
    buckets: Buckets
    fitted: NDArray[np.intp]
    held_out: NDArray[np.intp]


def sessions_of(log: Log) -> NDArray[np.intp] | None:
    """Number of each row's session, in order of appearance; None without a column `session`."""
    if "session" not in log.outcomes:
        return None
    return pd.factorize(log.outcomes["session"])[0]


def spread_rows(
    rows: NDArray[np.intp], limit: int, sessions: NDArray[np.intp] | None = None
) -> NDArray[np.intp]:
    """Choose at most `limit` of the row numbers, evenly spread over their order, always the same ones.

    `sessions` has one label for each of `rows`: whole sessions are chosen, unless they are so long
    that fewer than twenty would fit.
    """
    if len(rows) <= limit:
        return rows
    if sessions is not None:
        label = pd.factorize(sessions)[0]
        size = np.bincount(label)
        taken = np.linspace(0, len(size) - 1, len(size) * limit // len(rows)).astype(int)
        taken = taken[np.cumsum(size[taken]) <= limit]
        if len(taken) >= 20:
            return rows[np.isin(label, taken)]
    return rows[np.linspace(0, len(rows) - 1, limit).astype(int)]


def freeze(reference: Log, *, rng: int = 0) -> Frozen:
    """Learn axes, clusters and known rows from one half of the reference, 2,000 rows at most.

    The half is random and keeps sessions whole. The axes are principal components; the clusters are
    at most 12, one for every 25 rows.
    """
    sessions = sessions_of(reference)
    unit = np.arange(len(reference)) if sessions is None else sessions
    turn = np.random.default_rng(rng).permutation(unit.max() + 1)[unit]
    wanted = min(MOST_ROWS, len(unit) // 2)
    fitted = np.flatnonzero(turn <= np.sort(turn)[wanted - 1])
    held_out = np.setdiff1d(np.arange(len(unit)), fitted)
    rows = np.asarray(reference.embeddings[spread_rows(fitted, MOST_ROWS)], dtype=np.float64)
    distinct = len(np.unique(rows, axis=0))
    clusters = max(1, min(12, len(rows) // 25, distinct))
    pca = PCA(min(10, rows.shape[1], len(rows) - 1), svd_solver="randomized", random_state=rng)
    return Frozen(pca.fit(rows), Buckets.fit(rows, n_clusters=clusters, rng=rng), fitted, held_out)


def panel(
    reference: Log,
    current: Log,
    frozen: Frozen | None = None,
    *,
    n_resamples: int = 999,
    on_step: OnStep | None = None,
) -> list[Score]:
    """Score two windows nine times; each score with the null that shuffling their rows gives.

    With a column `session` in the outcomes, whole sessions are shuffled instead of rows. At most 2,000
    rows of each window are compared (`spread_rows`). `adjusted` is the p-value after Benjamini and
    Hochberg's control of false discoveries over the nine.

    What it cannot tell you: whether the change is larger than between two ordinary weeks, and
    whether it hurt anybody.
    """
    frozen = frozen or freeze(reference)
    x, x_sessions = _sample(reference, np.arange(len(reference)))
    held, held_sessions = _sample(reference, frozen.held_out)
    y, y_sessions = _sample(current, np.arange(len(current)))
    whole = _groups(x_sessions, y_sessions)
    part = _groups(held_sessions, y_sessions)
    step = on_step or (lambda label, done, total: None)
    total = len(ABOUT)
    results: dict[str, tuple[TestResult, int]] = {}

    for name in ("mmd2", "energy_distance"):
        step(ABOUT[name][0], len(results), total)
        metric = partial(mmd2, gamma=_gamma(x, y)) if name == "mmd2" else energy_distance
        test = permutation_test(metric, x, y, groups=whole, n_resamples=n_resamples)
        results[name] = (test, len(x))
    for name in list(ABOUT)[2:]:
        step(ABOUT[name][0], len(results), total)
        learnt = name in ("wasserstein_pc1", "cluster_chi2", "novelty_share")
        rows, groups = (held, part) if learnt else (x, whole)
        pooled = np.concatenate([rows, y])
        score = statistic(name, pooled, frozen.pca, frozen.buckets, groups)
        results[name] = (_test(score, len(rows), len(y), groups, n_resamples), len(rows))
    adjusted = false_discovery_control([test.pvalue for test, _ in results.values()])
    return [
        Score(name, *_plain(test), float(adjusted[place]), n_reference)
        for place, (name, (test, n_reference)) in enumerate(results.items())
    ]


def domain_ranking(reference: Log, current: Log) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Row numbers of `current`, most typical of it first, and their out-of-fold classifier scores.

    Of at most 2,000 rows. Where the classifier's AUC is no larger than chance, the order is noise.
    """
    x, x_sessions = _sample(reference, np.arange(len(reference)))
    y, y_sessions = _sample(current, np.arange(len(current)))
    pooled = np.concatenate([x, y])
    folds = folds_of(pooled, _groups(x_sessions, y_sessions))
    score = out_of_fold(pooled, folds)(np.arange(len(pooled)) >= len(x))[len(x) :]
    rows = spread_rows(np.arange(len(current)), MOST_ROWS, sessions_of(current))
    order = np.argsort(-score, kind="stable")
    return rows[order], score[order]


def _sample(log: Log, rows: NDArray[np.intp]) -> tuple[NDArray, NDArray | None]:
    sessions = sessions_of(log)
    rows = spread_rows(rows, MOST_ROWS, None if sessions is None else sessions[rows])
    embeddings = np.asarray(log.embeddings[rows], dtype=np.float64)
    labels = None if sessions is None else log.outcomes["session"].to_numpy()[rows]
    return embeddings, labels


def _groups(x: NDArray | None, y: NDArray | None) -> Groups:
    """Number the sessions of both windows together, or None where one window has none."""
    if x is None or y is None:
        return None
    label = pd.factorize(np.concatenate([x.astype(str), y.astype(str)]))[0]
    return label[: len(x)], label[len(x) :]


def _gamma(x: NDArray, y: NDArray) -> float:
    """Bandwidth of the pooled rows; where most of them are copies, from the mean squared distance."""
    pooled = np.concatenate([x, y])
    try:
        return median_gamma(pooled)
    except ValueError:
        return 1 / (2 * float(pooled.var(axis=0).sum()))


def _plain(test: TestResult) -> tuple[float, NDArray, float]:
    return test.statistic, test.null, test.pvalue


def _test(
    score: Statistic,
    n: int,
    m: int,
    groups: Groups,
    n_resamples: int,
) -> TestResult:
    """Permute row numbers: the score looks up what it has prepared for those rows."""

    def metric(_: NDArray, current_rows: NDArray) -> float:
        is_current = np.zeros(n + m, dtype=bool)
        is_current[current_rows[:, 0].astype(int)] = True
        return score(is_current)

    number = np.arange(n + m, dtype=float)[:, None]
    return permutation_test(metric, number[:n], number[n:], groups=groups, n_resamples=n_resamples)
