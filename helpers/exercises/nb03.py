"""What judges the exercises of notebook 03."""

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import false_discovery_control

from helpers.exercises.answers import (
    Exercise,
    UnfitError,
    as_names,
    as_numbers,
    compare_names,
    result_of,
)
from helpers.log import Log
from helpers.outcomes import OUTCOMES, Buckets, by_window, decompose
from helpers.synthetic import Event, Product

PANELS = dict(zip(OUTCOMES, ("success", "click-through", "no answer", "escalation"), strict=True))


# 03-1: the index of two upgrades, turned around


@cache
def _panels_that_move() -> set[str]:
    product, weeks = Product(seed=0), []
    for rebuilt in (True, False):
        a = Event("rotation", start=28, end=42, size=0.5, index_follows=rebuilt)
        b = Event("rotation", start=63, end=77, size=0.3, index_follows=not rebuilt)
        weeks.append(by_window(product.run(days=49, start=28, events=[a, b]), days=7))
    return {PANELS[outcome] for outcome in OUTCOMES if (weeks[0][outcome] != weeks[1][outcome]).any()}


def _panels(answer: Any) -> str | None:
    names = {name.lower().replace("_", " ") for name in as_names(answer)}
    names = {{"click": "click-through", "clicks": "click-through"}.get(name, name) for name in names}
    drift = "'drift' does not belong: it is made of the queries alone. Are those of the two runs not equal?"
    if names < _panels_that_move():
        return "What you have belongs in it, and something is missing."
    return compare_names(names, _panels_that_move(), {"drift": drift})


# 03-2: Benjamini-Hochberg


def _p_values() -> list[tuple[NDArray, float]]:
    rng = np.random.default_rng(3)
    some = rng.permutation([0.001, 0.015, 0.036, 0.038, 0.045, 0.09, 0.3, 0.5, 0.7, 0.9])
    return [(some, 0.10), (some, 0.02), (rng.uniform(0.2, 1, 20), 0.10)]


def _slips(p: NDArray, q: float) -> list[tuple[NDArray, str]]:
    """Return what typical mistakes find, each with what to say about it."""
    rank = p.argsort().argsort() + 1
    below = p <= q * rank / len(p)
    k = np.sort(rank[~below]).min(initial=len(p) + 1)
    right = false_discovery_control(p) <= q
    return [
        (
            right[p.argsort()],
            "The number of findings is right, but they stand in the order of size, not "
            "in the order they came in.",
        ),
        (rank < k, "It stops at the first p-value above its line. What does 'the largest k' mean?"),
        (below, "It asks each p-value for its own line. All of the k smallest are findings."),
        (p <= q / len(p), "It compares every p-value with q / m. The line rises with the rank."),
        (p <= q, "It compares every p-value with q: nothing is corrected yet."),
    ]


def _called(function: Any, p: NDArray, q: float) -> Any:
    try:
        return result_of(function, p.copy(), q)
    except UnfitError as misfit:
        if (false_discovery_control(p) <= q).any():
            raise
        raise UnfitError(f"{misfit} What if none passes, as here?") from None


def _findings(answer: Any) -> str | None:
    for p, q in _p_values():
        found = np.asarray(_called(answer, p, q))
        if found.shape != p.shape or not np.isin(found, [0, 1]).all():
            raise UnfitError(f"For {len(p)} p-values it must return as many booleans, one for each.")
        if (found == (false_discovery_control(p) <= q)).all():
            continue
        for slip, message in _slips(p, q):
            if (found == slip).all():
                return message
        return (
            f"Of {len(p)} p-values, with q = {q}, it makes {int(found.sum())} findings, not the right ones."
        )
    return None


# 03-3: one client, cut by cluster and by client


@cache
def _before_and_after() -> list[pd.DataFrame]:
    product, noisy = Product(seed=0), [Event("spread", size=0.15, segment="mobile")]
    logs = product.run(28, start=-28), product.run(28, noisy)
    buckets = Buckets.fit(logs[0].embeddings)
    return [
        log.outcomes.assign(cluster=buckets.assign(log.embeddings), client=log.outcomes["segment"].cat.codes)
        for log in logs
    ]


def _largest_shares(part: str = "rate", outcome: str = "success") -> NDArray[np.float64]:
    """Return which share of the mix or rate the largest bucket carries, by cluster and by client."""
    before, after = _before_and_after()
    parts = [
        decompose(before[cut], before[outcome], after[cut], after[outcome])[part].abs()
        for cut in ("cluster", "client")
    ]
    return np.array([sizes.max() / sizes.sum() for sizes in parts])


def _cut(answer: Any) -> str | None:
    given, right = as_numbers(answer, 2), _largest_shares()
    if abs(given - right).max() <= 0.02:
        return None
    slips = [
        (right[::-1], "These are the two numbers, in the other order: by cluster comes first."),
        (100 * right, "These are hundredths. Fractions from 0 to 1 are asked for."),
        (_largest_shares("mix"), "This is the mix part. The share of the *rate* part is asked for."),
        (_largest_shares("rate", "click"), "This is the change of clicks. That of success is asked for."),
    ]
    for slip, message in slips:
        if abs(given - slip).max() <= 0.02 * max(1, slip.max()):
            return message
    ok = abs(given - right) <= 0.02
    if ok.any():
        return f"The share by {'cluster' if ok[0] else 'client'} is right, and the other one is not."
    return "Neither fits. Divide the largest absolute rate by the sum of all absolute rates, days 0 to 27."


# 03-4: find lost documents, and nothing else

COLUMNS = ["segment", "best_similarity", "no_answer", "click", "success"]
HARMLESS: dict[str, list[Event]] = {
    "nothing at all": [],
    "a launch without documents": [Event("new_topic", size=0.06)],
    "a stale upgrade": [Event("rotation", size=0.5)],  # some clusters fall as far as a shelf, all fall
    "noisier queries": [Event("spread", size=0.1)],
    "a new page": [Event("ui", size=0.12)],
}
LOSSES = {f"{size:.0%} of topic {topic}": [Event("remove_docs", size=size, topic=topic)]
          for topic, size in ((0, 0.3), (8, 0.5), (11, 0.4))}  # fmt: skip


@cache
def _fortnights(seed: int) -> tuple[pd.DataFrame, dict[str, pd.DataFrame]]:
    """Return 28 days before, and the 14 of each of `HARMLESS` and `LOSSES`, with their buckets."""
    product = Product(seed)
    before = product.run(28, start=-28)
    buckets = Buckets.fit(before.embeddings)

    def table(log: Log) -> pd.DataFrame:
        return log.outcomes[COLUMNS].assign(bucket=buckets.assign(log.embeddings))

    after = {name: table(product.run(14, events)) for name, events in (HARMLESS | LOSSES).items()}
    return table(before), after


def _says(function: Any, before: pd.DataFrame, after: pd.DataFrame) -> bool:
    said = result_of(function, before.copy(), after.copy())
    if not isinstance(said, (bool, np.bool_, int, np.integer)) or said not in (0, 1):
        raise UnfitError(f"It must return True or False, and returned a {type(said).__name__}.")
    return bool(said)


def _shelf(answer: Any) -> str | None:
    wolf, missed = [], []
    for before, fortnights in map(_fortnights, (1, 2)):
        for name, after in fortnights.items():
            said = _says(answer, before, after)
            wolf += [name] * (said and name in HARMLESS)
            missed += [name] * (not said and name in LOSSES)
    if len(wolf) > 1:
        return f"It cries wolf in {len(wolf)} of 10 fortnights; one is allowed. The first had {wolf[0]}."
    if len(missed) > 1:
        return f"It finds {6 - len(missed)} of 6 losses; five are asked for. It misses {missed[0]}."
    return None


EXERCISES = {
    "03-1": Exercise(
        judge=_panels,
        form="a list of names of panels, as texts",
        because="All that people feel moved: three outcomes in weeks 4, 5, 9 and 10, escalations in 4 to 11, "
        "since tickets come late. The drift score did not: it cannot see the index.",
        hints=(
            "Build the three events anew, with `index_follows` on the other one, and run the same days.",
            "Compare `by_window(…, days=7)` of both runs, column by column. What brings a ticket about?",
            "Are `other.embeddings` and `log.embeddings` equal? Then so is every number made of them alone.",
        ),
    ),
    "03-2": Exercise(
        judge=_findings,
        form="a function of (p, q) that returns one boolean for each p-value",
        because="One p-value may miss its own line and be a finding still, in the company of better ones.",
        hints=(
            "Section 5 does it in two lines, for q = 0.10 and 48 sorted p-values. What if none passes?",
            "Sort a copy, find the largest k, then ask each p-value: is it at most the k-th smallest?",
            "`np.flatnonzero(np.sort(p) <= q * np.arange(1, len(p) + 1) / len(p))` may be empty.",
        ),
    ),
    "03-3": Exercise(
        judge=_cut,
        form="two fractions, (by cluster, by client)",
        because="Only the right cut points with one finger. Try several: topic, client, language.",
        hints=(
            "Section 8 prints this share for the lost documents: `rate.max() / rate.sum()`, absolute.",
            '`outcomes.decompose` takes bucket and outcome before, then after. A client is a bucket.',
        ),
    ),
    "03-4": Exercise(
        judge=_shelf,
        form="a function of (before, after) that returns True or False",
        because="One bucket falls and the others stand: a shelf. Where all fall, look at embedder and page.",
        hints=(
            "What do lost documents do to one bucket, and what do noisier queries do to all of them?",
            "Compute the fall of a mean by bucket. Is the largest large, also beside the median?",
            "The novel bucket falls in a launch without documents. Leave it out: `.loc[:11]`.",
        ),
    ),
}  # fmt: skip
