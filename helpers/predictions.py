"""Compare what a learner committed to with what was found. Offline, never raises, keeps nothing."""

from typing import Any

from helpers.exercises.answers import NotAttemptedError, UnfitError, as_number

NOTHING = "No guess: put one in place of the dots before you run."


def reveal(guess: Any, found: float | str, unit: str = "", *, close: float | None = None) -> None:
    """Print what was found beside what was guessed; `...` is no guess. Never raises.

    A number `found` is compared by size: within `close` (a tenth of it, if you give none) counts as
    close. A text `found` is a choice: it is compared without regard to case. A `unit` stands behind the
    number, or around it where it holds braces.

    >>> reveal(50, 94, "%")
    Found: 94 %. You said 50 %: 44 too low.
    >>> reveal(22, 20, "day {}", close=1)
    Found: day 20. You said day 22: 2 too high.
    >>> reveal("b", "a")
    Found: a. You said b.
    >>> reveal(..., 94, "%")
    Found: 94 %. No guess: put one in place of the dots before you run.
    """
    unit = unit if "{}" in unit else f"{{}} {unit}".rstrip()
    shown = found if isinstance(found, str) else unit.format(_short(found))
    try:
        if isinstance(found, str):
            said = _chosen(guess, found)
        else:
            said = _compared(as_number(guess), float(found), unit, close)
    except NotAttemptedError:
        said = NOTHING
    except UnfitError as misfit:
        said = str(misfit)
    except Exception:  # whatever a learner may hand over
        said = "Your guess cannot be read."
    print(f"Found: {shown}. {said}")


def _chosen(guess: Any, found: str) -> str:
    if guess is ...:
        raise NotAttemptedError
    if not isinstance(guess, str):
        return f"Your guess is not a text: write it in quotes, such as {found!r}."
    letter = guess.strip()
    return "You said so." if letter.lower() == found.lower() else f"You said {letter[:40]}."


def _compared(guess: float, found: float, unit: str, close: float | None) -> str:
    off = _rounded(guess) - _rounded(found)
    said = f"You said {unit.format(_short(guess))}"
    if off == 0:
        return f"{said}: exactly."
    if abs(guess - found) <= (abs(found) / 10 if close is None else close):
        return f"{said}: close."
    return f"{said}: {_short(abs(off))} too {'high' if off > 0 else 'low'}."


def _rounded(number: float) -> float:
    """Round to three significant digits; leave whole numbers whole."""
    return float(number) if float(number).is_integer() else float(f"{float(number):.3g}")


def _short(number: float) -> str:
    """Write a rounded number, without the exponent that a person would not write."""
    number = _rounded(number)
    return f"{number:,.0f}" if number.is_integer() else f"{number:.3g}"
