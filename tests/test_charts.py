"""Charts: published run lengths, limits that keep their budget, honest intervals, bad input."""

import math
from functools import partial

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from helpers import calibration, charts
from helpers.charts import (
    average_run_length,
    budget_limit,
    cusum,
    effective_monitors,
    ewma,
    false_alarm_interval,
    run_length_limit,
    weekday_z,
)

SHEWHART = partial(ewma, weight=1)
CHARTS = {"Shewhart": SHEWHART, "EWMA": ewma, "slow EWMA": partial(ewma, weight=0.05), "CUSUM": cusum}
every_chart = pytest.mark.parametrize("chart", CHARTS.values(), ids=list(CHARTS))


def first_alarms(chart, limit, shift=0.0, days=4000, n_paths=2000, seed=0):
    """Return the day of the first alarm on each path; all paths must have one."""
    z = np.random.default_rng(seed).normal(shift, 1, size=(days, n_paths))
    alarm = chart(z, limit=limit) > limit
    assert alarm.any(axis=0).all()
    return 1 + alarm.argmax(axis=0)


# The states.


def test_the_chart_of_shewhart_is_the_scores():
    z = np.array([0.3, -2.0, 5.0])
    np.testing.assert_array_equal(ewma(z, weight=1, limit=1.0), z)


def test_charts_follow_their_recursions_and_start_again_after_an_alarm():
    z, limit = np.random.default_rng(1).normal(0.5, 1, size=200), 0.9
    average = total = 0.0
    states = ewma(z, weight=0.3, limit=limit), cusum(z, allowance=0.4, limit=limit)
    for day, now in enumerate(z):
        average = 0.7 * (average if average <= limit else 0.0) + 0.3 * now
        total = max(0.0, (total if total <= limit else 0.0) + now - 0.4)
        assert states[0][day] == pytest.approx(average) and states[1][day] == pytest.approx(total)
    assert (states[0] > limit).sum() > 3 and (states[1] > limit).sum() > 3


@every_chart
def test_a_chart_can_be_continued(chart):
    z = np.random.default_rng(2).normal(size=60)
    whole = chart(z, limit=0.8)
    np.testing.assert_array_equal(chart(z[25:], limit=0.8, state=whole[24]), whole[25:])


@every_chart
def test_many_paths_at_once_are_each_path_by_itself(chart):
    z = np.random.default_rng(3).normal(size=(50, 4))
    together = chart(z, limit=0.5)
    for path in range(4):
        np.testing.assert_array_equal(together[:, path], chart(z[:, path], limit=0.5))


# Run lengths.


def test_published_run_lengths():
    # Of an EWMA chart with weight .25 and limits at 3 sd, shift 1: SAS, function EWMAARL(1, .25, 3).
    three_sd = 3 * math.sqrt(0.25 / 1.75)
    quarter = partial(ewma, weight=0.25)
    found = average_run_length(quarter, three_sd, shift=1, two_sided=True)
    assert found == pytest.approx(11.154267016, abs=2e-9)
    tenth, limit = partial(ewma, weight=0.1), 2.814 * math.sqrt(0.1 / 1.9)
    for chart, h, shift, two_sided, published in [
        (SHEWHART, 3, 0, True, "370.4"),
        (SHEWHART, 3, 1, True, "43.9"),
        (cusum, 4, 0, False, "335.4"),
        (cusum, 4, 0, True, "168"),
        (cusum, 4, 1, True, "8.38"),
        (cusum, 4, 2, True, "3.34"),
        (cusum, 5, 0, False, "930.9"),
        (cusum, 5, 0, True, "465"),
        (cusum, 5, 1, True, "10.38"),
        (cusum, 5, 2, True, "4.01"),
        (tenth, limit, 0, True, "500"),
        (tenth, limit, 1, True, "10.3"),
    ]:
        found = average_run_length(chart, h, shift=shift, two_sided=two_sided)
        decimals = len(published.partition(".")[2])
        assert f"{found:.{decimals}f}" == published, (chart, h, shift)


@pytest.mark.parametrize("shift", [-1.0, 0.0, 0.7, 4.0])
def test_the_run_length_of_shewhart_is_the_inverse_of_a_tail(shift):
    exact = 1 / stats.norm.sf(1.5 - shift)
    assert average_run_length(SHEWHART, 1.5, shift=shift) == pytest.approx(exact, rel=1e-9)


def test_equal_budgets_have_the_delays_of_the_table():
    rows = {
        "Shewhart": (2.291, [27.3, 10.2, 2.6, 1.3]),
        "EWMA": (0.658, [13.0, 5.4, 2.5, 1.7]),
        "CUSUM": (2.762, [15.4, 5.9, 2.5, 1.7]),
    }
    for name, (limit, delays) in rows.items():
        found = run_length_limit(CHARTS[name], 91)
        assert found == pytest.approx(limit, abs=6e-4)
        assert average_run_length(CHARTS[name], found) == pytest.approx(91, rel=1e-6)
        measured = [average_run_length(CHARTS[name], found, shift=shift) for shift in (0.5, 1, 2, 3)]
        assert measured == pytest.approx(delays, abs=0.06)


@every_chart
@pytest.mark.parametrize("shift", [0.0, 1.0])
def test_run_lengths_are_those_of_simulated_days(chart, shift):
    limit = run_length_limit(chart, 40)
    days = first_alarms(chart, limit, shift, days=2500 if shift == 0 else 400)
    error = days.std() / math.sqrt(len(days))
    assert abs(days.mean() - average_run_length(chart, limit, shift=shift)) < 4 * error


@every_chart
@pytest.mark.parametrize("days", [30, 91, 2000])
def test_limits_for_a_run_length_give_that_run_length(chart, days):
    assert average_run_length(chart, run_length_limit(chart, days)) == pytest.approx(days, rel=1e-6)


# Limits from history.


@every_chart
def test_on_independent_scores_the_budget_limit_is_the_exact_one(chart):
    z = np.random.default_rng(4).normal(size=6000)
    z = (z - z.mean()) / z.std()
    limit = budget_limit(chart, z, days=30, n_paths=300)
    assert average_run_length(chart, limit) == pytest.approx(30, rel=0.12)


def test_scores_that_remember_yesterday_need_a_higher_limit_and_get_it():
    rng, phi = np.random.default_rng(5), 0.75
    z = np.empty((20_000, 5))
    z[0] = rng.normal(size=5)
    for day in range(1, len(z)):
        z[day] = phi * z[day - 1] + math.sqrt(1 - phi**2) * rng.normal(size=5)

    def days_between(limit):
        return z.size / (ewma(z, limit=limit) > limit).sum()

    naive = run_length_limit(ewma, 91)
    assert days_between(naive) == pytest.approx(24, rel=0.1)
    # Blocks of four weeks, since a block forgets its past where it begins.
    assert days_between(budget_limit(ewma, z[:4000, 0], block=28, n_paths=300)) == pytest.approx(91, rel=0.3)


def test_the_budget_limit_is_the_same_every_time_and_follows_the_seed():
    z = np.random.default_rng(6).normal(size=84)
    assert budget_limit(ewma, z) == budget_limit(ewma, list(z)) != budget_limit(ewma, z, rng=1)


def test_any_chart_can_have_a_budget():
    def largest_of_two(z, *, limit=np.inf):
        return np.maximum(z, np.roll(z, 1, axis=0))

    z = np.random.default_rng(7).normal(size=500)
    limit = budget_limit(largest_of_two, z, days=20)
    assert (largest_of_two(z) > limit).mean() == pytest.approx(1 / 20, abs=0.03)


# Honesty.


def test_the_largest_quiet_day_is_passed_as_often_as_the_interval_says():
    rng, n_baseline, days = np.random.default_rng(8), 84, 91
    limits = rng.normal(size=(4000, n_baseline)).max(axis=1)
    rates = days * stats.norm.sf(limits)
    found = false_alarm_interval(n_baseline, days)
    assert found.mean == pytest.approx(days / (n_baseline + 1)) == pytest.approx(rates.mean(), rel=0.05)
    assert np.quantile(rates, [0.05, 0.95]) == pytest.approx([found.low, found.high], rel=0.15)
    assert [round(x, 2) for x in false_alarm_interval(28)] == [3.14, 0.17, 9.23]


def test_effective_monitors_counts_from_one_to_all():
    rng = np.random.default_rng(9)
    same = np.repeat(rng.random((500, 1)) < 0.1, 4, axis=1)
    apart = np.zeros((400, 4), bool)
    apart[np.arange(400), np.arange(400) % 4] = True
    assert effective_monitors(same) == 1
    assert effective_monitors(apart) == 4
    assert 3 < effective_monitors(rng.random((20_000, 4)) < 0.05) < 4


# Bad input.

GOOD = {
    ewma: {"z": [0.1, 0.2]},
    cusum: {"z": [0.1, 0.2]},
    average_run_length: {"chart": ewma, "limit": 1.0},
    run_length_limit: {"chart": ewma, "days": 91},
    budget_limit: {"chart": ewma, "baseline": np.random.default_rng(0).normal(size=60)},
    false_alarm_interval: {"n_baseline": 84},
    effective_monitors: {"fires": np.eye(3, dtype=bool)},
    weekday_z: {"series": pd.Series(np.arange(14.0)), "baseline": pd.Series(np.arange(14.0))},
}
NUMBERS = ["1", None, True, np.nan, np.inf, 1j, [1.0]]
ARRAYS = [[np.nan], [np.inf], [], "abc", ["a"], np.zeros((2, 2, 2)), 3.0, [1j], [True], None]
BAD = [
    (function, argument, value)
    for function, argument, values in [
        (ewma, "z", ARRAYS),
        (ewma, "weight", [0, -1, 1.5, *NUMBERS]),
        (ewma, "limit", [0, -1, np.nan, "1", None, True]),
        (ewma, "state", NUMBERS),
        (cusum, "z", ARRAYS),
        (cusum, "allowance", [-0.1, *NUMBERS]),
        (
            average_run_length,
            "chart",
            ["ewma", None, np.mean, partial(ewma, limit=2), partial(cusum, weight=1)],
        ),
        (average_run_length, "limit", [0, -1, *NUMBERS]),
        (average_run_length, "shift", NUMBERS),
        (run_length_limit, "days", [0, 1, 2, 3, *NUMBERS]),
        (run_length_limit, "chart", [None]),
        (budget_limit, "baseline", [*ARRAYS, np.zeros(20), np.zeros((30, 2))]),
        (budget_limit, "days", [0, -5, *NUMBERS]),
        (budget_limit, "block", [0, 1.5, 40, "7", None]),
        (budget_limit, "n_paths", [0, 1.5, "7", None]),
        (budget_limit, "rng", [-1, "0", None]),
        (false_alarm_interval, "n_baseline", [0, -1, 2.5, "3", None, True]),
        (false_alarm_interval, "days", [0, *NUMBERS]),
        (false_alarm_interval, "level", [0, 1, *NUMBERS]),
        (effective_monitors, "fires", [[True], [[1, 0]], [[0.5]], np.zeros((3, 2), bool), None, "a"]),
        (weekday_z, "series", [[1.0], None, pd.Series([np.nan]), pd.Series([np.inf])]),
        (weekday_z, "baseline", [[1.0], pd.Series([np.nan]), pd.Series(np.ones(14)), pd.Series([1.0, 2.0])]),
    ]
    for value in values
]


@pytest.mark.parametrize("function, argument, value", BAD, ids=[f"{f.__name__}-{a}" for f, a, _ in BAD])
def test_bad_input_is_refused_by_name(function, argument, value):
    with pytest.raises((ValueError, TypeError), match=argument):
        function(**{**GOOD[function], argument: value})


@pytest.mark.parametrize("function", GOOD, ids=lambda function: function.__name__)
def test_good_input_is_taken(function):
    assert function(**GOOD[function]) is not None


def test_charts_can_be_had_from_calibration():
    assert calibration.average_run_length is charts.average_run_length
    assert set(calibration.__all__) <= set(dir(calibration))
