"""Outcomes by window, event studies, honest correlation, mix against rate, frozen buckets."""

from functools import cache

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from helpers.charts import weekday_z
from helpers.log import Log
from helpers.outcomes import (
    Buckets,
    by_window,
    circular_shift_test,
    decompose,
    event_study,
    lagged_correlation,
    weekday_adjust,
)
from helpers.synthetic import Event, Product

# Outcomes by window.


def small_log():
    rows = pd.DataFrame(
        {
            "day": [7, 7, 8, 8, 10],
            "success": [True, False, True, True, False],
            "click": [True, False, False, True, False],
            "no_answer": [False, True, False, False, False],
            "escalation": [True, True, False, False, True],
            "escalation_day": [8, 10, 9, 9, 20],
            "best_similarity": [0.9, 0.5, 0.8, 0.6, 0.7],
        }
    )
    return Log(np.zeros((5, 2), np.float32), rows)


def test_each_day_has_its_counts_and_rates():
    table = by_window(small_log())
    assert table.index.tolist() == [7, 8, 10] and table.index.name == "day"
    assert table["queries"].tolist() == [2, 2, 1]
    assert table["success"].tolist() == [0.5, 1.0, 0.0]
    assert table["click"].tolist() == [0.5, 0.5, 0.0]
    assert table["no_answer"].tolist() == [0.5, 0.0, 0.0]
    assert table["best_similarity"].tolist() == pytest.approx([0.7, 0.7, 0.7])


def test_tickets_count_on_the_day_they_are_booked():
    assert by_window(small_log())["escalation"].tolist() == [0.0, 0.5, 1.0]


def test_windows_start_at_the_first_day_and_hold_whole_days():
    table = by_window(small_log(), days=2)
    assert table.index.tolist() == [7, 9]
    assert table["queries"].tolist() == [4, 1]
    assert table["success"].tolist() == [0.75, 0.0]
    assert table["escalation"].tolist() == [0.25, 1.0]


def test_one_window_holds_everything_booked_before_its_end():
    table = by_window(small_log(), days=7)
    assert table.index.tolist() == [7]
    assert table["escalation"].tolist() == [2 / 5]


def test_windows_before_day_zero_are_cut_the_same_way():
    log = small_log()
    log.outcomes[["day", "escalation_day"]] -= 9
    table = by_window(log, days=2)
    assert table.index.tolist() == [-2, 0]
    assert table["escalation"].tolist() == [0.25, 1.0]


def test_weighted_by_queries_the_windows_give_the_overall_rates():
    log = simulated()
    for days in (1, 7):
        table = by_window(log, days)
        assert table["queries"].sum() == len(log)
        for outcome in ("success", "click", "no_answer"):
            overall = np.average(table[outcome], weights=table["queries"])
            assert overall == pytest.approx(log.outcomes[outcome].mean())


def test_an_empty_log_is_refused():
    with pytest.raises(ValueError, match="log has 0 queries and days=1: give at least one of each"):
        by_window(small_log().days(100, 101))


@pytest.mark.parametrize("days", [0, -1])
def test_windows_shorter_than_a_day_are_refused(days):
    with pytest.raises(ValueError, match=f"log has 5 queries and days={days}: give at least one of each"):
        by_window(small_log(), days)


# Weekdays and weekends.


def weekly_series(values_weekday, values_weekend):
    days = np.arange(14)
    values = np.where(days % 7 < 5, np.resize(values_weekday, 14), np.resize(values_weekend, 14))
    return pd.Series(values.astype(float), index=days)


def test_weekday_z_uses_the_baseline_days_of_the_same_kind():
    baseline = pd.Series([1.0, 3.0, 1.0, 3.0, 2.0, 10.0, 30.0], index=range(-7, 0))
    series = pd.Series([2.0, 4.0, 20.0, 30.0], index=[0, 4, 5, 6])
    weekday_sd, weekend_sd = np.std([1, 3, 1, 3, 2], ddof=1), np.std([10, 30], ddof=1)
    expected = [0, 2 / weekday_sd, 0, 10 / weekend_sd]
    z = weekday_z(series, baseline)
    assert z.tolist() == pytest.approx(expected)
    assert z.index.equals(series.index)


def test_a_baseline_standardises_itself():
    rng = np.random.default_rng(0)
    baseline = pd.Series(rng.normal(size=84) + 5 * (np.arange(84) % 7 >= 5), index=range(84))
    z = weekday_z(baseline, baseline)
    for kind in (z.index % 7 < 5, z.index % 7 >= 5):
        assert z[kind].mean() == pytest.approx(0) and z[kind].std() == pytest.approx(1)


def test_a_baseline_without_weekends_is_refused():
    series = weekly_series([1, 2], [3, 4])
    with pytest.raises(ValueError, match="baseline needs at least two weekdays and two weekend"):
        weekday_z(series, series[:5])


@pytest.mark.parametrize("value", [1.0, 0.1])
@pytest.mark.parametrize("kind", ["weekdays", "weekends"])
def test_a_baseline_that_never_changes_is_refused(value, kind):
    series = daily(days=70)
    series[(series.index % 7 < 5) == (kind == "weekdays")] = value
    with pytest.raises(ValueError, match="baseline needs .* that differ"):
        weekday_z(series, series)


def test_weekday_adjustment_takes_out_the_quiet_pattern_only():
    series = weekly_series([1], [5])
    series[10] = 100.0
    quiet = series.index != 10
    adjusted = weekday_adjust(series, quiet)
    assert adjusted[quiet].tolist() == [0.0] * 13 and adjusted[10] == 99.0
    assert series[10] == 100.0


# Event studies.


def daily(seed=0, days=150, noise=0.01):
    rng = np.random.default_rng(seed)
    weekend = np.arange(days) % 7 >= 5
    return pd.Series(0.95 - 0.03 * weekend + noise * rng.normal(size=days), index=range(days))


def test_a_step_is_found_with_its_size():
    series, quiet = daily(), np.arange(150) < 100
    series[100:] -= 0.04
    study = event_study(series, 100, quiet)
    assert study.change == pytest.approx(-0.04, abs=0.01)
    assert study.pvalue == 1 / (1 + len(study.placebos))
    assert len(study.placebos) > 50


def test_a_rise_counts_as_much_as_a_fall():
    series, quiet = daily(), np.arange(150) < 100
    series[100:] += 0.04
    assert event_study(series, 100, quiet).pvalue < 0.02


def test_only_the_days_after_the_onset_count():
    series, quiet = daily(noise=0), np.ones(150, bool)
    quiet[60:] = False
    series[60:70] += 0.5
    series[70:] -= 9.0
    assert event_study(series, 60, quiet, after=10).change == pytest.approx(0.5)
    assert event_study(series, 60, quiet, after=5).change == pytest.approx(0.5)


def test_only_quiet_days_before_the_onset_count():
    series, quiet = daily(noise=0), np.arange(150) < 100
    quiet[90:95] = False
    series[90:95] += 7.0
    series[100:] += 0.5
    study = event_study(series, 100, quiet)
    assert study.change == pytest.approx(0.5)
    np.testing.assert_allclose(study.placebos, 0, atol=1e-12)


def test_the_change_is_the_difference_of_two_means():
    series, quiet = pd.Series(np.arange(150.0) ** 1.5), np.ones(150, bool)
    adjusted = weekday_adjust(series, quiet)
    study = event_study(series, 100, quiet, after=4, before=14)
    assert study.change == pytest.approx(adjusted[100:104].mean() - adjusted[86:100].mean())


def test_placebos_lie_in_quiet_time_only():
    series, quiet = daily(noise=0), np.ones(150, bool)
    quiet[60:75] = False
    series[60:75] -= 5.0
    assert np.abs(event_study(series, 120, quiet).placebos).max() < 1e-12


def test_every_possible_placebo_is_used():
    study = event_study(daily(), 100, np.ones(150, bool), after=10, before=21)
    assert len(study.placebos) == 150 - 21 - 10 + 1


def test_the_weekday_of_the_onset_does_not_matter():
    series, quiet = daily(noise=0), np.arange(150) < 120
    changes = [event_study(series, onset, quiet, after=3).change for onset in range(100, 107)]
    np.testing.assert_allclose(changes, 0, atol=1e-12)


def test_pvalues_of_quiet_series_are_uniform():
    quiet = np.ones(150, bool)
    pvalues = [event_study(daily(seed), 100, quiet).pvalue for seed in range(150)]
    assert stats.kstest(pvalues, "uniform").pvalue > 0.001
    low, high = stats.binom.interval(0.999, 150, 0.1)
    assert low <= np.sum(np.array(pvalues) <= 0.1) <= high
    assert min(pvalues) > 0


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda s, q: event_study(s, 3, q), "onset=3"),
        (lambda s, q: event_study(s, 100, ~q), "quiet has no weekday"),
        (lambda s, q: event_study(s, 999, q), "onset=999: needs 21 quiet days before it, within the series"),
        (lambda s, q: event_study(s, 150, q), "onset=150: needs 21 quiet days before it, within the series"),
        (lambda s, q: event_study(s, -5, q), "onset=-5: needs 21 quiet days before it, within the series"),
        (lambda s, q: event_study(s[(s.index < 99) | (s.index > 120)], 105, q[:128]), "onset=105: needs 21"),
        (lambda s, q: event_study(s[:0], 0, q[:0]), "onset=0: needs 21 quiet days before it"),
        (lambda s, q: event_study(s, 100, q, after=0), "after=0 and before=21 must be at least one day"),
        (lambda s, q: event_study(s, 100, q, before=0), "after=10 and before=0 must be at least one day"),
        (
            lambda s, q: event_study(s.where(s.index != 5), 100, q),
            "series has 1 missing or infinite value(s)",
        ),
        (lambda s, q: event_study(s, 100, q[:9]), "quiet has shape (9,)"),
        (
            lambda s, q: event_study(s, 40, (np.arange(150) < 25) | (np.arange(150) % 3 == 0)),
            "quiet leaves no placebo onset",
        ),
    ],
)
def test_an_impossible_study_is_refused_by_name(call, message):
    with pytest.raises(ValueError) as error:
        call(daily(), np.ones(150, bool))
    assert message in str(error.value)


# Correlation of two series over time.


def wandering(rng, n=120, memory=0.9):
    noise, state, path = rng.normal(size=n + 50), 0.0, []
    for step in noise:
        state = memory * state + step
        path.append(state)
    return np.array(path[50:])


def test_turning_keeps_the_level_where_the_textbook_test_loses_it():
    rng, turned, naive = np.random.default_rng(0), [], []
    for repetition in range(300):
        x, y = wandering(rng), wandering(rng)
        turned.append(circular_shift_test(x, y, lag=2, n_resamples=99, rng=repetition).pvalue)
        naive.append(stats.pearsonr(x[:-2], y[2:]).pvalue)
    low, high = stats.binom.interval(0.999, 300, 0.05)
    assert low <= np.sum(np.array(turned) <= 0.05) <= high
    assert stats.kstest(turned, "uniform").pvalue > 0.001
    assert np.mean(np.array(naive) <= 0.05) > 0.3


def test_lagged_correlation_compares_x_today_with_y_later():
    x = np.random.default_rng(1).normal(size=200)
    later = np.r_[np.zeros(3), x[:-3]]
    assert lagged_correlation(x, later, lag=3) == pytest.approx(1)
    assert abs(lagged_correlation(x, later, lag=0)) < 0.3
    assert abs(lagged_correlation(later, x, lag=3)) < 0.3
    assert lagged_correlation(x, -later, lag=3) == pytest.approx(-1)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_true_tie_gets_the_smallest_pvalue(sign):
    rng = np.random.default_rng(2)
    x = wandering(rng)
    y = sign * np.r_[0, 0, x[:-2]] + 0.1 * rng.normal(size=len(x))
    result = circular_shift_test(x, y, lag=2, n_resamples=99)
    assert result.statistic == lagged_correlation(x, y, 2) and sign * result.statistic > 0.9
    assert result.pvalue <= 0.03


@pytest.mark.parametrize("lag", [0, 5])
def test_the_null_holds_correlations_of_turned_series(lag):
    rng = np.random.default_rng(3)
    x, y = wandering(rng, 40), wandering(rng, 40)
    turns = [lagged_correlation(np.roll(x, shift), y, lag) for shift in range(1, 40)]
    null = circular_shift_test(x, y, lag, n_resamples=300).null
    nearest = np.abs(null[:, None] - np.array(turns)).min(axis=1)
    assert len(null) == 300 and nearest.max() < 1e-12
    assert len(np.unique(null.round(9))) > 35


def test_two_weekly_series_are_no_evidence():
    week = np.tile([1.0, 2, 3, 4, 5, 0, 0], 12)
    assert circular_shift_test(week, 2 * week, n_resamples=999).pvalue > 0.08


def test_a_pvalue_is_never_zero():
    x = np.arange(30.0)
    for n_resamples in (1, 19):
        assert circular_shift_test(x, x, n_resamples=n_resamples).pvalue >= 1 / (1 + n_resamples)


@pytest.mark.parametrize(
    "x, y, lag",
    [
        (range(9), range(8), 0),
        (range(9), range(9), 7),
        (range(9), range(9), -1),
        ([[1, 2]], [[1, 2]], 0),
    ],
    ids=["lengths", "long lag", "negative lag", "matrix"],
)
def test_series_that_do_not_fit_are_refused(x, y, lag):
    for call in (lagged_correlation, circular_shift_test):
        with pytest.raises(ValueError, match="x and y must be two series of one length"):
            call(x, y, lag)


SPIKE = np.eye(20)[3]


@pytest.mark.parametrize(
    "spoiled, lag, message",
    [
        (np.full(20, 0.1), 0, "x and y must vary: a constant correlates with nothing"),
        (np.full(20, 0.1), 2, "x and y must vary: a constant correlates with nothing"),
        (np.where(SPIKE > 0, np.nan, np.arange(20)), 0, "x or y has NaN or infinity"),
        (np.where(np.isin(np.arange(20), [0, 19]), np.nan, 1.0 * np.arange(20)), 2, "x or y has NaN"),
        (np.where(SPIKE > 0, np.inf, np.arange(20)), 0, "x or y has NaN or infinity"),
    ],
    ids=["constant", "constant and lag", "NaN", "NaN beyond the lag", "infinity"],
)
def test_series_that_cannot_be_correlated_are_refused(spoiled, lag, message):
    for call in (lagged_correlation, circular_shift_test):
        for pair in [(spoiled, np.arange(20.0)), (np.arange(20.0), spoiled)]:
            with pytest.raises(ValueError, match=message):
                call(*pair, lag)


def test_a_series_that_turns_constant_is_refused():
    assert lagged_correlation(SPIKE, np.arange(20.0), lag=3) < 0
    assert np.isfinite(circular_shift_test(SPIKE, np.arange(20.0)).null).all()
    with pytest.raises(ValueError, match="x varies within lag=3 days only"):
        circular_shift_test(SPIKE, np.arange(20.0), lag=3)


@pytest.mark.parametrize("n_resamples", [0, -1])
def test_a_shift_test_without_resamples_is_refused(n_resamples):
    with pytest.raises(ValueError, match=f"n_resamples={n_resamples} must be at least 1"):
        circular_shift_test(SPIKE, np.arange(20.0), n_resamples=n_resamples)


# Mix and rate.


def test_mix_and_rate_add_up_to_the_change():
    rng = np.random.default_rng(4)
    for _ in range(50):
        sizes = rng.integers(1, 60, 2)
        buckets = [rng.integers(0, 4, n) + rng.integers(0, 4) for n in sizes]
        outcomes = [rng.normal(size=n) for n in sizes]
        table = decompose(buckets[0], outcomes[0], buckets[1], outcomes[1])
        total = outcomes[1].mean() - outcomes[0].mean()
        assert table["mix"].sum() + table["rate"].sum() == pytest.approx(total, abs=1e-12)
        np.testing.assert_allclose(table[["share_before", "share_after"]].sum(), 1)


def test_a_small_table_gives_the_numbers_worked_by_hand():
    table = decompose([0, 0, 0, 1], [1, 1, 0, 0], [0, 1, 1, 1], [1, 1, 0, 0])
    np.testing.assert_allclose(table["share_before"], [0.75, 0.25])
    np.testing.assert_allclose(table["share_after"], [0.25, 0.75])
    np.testing.assert_allclose(table["rate"], [0.5 * (1 - 2 / 3), 0.5 * (1 / 3 - 0)])
    np.testing.assert_allclose(table["mix"], [-0.5 * (5 / 6 - 0.5), 0.5 * (1 / 6 - 0.5)])


def test_other_people_at_the_same_rates_are_all_mix():
    table = decompose([0] * 6 + [1] * 2, [1] * 3 + [0] * 3 + [1, 1], [0, 0, 1, 1], [1, 0, 1, 1])
    np.testing.assert_allclose(table["rate"], 0, atol=1e-15)
    assert table["mix"].sum() == pytest.approx(0.75 - 5 / 8)


def test_the_same_people_at_other_rates_are_all_rate():
    table = decompose([0, 0, 1, 1], [1, 1, 1, 1], [1, 0, 0, 1], [0, 1, 1, 1])
    np.testing.assert_allclose(table["mix"], 0, atol=1e-15)
    np.testing.assert_allclose(table["rate"], [0, -0.25])


def test_growth_of_a_bucket_as_good_as_the_whole_costs_nothing():
    outcome = [1, 0] * 10
    table = decompose([0] * 16 + [1] * 4, outcome, [0] * 4 + [1] * 16, outcome)
    np.testing.assert_allclose(table[["mix", "rate"]], 0, atol=1e-15)


def test_going_back_in_time_changes_the_sign():
    rng = np.random.default_rng(5)
    before = rng.integers(0, 4, 50), rng.random(50)
    after = rng.integers(1, 6, 70), rng.random(70)
    there, back = decompose(*before, *after), decompose(*after, *before)
    np.testing.assert_allclose(there[["mix", "rate"]], -back[["mix", "rate"]], atol=1e-15)


def test_a_bucket_that_is_empty_on_one_side_has_no_rate_part():
    table = decompose([0, 0, 1], [1, 1, 0], [0, 0, 2], [1, 1, 0])
    assert table.index.tolist() == [0, 1, 2]
    assert table.loc[1, "share_after"] == 0 and table.loc[2, "share_before"] == 0
    np.testing.assert_allclose(table["rate"], 0)
    assert table.loc[2, "mix"] < 0 < table.loc[1, "mix"]


def test_buckets_may_be_words_and_outcomes_booleans():
    table = decompose(["web", "app"], [True, False], np.array(["web", "web"]), [True, True])
    assert table.index.tolist() == ["app", "web"]
    assert table[["mix", "rate"]].sum().sum() == pytest.approx(0.5)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (([0], [1, 1], [0], [1]), "bucket_before has shape (1,) and outcome_before (2,)"),
        (([0], [1], [], []), "bucket_after has shape (0,)"),
        (([[0]], [[1]], [0], [1]), "bucket_before has shape (1, 1)"),
        (([0], [1], [0], [np.nan]), "outcome_after has missing values: drop those queries first"),
        (([0, np.nan], [1, 1], [0], [1]), "bucket_before has missing values"),
        (([0], [1], ["web", None], [1, 1]), "bucket_after has missing values"),
    ],
    ids=["lengths", "empty", "matrix", "NaN outcome", "NaN bucket", "None bucket"],
)
def test_what_cannot_be_decomposed_is_refused_by_name(arguments, message):
    with pytest.raises(ValueError) as error:
        decompose(*arguments)
    assert message in str(error.value)


# The table of what each event looks like, bucket by bucket.


@cache
def simulated(*events, start=0):
    return Product(seed=0).run(28, events, start)


@cache
def buckets():
    return Buckets.fit(simulated(start=-28).embeddings)


@cache
def parts(*events, outcome="success"):
    before, after = simulated(start=-28), simulated(*events)
    return decompose(
        buckets().assign(before.embeddings),
        before.outcomes[outcome],
        buckets().assign(after.embeddings),
        after.outcomes[outcome],
    )


NOVEL = 12


@pytest.mark.parametrize(
    "events, mix, rate",
    [
        ((Event("remove_docs", size=0.6, topic=3),), 0.002, -0.049),
        ((Event("new_topic", size=0.06),), -0.030, -0.025),
        ((Event("new_topic", size=0.06, index_follows=True),), -0.009, 0.011),
        ((Event("spread", size=0.10),), -0.007, -0.065),
        ((Event("spread", size=0.15, segment="mobile"),), -0.008, -0.074),
        ((Event("null_vectors", size=0.03),), -0.005, -0.023),
    ],
    ids=["removal", "uncovered", "covered", "spread", "mobile", "null vectors"],
)
def test_mix_and_rate_are_those_of_the_table(events, mix, rate):
    table = parts(*events)
    assert abs(table["mix"].sum() - mix) < 0.006
    assert abs(table["rate"].sum() - rate) < 0.006


def test_missing_documents_sit_in_the_bucket_of_their_topic():
    event = Event("remove_docs", size=0.6, topic=3)
    rate = parts(event)["rate"].abs()
    assert rate.max() / rate.sum() > 0.7
    assigned = buckets().assign(simulated(event).embeddings)
    assert simulated(event).outcomes["topic"][assigned == rate.idxmax()].mode()[0] == 3


def test_an_uncovered_topic_sits_in_the_novel_bucket():
    table = parts(Event("new_topic", size=0.06))
    total = table["mix"].sum() + table["rate"].sum()
    assert table.loc[NOVEL, ["mix", "rate"]].sum() / total > 0.85
    assert table.loc[NOVEL, "mix"] < -0.02 and table.loc[NOVEL, "rate"] < -0.015


def test_a_covered_topic_cancels_inside_the_novel_bucket():
    table = parts(Event("new_topic", size=0.06, index_follows=True))
    assert table.loc[NOVEL, "mix"] < -0.004 and table.loc[NOVEL, "rate"] > 0.005
    assert abs(table[["mix", "rate"]].sum().sum()) < 0.006


def test_noise_hurts_every_bucket_a_little():
    rate = parts(Event("spread", size=0.10))["rate"]
    assert (rate < 0.001).all() and rate.abs().max() / rate.abs().sum() < 0.25


def test_null_vectors_sit_in_one_bucket():
    rate = parts(Event("null_vectors", size=0.03))["rate"].abs()
    assert rate.max() / rate.sum() > 0.55


def test_noise_of_one_segment_is_found_by_segment():
    before, after = simulated(start=-28), simulated(Event("spread", size=0.15, segment="mobile"))
    sides = (before.outcomes["segment"], before.outcomes["success"])
    table = decompose(*sides, after.outcomes["segment"], after.outcomes["success"])
    change = table["rate"] / ((table["share_before"] + table["share_after"]) / 2)
    assert abs(change["mobile"] + 0.234) < 0.02
    assert abs(change[["web", "partner"]]).max() < 0.01


def test_a_change_of_the_page_is_a_uniform_rate_part_of_the_clicks():
    events = (Event("new_topic", size=0.06, index_follows=True), Event("ui", size=0.12))
    clicks = parts(*events, outcome="click")
    assert abs(clicks["mix"].sum() + 0.005) < 0.005
    assert abs(clicks["rate"].sum() + 0.067) < 0.008
    assert clicks["rate"].abs().max() / clicks["rate"].abs().sum() < 0.25
    assert abs(parts(*events)[["mix", "rate"]].sum().sum()) < 0.006


# Frozen buckets.


def test_traffic_as_usual_leaves_little_in_the_novel_bucket():
    assigned = buckets().assign(simulated().embeddings)
    assert 0.005 < (assigned == NOVEL).mean() < 0.04
    assert set(assigned) == set(range(13))


def test_a_new_topic_lands_in_the_novel_bucket():
    log = simulated(Event("new_topic", size=0.06))
    assigned = buckets().assign(log.embeddings)
    assert (assigned == NOVEL)[log.outcomes["topic"] >= 12].mean() > 0.7


def test_a_row_gets_its_bucket_whatever_comes_with_it():
    rows = simulated().embeddings[:300]
    whole = buckets().assign(rows)
    assert np.array_equal(whole[:10], buckets().assign(rows[:10]))
    assert np.array_equal(whole[::-1], buckets().assign(rows[::-1]))
    assert np.array_equal(whole, buckets().assign(rows.astype(float).tolist()))


def test_buckets_are_the_same_for_the_same_reference():
    reference = simulated(start=-28).embeddings[:1000]
    first, again = (Buckets.fit(reference, n_clusters=4) for _ in range(2))
    rows = simulated().embeddings
    assert np.array_equal(first.assign(rows), again.assign(rows))
    assert first.names == ["cluster 0", "cluster 1", "cluster 2", "cluster 3", "novel"]


def test_a_lower_quantile_calls_more_rows_novel():
    reference, rows = simulated(start=-28).embeddings[::5], simulated().embeddings
    share = [
        (Buckets.fit(reference, n_clusters=3, quantile=quantile).assign(rows) == 3).mean()
        for quantile in (0.9, 0.98)
    ]
    assert abs(share[0] - 0.10) < 0.04 and abs(share[1] - 0.02) < 0.015


def test_a_single_row_has_a_bucket():
    rows = simulated().embeddings
    assert buckets().assign(rows[:1]).tolist() == buckets().assign(rows[:2]).tolist()[:1]
    assert buckets().assign(10 + rows[:1]).tolist() == [NOVEL]


def test_windows_that_cannot_be_bucketed_are_refused_by_name():
    rows = np.random.default_rng(0).normal(size=(11, 2))
    with pytest.raises(ValueError, match="^reference has 11 rows for n_clusters=12: give more rows"):
        Buckets.fit(rows)
    with pytest.raises(ValueError, match=r"^reference has 1 row\(s\): give at least 2"):
        Buckets.fit(rows[:1], n_clusters=1)
    with pytest.raises(ValueError, match="^embeddings has 2 columns, not the 64 of the fit"):
        buckets().assign(rows)
    with pytest.raises(ValueError, match=r"^embeddings has 0 row\(s\): give at least 1"):
        buckets().assign(simulated().embeddings[:0])
    with pytest.raises(ValueError, match="^reference has NaN or infinity"):
        Buckets.fit(np.full((50, 2), np.nan))
    with pytest.raises(ValueError, match=r"^embeddings has shape \(64,\)"):
        buckets().assign(simulated().embeddings[0])


def test_a_history_without_a_quiet_weekend_is_refused_by_name():
    series = pd.Series(np.arange(70.0))
    with pytest.raises(ValueError, match="quiet has no weekend day"):
        event_study(series, 60, series.index % 7 < 5)


def test_infinite_outcomes_are_refused_by_name():
    quiet = np.ones(70, bool)
    with pytest.raises(ValueError, match="series has 1 missing or infinite"):
        event_study(pd.Series(np.arange(70.0)).replace(3.0, np.inf), 60, quiet)
    with pytest.raises(ValueError, match="outcome_after has infinite"):
        decompose([0, 1], [0, 1], [0, 1], [0, np.inf])
