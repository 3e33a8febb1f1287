"""Tell a learner whether an answer about an incident holds, and if not, where to look again; all offline."""

from typing import Any

import numpy as np
import pandas as pd

from helpers.incidents import Incident, answer_key

HINTS = {
    "embedder": "a frozen text keeps its vector, until the embedder changes",
    "index": "if an index is left behind, probes of many shelves begin to fail on that day",
    "shelf": "which shelf do the probes share that began to fail on one day?",
    "client": "compare the fall of each client's success, away from a broken shelf",
    "newcomers": "are there more queries unlike the past, and does the search serve them?",
    "days": "for each place take a series that nothing else moves",
    "effects": "is the log aligned, and are the last ten days compared with the quiet ones?",
    "innocent": "a thing can be loud and cost nothing",
}


def check(case: Incident, question: str, answer: Any) -> None:
    """Print whether an answer holds, or where to look again; `...` is "not attempted". Never raises.

    Give None for what did not happen. Questions:

    embedder : the first day of a new one. index : "rebuilt" for it, or "left behind".
    shelf : the number of the broken one. client : the broken one.
    newcomers : "with documents" or "without documents", if there are more than ever.
    days : {place: day} of all that happened, to three days; for the places see `incidents.investigate`.
    effects : a table like that of `incidents.investigate`, to two points.
    innocent : the places of all that happened and cost less than a point of success and of clicks.
    """
    try:
        if question not in HINTS:
            verdict = f"no such question; ask one of {', '.join(HINTS)}"
        elif answer is ...:
            verdict = "not attempted"
        else:
            wrong = _wrong(question, answer_key(case), answer)
            verdict = "right" if wrong is None else f"not yet{wrong}: {HINTS[question]}"
    except Exception:  # whatever a learner may hand over
        verdict = "not yet: this is not of the form that `help(check)` asks for"
    print(f"{question}: {verdict}")


def _wrong(question: str, key: pd.DataFrame, answer: Any) -> str | None:
    """Say how an answer is wrong without giving the right one away; None if it is right."""
    happened = key.set_index("where")
    effects = happened[["success", "click"]]
    if question == "days":
        late = sum(abs(answer.get(place, np.inf) - day) > 3 for place, day in happened["day"].items())
        return f", {late} of {len(key)} are missing or off by more than three days" if late else None
    if question == "effects":
        found = answer[["success", "click"]]
        if found.abs().max(axis=None) > 1:
            return ", these are points and not fractions"
        off = (found.sub(effects, fill_value=0.0).abs() > 0.02).any(axis=1)
        return f", more than two points off in {', '.join(off.index[off])}" if off.any() else None
    if question == "innocent":
        worst = effects.min(axis=1)
        unsure = set(worst.index[worst.between(-0.015, -0.005)])
        wrong = (set(answer) ^ set(worst.index[worst > -0.01])) - unsure
        return f", {len(wrong)} too many or too few" if wrong else None
    return None if str(answer) == str(_facts(key)[question]) else ""


def _facts(key: pd.DataFrame) -> dict[str, Any]:
    facts: dict[str, Any] = dict.fromkeys(HINTS)
    for cause, place, day in key[["where", "day"]].itertuples():
        if cause.startswith("upgrade"):
            facts |= {"embedder": day, "index": cause.removeprefix("upgrade, index ")}
        if cause.startswith("launch"):
            facts["newcomers"] = cause.removeprefix("launch ")
        if place.startswith(("shelf ", "client ")):
            facts[place.split()[0]] = place.split()[1]
    return facts
