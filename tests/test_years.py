"""Product-years: the calendar, the daily scores, and the counterfactual that makes them an answer key."""

import numpy as np
import pandas as pd
import pytest

from helpers import years
from helpers.events import Event
from helpers.metrics import centroid_distance
from helpers.outcomes import OUTCOMES
from helpers.synthetic import Product


@pytest.fixture(scope="module")
def year():
    return years.live(100)


@pytest.fixture(scope="module")
def log():
    return Product(100).run(42, start=-112)


# The calendar.


@pytest.mark.parametrize("seed", range(20))
def test_events_have_their_length_and_their_quiet_days(seed):
    events = list(years.calendar(seed).values())
    assert events[0].start == 21
    assert all(14 <= event.end - event.start <= 21 for event in events)
    gaps = [later.start - earlier.end for earlier, later in zip(events, events[1:], strict=False)]
    assert all(12 <= gap <= 19 for gap in gaps)
    assert events[-1].end <= years.YEAR_DAYS
    assert 6 <= len(events) <= 9


def test_calendar_follows_from_its_seed_and_reaches_every_kind():
    assert years.calendar(3) == years.calendar(3) != years.calendar(4)
    assert {name for seed in range(20) for name in years.calendar(seed)} == set(years.KINDS)


def test_calendar_changes_only_days_and_topic_of_a_kind():
    for seed in range(20):
        for name, event in years.calendar(seed).items():
            kind = years.KINDS[name]
            assert (event.kind, event.size, event.index_follows) == (kind.kind, kind.size, kind.index_follows)
            assert 0 <= event.topic < years.TOPICS.get(name, 1)


def test_a_short_year_has_no_events():
    assert years.calendar(0, days=40) == {}


# The year.


def test_tables_cover_the_days_they_say(year):
    assert list(year.baseline.index) == list(range(-84, 0))
    for table in (year.daily, year.otherwise, year.z):
        assert list(table.index) == list(range(280))
    assert list(year.z) == list(years.SCORES)
    assert set(OUTCOMES) | set(years.SCORES) < set(year.daily)
    assert not year.daily.isna().any(axis=None) and not year.z.isna().any(axis=None)


def test_counterfactual_equals_the_year_before_the_first_event(year):
    first = min(event.start for event in year.events.values())
    columns = [*OUTCOMES, "best_similarity", "queries"]
    pd.testing.assert_frame_equal(
        year.daily.loc[: first - 1, columns], year.otherwise.loc[: first - 1, columns]
    )


def test_effects_have_their_known_signs(year):
    def effect(outcome, name):
        event = year.events[name]
        return year.effect(outcome, event.start, event.end - 1)

    assert effect("success", "upgrade, re-indexed") == 0
    assert abs(effect("success", "new topic, documented")) < 0.01
    for name in ("upgrade, stale index", "new topic, no documents", "noisier queries", "lost documents"):
        assert effect("success", name) < -0.02
        assert effect("click", name) < 0 < effect("escalation", name)


def test_query_drift_is_loud_where_nobody_is_hurt_and_the_gap_is_not(year):
    harmless = year.events["upgrade, re-indexed"]
    during = year.z.loc[harmless.start : harmless.end - 1].mean()
    assert during["query_drift"] > 3 and abs(during["index_gap"]) < 1
    assert year.z["index_gap"].corr(year.daily["success"]) < -0.7
    assert abs(year.z["query_drift"].corr(year.daily["success"])) < 0.3


def test_baseline_is_standard_by_construction(year):
    z = years.standardise(year.baseline, year.baseline)
    for weekend in (False, True):
        part = z[(z.index % 7 >= 5) == weekend]
        np.testing.assert_allclose(part.mean(), 0, atol=1e-9)
        np.testing.assert_allclose(part.std(), 1, rtol=1e-9)


# The scores.


def test_query_drift_is_the_centroid_distance_to_days_of_one_kind(log):
    reference = log.days(-112, -85)
    scores = years.daily_scores(log, reference)
    for day in (-84, -79):  # a Monday and a Saturday
        kind = (reference.outcomes["day"] % 7 >= 5) == (day % 7 >= 5)
        usual = reference.where(kind.to_numpy())
        per_day = pd.DataFrame(usual.embeddings).groupby(usual.outcomes["day"].to_numpy()).mean()
        expected = centroid_distance(per_day, log.days(day, day).embeddings)
        today = log.days(day, day).embeddings.mean(axis=0, dtype=float)
        exact = np.linalg.norm(per_day.mean().to_numpy() - today)
        assert scores.at[day, "query_drift"] == pytest.approx(exact, rel=1e-4)
        assert scores.at[day, "query_drift"] == pytest.approx(expected, rel=1e-4)


def test_novelty_and_gap_follow_their_definition(log):
    reference = log.days(-112, -85)
    scores = years.daily_scores(log, reference)
    quiet = scores.loc[-84:]
    assert 0.005 < quiet["novelty"].mean() < 0.05
    assert abs(quiet["index_gap"].mean()) < 0.005
    assert (scores["cluster_shift"] >= 0).all()


def test_lost_documents_move_the_gap_and_no_query_score():
    product = Product(100)
    lost = [Event("remove_docs", start=-84, size=0.9, topic=3)]
    runs = [product.run(35, events, start=-112) for events in ([], lost)]
    calm, broken = (years.daily_scores(run, run.days(-112, -85)).loc[-84:] for run in runs)
    queries_only = ["query_drift", "cluster_shift", "novelty"]
    pd.testing.assert_frame_equal(calm[queries_only], broken[queries_only])
    assert (broken["index_gap"] > calm["index_gap"]).all()
