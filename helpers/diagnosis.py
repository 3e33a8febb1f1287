"""What broke, and whom did it hurt? Probes, segments, who drifted, and an alarm taken apart into causes.

Nothing here looks at what a product cannot log. Embeddings of two windows must come from one model, or be
brought together first: see `helpers.alignment`.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.linear_model import LogisticRegression

from helpers.classifiers import domain_classifier
from helpers.log import Log
from helpers.metrics import nearest_distance
from helpers.outcomes import Buckets, decompose
from helpers.pairs import BLAS
from helpers.windows import as_generator, as_groups, as_pooled, as_window, as_windows, finite, whole

STANDS_OUT = 3.5  # standard errors; some 15 groups are looked at, so that chance passes it once in 300 times


def probes(
    queries: ArrayLike,
    wanted: ArrayLike,
    index: ArrayLike,
    documents: ArrayLike,
    *,
    top_k: int = 3,
    threshold: float = -1.0,
) -> NDArray[np.bool_]:
    """Ask frozen probes, queries with known answers, of today's index: which find theirs in the `top_k`.

    The documents with the highest cosine similarity answer, if the best of them reaches `threshold`.

    queries : (n, d), the probes' frozen texts as today's embedder sees them.
    wanted : n document numbers, the known answers.
    index, documents : (m, d) today's embeddings of the documents, and their m numbers.

    Returns n booleans, the same ones to the last as long as neither index nor embedder changes. Raises
    ValueError naming what is empty, not finite, of another shape, or a row of zeros.

    What it cannot tell you: anything about queries that nobody thought of when the probes were chosen.

    >>> probes([[1, 0], [0, 1]], wanted=[7, 8], index=[[2, 0], [0, 3]], documents=[7, 9], top_k=1)
    array([ True, False])
    """
    q, rows = as_windows(queries, index, names=("queries", "index"), least=1)
    answers, numbers = np.asarray(wanted), np.asarray(documents)
    for name, values, n in (("wanted", answers, len(q)), ("documents", numbers, len(rows))):
        if values.shape != (n,):
            raise ValueError(f"{name} has shape {values.shape}: give one document number a row, {n} of them")
    whole(top_k, "top_k", least=1), finite(threshold, "threshold")
    for name, vectors in (("queries", q), ("index", rows)):
        if not vectors.any(axis=1).all():
            raise ValueError(f"{name} has a row of zeros, which has no direction: remove it")
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    similarity = q @ rows.T
    best = np.argsort(-similarity, axis=1, kind="stable")[:, :top_k]
    shown = (numbers[best] == answers[:, None]).any(axis=1)
    return shown & (similarity.max(axis=1) >= threshold)


def by_segment(
    reference: Log, current: Log, outcome: str = "success", *, column: str = "segment"
) -> pd.DataFrame:
    """`outcomes.decompose` of an outcome by a column of the log, with each segment's own rates.

    Returns one row a segment: `before` and `after`, its mean outcomes, then the columns of `decompose`, all
    as fractions. Raises ValueError naming the log that lacks a column.

    What it cannot tell you: why. A segment that asks more about a broken topic falls with the topic.
    """
    for name, log in (("reference", reference), ("current", current)):
        for wanted in (column, outcome):
            if wanted not in log.outcomes:
                raise ValueError(f"{name} has no column {wanted!r}: it has {', '.join(log.outcomes)}")
    sides = [side.outcomes[[column, outcome]].astype({column: object}) for side in (reference, current)]
    parts = decompose(*(side[name].to_numpy() for side in sides for name in (column, outcome)))
    means = [side.groupby(column)[outcome].mean().reindex(parts.index) for side in sides]
    return pd.concat([pd.DataFrame({"before": means[0], "after": means[1]}), parts], axis=1)


@BLAS.wrap(limits=1, user_api="blas")  # many small products: a second thread would only wait and burn time
def who_drifted(
    reference: ArrayLike,
    current: ArrayLike,
    *,
    groups: tuple[ArrayLike, ArrayLike] | None = None,
    n_folds: int = 5,
    rng: int = 0,
) -> pd.DataFrame:
    """Score each current row by how much it looks like what is new; sort by a column to see who drifted.

    classifier : out-of-fold log-odds, by `metrics.domain_classifier`, that the row is a current one.
    novelty : distance to the nearest of at most 1500 reference rows.
    residual : distance to the centre of the nearest cluster of the reference.

    reference (n, d), current (m, d). `groups`, labels of (reference, current), keeps each group within one
    fold; by default the copies of a row are a group, since a copy in the training folds gives a row away.

    Returns m rows in the order of `current`. Raises ValueError where n_folds is below 2 or above the number
    of groups, or a fold would train on one window only.

    What it cannot tell you: whether anything drifted. The first of a ranking are odd in a quiet week, too;
    read the queries, or compare their scores with those of a quiet week.
    """
    pooled, n = as_pooled(reference, current)
    m = len(pooled) - n
    if groups is None:
        labels = np.unique(pooled, axis=0, return_inverse=True)[1].ravel()
    else:
        labels = np.unique(np.concatenate(as_groups(groups, n, m)), return_inverse=True)[1]
    if not 2 <= whole(n_folds, "n_folds", least=0) <= labels.max() + 1:
        raise ValueError(f"n_folds={n_folds} must be from 2 to the number of groups, {labels.max() + 1}")
    fold = as_generator(rng).permutation(labels.max() + 1)[labels] % n_folds
    side, score = np.repeat([0, 1], [n, m]), np.empty(n + m)
    for test in (fold == number for number in range(n_folds)):
        if len(np.unique(side[~test])) < 2:
            raise ValueError("groups leaves a fold that trains on one window only: use smaller groups")
        score[test] = domain_classifier(pooled[~test], side[~test]).decision_function(pooled[test])
    x, y = pooled[:n], pooled[n:]
    buckets = Buckets.fit(x, n_clusters=min(12, n), rng=rng)
    ranks = {"classifier": score[n:], "novelty": nearest_distance(y, buckets.known)}
    return pd.DataFrame(ranks | {"residual": nearest_distance(y, buckets.clusters.cluster_centers_)})


def logistic(outcome: ArrayLike, columns: pd.DataFrame, sessions: ArrayLike) -> pd.DataFrame:
    """Logistic regression of a yes/no outcome with errors that allow for sessions.

    P(outcome) = 1 / (1 + exp(-b'x)), by maximum likelihood. With p the fitted chances, X the columns and a
    first column of ones, and g the sums over a session of the rows (outcome - p) x:

        covariance = H^-1 (sum g g') H^-1,    H = X' diag(p (1 - p)) X

    columns : n rows of numbers. sessions : n labels; queries of one session may depend on each other.
    Returns `coefficient` (log-odds), `error` and `z` for each column and for the `constant`. Raises
    ValueError where lengths differ, or the outcome is not both 0 and 1.

    What it cannot tell you: an effect. A coefficient compares queries that are alike in the other columns,
    which means nothing when one of these columns has changed its meaning.

    Source: Liang & Zeger, "Longitudinal data analysis using generalized linear models", Biometrika (1986).
    """
    x, y, label = as_window(columns.astype(float), "columns"), np.asarray(outcome), np.asarray(sessions)
    if y.shape != (len(x),) or set(np.unique(y)) != {0, 1} or label.shape != y.shape:
        raise ValueError(
            f"outcome and sessions must have one entry for each of the {len(x)} rows, both 0 and 1"
        )
    model = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-10).fit(x, y)
    x = np.column_stack([np.ones(len(x)), x])
    p = model.predict_proba(x[:, 1:])[:, 1]
    bread = np.linalg.inv((x * (p * (1 - p))[:, None]).T @ x)
    scores = pd.DataFrame((y - p)[:, None] * x).groupby(label).sum().to_numpy()
    error = np.sqrt(np.diag(bread @ scores.T @ scores @ bread))
    coefficient = np.r_[model.intercept_, model.coef_[0]]
    table = {"coefficient": coefficient, "error": error, "z": coefficient / error}
    return pd.DataFrame(table, index=["constant", *columns.columns])


class Diagnosis(NamedTuple):
    """The `effects` of each suspect, one a row; and for each current query, the `suspect` it falls to."""

    effects: pd.DataFrame
    suspect: NDArray[np.str_]


def diagnose(
    reference: Log,
    current: Log,
    *,
    downstream: Sequence[str] = ("click",),
    n_clusters: int = 12,
    rng: int = 0,
) -> Diagnosis:
    """Take the change of success and clicks apart into suspects: what would be left without each of them.

    Suspects own queries: a client ("client mobile"), the queries unlike any of the reference ("newcomers"),
    a broken cluster ("cluster 3"). They are set aside one after another, and

        effect of a suspect = change with its queries - change without them.

    What is left when all are set aside is split by `outcomes.decompose` over the clusters: rate is
    "everywhere" (embedder, noise), mix is "traffic". A `downstream` outcome, such as a click, is earned by
    an answer: its change at equal answers (success, failure, no answer) is "behind the search" (the page, the
    desk), and only the rest is shared out among the others. Each column sums to its whole change, exactly.

    A client or cluster is a suspect where its odds of failure rose more than those of all others, by 3.5
    standard errors of the difference of log-odds. Newcomers are always listed.

    reference, current : logs with `success`, `no_answer`, `segment` and `downstream`, with embeddings of
    one model. Effects are fractions of all queries; `share` is the part of the current queries that a suspect
    owns. Raises ValueError where every current query is new: the embedder has changed.

    What it cannot tell you: how to share out a loss that two causes made together, in the same queries; what
    happened to queries whose success nobody audits; and which release did it. That is in the diary.

    Source: the split is Kitagawa's, "Components of a difference between two rates", JASA 50 (1955).
    """
    buckets = Buckets.fit(reference.embeddings, n_clusters=n_clusters, rng=rng)
    before = _queries("reference", reference, buckets, downstream)
    after = _queries("current", current, buckets, downstream)
    if (after["cluster"] == "novel").all():
        raise ValueError("current has no query like any of the reference: align the new embedder first")
    behind = pd.Series({"success": 0.0} | {name: _earn(before, after, name) for name in downstream})
    suspects, effects = pd.Series("", index=after.index), {}
    for column, group in [*_broken(before, after), ("cluster", "novel")]:
        name = {"segment": f"client {group}", "cluster": group}[column].replace("novel", "newcomers")
        rest = before[before[column] != group], after[after[column] != group]
        effects[name] = _change(before, after, behind.index) - _change(*rest, behind.index)
        suspects[after.index.difference(rest[1].index)] = name
        before, after = rest
    parts = {
        name: decompose(before["cluster"], before[name], after["cluster"], after[name])
        for name in behind.index
    }
    for name, part in (("everywhere", "rate"), ("traffic", "mix")):
        effects[name] = pd.Series({outcome: table[part].sum() for outcome, table in parts.items()})
    table = pd.DataFrame(effects | {"behind the search": behind}).T
    table.insert(0, "share", suspects.value_counts(normalize=True).reindex(table.index, fill_value=0.0))
    return Diagnosis(table, suspects.to_numpy(dtype=str))


def _queries(name: str, log: Log, buckets: Buckets, downstream: Sequence[str]) -> pd.DataFrame:
    """One row a query: what `diagnose` reads of the log, and the name of the query's bucket."""
    wanted = ["success", "no_answer", "segment", *downstream]
    if missing := [column for column in wanted if column not in log.outcomes]:
        raise ValueError(f"{name} lacks {', '.join(missing)}: diagnose needs {', '.join(wanted)}")
    rows = log.outcomes[wanted].reset_index(drop=True).astype({"segment": str})
    return rows.assign(cluster=np.array(buckets.names)[buckets.assign(log.embeddings)])


def _earn(before: pd.DataFrame, after: pd.DataFrame, outcome: str) -> float:
    """Replace an outcome, in place, by the mean that its answer earns; return the change at equal answers."""
    answers = [side["success"] + 2 * side["no_answer"].astype(int) for side in (before, after)]
    parts = decompose(answers[0], before[outcome], answers[1], after[outcome])
    earned = [
        side[outcome].groupby(answer).mean() for side, answer in zip((before, after), answers, strict=True)
    ]
    mean = (earned[0].combine_first(earned[1]) + earned[1].combine_first(earned[0])) / 2
    for side, answer in zip((before, after), answers, strict=True):
        side[outcome] = answer.map(mean)
    return float(parts["rate"].sum())


def _change(before: pd.DataFrame, after: pd.DataFrame, outcomes: Sequence[str]) -> pd.Series:
    return after[outcomes].mean() - before[outcomes].mean()


def _broken(before: pd.DataFrame, after: pd.DataFrame) -> list[tuple[str, str]]:
    """Find the broken clients and clusters, clients first, each without what the others broke.

    A lost topic lifts the odds of failure most for the client that fails least, so clusters come first; and
    a broken client is uneven over the clusters, so these are judged again without it.
    """
    known = [side[side["cluster"] != "novel"] for side in (before, after)]
    clusters = _convict(known, "cluster")
    clients = _convict([side[~side["cluster"].isin(clusters)] for side in known], "segment")
    clusters = _convict([side[~side["segment"].isin(clients)] for side in known], "cluster")
    return [("segment", name) for name in clients] + [("cluster", name) for name in clusters]


def _convict(sides: list[pd.DataFrame], column: str) -> list[str]:
    found: list[str] = []
    while group := _stands_out(sides, column):
        found.append(group)
        sides = [side[side[column] != group] for side in sides]
    return found


def _stands_out(sides: list[pd.DataFrame], column: str) -> str | None:
    """Name the group whose odds of failure rose most against all others, if by `STANDS_OUT` errors."""
    counts = [
        side.groupby(column)["success"].agg(failed=lambda rows: (~rows).sum(), found="sum") for side in sides
    ]
    groups = counts[0].index.intersection(counts[1].index)
    if len(groups) < 2:
        return None
    own = [count.loc[groups] for count in counts]
    others = [count.sum() - mine for count, mine in zip(counts, own, strict=True)]
    four = [*own, *others]
    log_odds = [np.log((count["failed"] + 0.5) / (count["found"] + 0.5)) for count in four]
    error = np.sqrt(sum((1 / (count + 0.5)).sum(axis=1) for count in four))
    z = (log_odds[1] - log_odds[0] - log_odds[3] + log_odds[2]) / error
    return str(z.idxmax()) if z.max() > STANDS_OUT else None
