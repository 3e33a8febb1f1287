"""Read what a learner handed over, and compare it with what is right.

A judge returns None for a correct answer, else what is not right yet about *this* answer, as a
sentence for the learner. The readers below raise `UnfitError` for an answer of another form, and
`NotAttemptedError` where the dots still stand.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from helpers.events import Event


class NotAttemptedError(Exception):
    """The dots of the stub still stand."""


class UnfitError(Exception):
    """The answer is not of the form that is asked for; the message is a sentence."""


class Exercise(NamedTuple):
    """What answers a learner.

    judge : answer -> None if it is correct, else a sentence about it.
    form : what is asked for, as it is shown to somebody who gave something else.
    because : one or two sentences for a correct answer: what it shows.
    hints : from the vaguest to the most telling.
    """

    judge: Callable[[Any], str | None]
    form: str
    because: str
    hints: tuple[str, ...]


def verdict(exercise: Exercise, answer: Any) -> str:
    """Say what an answer is: correct and why, not yet and what about it, or not attempted. Never raises."""
    try:
        fault = exercise.judge(answer)
    except NotAttemptedError:
        return "not attempted. Put your answer in place of the dots and run the cell again."
    except UnfitError as misfit:
        fault = f"{misfit} Asked for: {exercise.form}."
    except (Exception, SystemExit):  # whatever a learner may hand over
        fault = f"This cannot be read as an answer. Asked for: {exercise.form}."
    return f"correct. {exercise.because}".rstrip() if fault is None else f"not yet. {fault}"


def attempted(answer: Any) -> Any:
    """Return the answer; raise `NotAttemptedError` for the dots, or a tuple, list or dict with dots in it."""
    parts = list(answer.values()) if isinstance(answer, dict) else answer
    if answer is ... or (isinstance(parts, (tuple, list)) and any(part is ... for part in parts)):
        raise NotAttemptedError
    return answer


def as_number(answer: Any) -> float:
    """Read one finite number: a Python or NumPy number, an array or a Series of one, or digits as text."""
    try:
        if attempted(answer) is None:  # which NumPy reads as NaN
            raise TypeError
        array = np.asarray(answer, dtype=float)
    except (TypeError, ValueError):
        raise UnfitError(f"This is not a number but {_kind(answer)}.") from None
    if array.size != 1:
        raise UnfitError(f"One number is asked for, and these are {array.size}.")
    if not np.isfinite(array).all():
        raise UnfitError(f"This is {array.item()}, not a finite number.")
    return float(array.item())


def as_numbers(answer: Any, count: int | None = None) -> NDArray[np.float64]:
    """Read finite numbers, `count` of them if given, from a tuple, list, array, Series or a dict's values."""
    answer = attempted(answer)
    try:
        array = np.asarray(list(answer.values()) if isinstance(answer, dict) else answer, dtype=float).ravel()
    except (TypeError, ValueError):
        raise UnfitError(f"These are not numbers but {_kind(answer)}.") from None
    if count is not None and len(array) != count:
        raise UnfitError(f"Asked for {count} numbers, got {len(array)}.")
    if not np.isfinite(array).all():
        raise UnfitError("Not all of these are finite numbers.")
    return array


def as_names(answer: Any) -> set[str]:
    """Read a set of names: one text, or a list, tuple, set, Index or Series of them."""
    answer = attempted(answer)
    if isinstance(answer, str):
        answer = answer.split(",")
    if not isinstance(answer, (list, tuple, set, frozenset, np.ndarray, pd.Index, pd.Series)):
        raise UnfitError(f"These are not names but {_kind(answer)}.")
    return {str(name).strip() for name in answer}


def as_events(answer: Any) -> list[Event]:
    """Read a list of `Event`s, or one of them."""
    events = [answer] if isinstance(attempted(answer), Event) else answer
    if not isinstance(events, (list, tuple)) or not all(isinstance(event, Event) for event in events):
        raise UnfitError("This is not a list of events.")
    return list(events)


def result_of(function: Any, *arguments: Any) -> Any:
    """Call a learner's function; say what it raised, and see the dots that it returns."""
    if not callable(attempted(function)):
        raise UnfitError(f"This is not a function but {_kind(function)}.")
    try:
        return attempted(function(*arguments))
    except NotAttemptedError:
        raise
    except (Exception, SystemExit) as error:
        raise UnfitError(f"Your function raised {type(error).__name__}: {str(error)[:120]}.") from None


def compare_number(
    answer: Any, right: float, within: float, slips: Iterable[tuple[float, str]] = ()
) -> str | None:
    """Compare one number; a slip is a number that a typical mistake leads to, with what to say about it."""
    given = as_number(answer)
    if abs(given - right) <= within:
        return None
    for value, message in slips:
        if abs(given - value) <= within:
            return message
    if abs(given + right) <= within:
        return f"{given:.3g} has the right size and the wrong sign."
    if abs(100 * given - right) <= within:
        return f"{given:.3g} is a fraction; the exercise asks for hundredths."
    if abs(given / 100 - right) <= within:
        return f"{given:.3g} counts hundredths; the exercise asks for a fraction."
    return f"{given:.3g} is too {'large' if given > right else 'small'}."


def compare_choice(answer: Any, right: str, wrong: Mapping[str, str]) -> str | None:
    """Compare one letter; `wrong` says for each other letter what speaks against it."""
    answer = attempted(answer)
    if not isinstance(answer, str):
        raise UnfitError(f"This is not a letter but {_kind(answer)}.")
    letter = answer.strip(" .()[]\n").lower()
    if letter == right:
        return None
    return wrong.get(letter) or f"Choose one of {', '.join(sorted([right, *wrong]))}."


def compare_names(answer: Any, right: Iterable[str], slips: Mapping[str, str] | None = None) -> str | None:
    """Compare a set of names; `slips` says for a name that does not belong in it why not."""
    given, right = as_names(answer), set(right)
    for name in sorted(given - right):
        return (slips or {}).get(name) or f"'{name[:40]}' does not belong in it."
    missing = len(right - given)
    return (
        f"What you have belongs in it; {missing} more {'does' if missing == 1 else 'do'}."
        if missing
        else None
    )


def _kind(answer: Any) -> str:
    """Name what somebody handed over."""
    if answer is None:
        return "None"
    name = type(answer).__name__
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"
