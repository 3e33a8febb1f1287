"""What judges the exercises of notebook 04."""

from collections.abc import Mapping
from dataclasses import replace
from functools import cache, partial
from typing import Any

import numpy as np
import pandas as pd

from helpers.charts import (
    average_run_length,
    ewma,
    false_alarm_interval,
    run_length_limit,
    weekday_z,
)
from helpers.exercises.answers import (
    Exercise,
    UnfitError,
    as_number,
    as_numbers,
    attempted,
    compare_number,
    result_of,
)
from helpers.synthetic import Event, Product
from helpers.years import SCORES, daily_scores, standardise

# 04-1: an EWMA that forgets more slowly


@cache
def _delays(weight: float = 0.05, limit_of: float = 0.05) -> tuple[float, float]:
    limit = run_length_limit(partial(ewma, weight=limit_of), 91)
    small, large = (average_run_length(partial(ewma, weight=weight), limit, shift=s) for s in (0.5, 3.0))
    return small, large


def _memory(answer: Any) -> str | None:
    given, right = as_numbers(answer, 2), np.array(_delays())
    if abs(given - right).max() <= 0.1:
        return None
    slips: list[tuple[Any, str]] = [
        (
            _delays(limit_of=0.2),
            "The limit is still that of weight 0.2. A budget has another limit for each chart.",
        ),
        (_delays(0.2, 0.2), "These are the delays with weight 0.2."),
        (right[::-1], "These are the two numbers, in the other order: the small shift comes first."),
    ]
    for slip, message in slips:
        if abs(given - slip).max() <= 0.1:
            return message
    for place, shift in enumerate(("0.5", "3")):
        if abs(given - right)[place] <= 0.1:
            return f"The delay for a shift of {shift} is right, and the other one is not."
    return "Neither delay fits. First find the limit for 91 days, then ask for the run length with a shift."


# 04-2: z by kind of day, above a limit

LIMIT = 2.291


@cache
def _history() -> tuple[pd.Series, pd.Series]:
    """Return a baseline and eight weeks that begin on a Thursday: weekends are further away, and calmer."""
    days = np.arange(-84, 66)
    rng, weekend = np.random.default_rng(13), days % 7 >= 5
    level = np.where(weekend, -2.3, -2.9) + np.where(weekend, 0.16, 0.25) * rng.normal(size=len(days))
    level[rng.choice(np.flatnonzero(days >= 10), 8, replace=False)] += 0.7
    scores = pd.Series(np.exp(level), index=days, name="query_drift")
    return scores.loc[:-1], scores.loc[10:]


def _own_days(baseline: pd.Series, daily: pd.Series) -> dict[str, pd.Series]:
    """Return z by what a typical mistake makes of it, "" for the right one."""
    x, usual = np.log(daily), np.log(baseline)
    return {
        "": weekday_z(x, usual),
        "It compares Saturdays with Mondays: one mean and one sd for all days.": (x - usual.mean())
        / usual.std(),
        "It leaves out the logarithm.": weekday_z(daily, baseline),
        "It compares the days with themselves. What is usual is for the baseline to say.": weekday_z(x, x),
        "It takes the reference for all days from the weekdays.": (x - _weekdays(usual).mean())
        / _weekdays(usual).std(),
    }


def _weekdays(series: pd.Series) -> pd.Series:
    return series[series.index.to_numpy() % 7 < 5]


def _alarm(answer: Any) -> str | None:
    baseline, daily = _history()
    said = result_of(answer, baseline.copy(), daily.copy())
    if np.asarray(said).dtype == bool:
        return "It returns booleans. Return the days on which they are True: the labels of the index."
    days = {float(day) for day in as_numbers(list(said) if isinstance(said, (set, frozenset)) else said)}
    mistakes = {message: set(z.index[z > LIMIT]) for message, z in _own_days(baseline, daily).items()}
    right = mistakes.pop("")
    if days == right:
        return None
    if days == {daily.index.get_loc(day) for day in right}:
        return "These are places in the series, counted from 0. The index says which day each one is."
    for message, found in mistakes.items():
        if days == found:
            return message
    return (
        f"It rings on {len(days)} days, {len(days - right)} of them wrongly, and misses {len(right - days)}."
    )


# 04-3: weeks of history for a promise


def _weeks(answer: Any) -> str | None:
    def least(fits: Any) -> int:
        return next(n for n in range(1, 1000) if fits(n))

    right = least(lambda weeks: false_alarm_interval(7 * weeks).high <= 2)
    on_average = least(lambda weeks: false_alarm_interval(7 * weeks).mean <= 2)
    careful = least(lambda weeks: false_alarm_interval(7 * weeks, level=0.95).high <= 2)
    given = as_number(answer)
    if given == right - 1:
        return f"{given:.0f} weeks are just too few: look at the second digit of `high`."
    if 7 * (right - 1) < given <= 7 * right:
        return "This counts days. Weeks are asked for."
    slips = [
        (on_average, "That keeps the promise on average. Of 100 teams, how many have more?"),
        (careful, "With level=0.95, five teams are outside, half of them with too few alarms."),
    ]
    return compare_number(given, right, 0.01, slips)


# 04-4: two false alarms a quarter, divided

INCIDENTS = {
    "stale upgrade": Event("rotation", size=0.25),
    "new topic": Event("new_topic", size=0.04),
    "noisier queries": Event("spread", size=0.08),
    "lost documents": Event("remove_docs", size=0.6, topic=3),
    "small shift": Event("mean_shift", size=0.06),
    "topic mix": Event("mix", size=0.8, topic=11),
}


@cache
def _mean_z() -> pd.DataFrame:
    """Return how loud each incident (row) is for each monitor, on average over two products."""
    length, tables = 14, []
    starts = {name: length * place for place, name in enumerate(INCIDENTS)}
    events = [
        replace(event, start=starts[name], end=starts[name] + length) for name, event in INCIDENTS.items()
    ]
    for seed in (7, 8):
        log = Product(seed).run(112 + length * len(events), events, start=-112)
        scores = daily_scores(log, log.days(-112, -85))
        z = standardise(scores.loc[0:], scores.loc[-84:-1])
        tables.append({name: z.loc[day : day + length - 1].mean() for name, day in starts.items()})
    return sum(pd.DataFrame(table).T for table in tables) / len(tables)


@cache
def _limit(share: float) -> float:
    return run_length_limit(ewma, 91 / share)


@cache
def _first_alarm(shares: tuple[float, ...]) -> pd.Series:
    """Return the mean delay of each incident's quickest monitor; less than 0.01 a quarter is off."""
    on = {monitor: share for monitor, share in zip(SCORES, shares, strict=True) if share >= 0.01}
    delays = {
        monitor: [average_run_length(ewma, _limit(share), shift=z) for z in _mean_z()[monitor]]
        for monitor, share in on.items()
    }
    return pd.DataFrame(delays, index=list(INCIDENTS)).min(axis=1)


def _shares(answer: Any) -> str | None:
    answer = attempted(answer.to_dict() if isinstance(answer, pd.Series) else answer)
    if not isinstance(answer, Mapping):
        raise UnfitError("This is not a dict.")
    wrong = [name for name in (*SCORES, *answer) if (name in SCORES) != (name in answer)]
    if wrong:
        return f"'{str(wrong[0])[:40]}': name all four monitors, {', '.join(SCORES)}, and no other."
    shares = as_numbers([answer[name] for name in SCORES])
    if shares.min() < 0 or shares.max() > 4:
        odd = shares.min() if shares.min() < 0 else shares.max()
        return f"{odd:g} is no share of two false alarms a quarter: give numbers from 0 to 2."
    if shares.sum() > 2.001:
        return f"Together they ring {shares.sum():.3g} times a quarter for nothing; two are allowed."
    if shares.max() < 0.01:
        return "No monitor is on."
    mine, even = (_first_alarm(tuple(each)) for each in (shares, np.full(4, 0.5)))
    if mine.max() > 28:
        return f"'{mine.idxmax()}' takes {mine.max():.0f} days. Which monitor would see it sooner?"
    if mine.mean() > even.mean() - 0.5:
        return (
            f"The mean delay is {mine.mean():.1f} days, with the even split {even.mean():.1f}: too little. "
            f"'{mine.idxmax()}' takes longest, {mine.max():.0f} days."
        )
    return None


EXERCISES = {
    "04-1": Exercise(
        judge=_memory,
        form="two numbers, in days, for a shift of 0.5 and for one of 3",
        because="A longer memory wins a day or two on small drifts, and loses a little on large ones.",
        hints=(
            "A slower chart moves less, so the same budget gives it a lower limit.",
            "`charts.run_length_limit` finds the limit, `charts.average_run_length(…, shift=…)` the delay.",
        ),
    ),
    "04-2": Exercise(
        judge=_alarm,
        form="a function of (baseline, daily) that returns a list of days",
        because="Saturdays are judged by Saturdays, and all by days that are neither reference nor today.",
        hints=(
            "`index % 7 >= 5` marks weekends. Take mean and sd of the baseline's logarithms, kind by kind.",
            "`charts.weekday_z` does it for one series and its baseline; it does not take the logarithm.",
            "The days are the labels: `daily.index[z > 2.291]`.",
        ),
    ),
    "04-3": Exercise(
        judge=_weeks,
        form="a whole number of weeks",
        because="Five months of quiet history, for a promise of two. And they must have been quiet.",
        hints=(
            "The promise is about the teams above the range: which end of the interval is that?",
            "Raise `weeks` from 12 until `charts.false_alarm_interval(7 * weeks).high` is at most 2.",
        ),
    ),
    "04-4": Exercise(
        judge=_shares,
        form="a dict from the four monitors to their false alarms a quarter",
        because="Who never comes first costs budget and finds nothing new. Two good monitors beat four.",
        hints=(
            "Read the table of delays in section 6: which monitor is the first to find each incident?",
            "Easy incidents stay easy with a stricter limit. Give the budget to what finds the hard ones.",
            "Novelty is never much quicker than the gap, and cluster shares hardly than query drift.",
        ),
    ),
}  # fmt: skip
