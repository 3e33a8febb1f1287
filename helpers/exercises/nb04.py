"""What judges the exercises of notebook 04."""

from collections.abc import Mapping
from functools import cache, partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

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
from helpers.years import SCORES

# 04-1: an EWMA that forgets more slowly


@cache
def _memory_delays(weight: float = 0.05, limit_of: float = 0.05) -> tuple[float, float]:
    limit = run_length_limit(partial(ewma, weight=limit_of), 91)
    small, large = (average_run_length(partial(ewma, weight=weight), limit, shift=s) for s in (0.5, 3.0))
    return small, large


def _memory(answer: Any) -> str | None:
    given, right = as_numbers(answer, 2), np.array(_memory_delays())
    if abs(given - right).max() <= 0.1:
        return None
    slips: list[tuple[Any, str]] = [
        (
            _memory_delays(limit_of=0.2),
            "The limit is still that of weight 0.2. A budget has another limit for each chart.",
        ),
        (_memory_delays(0.2, 0.2), "These are the delays with weight 0.2."),
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
    by_place = weekday_z(x.reset_index(drop=True), usual.reset_index(drop=True)).set_axis(x.index)
    return {
        "": weekday_z(x, usual),
        "It compares Saturdays with Mondays: one mean and one sd for all days.": (x - usual.mean())
        / usual.std(),
        "It leaves out the logarithm.": weekday_z(daily, baseline),
        "It compares the days with themselves. What is usual is for the baseline to say.": weekday_z(x, x),
        "It takes weekend days for weekdays: use the number in the index, not the place, and the baseline's "
        "days of that kind.": by_place,
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
    days = set(as_numbers(list(said) if isinstance(said, (set, frozenset)) else said).tolist())
    if any(day % 1 for day in days):
        return "These are z-scores; return their days, the labels of the index."
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
        return f"{given:.0f} weeks are just too few: look at the second decimal of `high`."
    if 7 * (right - 1) < given <= 7 * right:
        return "This counts days. Weeks are asked for."
    slips = [
        (on_average, "That keeps the promise on average. Of 100 teams, how many have more?"),
        (careful, "With level=0.95, five teams are outside, half of them with too few alarms."),
    ]
    return compare_number(given, right, 0.01, slips)


# 04-4: two false alarms a quarter, divided


@cache
def _limit(share: float) -> float:
    return run_length_limit(ewma, 91 / share)


def _delays(shares: NDArray[np.float64], mean_z: pd.DataFrame) -> pd.Series:
    """Return the mean delay of each incident's quickest monitor; less than 0.01 a quarter is off."""
    on = {monitor: share for monitor, share in zip(SCORES, shares, strict=True) if share >= 0.01}
    delays = {
        monitor: [average_run_length(ewma, _limit(share), shift=z) for z in mean_z[monitor]]
        for monitor, share in on.items()
    }
    return pd.DataFrame(delays, index=mean_z.index).min(axis=1)


def _table(mean_z: Any) -> pd.DataFrame:
    """Read how loud each incident (row) is for each monitor, as the notebook measured it."""
    if not isinstance(mean_z, pd.DataFrame) or not set(SCORES) <= set(mean_z) or len(mean_z) != 6:
        raise UnfitError("The second part is not `mean_z`, the table of section 6.")
    loud = as_numbers(mean_z[list(SCORES)].to_numpy()).reshape(6, len(SCORES))
    return pd.DataFrame(loud.clip(-20, 20), index=mean_z.index, columns=SCORES)


def _shares(answer: Any) -> str | None:
    if not isinstance(attempted(answer), (tuple, list)) or len(answer) != 2:
        raise UnfitError("These are not two things.")
    shares, mean_z = attempted(answer[0]), _table(answer[1])
    if not isinstance(shares, (Mapping, pd.Series)):
        raise UnfitError("The shares are not a dict.")
    wrong = [name for name in (*SCORES, *shares.keys()) if (name in SCORES) != (name in shares)]
    if wrong:
        return f"'{str(wrong[0])[:40]}': name all four monitors, {', '.join(SCORES)}, and no other."
    return _judged(as_numbers([shares[name] for name in SCORES]), mean_z)


def _judged(shares: NDArray[np.float64], mean_z: pd.DataFrame) -> str | None:
    if shares.min() < 0 or shares.max() > 4:
        odd = shares.min() if shares.min() < 0 else shares.max()
        return f"{odd:g} is no share of two false alarms a quarter: give numbers from 0 to 2."
    if shares.sum() > 2.001:
        return f"Together they ring {shares.sum():.3g} times a quarter for nothing; two are allowed."
    if shares.max() < 0.01:
        return "No monitor is on."
    mine, even = (_delays(each, mean_z) for each in (shares, np.full(4, 0.5)))
    if mine.max() > 28:
        return f"'{mine.idxmax()}' takes {mine.max():.0f} days. Which monitor would see it sooner?"
    if mine.mean() > even.mean() - 0.5:
        return (
            f"The mean delay is {mine.mean():.2f} days, with the even split {even.mean():.2f}: half a day "
            f"less is asked for. '{mine.idxmax()}' takes longest, {mine.max():.0f} days."
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
        because="Weekend days are judged by weekend days, all by days that are neither reference nor today.",
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
        form="(shares, mean_z), a dict from the four monitors to their false alarms a quarter, and the table",
        because="Who never comes first costs budget and finds nothing new. Few good monitors beat four.",
        hints=(
            "Read `mean_z` row by row: which monitor is loudest? For which incidents is none loud?",
            "Loud incidents stay easy with a stricter limit. Give the budget to what finds the faint ones.",
            "The gap is loud in the first four rows. The small shift and the topic mix are faint: two or "
            "three monitors that are on will do for all six.",
        ),
    ),
}  # fmt: skip
