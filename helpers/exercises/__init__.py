"""Exercises that answer: `check` says correct, not yet and why, or not attempted; `hint` helps in stages.

The questions stand in the notebooks, what judges the answers in one module a notebook beside this
file. A check never raises, needs no network, and keeps no record of anybody.
"""

from collections import Counter
from typing import Any

from helpers.exercises import nb00, nb01, nb02, nb03, nb04, nb05, nb06, nb07, nb08, nb09, nb10, nb11, nb12
from helpers.exercises.answers import Exercise, verdict

__all__ = ["EXERCISES", "Exercise", "check", "hint"]

EXERCISES: dict[str, Exercise] = {
    name: exercise
    for notebook in (nb00, nb01, nb02, nb03, nb04, nb05, nb06, nb07, nb08, nb09, nb10, nb11, nb12)
    for name, exercise in notebook.EXERCISES.items()
}
_hints_given: Counter[str] = Counter()  # in this process only


def check(name: str, answer: Any = ..., *, solution: bool = False) -> None:
    """Print what an answer is: correct, not yet (and what about it), or not attempted. Never raises.

    `name` is the exercise's, such as "02-3"; `...` means that nothing was answered yet. A folded
    `solution` gives nothing away to somebody who runs all cells first.

    >>> check("00-2")
    00-2: not attempted. Put your answer in place of the dots and run the cell again.
    >>> check("00-2", "a")
    00-2: not yet. Search `_day` for a drift score: there is none to be found. What is compared with what?
    """
    said = verdict(EXERCISES[name], answer) if _known(name) else _no_such(name)
    if solution and said.startswith("correct"):
        print(f"{name}, solution: correct.")
    else:
        print(f"{_shown(name)}: {said}")


def hint(name: str, stage: int | None = None) -> None:
    """Print the next hint for an exercise, or the one that you ask for: 1 says least.

    >>> hint("00-2", 1)
    00-2, hint 1 of 2: `_day` ends with the columns of the log. Go up from "success" to what it is made of.
    """
    if not _known(name):
        print(f"{_shown(name)}: {_no_such(name)}")
        return
    hints = EXERCISES[name].hints
    if not isinstance(stage, int):
        _hints_given[name] += 1
        stage = _hints_given[name]
    stage = min(max(stage, 1), len(hints))
    print(f"{name}, hint {stage} of {len(hints)}: {hints[stage - 1]}")
    if stage == len(hints):
        print("This was the last one. The solution is folded away below the exercise.")


def _known(name: Any) -> bool:
    return isinstance(name, str) and name in EXERCISES


def _no_such(name: Any) -> str:
    number = _shown(name)[:2]
    there = [known for known in EXERCISES if known.startswith(number)] or list(EXERCISES)
    return f"there is no exercise of this name. There are: {', '.join(there)}."


def _shown(name: Any) -> str:
    return name[:40] if isinstance(name, str) else "?"
