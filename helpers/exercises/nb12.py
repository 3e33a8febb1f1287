"""What judges the exercises of notebook 12."""

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from helpers.exercises.answers import Exercise, UnfitError, as_number, as_numbers, result_of
from helpers.log import Log
from helpers.outcomes import Buckets
from helpers.synthetic import Event, Product

LATER = ["success", "topic", "rank"]  # columns that nobody has when the alarm must ring
MOST_FALSE, FEWEST_FOUND = 2, 6

# --- 12-1: how many rows a window needs -------------------------------------------------------


def _design_effect(y: NDArray, session: NDArray) -> float:
    deviation = y - y.mean()
    return float((np.bincount(session, deviation) ** 2).sum() / (deviation**2).sum())


@cache
def _sizes() -> tuple[float, float, float, float, float]:
    """Rows by the rule, with a mistake in it, and the effects: of topics, of success, of a mean session."""
    log = Product(seed=0).run(days=42)
    week = log.week(5)
    session = np.unique(week.outcomes["session"], return_inverse=True)[1]
    bucket = Buckets.fit(log.days(0, 27).embeddings).assign(week.embeddings)
    topics = np.median([_design_effect((bucket == k).astype(float), session) for k in range(12)])
    success = _design_effect(week.outcomes["success"].to_numpy(float), session)
    S = np.cov(week.embeddings.astype(float).T)
    rule = 2 * (1.64 + 1.28) * np.sqrt(2) / 0.1**2 / np.trace(S)
    return (
        float(rule * np.sqrt(np.trace(S @ S))),
        float(rule * np.trace(S)),
        float(topics),
        success,
        len(week) / (session.max() + 1),
    )


def _rows(answer: Any) -> str | None:
    rows, mistaken, topics, success, queries = _sizes()
    slips = [
        (rows, "This would do if all queries were independent. What is the design effect for?"),
        (rows * success, "This uses the design effect of success. The rule is about where queries lie."),
        (rows * queries, "A session of three queries costs less than a factor of three. Measure it."),
        (rows / topics, "You divided by the design effect. Does a session make rows worth more, or less?"),
        (mistaken, "tr S² is the trace of the matrix S @ S, not the square of the trace."),
        (mistaken * topics, "tr S² is the trace of the matrix S @ S, not the square of the trace."),
        # 338 rows is what section 8 prints for the digits.
        (338, "This is from the covariance of the digits. Take that of the product's week."),
        (338 * topics, "This is from the covariance of the digits. Take that of the product's week."),
    ]
    given, right = as_number(answer), rows * topics
    if abs(given - right) <= 0.05 * right:
        return None
    for value, message in slips:
        if abs(given - value) <= 0.03 * value:
            return message
    return f"{given:,.0f} rows are too {'many' if given > right else 'few'}."


# --- 12-2: the rows that moved ----------------------------------------------------------------


@cache
def _launch() -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """Two windows of 1,200 queries, and which rows of the second ask about a new topic: one in twenty."""
    product = Product(seed=6, wander=0, weekend=0, session_length=1, loyalty=0, queries_per_day=1500)
    before, now = product.run(1, start=301), product.run(1, [Event("new_topic", size=0.05)], start=302)
    x, y = (log.embeddings[:1200].astype(float) for log in (before, now))
    return x, y, (now.outcomes["topic"] >= 12).to_numpy()[:1200]


def _ranking(answer: Any) -> str | None:
    x, y, is_new = _launch()
    rows = as_numbers(result_of(answer, x, y, 20), 20)
    if (rows != np.round(rows)).any():
        raise UnfitError("These are not row numbers, which are whole.")
    if rows.min() < 0 or rows.max() >= len(y):
        return f"Row {rows.max():.0f} is not in y, whose {len(y)} rows count from 0. Did you join x and y?"
    if len(set(rows)) < 20:
        return "Some rows are named twice."
    found = int(is_new[rows.astype(int)].sum())
    if found >= 16:
        return None
    if found == 0:
        return "None of the 20 rows is new. Is the most typical row the first one, or the last?"
    return f"New among the 20 rows: {found}. A good list has at least 16."


# --- 12-3: an alarm for weeks that hurt -------------------------------------------------------

HURT = {
    "an upgrade with a stale index": Event("rotation", size=0.3),
    "the same in one client": Event("rotation", size=0.4, segment="web"),
    "documents of topic 3 that were lost": Event("remove_docs", size=0.6, topic=3),
    "documents of topic 7 that were lost": Event("remove_docs", size=0.6, topic=7),
    "a new topic without documents": Event("new_topic", size=0.06),
    "noisier queries": Event("spread", size=0.12),
    "null vectors": Event("null_vectors", size=0.04),
    "noisier queries in one client": Event("spread", size=0.2, segment="mobile"),
}
HARMLESS = {
    "an upgrade with a rebuilt index": Event("rotation", size=0.5, index_follows=True),
    "a new topic with documents": Event("new_topic", size=0.08, index_follows=True),
    "another mix of topics": Event("mix", size=1.2, topic=5),
    "shorter queries, of which more succeed": Event("truncate", size=0.2),
}


@cache
def _weeks() -> tuple[list[Log], list[Log], list[Log], list[Log]]:
    """Twelve quiet weeks to learn from, and weeks to judge: quiet, harmless, and those that hurt."""
    product = Product(seed=13)
    history = product.run(days=7 * 24)
    quiet = [history.week(number) for number in range(24)]
    events = [*HARMLESS.values(), *HURT.values()]
    eventful = [product.run(7, [event], start=7 * week) for week, event in enumerate(events, 24)]
    known, fresh, harmless, hurt = (
        [Log(log.embeddings, log.outcomes.drop(columns=LATER)) for log in logs]
        for logs in (quiet[:12], quiet[12:], eventful[: len(HARMLESS)], eventful[len(HARMLESS) :])
    )
    return known, fresh, harmless, hurt


def _alarm(answer: Any) -> str | None:
    known, *judged = _weeks()
    try:
        fresh, harmless, hurt = (
            [as_number(result_of(answer, known, week)) != 0 for week in weeks] for weeks in judged
        )
    except UnfitError as misfit:
        for column in LATER:
            if f"'{column}'" in str(misfit):
                return f"The column {column} is not there: nobody knows it in time."
        raise
    false, found = sum(fresh) + sum(harmless), sum(hurt)
    if false <= MOST_FALSE and found >= FEWEST_FOUND:
        return None
    others = len(fresh + harmless)
    said = f"It rings in {found} of {len(hurt)} weeks that hurt, and in {false} of {others} others"
    if sum(fresh) > MOST_FALSE:
        return f"{said}, {sum(fresh)} of them quiet. Quiet weeks differ: how far do the twelve go?"
    if false > MOST_FALSE:
        loud = [name for name, rang in zip(HARMLESS, harmless, strict=True) if rang]
        return f"{said}, such as {loud[0]}. Which signal, in which direction, says that fewer are served?"
    missed = [name for name, rang in zip(HURT, hurt, strict=True) if not rang]
    return f"{said}. It misses {missed[0]}, for one."


EXERCISES: dict[str, Exercise] = {
    "12-1": Exercise(
        judge=_rows,
        form="one number of rows",
        because="This product needs more than twice the rows that independent queries would need, and a day "
        "does not bring them. That is a reason to judge weeks.",
        hints=(
            "Multiply two numbers: what the rule of section 8 gives, and the design effect of section 7.",
            "S is `np.cov(week.embeddings.astype(float).T)`; the shift is `0.1 * np.sqrt(np.trace(S))`.",
            "Multiply by `np.median(shares)`: the rule is about where queries lie, not about success.",
        ),
    ),
    "12-2": Exercise(
        judge=_ranking,
        form="a function of (x, y, k) that returns k row numbers of y",
        because="One row in twenty is new, so that no AUC can go much above .525. Nearly every row on top "
        "of your list is one of them.",
        hints=(
            "Give every row of y a number that says how unlike x it is, then sort.",
            "The distance to the nearest row of x is such a number. So is a classifier's score, out of fold.",
            "`np.argsort(-score)[:k]` has the row numbers, largest score first, if `score` has one number "
            "for each row of y.",
        ),
    ),
    "12-3": Exercise(
        judge=_alarm,
        form="a function of (past, week) that returns True or False",
        because="It rings in most weeks that hurt and in few others, and needed no label for it: a signal, a "
        "direction and a threshold from quiet weeks are enough. The similarity to the index needs no user; "
        "clicks also fall when a page gets a new layout.",
        hints=(
            "An upgrade with a rebuilt index moves every embedding. Which columns does it leave alone?",
            "Take the weekly mean of `best_similarity` or of `no_answer`. In which direction is it bad news?",
            "Take the twelve quiet means. Ring if this week's is more than three of their standard "
            "deviations beyond their mean, on the bad side.",
        ),
    ),
}
