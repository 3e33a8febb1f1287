"""What judges the exercises of notebook 06."""

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from helpers.alerts import DAY, HOUR, OBJECTIVE, evaluate
from helpers.exercises.answers import Exercise, UnfitError, as_numbers, attempted, result_of
from helpers.log import Log
from helpers.panel import DETECTORS, FAMILY, OUTCOMES
from helpers.promql import Series, hold, increase
from helpers.synthetic import Event, Product

PAGE, TICKET = "EmbeddingDriftWithOutcomeDegradation", "EmbeddingDriftSustained"


# --- 06-1 -----------------------------------------------------------------------------------


def _firing(alarms: set[tuple[int, str]]) -> set[str]:
    """Alerts that fire, if these daily charts of a segment ring, and all others say ok."""
    t = np.arange(0, 11 * DAY, HOUR, dtype=float)
    series: dict[Series, NDArray] = {}
    for chart in FAMILY:
        detector = chart in DETECTORS
        metric = "embedding_drift_checks_total" if detector else "search_outcome_checks_total"
        kind, bad = ("detector", "drift") if detector else ("outcome", "degraded")
        rings = np.array([(day, chart) in alarms for day in range(7)])
        for result, checks in {bad: rings, "ok": ~rings}.items():
            counted = np.concatenate([[0], checks.cumsum(), np.full(3, checks.sum())])
            labels = ((kind, chart), ("result", result), ("segment", "partner"))
            series[metric, labels] = counted[(t // DAY).astype(int)].astype(float)
    return {dict(labels)["alertname"] for name, labels in evaluate(t, series) if name == "ALERTS"}


def _as_alarms(answer: Any) -> set[tuple[int, str]]:
    answer = attempted(answer)
    if not isinstance(answer, (list, tuple, set)) or not len(answer):
        raise UnfitError("This is not a list of alarms.")
    try:
        alarms = {(int(day), str(chart)) for day, chart in answer}
    except (TypeError, ValueError):
        raise UnfitError("Not every alarm is a pair of a day and a chart.") from None
    for day, chart in alarms:
        if chart not in FAMILY:
            raise UnfitError(f"There is no chart '{chart[:40]}'.")
        if not 0 <= day <= 6:
            raise UnfitError(f"Day {day} is not in the week: its days are 0 to 6.")
    return alarms


def _page_alone(answer: Any) -> str | None:
    alarms = _as_alarms(answer)
    firing = _firing(alarms)
    if PAGE in firing:
        return (
            f"The page fires, and so does {TICKET}. Who needs only one detector?"
            if TICKET in firing
            else None
        )
    hurt = [(day, chart) for day, chart in alarms if chart in OUTCOMES]
    if not hurt:
        return "No page: every outcome is as usual, so nobody is worse off."
    if not any((day + later, chart) in alarms for day, chart in hurt for later in (1, 2)):
        return "No page: the same outcome must ring twice within three days."
    return (
        "No page. The outcome is unusual, but which drift does the page ask for, and in the same three days?"
    )


# --- 06-2 -----------------------------------------------------------------------------------

# bad queries, all queries, accepted share, verdict, what to think of where it is another one
CASES = (
    (300, 1000, 0.15, "ring", "The share is twice the objective, and the queries are many."),
    (20, 400, 0.15, "fine", "The share is below the objective: far away, on the good side."),
    (112, 700, 0.15, "fine", "The share is above the objective, by less than three standard errors."),
    (15, 60, 0.15, "fine", "The share is above the objective, by less than three standard errors."),
    (30, 50, 0.15, "ring", "50 are enough: blind begins below."),
    (16, 50, 0.15, "ring", "The standard error is that of the objective, not of the share."),
    (12, 100, 0.05, "ring", "Here another objective is given."),
    (40, 49, 0.15, "blind", "These are fewer than 50."),
    (0, 8, 0.15, "blind", "These are fewer than 50: no failure among eight is no good news."),
    (0, 0, 0.15, "blind", "Nobody came."),
    (np.nan, 400, 0.15, "blind", "No comparison with NaN is true: ask for what you want to be sure of."),
    (3, np.nan, 0.15, "blind", "No comparison with NaN is true: ask for what you want to be sure of."),
)


def _verdicts(answer: Any) -> str | None:
    table = pd.DataFrame(CASES, columns=["bad", "queries", "objective", "verdict", "note"])
    given = pd.Series("", index=table.index)
    for objective, rows in table.groupby("objective", sort=False):
        arrays = (rows[name].to_numpy(float) for name in ("bad", "queries"))
        with np.errstate(all="ignore"):
            said = result_of(answer, *arrays, objective)
        if not isinstance(said, (list, tuple, np.ndarray, pd.Series)) or len(said) != len(rows):
            raise UnfitError(f"It does not return a list of {len(rows)} words for {len(rows)} windows.")
        given[rows.index] = [str(word).strip().lower() for word in said]
    for case, word in zip(table.itertuples(), given, strict=True):
        if word != case.verdict:
            window = f"{case.bad:.0f} bad of {case.queries:.0f} queries at {case.objective:.0%}"
            return f"{window}: it says '{word[:20]}'. {case.note}"
    return None


# --- 06-3 -----------------------------------------------------------------------------------

BEGINS, ENDS, WITHIN, KEEP = 6, 11, 12, 72  # days of an incident, in its 16 days; hours
INCIDENTS = {
    "mobile": Event("rotation", start=84 + BEGINS, end=84 + ENDS, size=0.5),
    "partner": Event("spread", start=84 + BEGINS, end=84 + ENDS, size=0.5, segment="partner"),
}


def _by_hour(log: Log, rows: NDArray) -> NDArray[np.float64]:
    """A counter of some rows of a log, hour by hour; the rows of a day are spread evenly over it."""
    day = log.outcomes["day"] - log.outcomes["day"].min()
    place = day.groupby(day).cumcount() / day.groupby(day).transform("size")
    hour = ((day + place) * 24).astype(int).to_numpy()
    return np.concatenate([[0.0], np.bincount(hour[rows], minlength=24 * (int(day.max()) + 1)).cumsum()])


@cache
def _counters(incident: str | None) -> dict[str, tuple[NDArray, NDArray]]:
    """Failed searches and all, of each segment: twelve quiet weeks, or 16 days with an incident."""
    product = Product(seed=0, queries_per_day=800)
    log = product.run(16, [INCIDENTS[incident]], start=84) if incident else product.run(84)
    failed = ~log.outcomes["success"].to_numpy(bool)
    who = {name: (log.outcomes["segment"] == name).to_numpy() for name in ("web", "mobile", "partner")}
    who["all"] = np.ones(len(log), bool)
    return {name: (_by_hour(log, rows & failed), _by_hour(log, rows)) for name, rows in who.items()}


@cache
def _holiday() -> tuple[NDArray, NDArray]:
    """Failed searches of partner, and all: a week with three days in which only five come, and all fail."""
    hourly = [np.diff(counter[: 7 * 24 + 1]) for counter in _counters(None)["partner"]]
    for counts in hourly:
        counts[72:144] = 0
        counts[132] = 5
    failed, asked = (np.concatenate([[0.0], counts.cumsum()]) for counts in hourly)
    return failed, asked


def _rings(counters: tuple[NDArray, NDArray], window: float, least: float, z: float, keep: float) -> NDArray:
    """When the rule rings, hour by hour."""
    t, objective = HOUR * np.arange(len(counters[0]), dtype=float), OBJECTIVE["failure"]
    failed, asked = (increase(t, counter, window * HOUR) for counter in counters)
    with np.errstate(all="ignore"):
        share = failed / asked
        score = (share - objective) / np.sqrt(objective * (1 - objective) / asked)
        return hold(t, (share > objective) & (score > z) & (asked >= least), keep=keep * HOUR)


def _begins(rings: NDArray) -> int:
    return int((np.diff(rings.astype(int), prepend=0) > 0).sum())


def _rule(answer: Any) -> str | None:
    window, least, z, keep = as_numbers(answer, 4)
    if not 1 <= window <= 14 * 24:
        raise UnfitError(f"The window has {window:.3g} hours: give 1 hour to two weeks.")
    if least < 0 or keep < 0:
        raise UnfitError("Neither the queries nor the hours can be negative.")
    if z <= 0:
        return f"z = {z:.3g} guards against nothing: give one above 0."
    if keep > KEEP:
        return f"{keep:.3g} hours after its condition has ended, an alert is no news: {KEEP} are the most."
    false = {name: _begins(_rings(quiet, window, least, z, keep)) for name, quiet in _counters(None).items()}
    if (rings := sum(false.values())) > 4:
        worst = max(false, key=lambda name: false[name])
        return f"{rings} rings in twelve quiet weeks, {false[worst]} of them for {worst}; four are allowed."
    if _rings(_holiday(), window, least, z, keep)[120:].any():
        return "It rings in the holidays, for five queries of one person. Which number guards against that?"
    for segment in INCIDENTS:
        since = _rings(_counters(segment)[segment], window, least, z, keep)[24 * BEGINS :]
        asked = np.diff(_counters(segment)[segment][1]).mean() * window
        if not since.any():
            return f"It never rings for {segment}, of which a window holds {asked:.0f} queries on average."
        if since[0]:
            return f"It is on already when the incident of {segment} begins, so that nobody hears of it."
        if (delay := int(np.argmax(since))) > WITHIN:
            return f"For {segment} it rings {delay} hours after the beginning: what makes it slow?"
        if (rings := _begins(since)) > 1:
            return f"For {segment} it rings {rings} times in one incident: what makes it flap?"
    return None


EXERCISES = {
    "06-1": Exercise(
        judge=_page_alone,
        form='a list of pairs, such as [(3, "novelty"), (4, "failure")]',
        because="Questions as ever, an index that does not fit them, people who feel it: nearly story 3.",
        hints=(
            'Read the rule, which has three parts: `rules["EmbeddingDriftWithOutcomeDegradation"]["expr"]`.',
            "An outcome counts when it has rung twice in three days. And one detector is enough alone.",
            "The detector that looks at questions and index together is `index_gap`.",
        ),
    ),
    "06-2": Exercise(
        judge=_verdicts,
        form='a function of (bad, queries, objective) that returns a list of "ring", "fine" and "blind"',
        because="Silence has two meanings, and now a dashboard can show which of them it is.",
        hints=(
            "Say first when a window is worth a verdict. Everything else, NaN included, is blind.",
            "z = (share - objective) / sqrt(objective (1 - objective) / queries), as in section 7.",
            '`np.where(~(seen & enough), "blind", np.where(z > 3, "ring", "fine"))`.',
        ),
    ),
    "06-3": Exercise(
        judge=_rule,
        form="four numbers: window (hours), least (queries), z, keep (hours)",
        because="Quiet when nothing happens, there within half a day, one message for each incident.",
        hints=(
            "Begin with the repair of section 7 and a window of a day. What does the check complain about?",
            "A long window is slow. A shorter one holds fewer queries: which `least` may partner have, then?",
            "Half a day holds 30 queries of partner, or more. What flaps then, a `keep` of a day holds on.",
        ),
    ),
}
