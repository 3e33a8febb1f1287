"""What two windows of your own embeddings say, in numbers and in plain words.

`examine` gathers it all: the panel of scores, the buckets and rows that moved, the outcomes. `verdict`
puts it in sentences that claim no more than the numbers do.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from helpers.log import Log
from helpers.metrics import nearest_distance
from helpers.outcomes import decompose
from report.formats import listed
from report.panel import (
    ABOUT,
    Frozen,
    OnStep,
    Score,
    domain_ranking,
    freeze,
    panel,
    sessions_of,
    spread_rows,
)  # fmt: skip

MOST_BUCKETED, MOST_NUMBERS = 20_000, 8_000_000  # rows of each window put into buckets, and their size
BLOCKS = 2000
LEVEL = 0.05


class Change(NamedTuple):
    """The mean of an outcome in both windows, their difference, and its interval `low` to `high`."""

    outcome: str
    before: float
    after: float
    low: float
    high: float
    missing: int
    is_rate: bool

    @property
    def size(self) -> float:
        """After less before."""
        return self.after - self.before

    @property
    def moved(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.low > 0 or self.high < 0

    def words(self, number: float, sign: bool = False) -> str:
        """Write a value of this outcome: rates in %, differences of rates in points."""
        unit = "" if not self.is_rate else " points" if sign else " %"
        return self._figures(number, "+#.3g" if sign else "#.3g") + unit

    @property
    def interval(self) -> str:
        """Both ends in words."""
        return f"{self._figures(self.low, '+#.3g')} to {self.words(self.high, sign=True)}"

    def _figures(self, number: float, form: str) -> str:
        return f"{100 * number if self.is_rate else number:{form}}".rstrip(".")


class Findings(NamedTuple):
    """Everything the report shows."""

    frozen: Frozen
    scores: list[Score]
    buckets: pd.DataFrame
    changes: list[Change]
    parts: dict[str, pd.DataFrame]
    typical: NDArray[np.intp]
    novel: pd.Series
    copies: tuple[int, int, int]


def examine(
    reference: Log, current: Log, *, n_resamples: int = 999, on_step: OnStep | None = None
) -> Findings:
    """Compare two windows. Columns of their outcomes are outcomes, all but `session`."""
    step = on_step or (lambda label, done, total: None)
    step("learning from the reference", 0, len(ABOUT))
    frozen = freeze(reference)
    scores = panel(reference, current, frozen, n_resamples=n_resamples, on_step=on_step)
    step("finding what moved", len(ABOUT), len(ABOUT))
    before = _some(reference, frozen.held_out)
    after = _some(current, np.arange(len(current)))
    bucket = [
        frozen.buckets.assign(log.embeddings[rows]) for log, rows in ((reference, before), (current, after))
    ]
    outcomes = [name for name in reference.outcomes if name != "session"]
    parts = {}
    for name in outcomes:
        y = [reference.outcomes[name].to_numpy(float)[before]]
        y += [current.outcomes[name].to_numpy(float)[after]]
        known = [~np.isnan(values) for values in y]
        if all(mask.any() for mask in known):
            parts[name] = decompose(
                bucket[0][known[0]], y[0][known[0]], bucket[1][known[1]], y[1][known[1]]
            ).rename(index=dict(enumerate(frozen.buckets.names)))
    distance = nearest_distance(current.embeddings[after], frozen.buckets.known)
    novelty = pd.Series(distance / (frozen.buckets.limit or 1.0), index=after)
    return Findings(
        frozen,
        scores,
        _shares(reference, current, frozen, before, bucket),
        outcome_changes(reference, current),
        parts,
        domain_ranking(reference, current)[0][:10],
        novelty.sort_values(ascending=False, kind="stable")[:10],
        _copies(current),
    )


def outcome_changes(reference: Log, current: Log, *, n_resamples: int = 1999, rng: int = 0) -> list[Change]:
    """Compare each outcome's mean in the two windows; the intervals hold together with 95 %.

    Bootstrap: sessions are drawn with replacement within each window, or rows where there are none. More
    than 2,000 of them are first joined at random to 2,000 blocks, which keeps the variance of a mean.
    With k outcomes the interval of each is the one for 1 - .05 / k.
    """
    names = [name for name in reference.outcomes if name != "session"]
    if not names:
        return []
    draws, means = [], []
    for seed, log in enumerate((reference, current)):
        values = log.outcomes[names].to_numpy(float)
        known = ~np.isnan(values)
        random = np.random.default_rng([rng, seed])
        sessions = sessions_of(log)
        unit = np.arange(len(log)) if sessions is None else sessions
        n_units = unit.max() + 1
        block = (random.permutation(n_units) % BLOCKS)[unit]
        k = min(n_units, BLOCKS)
        sums = [np.array([np.bincount(block, column, k) for column in table.T])
                for table in (np.where(known, values, 0.0), known.astype(float))]  # fmt: skip
        weight = random.multinomial(k, np.full(k, 1 / k), n_resamples).astype(float)
        with np.errstate(invalid="ignore", divide="ignore"):
            draws.append((weight @ sums[0].T) / (weight @ sums[1].T))
            means.append(sums[0].sum(axis=1) / sums[1].sum(axis=1))
    tail = LEVEL / len(names) / 2
    changes = []
    for place, name in enumerate(names):
        difference = draws[1][:, place] - draws[0][:, place]
        low, high = np.nanquantile(difference, [tail, 1 - tail]) if np.isfinite(
            means[0][place] + means[1][place]) else (np.nan, np.nan)  # fmt: skip
        both = pd.concat([reference.outcomes[name], current.outcomes[name]]).astype(float)
        is_rate = bool(both.dropna().isin([0.0, 1.0]).all())
        ends = float(means[0][place]), float(means[1][place]), float(low), float(high)
        changes.append(Change(str(name), *ends, int(both.isna().sum()), is_rate))
    return changes


def strongest(findings: Findings) -> Score:
    """Return the score with the smallest adjusted p-value, and of several the one furthest from its null."""
    return min(findings.scores, key=lambda score: (score.adjusted, -score.z))


def most_moved(changes: list[Change]) -> Change | None:
    """Return the outcome that moved most, in widths of its interval, rates first; None if none moved."""
    moved = [change for change in changes if change.moved]
    return max(
        moved,
        key=lambda change: (change.is_rate, abs(change.size) / (change.high - change.low + 1e-300)),
        default=None,
    )


def verdict(findings: Findings) -> tuple[str, list[str]]:
    """Return a headline and the sentences that back it. Drift alone is never called harm."""
    beyond = [score for score in findings.scores if score.adjusted <= LEVEL]
    change, top = most_moved(findings.changes), strongest(findings)
    drift = "The embeddings changed" if beyond else "The embeddings show nothing larger than chance"
    if not findings.changes:
        headline = f"{drift}. Whether anybody was hurt is not in these files."
    elif change is None:
        headline = f"{drift}, and no outcome moved by more than chance."
    else:
        link = "and" if beyond else "yet"
        headline = f"{drift}, {link} {change.outcome} {_went(change)}."
    about = ABOUT[top.name]
    if beyond:
        sentences = [
            f"{len(beyond)} of {len(findings.scores)} scores {'lies' if len(beyond) == 1 else 'lie'} beyond "
            "what shuffling gives. "
            f"The largest signal is {about[0]}, {top.z:.3g} standard deviations above its null. "
            f"It sees {about[2]}."
        ]
    else:
        sentences = [
            f"None of the {len(findings.scores)} scores lies beyond what shuffling gives; the "
            f"smallest adjusted p-value is {top.adjusted:.2g} ({about[0]})."
        ]
    if change is not None:
        sentences.append(_tell(change) + _where(findings, change))
        others = [f"{c.outcome} ({c.words(c.size, sign=True)})"
                  for c in findings.changes if c.moved and c is not change]  # fmt: skip
        if others:
            sentences.append(f"Also beyond chance: {listed(others)}.")
    elif findings.changes:
        sentences += [_tell(change) for change in findings.changes[:2]]
    return headline, sentences


def advice(findings: Findings) -> str:
    """Return what to do next, in one sentence, with the rows to read first where a score found some."""
    beyond = {score.name for score in findings.scores if score.adjusted <= LEVEL}
    change = most_moved(findings.changes)
    if not beyond and change is None:
        return "Nothing to do, as far as these files tell."
    if not beyond:
        return "Look behind the queries first: index, documents, labels, page."
    rows = findings.typical if "classifier_auc" in beyond else findings.novel.index
    if not beyond & {"classifier_auc", "novelty_share"}:
        read = "Look up the clusters under “What moved”"
    else:
        read = f"Read rows {listed([str(row) for row in rows[:5]])} of the current file"
    if change is not None:
        return f"{read}, then ask what else happened when {change.outcome} moved."
    if findings.changes:
        return f"{read}, and note the change. No outcome asks you to hurry."
    return f"{read}, then join outcomes to both files, to see whether it hurt."


def _went(change: Change) -> str:
    by = f"by {change.words(abs(change.size), sign=True).lstrip('+')}"
    return f"{'rose' if change.size > 0 else 'fell'} {by}"


def _tell(change: Change) -> str:
    ends = f"{change.words(change.before)} to {change.words(change.after)}"
    span = f"interval {change.interval}"
    if not change.moved:
        return f"The outcome “{change.outcome}” went from {ends}: no more than chance ({span})."
    return f"The outcome “{change.outcome}” {_went(change)}, from {ends} ({span})."


def _where(findings: Findings, change: Change) -> str:
    """Name the bucket with the largest part of a change, if it has at least a third of it."""
    parts = findings.parts.get(change.outcome)
    if parts is None:
        return ""
    both, total = parts["mix"] + parts["rate"], (parts["mix"] + parts["rate"]).sum()
    name = str((both * np.sign(total)).idxmax())
    share = both[name] / total if total else 0.0
    if share < 1 / 3:
        return " It is spread over many clusters."
    bucket = "the rows unlike any known one" if name == "novel" else name
    return f" Most of it comes from {bucket}." if share > 0.5 else f" Much of it comes from {bucket}."


def _some(log: Log, rows: NDArray[np.intp]) -> NDArray[np.intp]:
    sessions = sessions_of(log)
    limit = min(MOST_BUCKETED, max(2000, MOST_NUMBERS // log.embeddings.shape[1]))
    return spread_rows(rows, limit, None if sessions is None else sessions[rows])


def _shares(
    reference: Log,
    current: Log,
    frozen: Frozen,
    before: NDArray[np.intp],
    bucket: list[NDArray[np.intp]],
) -> pd.DataFrame:
    """Shares of the buckets, the most changed first, with reference rows to look up for each cluster."""
    k = len(frozen.buckets.names)
    share = [np.bincount(numbers, minlength=k) / len(numbers) for numbers in bucket]
    mean = (share[0] + share[1]) / 2
    error = np.sqrt(mean * (1 - mean) * (1 / len(bucket[0]) + 1 / len(bucket[1])))
    distance = frozen.buckets.clusters.transform(np.asarray(reference.embeddings[before], float))
    near = [before[np.argsort(column, kind="stable")[:4]] for column in distance.T]
    table = pd.DataFrame(
        {
            "before": share[0],
            "after": share[1],
            "z": (share[1] - share[0]) / np.where(error > 0, error, 1),
            "examples": [*(", ".join(map(str, rows)) for rows in near), ""],
        },
        index=frozen.buckets.names,
    )
    order = (table["after"] - table["before"]).abs().sort_values(ascending=False, kind="stable")
    return table.loc[order.index]


def _copies(current: Log) -> tuple[int, int, int]:
    """How often the most repeated vector occurs, in how many rows looked at, and its first row."""
    rows = _some(current, np.arange(len(current)))
    values = np.asarray(current.embeddings[rows], dtype=np.float64).round(5)
    first, counts = np.unique(values, axis=0, return_index=True, return_counts=True)[1:]
    top = int(counts.argmax())
    return int(counts[top]), len(rows), int(rows[first[top]])
