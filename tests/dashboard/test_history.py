"""The demo's twelve weeks: each story shows what it should, and between them nothing does."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

from dashboard.history import BATCHES, DAY, HOUR, QUERIES, SILENT, STORIES, UP, Play, _part, first_monday
from helpers.exporter import METRICS
from helpers.synthetic import Product

LAUNCH, UPGRADE, DELETED, DESIGN, BROKEN, NOISY = range(len(STORIES))
DEMAND = {"query_drift", "spread", "cluster_shift", "novelty"}
PAGE, SUPPLY = "EmbeddingDriftWithOutcomeDegradation", "SearchSupplyWithOutcomeDegradation"
DRIFT, OUTCOME, PROBES = "EmbeddingDriftSustained", "SearchOutcomeDegraded", "SearchProbesFailing"
BLIND = {"DriftExporterDown", "DriftMetricsAbsent"}


def days(history, story, more=5):
    """Tell for each hour whether a story is told, or was so many days before, as alerts remember it."""
    _, start, end, _ = history.stories[story]
    return (history.t >= start) & (history.t < end + more * DAY)


def fired(made, when):
    """Return name and segment of what fired, but for the watchdog."""
    return {
        (dict(labels)["alertname"], dict(labels).get("segment", ""))
        for (name, labels), values in made.items()
        if name == "ALERTS" and np.isfinite(values[when]).any()
    } - {("DriftWatchdog", "")}


def alarmed(made, when, metric, label, segment="all"):
    """Return the detectors or outcomes of a segment that were in alarm."""
    return {
        dict(labels)[label]
        for (name, labels), values in made.items()
        if name == metric and dict(labels)["segment"] == segment and np.nanmax(values[when]) == 1
    }


def signature(made, when, segment="all"):
    """Return what is in alarm: detectors of the demand, the match, the supply, and which outcomes."""
    detectors = alarmed(made, when, "segment_detector:embedding_drift_alarm:bool", "detector", segment)
    outcomes = alarmed(made, when, "segment_outcome:search_outcome_degraded:bool", "outcome", segment)
    drop = made["search_probe_success_drop:max28d", ()][when]
    return detectors & DEMAND, "index_gap" in detectors, bool(np.nanmax(drop) > 0.005), outcomes


def test_a_launch_with_its_documents_is_drift_and_nothing_else(history, made):
    when = days(history, LAUNCH)
    demand, match, supply, outcomes = signature(made, when)
    assert {"novelty", "query_drift"} <= demand
    assert (match, supply, outcomes) == (False, False, set())
    assert {name for name, _ in fired(made, when)} == {DRIFT}
    assert (DRIFT, "all") in fired(made, when)


def test_an_upgrade_that_leaves_the_index_behind_shows_in_every_row(history, made):
    when = days(history, UPGRADE)
    demand, match, supply, outcomes = signature(made, when)
    assert "query_drift" in demand and match and supply and {"failure", "no_answer"} <= outcomes
    assert {(PAGE, "all"), (SUPPLY, ""), (DRIFT, "all"), (OUTCOME, "all"), (PROBES, "")} <= fired(made, when)


def test_deleted_documents_hurt_while_the_demand_is_silent(history, made):
    when = days(history, DELETED)
    demand, match, supply, outcomes = signature(made, when)
    assert demand == set() and match and supply and {"failure", "no_answer"} <= outcomes
    assert {(PAGE, "all"), (SUPPLY, ""), (PROBES, "")} <= fired(made, when)
    assert (DRIFT, "all") not in fired(made, when)


def test_a_page_design_costs_clicks_and_is_no_drift(history, made):
    when = days(history, DESIGN)
    assert signature(made, when) == (set(), False, False, {"no_click"})
    assert {name for name, _ in fired(made, when)} == {OUTCOME}


def test_one_noisy_client_is_a_page_of_its_segment_and_the_page_still_fires(history, made):
    when = days(history, NOISY)
    _, match, supply, outcomes = signature(made, when, "partner")
    assert match and not supply and {"failure", "no_answer"} <= outcomes
    assert (PAGE, "partner") in fired(made, np.arange(len(history.t)) == len(history.t) - 1)
    assert {segment for _, segment in fired(made, when)} <= {"all", "partner"}


def test_the_gap_of_a_silent_exporter_is_an_alert_and_hides_nothing(history, made):
    gap = history.series[UP] == 0
    assert gap.sum() == (SILENT[1] - SILENT[0]) * 24
    assert all(np.isnan(values[gap]).all() for key, values in history.series.items() if key != UP)
    assert {name for name, _ in fired(made, gap)} == BLIND
    when = days(history, BROKEN)
    assert {name for name, _ in fired(made, when)} == BLIND | {PAGE, DRIFT, OUTCOME}
    assert (PAGE, "all") in fired(made, when & ~gap), "what happened meanwhile pages afterwards"


def test_between_the_stories_nothing_fires(history, made):
    # The alarm budget would allow about four false alarms of outcomes; this seed has none. Tickets that are
    # booked a week after the query are the echo of a story.
    made = {key: values for key, values in made.items() if ("outcome", "escalation") not in key[1]}
    quiet = ~np.any([days(history, story, more=7) for story in range(len(STORIES))], axis=0)
    assert quiet.sum() > 14 * 24
    assert fired(made, quiet) == set()


def test_no_two_stories_look_alike(history, made):
    segments = ["partner" if story == NOISY else "all" for story in range(len(STORIES))]
    looks = []
    for story, segment in enumerate(segments):
        demand, match, supply, outcomes = signature(made, days(history, story), segment)
        looks.append((bool(demand), match, supply, "no_click" in outcomes, bool(outcomes), segment))
    assert len(set(looks)) == len(looks), looks


def test_every_exported_metric_has_samples(history):
    names = {name for name, _ in history.series} - {"up"}
    assert names == set(METRICS) - {"embedding_drift_baseline_info"}


def test_no_query_is_lost_on_the_way_to_the_counters(history):
    product, counted = (
        Product(0, queries_per_day=QUERIES),
        history.series["search_queries_total", (("segment", "all"),)],
    )
    whole_days = int(counted.size - 1) // 24
    asked = len(product.run(3)) + sum(len(product.run(1, start=day)) for day in range(3, 8))
    assert whole_days >= 84
    assert counted[8 * 24] - counted[0] == asked
    assert (np.diff(counted[np.isfinite(counted)]) >= 0).all()


@pytest.mark.parametrize("weekday", range(7))
def test_history_begins_on_a_monday_at_least_twelve_weeks_ago(weekday):
    end = datetime(2026, 1, 12, 23, 59, tzinfo=UTC) + timedelta(days=weekday)
    monday = first_monday(end.timestamp())
    assert monday.weekday() == 0 and 84 <= (end.date() - monday).days < 91


def test_a_day_is_cut_into_parts_without_loss():
    log = Product(0, queries_per_day=QUERIES).run(1)
    parts = [_part(log, part) for part in range(BATCHES)]
    assert sum(map(len, parts)) == len(log) and min(map(len, parts)) > 0
    assert np.array_equal(np.concatenate([part.embeddings for part in parts]), log.embeddings)


def test_the_stories_are_the_same_at_any_date(tmp_path):
    def scores(name, monday):
        play = Play(tmp_path / name, monday)
        with play.monitor:
            t, series, stories = play.record(play.start + 12 * DAY)
        assert np.array_equal(np.diff(t), np.full(12 * 24, HOUR))
        assert stories[0].start == play.start + STORIES[0].start * DAY
        return {key: values for key, values in series.items() if "timestamp" not in key[0]}

    one, other = scores("one", date(2025, 10, 20)), scores("other", date(2027, 3, 1))
    assert one.keys() == other.keys()
    assert all(np.array_equal(one[key], other[key], equal_nan=True) for key in one)
