"""The streaming benchmark: what it times runs, and what it lacks it says. No times are judged here."""

import math
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import streaming, streaming_worker
from benchmarks.streaming_worker import STATES, answer
from helpers.streaming import RandomFeatureMean

COST = {"task": "cost", "batch": 32, "seconds": 0, "warm": 64}
RIVER = "River ADWIN, 8 projections"


@pytest.mark.parametrize("name", [*STATES, streaming_worker.LIMIT])
def test_the_cost_of_a_row_is_a_finite_number(name):
    assert 0 <= answer(COST | {"name": name})["us"] < math.inf


@pytest.mark.parametrize("name", STATES)
def test_states_are_saved_and_merge(name):
    kept = answer({"task": "kept", "name": name, "warm": 64})
    assert kept["saved"] > 64 and kept["merges"]


def test_a_growing_stream_is_measured_at_each_size():
    steps = answer({"task": "grow", "name": "RandomFeatureMean", "sizes": [300, 1000]})["steps"]
    assert [step["rows"] for step in steps] == [300, 1000]
    assert steps[0]["bytes"] == steps[1]["bytes"] > 0
    assert all(math.isfinite(number) for step in steps for number in step.values())


def test_the_shards_of_a_stream_are_all_of_it():
    job = {"task": "shard", "name": "RandomFeatureMean"}
    parts = [(0, 5000), (5000, 9001), (0, 9001)]
    answers = [answer(job | {"start": start, "stop": stop}) for start, stop in parts]
    first, second, whole = [RandomFeatureMean.from_bytes(bytes.fromhex(each["state"])) for each in answers]
    assert first.merge(second) == whole and whole.rows == 9001
    assert first != second


def test_delays_are_counted_at_the_same_rate_of_false_alarms():
    job = {"task": "delay", "products": 1, "quiet_days": 40, "days": 4, "budget": 20}
    result = answer(job | {"name": "RandomFeatureMean, EWMA against a reference"})
    assert result["false"] <= 1
    assert result["delays"]["stale rotation .25"] in ([1], [2], [3])


def test_alarms_on_days_in_a_row_are_one():
    days = np.array([1, 1, 0, 0, 1, 0, 1, 1], bool)
    assert streaming_worker.count_alarms(days) == 3
    assert streaming_worker.first_alarm(days[2:]) == 3
    assert streaming_worker.first_alarm(days[2:4]) is None


def test_a_watcher_that_cannot_be_quiet_has_no_delays(monkeypatch):
    always = streaming_worker.Watched(lambda limit: np.arange(40) % 2 == 0, [1.0])
    monkeypatch.setitem(streaming_worker.WATCHERS, "TwoRateMean", lambda reference: lambda traffic: always)
    job = {"task": "delay", "name": "TwoRateMean", "products": 1, "quiet_days": 40, "days": 4, "budget": 20}
    assert answer(job)["limit"] is None


def test_a_missing_peer_is_reported_as_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "river", None)
    result = answer(COST | {"name": RIVER})
    assert "river" in result["missing"]
    ours = {"us": {1: 20.0, 32: 4.0, 256: 3.0}, "saved": 10, "merges": True}
    assert f"| {RIVER} | missing |" in streaming.cost_table({"RandomFeatureMean": ours, RIVER: result})
    assert f"| {RIVER} | missing |" in streaming.delay_table({RIVER: result}, streaming.SMALL)


def test_a_peer_that_fails_is_reported_as_failed(monkeypatch):
    def fail(reference):
        raise RuntimeError("no memory")

    monkeypatch.setitem(streaming_worker.FOLLOWERS, RIVER, fail)
    assert answer(COST | {"name": RIVER}) == {"failed": "RuntimeError: no memory"}


def test_the_page_judges_each_goal_and_says_who_is_ahead():
    step = {"rows": 10, "us": 3.0, "peak": 5_000_000, "bytes": 100}
    growth = {"RandomFeatureMean": {"steps": [step, step | {"rows": 100, "peak": 9_000_000}]}}
    costs = {name: {"missing": "not here"} for name in streaming.PEERS} | {
        "RandomFeatureMean": {"us": {1: 20.0, 32: 4.0, 256: 2.5}, "saved": 10, "merges": True},
        streaming_worker.LIMIT: {"us": {256: 2.0}, "saved": 4, "merges": False},
        RIVER: {"us": {1: 10.0}, "saved": 10, "merges": False, "version": "0"},
    }
    delays = {
        "TwoRateMean": {"limit": 1.0, "false": 1.0, "delays": dict.fromkeys(streaming_worker.CHANGES, [3])}
    }
    sharing = {"wall 1": 2.0, "wall 2": 1.25, "cpu 1": 2.0, "cpu 2": 2.1, "equal": True}
    page = streaming.page(streaming.SMALL, costs, growth, sharing, delays, "words")
    assert "| at least 300,000 | 400,000 | reached |" in page
    assert "| at least 1 | 4 | reached |" in page
    assert "| at most 1 | 4 | missed |" in page
    assert f"Batches of 1: {RIVER} needs 0.5 of the CPU time of RandomFeatureMean." in page
    assert "1.60 times as fast as one" in page


def test_the_readme_shows_the_last_result():
    root = Path(__file__).resolve().parent.parent
    table = (root / "benchmarks" / "results" / "table.md").read_text(encoding="utf-8")
    goals = table[table.index("| goal") :].partition("\n\n")[0]
    assert goals.count("\n") > 10 and goals in (root / "README.md").read_text(encoding="utf-8")
