"""The monitor: its stories, its file, its guards, and what a kill at any moment leaves behind."""

import datetime
import json
import os
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from kill_monitor import contents, copy, traffic

from helpers import store
from helpers.charts import ewma, run_length_limit
from helpers.events import is_weekend
from helpers.log import Log
from helpers.metrics import nearest_distance
from helpers.monitor import LATE_DAYS, Monitor
from helpers.panel import FAMILY, OUTCOMES, Panel, Sums
from helpers.synthetic import Event, Product
from helpers.usual import run_charts, usual_of

ROOT = Path(__file__).parents[1]
DIM, QUERIES = 8, 120


def queries(days, n=QUERIES, **options):
    return traffic(days, n, dim=DIM, **options)


def changed(log, rows=slice(None), **columns):
    """Return the log with other values in some rows of some columns."""
    outcomes = log.outcomes.astype(dict.fromkeys(columns, object))
    for name, value in columns.items():
        outcomes.iloc[rows, outcomes.columns.get_loc(name)] = value
    return Log(log.embeddings, outcomes)


def moved(log, rows, value, dtype=np.float64):
    embeddings = log.embeddings.astype(dtype)
    embeddings[rows] = value
    return Log(embeddings, log.outcomes)


def without(state, *names):
    return {name: rows for name, rows in state.items() if name not in names}


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """A small monitor with four quiet weeks of reference and four of baseline, closed."""
    path = tmp_path_factory.mktemp("fitted") / "monitor.sqlite"
    with Monitor(path) as monitor:
        monitor.fit(queries(range(-56, 0)), segments=["web", "mobile"])
    return path


@pytest.fixture
def path(fitted, tmp_path):
    return copy(fitted, tmp_path / "monitor.sqlite")


@pytest.fixture
def monitor(path):
    with Monitor(path) as monitor:
        yield monitor


def fed(path, *batches, **options):
    """Send batches to a file and return what it then holds."""
    with Monitor(path) as monitor:
        for batch in batches:
            monitor.update(batch, **options)
    return contents(path)


# Stories. Each begins on day 7 of five weeks; looked at are the days from 14 on.

SEED = 1


@pytest.fixture(scope="module")
def product():
    return Product(SEED)


@pytest.fixture(scope="module")
def quiet_history(product, tmp_path_factory):
    path = tmp_path_factory.mktemp("product") / "monitor.sqlite"
    with Monitor(path) as monitor:
        monitor.fit(product.run(112, start=-112), segments=["web", "mobile"])
        assert set(monitor.verdict().words.values()) == {"quiet"}
    return path


@pytest.fixture
def told(product, quiet_history, tmp_path):
    """Return a function that tells a story and returns words (day, segment) and shares of active days."""

    def tell(*events):
        with Monitor(copy(quiet_history, tmp_path / "story.sqlite")) as monitor:
            live = product.run(35, events)
            for day in range(35):
                monitor.update(live.days(day, day))
            verdict, score = monitor.table("verdict"), monitor.table("score").query("segment == 'all'")
            assert monitor.verdict().day == 33
        words = verdict.query("day >= 14").pivot(index="day", columns="segment", values="verdict")
        return words, score.query("day >= 14").pivot(index="day", columns="score", values="active").mean()

    return tell


def test_quiet_weeks_stay_quiet(told):
    words, active = told()
    assert (words == "quiet").all(axis=None) and (active == 0).all()


def test_an_upgrade_that_leaves_the_index_stale_is_harm_with_drift(told):
    words, active = told(Event("rotation", start=7, size=0.3))
    assert (words["all"] == "harm with drift").mean() > 0.9
    assert active["index_gap"] > 0.9 and active["failure"] > 0.5


def test_an_upgrade_with_a_rebuilt_index_is_drift_without_harm(told):
    words, active = told(Event("rotation", start=7, size=0.3, index_follows=True))
    assert (words["all"] == "drift").all()
    assert active["query_drift"] > 0.9 and active["index_gap"] == 0


def test_a_worse_page_is_harm_without_drift(told):
    words, active = told(Event("ui", start=7, size=0.25))
    assert (words == "harm").all(axis=None)
    assert active["no_click"] == 1 and active.drop("no_click").max() == 0


def test_deleted_documents_show_in_the_match_and_in_outcomes_but_not_in_the_queries(told):
    words, active = told(Event("remove_docs", start=7, size=0.6, topic=3))
    assert words["all"].isin(["harm", "harm with drift"]).all()
    assert active["failure"] > 0.8 and active["index_gap"] > 0.3
    assert active[["query_drift", "spread", "cluster_shift", "novelty"]].max() == 0


def test_what_breaks_one_segment_shows_in_that_segment(told):
    words, _ = told(Event("spread", start=7, size=0.4, segment="mobile"))
    assert (words["mobile"] == "harm with drift").all() and (words["web"] == "quiet").all()


@pytest.mark.parametrize("seed", [3, 7])
def test_a_quiet_year_keeps_its_alarm_budget_in_order_of_magnitude(seed, tmp_path):
    product = Product(seed)
    with Monitor(tmp_path / "year.sqlite") as monitor:
        monitor.fit(product.run(112, start=-112))
        live = product.run(365)
        for week in range(53):
            monitor.update(live.week(week))
        score = monitor.table("score").query("day >= 0")
    assert score["day"].nunique() == 364
    for _, alarms in score.groupby(score["family"] == "outcome"):
        assert alarms["alarm"].sum() / 4 < 4  # a quarter; the budget is 1
        assert alarms.groupby("day")["active"].max().mean() < 0.12


# What is counted.


def test_the_traffic_is_what_counting_by_hand_gives(path):
    log = queries(range(30), seed=1)
    with Monitor(path) as monitor:
        for day in range(0, 30, 3):
            monitor.update(log.days(day, day + 2))
        table = monitor.table("traffic").query("day < 30").set_index(["day", "segment"]).sort_index()
        rates = monitor.table("outcome").set_index(["day", "segment"])
    everybody = pd.concat([queries(range(-56, 0)).outcomes, log.outcomes])
    for segment in ("all", "web", "mobile"):
        rows = everybody if segment == "all" else everybody.query("segment == @segment")
        booked = rows.query("escalation")["escalation_day"].value_counts()
        bad = {"failure": ~rows["success"], "no_click": ~rows["click"], "no_answer": rows["no_answer"]}
        expected = pd.DataFrame(bad).groupby(rows["day"]).sum().loc[-28:]  # from the baseline on
        ours = table.xs(segment, level="segment")
        assert ours.index.tolist() == list(range(-28, 30))
        assert ours[list(bad)].to_numpy().tolist() == expected.to_numpy().tolist()
        assert ours["queries"].tolist() == rows.groupby("day").size().loc[-28:].tolist()
        assert ours["escalation"].tolist() == booked.reindex(ours.index, fill_value=0).tolist()
        assert rates.loc[(3, segment), "failure"] == ours.loc[3, "failure"] / ours.loc[3, "queries"]
    assert set(table.index.get_level_values("segment")) == {"all", "web", "mobile"}


def test_scores_are_those_of_the_rows_themselves(path):
    history, live = queries(range(-56, 0)), queries([4, 5], seed=2, shift=0.3)
    live = Log(1.3 * live.embeddings, live.outcomes)
    with Monitor(path) as monitor:
        monitor.update(live)
        monitor.update(queries([6], seed=3))
        score = monitor.table("chart").query("segment == 'web'").set_index(["day", "score"])
        frozen = monitor.table("frozen").set_index("name")["state"]
    panel = Panel.from_bytes(frozen["panel"])
    for day in (4, 5):  # a Friday and a Saturday
        usual = history.days(-56, -29)
        usual = usual.where((usual.outcomes["day"] % 7 >= 5) == (day == 5))
        usual, now = (log.where(log.outcomes["segment"] == "web") for log in (usual, live.days(day, day)))
        kernel = [np.exp(-panel.gamma * d**2) for d in _distances(usual.embeddings, now.embeddings)]
        inside = [(k.sum() - len(k)) / (len(k) * (len(k) - 1)) for k in (kernel[0], kernel[2])]
        mmd2 = inside[0] + inside[1] - 2 * kernel[1].mean()
        spread = np.log((1 - inside[1]) / (1 - inside[0]))
        gap = usual.outcomes["best_similarity"].mean() - now.outcomes["best_similarity"].mean()
        novel = (nearest_distance(now.embeddings, panel.known) > panel.limit).mean()
        value = score.loc[day]["value"]
        assert value["query_drift"] == pytest.approx(mmd2, rel=0.1)  # random features: section 5
        assert value["spread"] == pytest.approx(spread, abs=0.03)
        assert value["index_gap"] == pytest.approx(gap, abs=1e-9)
        assert value["novelty"] == novel
        assert value["failure"] == (~now.outcomes["success"]).mean()
        p, q = (_clusters(log.embeddings, panel) for log in (usual, now))
        p = (p + 0.5) / (p + 0.5).sum()
        assert value["cluster_shift"] == pytest.approx(((q / q.sum() - p) ** 2 / p).sum(), rel=1e-9)


def _clusters(rows, panel):
    """Count the rows that are not novel by the cluster of their nearest known query."""
    distance = np.linalg.norm(rows[:, None] - panel.known, axis=2)
    near = distance.min(axis=1) <= panel.limit
    return np.bincount(panel.cluster[distance.argmin(axis=1)[near]], minlength=panel.cluster.max() + 1)


def _distances(x, y):
    return [np.linalg.norm(a[:, None] - b, axis=2) for a, b in ((x, x), (x, y), (y, y))]


def test_charts_and_alarms_follow_from_values_and_calibration(path):
    with Monitor(path) as monitor:
        for day in range(24):
            monitor.update(queries([day], seed=[5, day], shift=0.5 * (day > 10)))
        table, usual = monitor.table("chart"), monitor.table("calibration")
        score = monitor.table("score")
    usual = usual.set_index(["segment", "score", "weekend"]).sort_index()
    some = 0
    for (segment, name), chart in table.groupby(["segment", "score"]):
        chart = chart.sort_values("day")
        mine = usual.loc[segment, name].loc[is_weekend(chart["day"]).astype(int)]
        z = (chart["value"].to_numpy() - mine["mean"].to_numpy()) / mine["sd"].to_numpy()
        np.testing.assert_allclose(chart["z"], z, rtol=1e-12)
        limit = mine["limit_"].iloc[0]
        states = ewma(np.maximum(z, -3), limit=limit)
        np.testing.assert_allclose(chart["state"], states, rtol=1e-9)
        assert chart["alarm"].tolist() == (states > limit).tolist()
        recent = chart["alarm"].rolling(3, min_periods=1).max()
        assert chart["active"].tolist() == recent.tolist()
        assert ((chart["smooth"] > chart["threshold"]) == (chart["alarm"] == 1)).all()
        np.testing.assert_allclose(chart["usual"], mine["mean"], rtol=0)
        some += chart["alarm"].sum()
    assert len(table) == len(score) == 51 * 3 * len(FAMILY) and some > 20


def test_a_day_of_nineteen_queries_has_no_score_and_one_of_twenty_has(monitor):
    monitor.update(queries([0], 19))
    monitor.update(queries([1], 20))
    monitor.update(queries([2], 20))
    score = monitor.table("score").query("segment == 'all'").set_index("day")
    assert score.loc[0, ["value", "z"]].isna().all(axis=None)
    assert score.loc[1, ["value", "z"]].notna().all(axis=None)
    words = monitor.table("verdict").query("segment == 'all'").set_index("day")["verdict"]
    assert words[0] == "too few queries" != words[1]


def test_the_words_follow_from_the_active_scores(path):
    with Monitor(path) as monitor:
        for day in range(20):
            batch = queries([day], seed=[6, day], shift=0.2 * (8 <= day < 14))
            monitor.update(changed(batch, slice(60), success=False) if 4 <= day < 12 else batch)
        score, words = (
            monitor.table("score"),
            monitor.table("verdict").set_index(["day", "segment"])["verdict"],
        )
    active = score.assign(harm=score["family"] == "outcome").query("active == 1")
    seen = set()
    for place in score.groupby(["day", "segment"]).groups:
        kinds = active[(active["day"] == place[0]) & (active["segment"] == place[1])]["harm"]
        drift, harm = (~kinds).any(), kinds.any()
        expected = "harm with drift" if drift and harm else "drift" if drift else "harm" if harm else "quiet"
        assert words[place] == expected
        seen.add(expected)
    assert len(seen) == 4


# The file is a function of the set of batches.


def cut(log, rng, *, repeats=True):
    """Cut a log, rows in any order, into batches; some come twice."""
    log = log.where(np.ones(len(log), bool))
    order = rng.permutation(len(log))
    log = Log(log.embeddings[order], log.outcomes.iloc[order].reset_index(drop=True))
    edges = np.sort(rng.choice(len(log), rng.integers(1, 25), replace=False))
    batches = [log.where(part) for part in _parts(np.searchsorted(edges, np.arange(len(log)), side="right"))]
    if repeats:
        batches += [batches[i] for i in rng.integers(0, len(batches), 3)]
    return [batches[i] for i in rng.permutation(len(batches))]


def _parts(number):
    return [number == each for each in np.unique(number)]


def test_any_order_any_cut_and_repeats_give_the_same_file(fitted, tmp_path):
    log, rng = queries(range(9), seed=7), np.random.default_rng(0)
    one = fed(copy(fitted, tmp_path / "one.sqlite"), log)
    assert one["accepted"] == [(len(log),)]
    for attempt in range(10):
        assert fed(copy(fitted, tmp_path / f"{attempt}.sqlite"), *cut(log, rng)) == one


def test_rows_as_late_as_four_weeks_give_the_same_file_as_rows_in_time(fitted, tmp_path):
    log = queries(range(42), 60, seed=8)
    in_time = fed(copy(fitted, tmp_path / "in time.sqlite"), *(log.days(day, day) for day in range(42)))
    for seed in range(2):
        rng = np.random.default_rng(seed)
        arrival = log.outcomes["day"].to_numpy() + rng.integers(0, LATE_DAYS, len(log))
        batches = [log.where(arrival // 2 == pair) for pair in range(35)]
        late = fed(copy(fitted, tmp_path / f"{seed}.sqlite"), *batches)
        assert late == in_time


def test_a_day_can_change_for_four_weeks_to_the_day(fitted, tmp_path):
    log = queries(range(12, 41), 60, seed=14)
    in_time = fed(copy(fitted, tmp_path / "in time.sqlite"), *(log.days(day, day) for day in range(12, 41)))
    late = np.asarray(log.outcomes["day"] == 12) & (np.arange(len(log)) % 2 == 0)
    batches = [log.where(~late).days(day, day) for day in range(12, 41)]
    assert fed(copy(fitted, tmp_path / "late.sqlite"), *batches, log.where(late)) == in_time


def test_dtype_order_in_memory_and_kind_of_column_do_not_matter(fitted, tmp_path):
    log = queries(range(3), seed=9)
    others = [
        Log(log.embeddings.astype(np.float64), log.outcomes.astype({"day": "Int64", "success": "boolean"})),
        Log(np.asfortranarray(log.embeddings), log.outcomes.astype({"segment": "category", "day": object})),
        Log(
            log.embeddings,
            log.outcomes.astype({"click": str}).replace({"click": {"True": "1", "False": "0"}}),
        ),
        Log(
            log.embeddings, log.outcomes.set_index(log.outcomes.index[::-1]).iloc[:, ::-1].assign(extra=None)
        ),
    ]
    states = [fed(copy(fitted, tmp_path / f"{i}.sqlite"), each) for i, each in enumerate([log, *others])]
    assert all(state == states[0] for state in states)


def test_a_late_row_changes_its_day_and_the_charts_after_it_and_nothing_before(path):
    log = queries(range(20), seed=10)
    late = changed(log.days(5, 5), success=False)
    with Monitor(path) as monitor:
        for day in range(20):
            monitor.update(log.days(day, day) if day != 5 else late.where(np.arange(QUERIES) < 60))
        before, said = (
            monitor.table(name).set_index(["day", "segment", "score"]).sort_index()
            for name in ("score", "said")
        )
        receipt = monitor.update(late.where(np.arange(QUERIES) >= 60))
        after = monitor.table("score").set_index(["day", "segment", "score"]).sort_index()
        assert monitor.table("said").set_index(["day", "segment", "score"]).sort_index().equals(said)
    assert receipt.accepted == 60
    different = (before != after).any(axis=1) & (before.notna() | after.notna()).any(axis=1)
    assert (
        different.groupby("day").max().loc[:4].sum() == 0 and different.loc[5].groupby("segment").any().all()
    )
    assert different.loc[6:].any()
    values = (before["value"] != after["value"]).drop("escalation", level="score").groupby("day").any()
    assert values[values].index.tolist() == [5]  # later days change by their charts, and by tickets, only


def test_what_was_said_first_stays_and_only_grows(path):
    log, counts = queries(range(15), seed=11), []
    with Monitor(path) as monitor:
        for arrival in range(18):
            for lag in (0, 3):
                part = log.days(arrival - lag, arrival - lag)
                monitor.update(part.where((np.arange(len(part)) % 3 == 0) == (lag == 3)))
            counts.append(monitor.table("said").groupby(["segment", "score", "result"]).size())
    for earlier, later in zip(counts, counts[1:], strict=False):
        assert (later.reindex(earlier.index) >= earlier).all()
    assert counts[-1].groupby(["segment", "score"]).sum().eq(14).all()


# Nothing bad counts, and nothing bad is lost without a word.

BAD = np.array([3, 17])
FAULTS = {
    "NaN": (lambda log: moved(log, BAD, np.nan), "not finite"),
    "one NaN": (lambda log: moved(log, (BAD, 2), np.nan), "not finite"),
    "infinity": (lambda log: moved(log, (BAD, 0), -np.inf), "not finite"),
    "a huge vector": (lambda log: moved(log, BAD, 1e300), "too large"),
    "a large number": (lambda log: moved(log, (BAD, 1), -1e15, np.float32), "too large"),
    "no day": (lambda log: changed(log, BAD, day=None), "without a day"),
    "a day of text": (lambda log: changed(log, BAD, day="Monday"), "without a day"),
    "half a day": (lambda log: changed(log, BAD, day=0.5), "without a day"),
    "no end of days": (lambda log: changed(log, BAD, day=np.inf), "without a day"),
    "a day beyond all integers": (lambda log: changed(log, BAD, day=1e300), "without a day"),
    "a clock ahead": (lambda log: changed(log, BAD, day=28), "ahead of the clock"),
    "a clock far ahead": (lambda log: changed(log, BAD, day=10**12), "ahead of the clock"),
    "a day of the baseline": (lambda log: changed(log, BAD, day=-1), "too late"),
    "a day long ago": (lambda log: changed(log, BAD, day=-(10**12)), "too late"),
    "an outcome of 2": (lambda log: changed(log, BAD, click=2), "with a bad outcome"),
    "no outcome": (lambda log: changed(log, BAD, success=None), "with a bad outcome"),
    "an outcome of text": (lambda log: changed(log, BAD, no_answer="maybe"), "with a bad outcome"),
    "an infinite outcome": (lambda log: changed(log, BAD, escalation=np.inf), "with a bad outcome"),
    "no similarity": (lambda log: changed(log, BAD, best_similarity=np.nan), "with a bad similarity"),
    "a similarity of 1.1": (lambda log: changed(log, BAD, best_similarity=1.1), "with a bad similarity"),
    "a huge similarity": (lambda log: changed(log, BAD, best_similarity=-1e30), "with a bad similarity"),
    "a ticket before its query": (
        lambda log: changed(log, BAD, escalation=True, escalation_day=-1),
        "with a ticket on an impossible day",
    ),
    "a ticket without a day": (
        lambda log: changed(log, BAD, escalation=True, escalation_day=None),
        "with a ticket on an impossible day",
    ),
    "a ticket in a hundred years": (
        lambda log: changed(log, BAD, escalation=True, escalation_day=36500),
        "with a ticket on an impossible day",
    ),
}


@pytest.fixture(scope="module")
def sound(fitted, tmp_path_factory):
    """A sound batch, and what a file holds that got its good rows only."""
    log, good = queries([0], seed=12), np.ones(QUERIES, bool)
    good[BAD] = False
    return log, fed(copy(fitted, tmp_path_factory.mktemp("sound") / "m.sqlite"), log.where(good))


@pytest.mark.parametrize("name", FAULTS)
def test_bad_rows_are_counted_and_the_good_ones_beside_them_count(name, sound, path):
    (log, expected), (change, reason) = sound, FAULTS[name]
    with Monitor(path) as monitor:
        receipt = monitor.update(change(log), "mixed")
        assert (receipt.accepted, receipt.rejected) == (QUERIES - 2, {reason: 2}) and not receipt.repeat
        assert monitor.table("rejected").to_numpy().tolist() == [["mixed", reason, 2]]
        assert monitor.update(change(log), "mixed").repeat
        assert monitor.verdict().rejected == {reason: 2} and f"2 rows {reason}" in str(monitor.verdict())
    state = contents(path)
    assert without(state, "rejected") == without(expected, "rejected")
    assert state["rejected"] == [(reason, 2)]


@pytest.mark.parametrize("name", FAULTS)
def test_a_batch_of_nothing_but_bad_rows_leaves_the_state_as_it_was(name, sound, path):
    before = contents(path)
    bad = FAULTS[name][0](sound[0]).where(np.isin(np.arange(QUERIES), BAD))
    with Monitor(path) as monitor:
        assert monitor.update(bad).accepted == 0
        assert monitor.table("batch")["accepted"].tolist() == [0]
    assert without(contents(path), "rejected", "accepted") == without(before, "rejected", "accepted")


def test_rows_of_another_dimension_are_counted_not_raised(monitor, path):
    before = contents(path)
    receipt = monitor.update(traffic([0], 10, dim=DIM + 1))
    assert receipt.rejected == {"with another dimension": 10}
    assert monitor.update(Log(np.empty((4, 0)), queries([0]).outcomes[:4])).accepted == 0
    assert without(contents(path), "rejected", "accepted") == without(before, "rejected", "accepted")


def test_the_largest_row_that_is_let_in_can_be_counted(monitor):
    largest = Panel.from_bytes(monitor.table("frozen").set_index("name").loc["panel", "state"]).largest
    log = queries([0])
    assert monitor.update(moved(log, BAD, largest)).accepted == QUERIES
    assert monitor.update(moved(log, BAD, np.nextafter(largest, np.inf))).rejected == {"too large": 2}


def test_an_empty_batch_is_counted_and_changes_nothing_else(monitor, path):
    before = contents(path)
    for empty in (
        queries([0]).where(np.zeros(QUERIES, bool)),
        Log(np.empty((0, 0)), queries([0]).outcomes[:0]),
    ):
        receipt = monitor.update(empty)
        assert (receipt.accepted, receipt.rejected, receipt.repeat) == (0, {}, False)
    assert len(monitor.table("batch")) == 2
    assert without(contents(path), "accepted") == without(before, "accepted")


def test_after_a_long_silence_the_same_batch_counts_with_a_longer_gap(monitor):
    batch = queries([40])
    assert monitor.update(batch).rejected == {"ahead of the clock": QUERIES}
    assert monitor.verdict().day == -1
    again = monitor.update(batch, longest_gap=41)
    assert (again.accepted, again.rejected) == (QUERIES, {}) and monitor.table("rejected").empty
    verdict = monitor.verdict()
    assert verdict.day == 39 and set(verdict.words.values()) == {"too few queries"}
    assert (monitor.table("said")["result"] == "too few queries").all()
    assert monitor.update(batch, longest_gap=41).repeat


def test_rows_of_more_than_four_weeks_ago_come_too_late(monitor):
    monitor.update(queries([27]))
    monitor.update(queries([40], seed=1))
    assert monitor.update(queries([12], seed=2)).accepted == QUERIES
    assert monitor.update(queries([11], seed=2)).rejected == {"too late": QUERIES}


def test_a_thousand_unknown_segments_are_one(monitor, path):
    log = queries([0], 1000)
    hostile = [f"'; DROP TABLE score; -- {i}" for i in range(996)] + ["all", "other", None, "\ud800"]
    monitor.update(Log(log.embeddings, log.outcomes.assign(segment=pd.Series(hostile, dtype=object))))
    monitor.update(queries([1]))
    table = monitor.table("traffic").query("day == 0").set_index("segment")["queries"]
    assert table.to_dict() == {"all": 1000, "web": 0, "mobile": 0}  # these have tickets of earlier days
    words = monitor.verdict().words
    assert words["all"] != "too few queries" and words["web"] == words["mobile"] == "too few queries"


def test_a_day_of_one_repeated_query_makes_numbers_and_blinds_no_chart(monitor):
    for day in range(3):
        monitor.update(moved(queries([day], seed=day), slice(None), 0.1, np.float32))
    for day in range(3, 12):
        monitor.update(queries([day], seed=day, shift=0.0))
    spread = monitor.table("score").query("segment == 'all' and score == 'spread' and day >= 0")
    assert np.isfinite(spread["value"]).all() and spread["state"].min() >= -3
    drift = monitor.table("score").query("segment == 'all' and score == 'query_drift' and day == 0")
    assert drift["alarm"].item() == 1


def test_a_segment_that_falls_silent_is_not_dropped_from_the_verdict(monitor):
    log = queries([0, 1])
    monitor.update(log.where(log.outcomes["segment"] != "mobile"))
    assert monitor.verdict().words["mobile"] == "too few queries"
    assert monitor.verdict().scores.loc["mobile"]["value"].isna().all()


GOOD = queries([0], 30)
WRONG = {
    "no log": (GOOD.outcomes, TypeError, "batch is a DataFrame"),
    "nothing": (None, TypeError, "batch is a NoneType"),
    "objects": (moved(GOOD, 0, 1, object), TypeError, "batch has embeddings of dtype object"),
    "texts": (Log(np.full((1, DIM), "a"), GOOD.outcomes[:1]), TypeError, "batch has embeddings of dtype <U1"),
    "complex": (moved(GOOD, 0, 1, complex), TypeError, "batch has embeddings of dtype complex"),
    "booleans": (moved(GOOD, 0, 1, bool), TypeError, "batch has embeddings of dtype bool"),
    "masked": (
        Log(np.ma.masked_array(GOOD.embeddings, GOOD.embeddings > 0), GOOD.outcomes),
        ValueError,
        "batch has embeddings with masked values",
    ),
    "a column less": (
        Log(GOOD.embeddings, GOOD.outcomes.drop(columns=["click", "day"])),
        ValueError,
        "batch lacks the column.* day, click",
    ),
    "a column twice": (
        Log(GOOD.embeddings, pd.concat([GOOD.outcomes, GOOD.outcomes[["day"]]], axis=1)),
        ValueError,
        "batch lacks the column.* day, or has them twice",
    ),
    "dates": (
        Log(GOOD.embeddings, GOOD.outcomes.assign(day=pd.Timestamp("2026-01-05"))),
        TypeError,
        "batch has a column day without numbers",
    ),
    "complex days": (
        Log(GOOD.embeddings, GOOD.outcomes.assign(day=1j)),
        TypeError,
        "batch has a column day without numbers",
    ),
    "endless integers": (
        changed(GOOD, 0, escalation_day=10**400),
        TypeError,
        "batch has a column escalation_day without numbers",
    ),
    "lists for segments": (
        Log(GOOD.embeddings, GOOD.outcomes.assign(segment=[["web"]] * 30)),
        TypeError,
        "batch has a column segment without names",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_batch_is_refused_by_name_and_changes_nothing(name, monitor, path):
    before, (batch, error, message) = contents(path), WRONG[name]
    with pytest.raises(error, match=message):
        monitor.update(batch)
    assert monitor.table("batch").empty and contents(path) == before


@pytest.mark.parametrize("batch_id", ["", 7, b"a", ["a"]], ids=repr)
def test_a_batch_has_a_text_for_a_name(batch_id, monitor):
    with pytest.raises(TypeError, match="batch_id=.* must be a text"):
        monitor.update(GOOD, batch_id)


def test_a_gap_is_no_way_to_do_without_a_clock(monitor):
    with pytest.raises(ValueError, match="longest_gap=1000000000 must be at most 3660"):
        monitor.update(GOOD, longest_gap=10**9)


@pytest.mark.parametrize("gap", [0, -1, 1.5, None, "28", True, np.nan], ids=repr)
def test_a_gap_is_a_whole_number_of_days(gap, monitor):
    with pytest.raises(ValueError, match="longest_gap=.* must be a whole number"):
        monitor.update(GOOD, longest_gap=gap)


# The quiet history.


def history(**options):
    return queries(range(-56, 0), 40, **options)


def small_segment():
    log = history()
    rare = np.arange(len(log)) % 20 == 0
    return Log(log.embeddings, log.outcomes.assign(segment=np.where(rare, "rare", "web")))


REFUSED = {
    "too short": (lambda: history().days(-56, -2), {}, "reference_log has the days -56 to -2: give 28 for"),
    "a broken clock": (
        lambda: changed(history(), slice(2239, None), day=10**12),
        {},
        "reference_log has the days -56 to 1000000000000, more than 3660: look for",
    ),
    "empty": (lambda: history().days(5, 6), {}, "reference_log is empty"),
    "few queries": (
        lambda: queries(range(-56, 0), 35),
        {},
        "reference_log has 980 queries in its ref.* 1000",
    ),
    "NaN": (
        lambda: moved(history(), BAD, np.nan),
        {},
        "reference_log has 2 rows not finite: remove or repair",
    ),
    "infinity later": (lambda: moved(history(), -1, np.inf), {}, "reference_log has 1 rows not finite"),
    "huge": (lambda: moved(history(), -1, 1e300), {}, "reference_log has 1 rows too large"),
    "a vector of another scale": (
        lambda: moved(history(), -1, 1e5),
        {},
        "reference_log has 1 rows too large",
    ),
    "a scale of its own": (
        lambda: moved(history(), slice(None), history().embeddings + 1e7),
        {},
        "reference_log has 2240 rows too large",
    ),
    "no day": (lambda: changed(history(), 0, day=None), {}, "reference_log has 1 rows without a day"),
    "no outcome": (lambda: changed(history(), 0, click=3), {}, "reference_log has 1 rows with a bad outcome"),
    "one vector": (lambda: moved(history(), slice(None), 1.0), {}, "reference_log has no bandwidth"),
    "no weekend in the reference": (
        lambda: (log := history()).where((log.outcomes["day"] > -29) | (log.outcomes["day"] % 7 < 5)),
        {},
        "reference_log has (0 queries of segment 'all' on weekends|800 queries in its reference)",
    ),
    "no weekend in the baseline": (
        lambda: (log := queries(range(-70, 0), 40)).where(
            (log.outcomes["day"] < -42) | (log.outcomes["day"] % 7 < 5)
        ),
        {},
        r"reference_log has too few baseline days with 20 queries of segment 'all' \(30 days, 0 of them week",
    ),
    "a silent baseline": (
        lambda: (log := history()).where((log.outcomes["day"] < -28) | (log.outcomes["day"] % 2 == 1)),
        {},
        "reference_log has too few baseline days with 20 queries of segment 'all'",
    ),
    "a segment that is rare": (
        small_segment,
        {"segments": ["rare"]},
        "reference_log has too few baseline days with 20 queries of segment 'rare'",
    ),
    "a segment that is not there": (
        history,
        {"segments": ["desktop"]},
        "reference_log has 0 queries of segment 'desktop' on weekdays",
    ),
    "all": (history, {"segments": ["all"]}, "segments=.* must differ"),
    "other": (history, {"segments": ["web", "other"]}, "segments=.* must differ"),
    "twice": (history, {"segments": ["web", "web"]}, "segments=.* must differ"),
    "days": (history, {"reference_days": 0}, "reference_days=0 must be a whole number"),
    "budget": (history, {"budget_days": 1}, "budget_days=1 must be at least 7"),
    "no budget": (history, {"budget_days": np.nan}, "budget_days=nan must be a positive"),
    "seed": (history, {"rng": -1}, "rng=-1 must be a whole number"),
    "a Sunday": (
        history,
        {"day_zero": datetime.date(2026, 1, 4)},
        "day_zero=2026-01-04 is a Sunday: give a Monday",
    ),
}


@pytest.fixture(scope="module")
def unfitted(tmp_path_factory):
    path = tmp_path_factory.mktemp("unfitted") / "monitor.sqlite"
    Monitor(path).close()
    return path


@pytest.mark.parametrize("name", REFUSED)
def test_a_history_that_will_not_do_is_refused_by_name_and_leaves_the_file_as_it_was(
    name, unfitted, tmp_path
):
    log, options, message = REFUSED[name]
    path = copy(unfitted, tmp_path / "m.sqlite")
    with Monitor(path) as monitor:
        with pytest.raises(ValueError, match=message):
            monitor.fit(log(), **options)
        with pytest.raises(ValueError, match="is not fitted: call fit"):
            monitor.update(GOOD)
    assert not any(without(contents(path), "accepted").values())


@pytest.mark.parametrize("segments", ["web", 5, None, [1], [None]], ids=repr)
def test_segments_are_a_list_of_names(segments, unfitted, tmp_path):
    with Monitor(copy(unfitted, tmp_path / "m.sqlite")) as monitor:
        with pytest.raises(TypeError, match="segments=.* must be a list of names"):
            monitor.fit(history(), segments=segments)
        with pytest.raises(TypeError, match="reference_log is a DataFrame"):
            monitor.fit(history().outcomes)


@pytest.mark.parametrize("day_zero", ["2026-01-05", 0, datetime.datetime(2026, 1, 5)], ids=repr)
def test_day_zero_is_a_date(day_zero, unfitted, tmp_path):
    with Monitor(copy(unfitted, tmp_path / "m.sqlite")) as monitor:
        with pytest.raises(TypeError, match="day_zero=.* must be a datetime.date"):
            monitor.fit(history(), day_zero=day_zero)
        assert monitor.table("setting").empty


@pytest.mark.parametrize("day_zero, value", [(None, "null"), (datetime.date(2026, 1, 5), '"2026-01-05"')])
def test_the_file_knows_the_date_of_day_zero(day_zero, value, unfitted, tmp_path):
    with Monitor(copy(unfitted, tmp_path / "m.sqlite")) as monitor:
        monitor.fit(history(), day_zero=day_zero)
        assert monitor.table("setting").set_index("name").loc["day_zero", "value"] == value


def test_five_queries_that_are_repeated_for_ever_are_a_history_too(tmp_path):
    log, five = history(), np.random.default_rng(0).normal(size=(5, DIM)).astype(np.float32)
    repeated = Log(five[np.random.default_rng(1).integers(0, 5, len(log))], log.outcomes)
    with Monitor(tmp_path / "m.sqlite") as monitor:
        monitor.fit(repeated)
        for day in range(7):
            same = queries([day], seed=day)
            new = np.arange(QUERIES) % 3 == 0 if day > 2 else np.zeros(QUERIES, bool)
            old = five[np.random.default_rng(day).integers(0, 5, QUERIES)]
            monitor.update(Log(np.where(new[:, None], same.embeddings, old), same.outcomes))
        novelty = monitor.table("chart").query("score == 'novelty' and day >= 0").set_index("day")
    assert novelty["value"].tolist() == pytest.approx([0, 0, 0, 1 / 3, 1 / 3, 1 / 3])
    assert novelty["active"].tolist() == [0, 0, 0, 1, 1, 1]


def test_a_baseline_is_closed(path):
    before = contents(path)
    with Monitor(path) as monitor:
        assert monitor.update(queries(range(-56, 0))).rejected == {"too late": 56 * QUERIES}
        assert monitor.table("traffic").query("day < 0")["state"].isna().all()
    assert without(contents(path), "rejected", "accepted") == without(before, "rejected", "accepted")


def test_a_limit_is_never_below_that_of_normal_scores():
    day = np.arange(28)
    usual = usual_of(day, np.full(28, 100), np.zeros((28, len(FAMILY))), 91)
    shares = np.array([run_length_limit(ewma, 91 * (4 if name in OUTCOMES else 5)) for name in FAMILY])
    np.testing.assert_allclose(usual.limit, shares)
    one = np.array(["novelty", *OUTCOMES])
    assert (usual.sd[:, np.isin(list(FAMILY), one)] == 0.01).all()  # one query of a hundred


def test_a_baseline_that_wanders_gets_a_higher_limit_than_its_own_z_scores_have():
    rng, day = np.random.default_rng(0), np.arange(84)
    values = np.repeat(rng.normal(size=(6, len(FAMILY))), 14, axis=0) + rng.normal(size=(84, len(FAMILY)))
    usual = usual_of(day, np.full(84, 100), values, 91)
    states = ewma(np.maximum(usual.z(day, values), -3))
    assert (usual.limit > states.max(axis=0)).all()


def test_a_very_good_month_does_not_hide_the_bad_days_after_it():
    limit, z = np.full(len(FAMILY), 0.9), np.full((34, len(FAMILY)), -1e9)
    z[30:] = 3.0
    states = run_charts(z, limit, np.zeros(len(FAMILY)))
    assert (states[:30] >= -3).all() and (states[33] > -1).all()


def test_days_without_scores_leave_a_chart_where_it_was():
    limit, z = np.full(len(FAMILY), 0.9), np.full((6, len(FAMILY)), 0.5)
    z[2:4] = np.nan
    states = run_charts(z, limit, np.full(len(FAMILY), 2.0))
    expected = ewma([0.5] * 4)
    np.testing.assert_allclose(states[[0, 1, 4, 5], 0], expected)
    assert (states[2:4, 0] == expected[1]).all()
    nothing = run_charts(np.full((2, len(FAMILY)), np.nan), limit, np.full(len(FAMILY), 2.0))
    assert (nothing == 0).all()  # an alarm is over on the next day


# Probes.


def test_old_probes_say_nothing(monitor):
    for day in (-20, -9):
        monitor.record_probes(day, asked=300, succeeded=295, documents=720, built=-40)
    assert monitor.verdict().probes == ""


def test_probes_are_kept_and_a_day_can_be_written_again(monitor):
    monitor.record_probes(-3, asked=300, succeeded=295, documents=720, built=-30)
    monitor.record_probes(np.int64(-2), asked=300, succeeded=np.int32(295), documents=720, built=-30)
    monitor.record_probes(-2, asked=300, succeeded=290, documents=700, built=-2)
    assert monitor.table("probe").to_numpy().tolist() == [[-3, 300, 295, 720, -30], [-2, 300, 290, 700, -2]]


@pytest.mark.parametrize(
    "name, value, message",
    [
        ("day", 1.0, "day=1.0"),
        ("day", None, "day=None"),
        ("asked", 0, "asked=0"),
        ("asked", "300", "asked='300'"),
        ("succeeded", -1, "succeeded=-1"),
        ("succeeded", 301, "succeeded=301 must be at most asked=300"),
        ("succeeded", np.nan, "succeeded=nan"),
        ("documents", True, "documents=True"),
        ("built", 1, "built=1 must not be after day=0"),
        ("built", np.inf, "built=inf"),
    ],
)
def test_impossible_probes_are_refused_by_name(name, value, message, monitor):
    numbers = {"day": 0, "asked": 300, "succeeded": 290, "documents": 700, "built": -1} | {name: value}
    with pytest.raises(ValueError, match=message):
        monitor.record_probes(**numbers)
    assert monitor.table("probe").empty


def test_the_verdict_says_which_side_the_probes_point_to(monitor):
    assert monitor.verdict().probes == ""
    for day in range(-40, -3):
        monitor.record_probes(day, asked=300, succeeded=295 - (day == -12), documents=720, built=-40)
    assert (
        monitor.verdict().probes == "probes: 98.3% succeed, as before: index and embedder answer as they did"
    )
    monitor.record_probes(-2, asked=300, succeeded=280, documents=700, built=-2)
    words = "probes: 93.3% succeed, 98.3% before: look at the supply, index or embedder"
    assert monitor.verdict().probes == words and words in str(monitor.verdict())
    monitor.record_probes(0, asked=300, succeeded=0, documents=1, built=0)  # of a day that is not over
    assert monitor.verdict().probes == words


# The clock.


def test_what_is_written_down_has_the_time_of_the_given_clock(path):
    now = 5.0
    with Monitor(path, clock=lambda: now) as monitor:
        for now in (5.0, 6.5, 9.0):
            monitor.update(queries([int(now)]))
        assert monitor.table("batch")["received"].tolist() == [5.0, 6.5, 9.0]
        said = monitor.table("said").groupby("day")["said_at"].agg(["min", "max"])
    assert said.to_numpy().tolist() == [[5.0, 5.0]] * 5 + [[6.5, 6.5]] + [[9.0, 9.0]] * 3


def test_the_clock_is_that_of_the_machine_by_default(monitor):
    before = time.time()
    monitor.update(GOOD)
    assert before <= monitor.table("batch")["received"].item() <= time.time()


# The file.


@pytest.fixture
def inside(tmp_path):
    """A new file, and one who is about to write to it, of whom SQLite says at once that it is locked."""
    path = tmp_path / "m.sqlite"
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    yield path, other
    other.close()


def test_two_who_make_a_file_at_the_same_moment_wait_for_each_other(inside, monkeypatch):
    path, other = inside
    waits = []

    def wait(seconds):
        waits.append(seconds)
        if len(waits) == 3:
            other.execute("COMMIT")

    monkeypatch.setattr(store.time, "sleep", wait)
    with Monitor(path) as monitor:
        assert monitor.table("traffic").empty
        assert monitor.store.rows("PRAGMA journal_mode") == [("wal",)]
    assert waits == [0.01] * 3


def test_one_who_never_ends_with_making_a_file_is_waited_for_as_long_as_any_writer(inside, monkeypatch):
    path, _ = inside
    now = iter([0, 30, 59.9, 60])
    monkeypatch.setattr(store.time, "monotonic", lambda: next(now))
    monkeypatch.setattr(store.time, "sleep", lambda seconds: None)
    with pytest.raises(OSError, match=r"path=.*m\.sqlite cannot be read or written \(database is locked\)"):
        Monitor(path)
    assert next(now, None) is None


def test_any_sql_tool_reads_scores_verdicts_and_outcomes(path):
    with Monitor(path) as monitor:
        for day in range(9):
            monitor.update(queries([day], seed=day))
    connection = sqlite3.connect(path)
    for table, columns, rows in [
        ("score", "day segment score family value z state alarm active", 36 * 3 * 9),
        (
            "chart",
            "day segment score family value z usual smooth threshold state limit_ alarm active",
            36 * 27,
        ),
        ("verdict", "day segment drifting hurting verdict", 36 * 3),
        ("outcome", "day segment queries failure no_click no_answer escalation", 37 * 3),
        ("said", "day segment score result said_at", 8 * 27),
        ("batch", "id received accepted first_day last_day", 9),
    ]:
        cursor = connection.execute(f"SELECT * FROM {table}")
        assert [column[0] for column in cursor.description] == columns.split()
        assert len(cursor.fetchall()) == rows
    schema = " ".join(sql for (sql,) in connection.execute("SELECT sql FROM sqlite_master WHERE sql <> ''"))
    for comment in ("-- sums over the queries", "-- should anyone act?", "-- an alarm on this day or on one"):
        assert comment in schema
    kinds = connection.execute("SELECT DISTINCT typeof(day), typeof(queries), typeof(failure) FROM traffic")
    assert kinds.fetchall() == [("integer", "integer", "integer")]
    assert connection.execute("PRAGMA application_id").fetchone() == (0x45445031,)
    connection.close()


def test_a_monitor_that_is_opened_again_is_the_same(path):
    log = queries(range(10), seed=13)
    with Monitor(path) as monitor:
        monitor.update(log.days(0, 5))
        first = str(monitor.verdict())
    with Monitor(str(path)) as monitor:
        assert str(monitor.verdict()) == first
        assert monitor.update(log.days(0, 5)).repeat
        assert not monitor.update(log.days(6, 9)).repeat
    state = contents(path)
    for place in ("all/0", "all/1"):
        saved = dict(state["frozen"])[place]
        assert Sums.from_bytes(saved).to_bytes() == saved


def test_a_closed_monitor_says_that_it_is_closed_not_that_its_file_is_damaged(monitor):
    monitor.close()
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        monitor.update(GOOD)


def test_a_file_is_fitted_once(path):
    with Monitor(path) as monitor, pytest.raises(ValueError, match="path=.* is fitted already: give another"):
        monitor.fit(history())


def test_two_open_monitors_of_one_file_cannot_fit_it_twice_but_both_see_the_fit(tmp_path):
    path = tmp_path / "m.sqlite"
    with Monitor(path) as one, Monitor(path) as two:
        one.fit(history())
        before = contents(path)
        with pytest.raises(ValueError, match="path=.* is fitted already"):
            two.fit(history(seed=1))
        assert contents(path) == before
        assert two.update(GOOD).accepted == 30 and two.verdict().words == one.verdict().words


def test_before_the_fit_nothing_can_be_asked_or_counted(unfitted, tmp_path):
    with Monitor(copy(unfitted, tmp_path / "m.sqlite")) as monitor:
        for call in (monitor.verdict, lambda: monitor.update(GOOD)):
            with pytest.raises(ValueError, match=r"path=.*m\.sqlite is not fitted: call fit"):
                call()


def test_a_table_that_is_not_there_is_refused_with_those_that_are(monitor):
    for name in ("scores", "score; DROP TABLE score", "", None, "sqlite_autoindex_score_1"):
        with pytest.raises(ValueError, match="name=.* is no table of the file: give one of .*score.*verdict"):
            monitor.table(name)


def foreign(statement):
    def write(path):
        connection = sqlite3.connect(path)
        connection.executescript(statement)
        connection.close()

    return write


NOT_OURS = {
    "text": (lambda path: path.write_text("not a database\n" * 500), "no monitor's file"),
    "a short text": (lambda path: path.write_text("hello"), "no monitor's file"),
    "another database": (
        foreign("CREATE TABLE customer (name); INSERT INTO customer VALUES (1);"),
        "another prog",
    ),
    "another application": (foreign("PRAGMA application_id = 7; CREATE TABLE a (b);"), "another program's"),
    "a later layout": (
        foreign("PRAGMA application_id = 1162104881; PRAGMA user_version = 2; CREATE TABLE a (b);"),
        "has layout 2, this code reads 1",
    ),
}


@pytest.mark.parametrize("name", NOT_OURS)
def test_a_file_of_somebody_else_is_refused_by_path_and_left_alone(name, tmp_path):
    path, (write, message) = tmp_path / "theirs.sqlite", NOT_OURS[name]
    write(path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=rf"path=.*theirs\.sqlite .*{message}.*(give another path|fit anew)"):
        Monitor(path)
    assert path.read_bytes() == before and os.listdir(tmp_path) == ["theirs.sqlite"]


def test_a_truncated_file_is_refused_by_path_and_left_alone(path):
    whole = path.read_bytes()
    lengths = np.linspace(1, len(whole) - 1, 30).astype(int).tolist()
    for length in [*lengths, *(each // 4096 * 4096 for each in lengths[1:])]:
        path.write_bytes(whole[:length])
        with pytest.raises(
            ValueError, match=r"path=.*monitor\.sqlite is no monitor's file, or a damaged one"
        ):
            Monitor(path)
        assert path.read_bytes() == whole[:length]


def test_a_flipped_byte_in_the_header_is_refused_or_does_no_harm(path):
    expected, whole, refused = contents(path), path.read_bytes(), 0
    for place in range(100):
        for flip in (0x01, 0xFF):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ flip]) + whole[place + 1 :])
            try:
                assert contents(path) == expected
            except ValueError as error:
                assert f"path={path}" in str(error)
                refused += 1
    assert refused > 80


def test_a_damaged_reference_is_refused_by_path(path):
    connection = sqlite3.connect(path)
    connection.execute("UPDATE frozen SET state = substr(state, 1, 500) WHERE name = 'web/1'")
    connection.commit()
    connection.close()
    with pytest.raises(ValueError, match="path=.* is damaged .*: restore a copy"):
        Monitor(path)


def test_what_cannot_be_opened_is_an_error_of_the_system_with_the_path(tmp_path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path, tmp_path / "nowhere" / "m.sqlite", tmp_path / "file" / "m.sqlite"):
        with pytest.raises(OSError, match=f"{path}"):
            Monitor(path)


def test_a_file_that_may_not_be_written_is_an_error_of_the_system_and_nothing_counts(path):
    with Monitor(path) as monitor:
        monitor.store.connection.execute("PRAGMA query_only = ON")
        with pytest.raises(OSError, match="path=.* cannot be read or written .*readonly.*: see that it is"):
            monitor.update(GOOD)
        monitor.store.connection.execute("PRAGMA query_only = OFF")
        assert monitor.update(GOOD).accepted == 30


def test_a_full_disk_is_an_error_of_the_system_and_nothing_counts(path):
    before = contents(path)
    with Monitor(path) as monitor:
        pages = monitor.store.rows("PRAGMA page_count")[0][0]
        monitor.store.rows(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(OSError, match=r"path=.* cannot be read or written \(database or disk is full\)"):
            monitor.update(queries(range(20)))
    assert contents(path) == before


# Killed at any moment.

needs_fork = pytest.mark.skipif(os.name == "nt", reason="Windows has neither fork nor SIGKILL")


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """What `kill_monitor.py` reports."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    folder = tmp_path_factory.mktemp("killed")
    command = [sys.executable, "-W", "error", ROOT / "tests/kill_monitor.py", folder]
    environment = os.environ | threads | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0 and not done.stderr, done.stderr
    return json.loads(done.stdout)


@needs_fork
def test_fifty_kills_in_a_stream_of_a_million_embeddings_lose_and_double_nothing(killed):
    result = killed["a million"]
    assert result["rows"] == 1_000_000 and result["killed"] == 50 and result["inside"] >= 10
    assert result["equal"] and result["batches"] == [250, 1_000_000]


@needs_fork
def test_a_kill_at_any_step_of_a_batch_leaves_the_file_as_it_was_before_it(killed):
    assert killed["one batch"] == {"killed": 25, "as before": 25, "whole": 25}


@needs_fork
def test_a_kill_while_the_file_is_made_leaves_a_file_that_can_be_made(killed):
    assert killed["made"] == {"killed": 30, "good": 30}


@needs_fork
def test_a_kill_while_fitting_leaves_a_file_that_can_be_fitted_anew(killed):
    assert killed["fitting"] == {"killed": 5, "unfitted": 5, "equal": True}


@needs_fork
def test_a_torn_write_ahead_log_holds_the_first_batches_and_the_others_can_be_sent_again(killed):
    result = killed["torn"]
    assert result["left"] == sorted(result["left"]) and result["left"][0] == 0 and result["left"][-1] == 8
    assert result["prefixes"] == result["equal"] == 8 and len(set(result["left"])) > 4


@needs_fork
def test_two_processes_that_write_at_once_count_both_sets_of_batches_once(killed):
    assert killed["two"] == {"failed": 0, "equal": True}
