"""The monitor's door: what a batch must have, and what is wrong with each of its rows."""

import hashlib
from collections.abc import Iterable
from datetime import date, datetime
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from helpers.log import Log
from helpers.windows import LARGEST, whole

FLAGS = ("success", "click", "no_answer", "escalation")
NUMBERS = ("day", "best_similarity", *FLAGS, "escalation_day")
LONGEST_COSINE = 1.001  # what rounding to 16 bits leaves of 1
LATEST_TICKET = 364  # days after its query
MOST_DAYS = 3660  # of a log, or between two batches
OUTLIER = 1000  # times the usual coordinate: beside such a row of a reference, all others would look alike


class Rows(NamedTuple):
    """A log in plain arrays of n rows: what a monitor needs of it, and nothing else.

    number : float64 for each of `NUMBERS`, NaN for what is no number; segment : names.
    """

    embeddings: NDArray
    number: dict[str, NDArray[np.float64]]
    segment: NDArray[np.object_]

    @property
    def n(self) -> int:
        """How many."""
        return len(self.embeddings)

    @property
    def day(self) -> NDArray[np.int64]:
        """Days; the rows must have one."""
        return self.number["day"].astype(np.int64)

    def where(self, mask: NDArray[np.bool_]) -> "Rows":
        """Keep the rows for which `mask` is true."""
        number = {name: column[mask] for name, column in self.number.items()}
        return Rows(self.embeddings[mask], number, self.segment[mask])


class Receipt(NamedTuple):
    """What became of a batch: rows accepted, rows rejected by reason, and whether it had come before."""

    batch: str
    accepted: int
    rejected: dict[str, int]
    repeat: bool


def rows_of(log: Log, name: str) -> Rows:
    """Return the rows of a log.

    Raises TypeError or ValueError naming the log where it is none, lacks a column, or holds no numbers at
    all. Single bad values raise nothing: see `faults_of`.
    """
    if not isinstance(log, Log):
        raise TypeError(f"{name} is a {type(log).__name__}: give a Log")
    if np.ma.is_masked(log.embeddings):
        raise ValueError(f"{name} has embeddings with masked values: remove their rows first")
    embeddings, columns = np.asarray(log.embeddings), list(log.outcomes.columns)
    if embeddings.dtype.kind not in "iuf":
        raise TypeError(f"{name} has embeddings of dtype {embeddings.dtype}: give numbers")
    wrong = [column for column in (*NUMBERS, "segment") if columns.count(column) != 1]
    if wrong:
        raise ValueError(f"{name} lacks the column(s) {', '.join(wrong)}, or has them twice: give each once")
    try:
        codes, names = pd.factorize(log.outcomes["segment"])
    except TypeError as error:
        raise TypeError(f"{name} has a column segment without names ({error}): give texts") from error
    segment = np.array([*map(str, names), "none"], object)[codes]
    return Rows(embeddings, {each: _numbers(log.outcomes[each], name) for each in NUMBERS}, segment)


def _numbers(column: pd.Series, name: str) -> NDArray[np.float64]:
    """Return a column in float64, NaN for what is no number; raise naming it where it never can be one."""
    try:
        if getattr(column.dtype, "kind", "O") in "cmM":
            raise TypeError(f"dtype {column.dtype}")
        return pd.to_numeric(column, errors="coerce").to_numpy(np.float64, na_value=np.nan)
    except (TypeError, ValueError, OverflowError) as error:
        raise TypeError(
            f"{name} has a column {column.name} without numbers ({error}): give numbers"
        ) from error


def faults_of(rows: Rows, dim: int, largest: float) -> NDArray[np.str_]:
    """Say of each row what is wrong with it; "" for most. `largest` : coordinate of an embedding."""
    number = rows.number
    day, booked = number["day"], number["escalation_day"]
    size = np.abs(rows.embeddings.astype(np.float64)).max(axis=1, initial=0.0)
    with np.errstate(invalid="ignore"):
        has_day, has_ticket_day = ((each % 1 == 0) & (np.abs(each) < 2**53) for each in (day, booked))
        in_time = has_ticket_day & (booked >= day) & (booked <= day + LATEST_TICKET)
        checks = {
            "with another dimension": np.full(rows.n, rows.embeddings.shape[1] != dim),
            "not finite": ~np.isfinite(size),
            "too large": size > largest,
            "without a day": ~has_day,
            "with a bad outcome": ~np.all(
                [(number[flag] == 0) | (number[flag] == 1) for flag in FLAGS], axis=0
            ),
            "with a bad similarity": ~(np.abs(number["best_similarity"]) <= LONGEST_COSINE),
            "with a ticket on an impossible day": (number["escalation"] == 1) & ~in_time,
        }
    return np.select(list(checks.values()), list(checks), "")


def untimely(rows: Rows, faults: NDArray[np.str_], oldest: int, newest: int) -> NDArray[np.str_]:
    """Add to the faults that a day is before `oldest` or after `newest`."""
    day = rows.number["day"]
    faults = np.where((faults == "") & (day > newest), "ahead of the clock", faults)
    return np.where((faults == "") & (day < oldest), "too late", faults)


def counted(faults: NDArray[np.str_]) -> dict[str, int]:
    """Count the rows of each fault."""
    reasons, n = np.unique(faults[faults != ""], return_counts=True)
    return dict(zip(reasons.tolist(), n.tolist(), strict=True))


def expect_sound(reference_log: Rows, largest: float) -> None:
    """Raise a ValueError where any row of a reference log has a fault."""
    faults = counted(faults_of(reference_log, reference_log.embeddings.shape[1], largest))
    if faults:
        listed = ", ".join(f"{n} rows {reason}" for reason, n in faults.items())
        raise ValueError(f"reference_log has {listed}: remove or repair them first")


def split(reference_log: Rows, reference_days: int) -> tuple[Rows, Rows]:
    """Return the reference and the baseline after it; raise where a row is not sound, or days are too few."""
    whole(reference_days, "reference_days", least=7)
    if not reference_log.n:
        raise ValueError("reference_log is empty: give a quiet history")
    expect_sound(reference_log, LARGEST)
    usual = float(np.median(np.abs(reference_log.embeddings).max(axis=1)))
    expect_sound(reference_log, OUTLIER * usual or LARGEST)
    day = reference_log.day
    first, start, last = int(day.min()), int(day.min()) + reference_days, int(day.max())
    if last - start < 27:
        raise ValueError(
            f"reference_log has the days {first} to {last}: give {reference_days} for the reference and at "
            "least 28 more for the baseline"
        )
    if last - first > MOST_DAYS:
        raise ValueError(
            f"reference_log has the days {first} to {last}, more than {MOST_DAYS}: look for a broken clock"
        )
    return reference_log.where(day < start), reference_log.where(day >= start)


def segment_names(segments: Iterable[str]) -> list[str]:
    """Return the names of the segments to follow, or raise naming `segments`."""
    if isinstance(segments, str) or not isinstance(segments, Iterable):
        raise TypeError(f"segments={segments!r} must be a list of names")
    names = list(segments)
    if not all(isinstance(name, str) for name in names):
        raise TypeError(f"segments={names} must be a list of names")
    if {"all", "other"} & set(names) or len(set(names)) < len(names):
        raise ValueError(f"segments={names} must differ from each other, from 'all' and from 'other'")
    return names


def monday(day_zero: date | None) -> str | None:
    """Return the date of day 0 in ISO form, if there is one, or raise naming it where it is no Monday."""
    if day_zero is None:
        return None
    if not isinstance(day_zero, date) or isinstance(day_zero, datetime):
        raise TypeError(f"day_zero={day_zero!r} must be a datetime.date")
    if day_zero.weekday() != 0:
        raise ValueError(
            f"day_zero={day_zero} is a {day_zero:%A}: give a Monday, since the days 5 and 6 of a week count "
            "as its weekend"
        )
    return day_zero.isoformat()


def probe_row(day: int, **numbers: int) -> tuple[int, ...]:
    """Return day, asked, succeeded, documents, built of a day's probes, or raise naming what is wrong."""
    least = {"asked": 1, "succeeded": 0, "documents": 0, "built": -(10**9)}
    row = [
        whole(day, "day", least=-(10**9)),
        *(whole(numbers[name], name, least=least[name]) for name in least),
    ]
    if numbers["succeeded"] > numbers["asked"]:
        raise ValueError(f"succeeded={numbers['succeeded']} must be at most asked={numbers['asked']}")
    if numbers["built"] > day:
        raise ValueError(f"built={numbers['built']} must not be after day={day}")
    return tuple(row)


def batch_name(batch_id: str | None, rows: Rows) -> str:
    """Return the name of a batch, made from its content where it has none, or raise naming `batch_id`."""
    if batch_id is None:
        return content_name(rows)
    if not isinstance(batch_id, str) or not batch_id:
        raise TypeError(f"batch_id={batch_id!r} must be a text that is not empty")
    return batch_id


def content_name(rows: Rows) -> str:
    """Name a batch by its content: the same rows in the same order have the same name."""
    embeddings = np.ascontiguousarray(rows.embeddings)
    digest = hashlib.sha256(repr((embeddings.dtype.str, embeddings.shape)).encode())
    for column in (embeddings, *rows.number.values()):
        digest.update(column.tobytes())
    digest.update("\0".join(rows.segment.tolist()).encode(errors="surrogatepass"))
    return digest.hexdigest()[:32]
