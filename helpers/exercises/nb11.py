"""What judges the exercises of notebook 11."""

from functools import cache, lru_cache
from typing import Any

import numpy as np
import pandas as pd

from helpers.exercises.answers import Exercise, UnfitError, as_events, as_numbers, attempted, result_of
from helpers.exercises.incident import fault
from helpers.incidents import TODAY, answer_key, incident
from helpers.log import Log
from helpers.synthetic import Event, Product

FACTS = ("embedder", "index", "newcomers")


@cache
def _key() -> pd.DataFrame:
    return answer_key(incident(64))


def _three_facts(answer: Any) -> str | None:
    answer = attempted(answer)
    if isinstance(answer, (list, tuple)) and len(answer) == len(FACTS):
        answer = dict(zip(FACTS, answer, strict=True))
    if not isinstance(answer, dict) or set(answer) != set(FACTS):
        raise UnfitError("This is not a dict with these three names.")
    right = sum(fault(_key(), question, answer[question]) is None for question in FACTS)
    if right == len(FACTS):
        return None
    count = ("None of the three is", "One of the three is", "Two of the three are")[right]
    return f"{count} right. What did you see for each, and could something else have left it?"


@cache
def _two_windows() -> tuple[Log, Log]:
    """Four weeks and ten days of a small product, a shelf of which has lost its documents."""
    product = Product(77, queries_per_day=150)
    return product.run(28, start=-28), product.run(10, [Event("remove_docs", size=0.8, topic=4)])


def _variance(side: pd.DataFrame, outcome: str, label: pd.Series) -> float:
    """Variance of a mean over queries of which those of one label know of each other."""
    rest = side[outcome] - side[outcome].mean()
    return float((rest.groupby(label).sum() ** 2).sum()) / len(side) ** 2


def _with_error(answer: Any) -> str | None:
    past, now = _two_windows()
    for outcome in ("success", "click"):
        given = as_numbers(result_of(answer, past, now, outcome), 2)
        right = 100 * float(now.outcomes[outcome].mean() - past.outcomes[outcome].mean())
        wrong = _wrong_change(given[0], right) or _wrong_error(given[1], outcome)
        if wrong:
            return f"For {outcome}: {wrong}"
    return None


def _wrong_change(given: float, right: float) -> str | None:
    if abs(given - right) <= 0.01:
        return None
    if abs(given + right) <= 0.01:
        return "the change has the wrong sign. It is what came after minus what was before."
    if abs(100 * given - right) <= 0.01:
        return "these are fractions. A point is a hundredth."
    return f"{given:.3g} is not the change of the mean over all queries, in points."


def _wrong_error(given: float, outcome: str) -> str | None:
    sides = [side.outcomes for side in _two_windows()]
    before, after = (_variance(side, outcome, side["session"]) for side in sides)
    alone = sum(_variance(side, outcome, side.index) for side in sides)
    right = 100 * float(np.sqrt(before + after))
    slips = {
        100 * float(np.sqrt(alone)): "is the error of queries that know nothing of each other. "
        "A session asks about few things: its queries fail together.",
        100 * float(np.sqrt(after)): "is the error of the last ten days alone. The quiet days have one too.",
        2 * right: "is two standard errors. Give one.",
        right / 100: "is a fraction. A point is a hundredth.",
        100 * (before + after): "is a hundred times the variance. Take the root first.",
    }
    if abs(given / right - 1) <= 0.08:
        return None
    for value, message in slips.items():
        if abs(given / value - 1) <= 0.08:
            return f"the change is right. {given:.3g} {message}"
    return f"the change is right. The error {given:.3g} is too {'large' if given > right else 'small'}."


@cache
def _product() -> Product:
    return Product(11, queries_per_day=1200)


@lru_cache(maxsize=64)
def _success(days: int, start: int, *events: Event) -> pd.Series:
    """Success by query, in points, with the query's day as index."""
    rows = _product().run(days, events, start=start).outcomes
    return 100 * rows.set_index("day")["success"].astype(float)


def _charge(success: pd.Series, event: Event) -> float:
    """Points that before-and-after charges an event with: ten days from its start minus ten before."""
    daily, day = success.groupby(level=0).mean(), event.start
    return float(daily.loc[day : day + 9].mean() - daily.loc[day - 10 : day - 1].mean())


def _framed(answer: Any) -> str | None:
    answer = as_events(answer)
    if not 2 <= len(answer) <= 4:
        return f"{len(answer)} event(s): it takes an innocent and a culprit, and four are enough."
    if not all(10 <= event.start <= 25 for event in answer):
        return "Let each event start from day 10 to 25, so that it has ten days before it and ten after."
    if any(event.end is not None and event.end < TODAY for event in answer):
        return f"Let no event end before day {TODAY}: what is over by then looks innocent."
    if any(event.size == 0 for event in answer):
        return "An event of size 0 does not happen. Give each one a size."
    try:
        log = _success(TODAY, 0, *answer)
    except ValueError as error:
        return f"The product refuses: {error}."
    charges = [_charge(log, event) for event in answer]
    accused = int(np.argmin(charges))
    event = answer[accused]
    if sum(other.start == event.start for other in answer) > 1:
        return f"Two events start on day {event.start} and are charged alike: give each a day of its own."
    said = f"Most is charged to the {event.kind} of day {event.start}, {charges[accused]:+.1f} points"
    if charges[accused] > -2:
        return f"{said}. Two points and more are asked for: make the culprit's loss larger."
    rest = answer[:accused], answer[accused + 1 :]
    effect = log.loc[25:].mean() - _success(10, 25, *rest[0], *rest[1]).mean()
    if abs(effect) >= 0.5:
        return f"{said}, and it did {effect:+.1f} from day 25 on: that one is guilty."
    return None


EXERCISES = {
    "11-1": Exercise(
        judge=_three_facts,
        form='a dict with "embedder" (a day), "index" and "newcomers" (texts as in sections 3 and 5)',
        because="The same two things that were innocent in this notebook are guilty there. "
        "Evidence decides, not what it was last time.",
        hints=(
            "Three sections hold the cells: 3 for the embedder and the index, 5 for the newcomers.",
            "`other.probes.vectors` says since when, `~other.probes.found` on how many shelves probes fail. "
            "Align before you ask who is new.",
            "How many of the novel queries of days 25 to 34 succeed? In this notebook's incident it was "
            "three in four. And is the shelf of their first answers a new one?",
        ),
    ),
    "11-2": Exercise(
        judge=_with_error,
        form="a function of (past, now, outcome) that returns two numbers, in points",
        because="Where a shelf breaks, whole sessions fail. Their queries are worth fewer than their number.",
        hints=(
            "Subtract the window's mean from each query's outcome, then add up what is left by session.",
            "Square these sums, add them up, divide by the square of the number of queries: "
            "the variance of one mean. The variance of a difference is the sum of both.",
            "The root of that sum, times 100, is the error in points.",
        ),
    ),
    "11-3": Exercise(
        judge=_framed,
        form="a list of two to four `Event`s",
        because="Whoever ships while something decays pays for it; the culprit pays for its first days.",
        hints=(
            "The innocent is easy: an upgrade whose index follows, or fewer agents. "
            "Which loss is charged to somebody else's day?",
            "A sudden loss is charged in full to its own day. What of one that begins with almost nothing?",
            'A culprit with `shape="ramp"` grows for 28 days. Start it early, the innocent ten days later.',
        ),
    ),
}
