"""PromQL's words and the dashboard's rules in NumPy: computed by hand, at the edges, and refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.alerts import DAY, HOUR, OBJECTIVE, RULES, SEVERE_BURN, evaluate
from helpers.promql import above, hold, increase, match, over_time, pick, sum_by

NAN = np.nan


def hours(n):
    return np.arange(n) * float(HOUR)


def series(name, values, **labels):
    return {(name, tuple(sorted(labels.items()))): np.asarray(values, float)}


def at(made, metric, moment, **labels):
    return made[metric, tuple(sorted(labels.items()))][moment]


def firing(made, alertname, **labels):
    """Tell at which of the times an alert fires, for any labels beside the given ones."""
    found = [
        np.isfinite(values)
        for (name, pairs), values in made.items()
        if name == "ALERTS" and dict(pairs)["alertname"] == alertname and set(labels.items()) <= set(pairs)
    ]
    return np.flatnonzero(np.any(found, axis=0)).tolist() if found else []


# increase().


def test_increase_of_a_full_window_is_the_difference():
    assert increase(hours(5), [3, 5, 5, 9, 9], 2 * HOUR)[2:].tolist() == [2, 4, 4]


def test_a_fall_is_a_restart_from_zero():
    assert increase(hours(4), [50, 60, 4, 9], 3 * HOUR)[3] == 10 + 4 + 5


def test_a_window_with_fewer_than_two_samples_says_nothing():
    assert np.isnan(increase(hours(3), [NAN, 4, NAN], 2 * HOUR)).all()
    assert np.isnan(increase(hours(3), [1, 2, 3], HOUR / 2)).all()
    assert np.isnan(increase(hours(2), [NAN, NAN], HOUR)).all()


def test_a_counter_that_begins_at_zero_is_not_stretched_to_before_that():
    assert increase(hours(3), [0, 6, 6], DAY).tolist()[1:] == [6, 6]


def test_a_counter_that_begins_above_zero_is_stretched_by_half_a_step_at_most():
    # two samples an hour apart, a day's window: 10 an hour for an hour and a half
    assert increase(hours(2), [100, 110], DAY)[1] == 15
    # ... and no further than to where it would have been 0: 0.2 of an hour before
    assert increase(hours(2), [2, 12], DAY)[1] == pytest.approx(12)


def test_missing_samples_inside_a_window_lose_nothing_and_at_its_end_half_a_step():
    t, counter = hours(7), [10, 20, NAN, NAN, 50, NAN, NAN]
    assert increase(t, counter, 4 * HOUR)[4] == 40
    # the samples of hours 1 and 4 lie 3 hours apart; 2 hours without any are within 1.1 of these
    assert increase(t, counter, 5 * HOUR)[6] == pytest.approx(30 * 5 / 3)


@given(st.lists(st.integers(0, 20), min_size=2, max_size=30), st.integers(1, 12), st.integers(0, 25))
def test_increase_counts_each_event_once_in_windows_that_are_full(steps, window, offset):
    counter = offset + np.cumsum(steps)
    grown = increase(hours(len(steps)), counter, window * HOUR)
    for end in range(window, len(steps)):
        assert grown[end] == pytest.approx(counter[end] - counter[end - window])


# for and keep_firing_for.


def test_an_alert_waits_from_the_first_true_moment_on():
    assert hold(hours(4), [1, 1, 1, 0], wait=2 * HOUR).tolist() == [False, False, True, False]
    assert hold(hours(3), [1, 1, 0]).tolist() == [True, True, False]


def test_a_false_moment_starts_the_waiting_anew():
    assert not hold(hours(8), [1, 1, 0, 1, 1, 0, 1, 1], wait=2 * HOUR).any()


def test_an_alert_goes_on_for_less_than_its_time_after_the_first_false_moment():
    goes_on = hold(hours(6), [1, 0, 0, 0, 0, 0], keep=2 * HOUR)
    assert goes_on.tolist() == [True, True, True, False, False, False]


def test_a_condition_that_comes_back_in_time_does_not_wait_again():
    condition = [1, 1, 0, 1, 0, 0, 0, 1]
    expected = [False, True, True, True, True, True, False, False]
    assert hold(hours(8), condition, wait=HOUR, keep=2 * HOUR).tolist() == expected


def test_hold_refuses_times_and_conditions_of_other_lengths():
    with pytest.raises(ValueError):
        hold(hours(3), [True])


# The other words.


def test_pick_sum_and_match_go_by_labels():
    given = series("rows", [1, NAN], reason="a", place="x") | series("rows", [2, NAN], reason="b", place="x")
    given |= series("other", [5, 5], reason="a", place="x")
    vector = pick(given, "rows")
    assert {labels: values.tolist()[0] for labels, values in sum_by(vector, "place").items()} == {
        (("place", "x"),): 3
    }
    assert np.isnan(sum_by(vector)[()][1])
    assert len(pick(given, "rows", reason="b|c")) == 1
    both = match(np.add, vector, pick(given, "other"))
    assert [values.tolist()[0] for values in both.values()] == [6]


def test_above_leaves_out_what_is_not():
    np.testing.assert_equal(above(np.array([0, 1, NAN]), 0), [NAN, 1, NAN])


def test_largest_and_smallest_of_a_window_count_its_edge_and_no_missing_sample():
    t, values = hours(5), np.array([9, NAN, 3, 4, NAN])
    np.testing.assert_equal(over_time(t, values, 2 * HOUR, "max"), [9, 9, 9, 4, 4])
    np.testing.assert_equal(over_time(t, values, 2 * HOUR, "min"), [9, 9, 3, 3, 3])


# The rules.


def checks(metric, what, name, bad, flagged, of, segment="all"):
    """Counters of daily checks at the given hours: of these, some flagged."""
    hour = np.arange(200)
    ok = [each for each in of if each not in flagged]
    return {
        key: values
        for result, when in ((bad, flagged), ("ok", ok))
        for key, values in series(
            metric,
            sum(hour >= each for each in when) + 0 * hour,
            segment=segment,
            result=result,
            **{what: name},
        ).items()
    }


def detector(name, flagged, of=(10, 34, 58, 82, 106, 130, 154, 178), **labels):
    return checks("embedding_drift_checks_total", "detector", name, "drift", flagged, of, **labels)


def outcome(name, flagged, of=(10, 34, 58, 82, 106, 130, 154, 178), **labels):
    return checks("search_outcome_checks_total", "outcome", name, "degraded", flagged, of, **labels)


def test_one_alarm_lasts_for_three_days():
    made = evaluate(hours(200), detector("spread", [34]))
    alarm = made["segment_detector:embedding_drift_alarm:bool", (("detector", "spread"), ("segment", "all"))]
    assert np.isnan(alarm[:10]).all()
    assert np.flatnonzero(alarm == 1).tolist() == list(range(34, 34 + 72))
    assert (alarm[106:] == 0).all()


def test_without_a_usable_check_there_is_no_verdict():
    made = evaluate(hours(200), detector("spread", [], of=(10,)))
    alarm = at(
        made, "segment_detector:embedding_drift_alarm:bool", slice(None), detector="spread", segment="all"
    )
    assert np.isfinite(alarm).tolist() == [10 <= hour < 82 for hour in range(200)]


def test_two_detectors_are_drift_and_one_is_not():
    two = detector("spread", [34]) | detector("novelty", [58])
    made = evaluate(hours(200), two | detector("spread", [34], segment="web"))
    # both from 58 to 106; an hour to wait, six to go on
    assert firing(made, "EmbeddingDriftSustained") == list(range(59, 106 + 6))
    assert firing(made, "EmbeddingDriftSustained", segment="web") == []


@pytest.mark.parametrize(
    "drift, harm, segment, pages",
    [
        (["spread", "novelty"], [58, 82], "all", True),
        (["index_gap"], [58, 82], "all", True),
        (["spread"], [58, 82], "all", False),
        (["spread", "novelty"], [58], "all", False),
        (["spread", "novelty"], [], "all", False),
        ([], [58, 82], "all", False),
        (["spread", "novelty"], [58, 82], "web", False),
    ],
)
def test_a_page_needs_drift_and_harm_that_comes_again_in_one_segment(drift, harm, segment, pages):
    names = ("spread", "novelty", "index_gap")
    given = {k: v for name in names for k, v in detector(name, [58] if name in drift else []).items()}
    made = evaluate(hours(200), given | outcome("failure", harm, segment=segment))
    # harm for the second time at 82; the first drops out at 130; sixty hours to go on
    expected = list(range(83, 130 + 60)) if pages else []
    assert firing(made, "EmbeddingDriftWithOutcomeDegradation") == expected


def test_two_outcomes_that_alarm_once_are_no_second_time():
    given = detector("index_gap", [58]) | outcome("failure", [58]) | outcome("no_click", [82])
    assert firing(evaluate(hours(200), given), "EmbeddingDriftWithOutcomeDegradation") == []
    assert at(evaluate(hours(200), given), "segment:search_outcomes_degraded:count", 90, segment="all") == 2


def traffic(queries, failures, segment="all"):
    """Counters of queries and failures, from how many came in each hour."""
    queries, failures = np.cumsum(queries), np.cumsum(failures)
    judged = "search_retrieval_judgements_total"
    return (
        series("search_queries_total", queries, segment=segment)
        | series("search_queries_clicked_total", 0 * queries, segment=segment)
        | series(judged, failures, segment=segment, result="miss")
        | series(judged, queries - failures, segment=segment, result="success")
    )


def test_shares_burns_and_z_scores_are_those_computed_by_hand():
    queries = np.where(np.arange(60) % 24 == 2, 400, 0)
    made = evaluate(hours(60), traffic(queries, 0.3 * queries))
    place, labels = "segment_outcome:search_outcome", {"outcome": "failure", "segment": "all"}
    assert at(made, f"{place}_events:increase1d", 55, **labels) == pytest.approx(400)
    assert at(made, f"{place}_bad:increase1d", 55, **labels) == pytest.approx(120)
    assert at(made, f"{place}_burn:ratio_increase1d", 55, **labels) == pytest.approx(2)
    z = 0.15 / np.sqrt(0.15 * 0.85 / 400)
    assert at(made, f"{place}_bad:zscore1d", 55, **labels) == pytest.approx(z)
    assert at(made, f"{place}_burn:ratio_increase6h", 55, **labels) == pytest.approx(2)
    assert np.isnan(at(made, f"{place}_burn:ratio_increase6h", 40, **labels))
    assert at(made, f"{place}_bad:ratio_increase1d", 55, outcome="no_click", segment="all") == 1


def test_severe_goes_on_between_daily_batches_and_ends_with_a_good_one():
    hour = np.arange(240)
    queries, bad = np.where(hour % 24 == 2, 400, 0), (hour >= 72) & (hour < 120)
    made = evaluate(hours(240), traffic(queries, queries * np.where(bad, 0.3, 0.05)))
    # batches at 74 and 98 are bad, the one at 122 is not: half an hour to wait, 36 to go on
    assert firing(made, "SearchOutcomeSevere", outcome="failure") == list(range(75, 122 + 36))


@pytest.mark.parametrize("a_day, pages", [(48, False), (54, True)])
def test_few_queries_wake_nobody(a_day, pages):
    queries = np.full(60, a_day / 24)
    made = evaluate(hours(60), traffic(queries, queries))
    assert bool(firing(made, "SearchOutcomeSevere", outcome="failure")) is pages


@pytest.mark.parametrize("outcome_", OBJECTIVE)
def test_severe_can_happen_for_every_outcome(outcome_):
    assert 1 < SEVERE_BURN[outcome_] < 1 / OBJECTIVE[outcome_]


def test_failing_probes_are_a_ticket_and_with_harm_a_page():
    probes = series("search_probe_success_ratio", np.where(np.arange(200) < 50, 0.96, 0.95))
    made = evaluate(hours(200), probes | outcome("failure", [58], segment="web"))
    assert firing(made, "SearchProbesFailing") == list(range(51, 200))
    assert firing(made, "SearchSupplyWithOutcomeDegradation") == []
    made = evaluate(hours(200), probes | outcome("failure", [58]))
    assert firing(made, "SearchSupplyWithOutcomeDegradation") == list(range(59, 130 + 36))
    small = series("search_probe_success_ratio", np.where(np.arange(200) < 50, 0.96, 0.9551))
    assert firing(evaluate(hours(200), small), "SearchProbesFailing") == []


def test_the_best_of_four_weeks_is_forgotten():
    t = np.arange(200) * (6.0 * HOUR)
    made = evaluate(t, series("search_probe_success_ratio", np.where(np.arange(200) < 20, 0.96, 0.9)))
    drop = made["search_probe_success_drop:max28d", ()]
    assert np.flatnonzero(drop > 0.05).tolist() == list(range(20, 20 + 4 * 28))


def test_exceedance_is_in_units_of_the_limit_and_absent_without_one():
    def scores(name, smooth, usual, limit):
        names = ("smoothed_score", "null_score", "threshold")
        pairs = zip(names, (smooth, usual, limit), strict=True)
        made = [series(f"embedding_drift_{what}", [n, n], detector=name) for what, n in pairs]
        return made[0] | made[1] | made[2]

    made = evaluate(hours(2), scores("half", 1.5, 1, 2) | scores("flat", 2, 1, 1) | scores("nan", NAN, 1, 2))
    exceedance = {
        dict(labels)["detector"]: values[0]
        for (name, labels), values in made.items()
        if name == "segment_detector:embedding_drift_exceedance:ratio"
    }
    np.testing.assert_equal(exceedance, {"half": 0.5, "flat": NAN, "nan": NAN})


def test_each_way_of_being_blind_has_its_alert():
    n = 100
    t, hour = 1e9 + hours(n), np.arange(n)
    healthy = (
        series("up", np.ones(n), job="embedding-drift", instance="a")
        | series("embedding_drift_file_readable", np.ones(n))
        | series("embedding_drift_checks_total", hour // 24, detector="spread", segment="all", result="ok")
        | series("embedding_drift_last_success_timestamp_seconds", t - HOUR, segment="all")
        | series("embedding_drift_last_batch_timestamp_seconds", t - HOUR)
        | series("embedding_drift_window_vectors", np.full(n, 20), segment="all", window="current")
        | series("embedding_drift_window_vectors", np.full(n, 5), segment="all", window="reference")
        | series("embedding_drift_rejected_rows", np.full(n, 7), reason="too late")
        | series("search_queries_total", 10 * hour, segment="all")
        | series("search_probe_timestamp_seconds", t - DAY)
    )
    gone = np.where(hour < 50, 1.0, NAN)
    wrong = {
        "DriftExporterDown": series("up", hour < 50, job="embedding-drift", instance="a"),
        "DriftFileUnreadable": series("embedding_drift_file_readable", hour < 50),
        "DriftMetricsAbsent": series(
            "embedding_drift_checks_total", gone, detector="spread", segment="all", result="ok"
        ),
        "DriftCheckStale": series(
            "embedding_drift_last_success_timestamp_seconds", np.minimum(t, t[10]), segment="all"
        ),
        "DriftTrafficStale": series("embedding_drift_last_batch_timestamp_seconds", np.minimum(t, t[50])),
        "DriftWindowTooSmall": series(
            "embedding_drift_window_vectors", np.full(n, 19), segment="all", window="current"
        ),
        "DriftClockSkew": series("embedding_drift_last_batch_timestamp_seconds", t + 601),
        "DriftRowsRejected": series("embedding_drift_rejected_rows", 7 + 3 * (hour >= 50), reason="too late"),
        "SearchProbesStale": series("search_probe_timestamp_seconds", np.full(n, t[0] - 5 * DAY)),
    }
    assert {name for name, rule in RULES.items() if rule.component == "monitor"} - set(wrong) == {
        "DriftWatchdog"
    }
    assert fired(evaluate(t, healthy)) == {"DriftWatchdog"}
    for name, change in wrong.items():
        assert fired(evaluate(t, healthy | change)) == {"DriftWatchdog", name}


def fired(made):
    return {dict(labels)["alertname"] for name, labels in made if name == "ALERTS"}


def test_with_nothing_exported_the_numbers_are_absent():
    assert fired(evaluate(hours(5), {})) == {"DriftWatchdog", "DriftMetricsAbsent"}


def test_labels_of_the_server_make_no_difference():
    plain = series("search_probe_success_ratio", [0.9, 0.8])
    labelled = series("search_probe_success_ratio", [0.9, 0.8], job="j", instance="a")
    first, second = evaluate(hours(2), plain), evaluate(hours(2), labelled)
    assert first.keys() == second.keys()
    assert all(np.array_equal(first[key], second[key], equal_nan=True) for key in first)


def test_what_is_given_is_neither_changed_nor_given_back():
    given = series("search_probe_success_ratio", [0.9, 0.8])
    before = {key: values.copy() for key, values in given.items()}
    made = evaluate(hours(2), given)
    assert not set(given) & set(made)
    assert all(np.array_equal(before[key], given[key]) for key in before)


# Refused.


@pytest.mark.parametrize(
    "t, given, words",
    [
        ([], {}, "at least two times"),
        ([0.0], {}, "at least two times"),
        ([[0.0, 1.0]], {}, "at least two times"),
        ([0, 60, 180], {}, "evenly spaced"),
        ([60, 0], {}, "evenly spaced"),
        ([0, NAN], {}, "evenly spaced"),
        ([0, 60], series("up", [1]), r"'up' has shape \(1,\): give 2 values"),
        ([0, 60], series("up", [1, 1], instance="a") | series("up", [1, 1], instance="b"), "one exporter"),
    ],
)
def test_bad_input_is_named(t, given, words):
    with pytest.raises(ValueError, match=words):
        evaluate(t, given)
