"""Check answers about an incident of the learner's own choice, as notebook 11 asks for them; all offline."""

import re
from typing import Any

import pandas as pd

from helpers.exercises.answers import Exercise, as_names, as_number, attempted, verdict
from helpers.incidents import Incident, answer_key

FORM = {
    "embedder": "the day of the new one, or None",
    "index": '"rebuilt", "left behind" or None',
    "shelf": "the number of the broken one, or None",
    "client": "the name of the broken one, or None",
    "newcomers": '"with documents", "without documents" or None',
    "days": "a dict {place: day}",
    "effects": "a table like that of `incidents.investigate`",
    "innocent": "a list of the places with no cost in success or clicks",
}
PLACE = r"newcomers|everywhere|shelf \d+|client \w+|traffic|behind the search|desk"
LOOK = {
    "embedder": "A frozen text keeps its vector, until the embedder changes.",
    "index": "Was there a new embedder at all? If an index is left behind, probes of many shelves "
    "begin to fail on that day.",
    "shelf": "Which shelf do the probes share that began to fail on one day?",
    "client": "Compare the fall of each client's success, away from a broken shelf.",
    "newcomers": "Are there more queries unlike the past, and does the search serve them?",
    "days": "For each place take a series that nothing else moves.",
    "effects": "Is the log aligned, and are the last ten days compared with the quiet ones?",
    "innocent": "A thing can be loud and cost no success and no clicks.",
}


def check_case(case: Incident, question: str, answer: Any = ...) -> None:
    """Print whether an answer about an incident is correct, or where to look again. Never raises.

    `...` is not attempted. Give None for what did not happen. Questions:

    embedder : the first day of a new one. index : "rebuilt" for it, or "left behind".
    shelf : the number of the broken one. client : the name of the broken one.
    newcomers : "with documents" or "without documents", if there are more than ever.
    days : {place: day} of all that happened, to three days. Places are "newcomers", "everywhere" (embedder),
        "shelf 5", "client mobile", "traffic" (mix of topics), "behind the search" (clicks), "desk" (tickets).
    effects : a table like that of `incidents.investigate`, to two points.
    innocent : the places of all that happened with no cost in success or clicks: less than a point of each.
        Tickets do not count.

    What it cannot tell you: whether you could have known. A guess that is right is correct, too.

    >>> from helpers.incidents import incident
    >>> check_case(incident(11), "shelf", 12)
    shelf: not yet. Which shelf do the probes share that began to fail on one day?
    """
    if not isinstance(question, str) or question not in FORM:
        print(f"?: there is no such question. There are: {', '.join(FORM)}.")
        return
    asked = Exercise(lambda given: fault(answer_key(case), question, given), FORM[question], "", ())
    print(f"{question}: {verdict(asked, answer)}")


def fault(key: pd.DataFrame, question: str, answer: Any) -> str | None:
    """Say how an answer is wrong without giving the right one away; None if it is correct."""
    judge = {"days": _days, "effects": _effects, "innocent": _innocent}.get(question)
    if judge:
        found = judge(key.set_index("where"), attempted(answer))
        return found and f"{found} {LOOK[question]}"
    return None if _same(question, attempted(answer), _facts(key)[question]) else LOOK[question]


def _days(happened: pd.DataFrame, answer: Any) -> str | None:
    given = {str(place).strip().lower(): as_number(day) for place, day in dict(answer).items()}
    unknown = [place[:40] for place in given if not re.fullmatch(PLACE, place)]
    if unknown:
        return f"There is no such place: {', '.join(unknown)}. `help(check_case)` names them."
    days = happened["day"]
    missing = len(set(days.index) - set(given))
    off = [place for place, day in given.items() if place in days and abs(day - days[place]) > 3]
    absent = [place for place in given if place not in days]
    said = [f"{missing} of {len(days)} are missing."] if missing else []
    said += [f"Off by more than three days: {', '.join(off)}."] if off else []
    said += [f"Nothing happened there: {', '.join(absent)}."] if absent else []
    return " ".join(said) or None


def _effects(happened: pd.DataFrame, answer: Any) -> str | None:
    found = answer[["success", "click"]].astype(float)
    if found.abs().max(axis=None) > 1:
        return "These are points: give fractions."
    off, turned = (
        (sign * found).sub(happened[["success", "click"]], fill_value=0.0).abs().gt(0.02).any(axis=1)
        for sign in (1, -1)
    )
    if off.any() and not turned.any():
        return "The sizes are right, and the sign is turned: a loss is negative."
    return f"More than two points off: {', '.join(off.index[off])}." if off.any() else None


def _innocent(happened: pd.DataFrame, answer: Any) -> str | None:
    worst = happened[["success", "click"]].min(axis=1)
    unsure = set(worst.index[worst.between(-0.015, -0.005)])
    wrong = (as_names(answer) ^ set(worst.index[worst > -0.01])) - unsure
    return f"{len(wrong)} too many or too few." if wrong else None


def _same(question: str, answer: Any, right: Any) -> bool:
    if answer is None or right is None:
        return answer is right
    if isinstance(answer, str):
        answer = answer.strip().lower().removeprefix(question).strip()  # such as "shelf 5"
    return str(answer) == right if isinstance(right, str) else as_number(answer) == right


def _facts(key: pd.DataFrame) -> dict[str, Any]:
    facts: dict[str, Any] = dict.fromkeys(FORM)
    for cause, place, day in key[["where", "day"]].itertuples():
        if cause.startswith("upgrade"):
            facts |= {"embedder": day, "index": cause.removeprefix("upgrade, index ")}
        if cause.startswith("launch"):
            facts["newcomers"] = cause.removeprefix("launch ")
        if place.startswith("shelf "):
            facts["shelf"] = int(place.split()[1])
        if place.startswith("client "):
            facts["client"] = place.split()[1]
    return facts
