"""The exporter: every number beside the tables, and what it does with a bad file, port or traffic."""

import datetime
import http.client
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from itertools import product
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pandas as pd
import prometheus_client
import pytest
from kill_monitor import copy, traffic
from prometheus_client.parser import text_string_to_metric_families
from test_monitor import FAULTS

from helpers import exporter
from helpers.events import is_weekend
from helpers.exporter import MOST_SEGMENTS, REASONS, main, samples, serve, write_textfile
from helpers.log import Log
from helpers.monitor import Monitor
from helpers.panel import FAMILY, OUTCOMES
from helpers.store import Store

ROOT = Path(__file__).parents[1]
DAY_ZERO = datetime.date(2026, 1, 5)
MIDNIGHT = 1767571200  # the start of that day, UTC
SEGMENTS = ["all", "web", "mobile"]
DETECTORS = ["query_drift", "spread", "cluster_shift", "novelty", "index_gap"]
READABLE = ("embedding_drift_file_readable", ())


def queries(days, n=120, **options):
    return traffic(days, n, dim=8, **options)


class Clock:
    """A clock that is an hour further each time somebody looks at it."""

    def __init__(self):
        self.now = 1_700_000_000.0

    def __call__(self):
        self.now += 3600
        return self.now


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """A small monitor with a day 0 that has a date, closed."""
    path = tmp_path_factory.mktemp("fitted") / "monitor.sqlite"
    with Monitor(path) as monitor:
        monitor.fit(queries(range(-56, 0)), segments=SEGMENTS[1:], day_zero=DAY_ZERO)
    return path


@pytest.fixture(scope="module")
def lived(fitted, tmp_path_factory):
    """The same after 16 days with drift, harm, a day of few queries, bad rows and probes."""
    path = copy(fitted, tmp_path_factory.mktemp("lived") / "monitor.sqlite")
    with Monitor(path, Clock()) as monitor:
        for day in range(16):
            log = queries([day], 120 if day != 6 else 30, seed=day, shift=0.4 * (day > 9))
            log.outcomes.loc[: 40 * (day in (7, 8)), "success"] = False
            monitor.update(log)
        monitor.update(FAULTS["a clock ahead"][0](queries([15], seed=99)), longest_gap=1)
        monitor.update(FAULTS["NaN"][0](queries([15], seed=98)))
        for day in (3, 12):
            monitor.record_probes(day, asked=300, succeeded=298 - day, documents=700 + day, built=day - 5)
    return path


@pytest.fixture
def path(lived, tmp_path):
    (tmp_path / "files").mkdir()
    return copy(lived, tmp_path / "files" / "monitor.sqlite")


def ask(url, **headers):
    """Return status and text of an answer, past any proxy that the environment names."""
    parts = urlsplit(url)
    with closing(http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)) as connection:
        connection.request("GET", parts.path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


def parsed(text):
    """Return what Prometheus makes of an exposition: series to value, none of them twice."""
    found = [each for family in text_string_to_metric_families(text) for each in family.samples]
    series = {(each.name, tuple(sorted(each.labels.items()))): each.value for each in found}
    assert len(series) == len(found)
    return series


def scrape(url):
    status, text = ask(url)
    assert status == 200
    return parsed(text)


def of(path):
    with Monitor(path) as monitor:
        return samples(monitor)


def without_info(series):
    return {key: value for key, value in series.items() if key[0] != "embedding_drift_baseline_info"}


def execute(path, statement, *values):
    """Change a file behind the monitor's back, and leave no log beside it."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(statement, values)
        connection.commit()


def label(name, **labels):
    return name, tuple(sorted(labels.items()))


# The numbers.


def expected(path):
    """Work out every series with pandas from the stored tables, without the views that the exporter reads."""
    with Monitor(path) as monitor:
        tables = {name: monitor.table(name) for name in ("score", "calibration", "said", "traffic", "batch")}
        rejected, probe = monitor.table("rejected"), monitor.table("probe").set_index("day").sort_index()
        setting = dict(monitor.store.rows("SELECT name, value FROM setting"))
    score, said, count = tables["score"], tables["said"], tables["traffic"]
    day, out = int(score["day"].max()), {READABLE: 1}
    today = score[score["day"] == day].set_index(["segment", "score"])
    usual = tables["calibration"].query(f"weekend == {int(is_weekend(day))}").set_index(["segment", "score"])
    for detector, segment in product(DETECTORS, SEGMENTS):
        row, (mean, sd, limit) = (
            today.loc[segment, detector],
            usual.loc[segment, detector][["mean", "sd", "limit_"]],
        )
        if np.isfinite(row["value"]):
            four = (row["value"], mean + row["state"] * sd, mean + limit * sd, mean)
            for name, value in zip(("score", "smoothed_score", "threshold", "null_score"), four, strict=True):
                out[label(f"embedding_drift_{name}", detector=detector, segment=segment)] = value
    words = {
        "ok": ("ok", "ok"),
        "alarm": ("drift", "degraded"),
        "too few queries": ("insufficient_data",) * 2,
    }
    for name, segment, (said_so, results) in product(FAMILY, SEGMENTS, words.items()):
        is_outcome = name in OUTCOMES
        metric = "search_outcome_checks_total" if is_outcome else "embedding_drift_checks_total"
        labels = {
            "outcome" if is_outcome else "detector": name,
            "segment": segment,
            "result": results[is_outcome],
        }
        mine = (said["score"] == name) & (said["segment"] == segment) & (said["result"] == said_so)
        out[label(metric, **labels)] = mine.sum()
    reference = json.loads(setting["reference_queries"])
    for segment in SEGMENTS:
        asked = count[(count["day"] == day) & (count["segment"] == segment)]["queries"].sum()
        usable = said[(said["segment"] == segment) & (said["result"] != "too few queries")]["said_at"]
        for window, n in (("current", asked), ("reference", reference[f"{segment}/{int(is_weekend(day))}"])):
            out[label("embedding_drift_window_vectors", segment=segment, window=window)] = n
        if len(usable):
            out[label("embedding_drift_last_success_timestamp_seconds", segment=segment)] = usable.max()
    if len(tables["batch"]):
        out[label("embedding_drift_last_batch_timestamp_seconds")] = tables["batch"]["received"].max()
    for reason in (*REASONS, "other"):
        rows = rejected[rejected["reason"] == reason]["rows"].sum()
        out[label("embedding_drift_rejected_rows", reason=reason)] = rows
    total = count.drop(columns=["day", "state"]).groupby("segment").sum()
    total.loc["other"] = total.loc["all"] - total.loc["web"] - total.loc["mobile"]
    for segment, row in total.iterrows():
        out[label("search_queries_total", segment=segment)] = row["queries"]
        out[label("search_queries_clicked_total", segment=segment)] = row["queries"] - row["no_click"]
        out[label("search_queries_no_answer_total", segment=segment)] = row["no_answer"]
        out[label("search_queries_escalated_total", segment=segment)] = row["escalation"]
        for result, n in (("success", row["queries"] - row["failure"]), ("miss", row["failure"])):
            out[label("search_retrieval_judgements_total", segment=segment, result=result)] = n
    seconds = {"embedding_drift_window_end_timestamp_seconds": day + 1}
    if len(probe):
        last, row = probe.index[-1], probe.iloc[-1]
        out[label("search_probes")] = row["asked"]
        out[label("search_probe_success_ratio")] = row["succeeded"] / row["asked"]
        out[label("search_index_documents")] = row["documents"]
        seconds |= {
            "search_probe_timestamp_seconds": last + 1,
            "search_index_built_timestamp_seconds": row["built"],
        }
    if setting["day_zero"] != "null":
        out |= {label(name): MIDNIGHT + 86400 * days for name, days in seconds.items()}
    return out


@pytest.mark.parametrize("which", ["fitted", "lived"])
def test_every_number_is_what_the_tables_say(which, request):
    path = request.getfixturevalue(which)
    ours = of(path)
    assert ours == pytest.approx(expected(path), rel=1e-12)
    assert all(type(value) is float for value in ours.values())


def test_the_history_has_all_that_can_be_counted(lived):
    ours = of(lived)
    for name, result in (
        ("embedding_drift_checks_total", "drift"),
        ("embedding_drift_checks_total", "insufficient_data"),
        ("search_outcome_checks_total", "degraded"),
    ):
        assert (
            sum(value for key, value in ours.items() if key[0] == name and ("result", result) in key[1]) > 2
        )
    assert ours[label("embedding_drift_rejected_rows", reason="ahead of the clock")] == 2
    assert ours[label("embedding_drift_rejected_rows", reason="not finite")] == 2
    assert ours[label("search_queries_total", segment="other")] > 100
    assert ours[label("search_probe_timestamp_seconds")] == MIDNIGHT + 13 * 86400
    assert ours[label("search_index_built_timestamp_seconds")] == MIDNIGHT + 7 * 86400
    assert ours[label("embedding_drift_window_end_timestamp_seconds")] == MIDNIGHT + 15 * 86400


def test_a_scrape_is_the_samples_and_what_the_monitor_was_fitted_with(path):
    with serve(path, 0) as url:
        found = scrape(url)
    with Monitor(path) as monitor:
        ours = samples(monitor)
        n = sum(
            json.loads(dict(monitor.table("setting").to_numpy())["reference_queries"])[f"all/{i}"]
            for i in (0, 1)
        )
    info = {"dim": "8", "reference_queries": str(n), "baseline_days": "28", "budget_days": "91"}
    assert n == 28 * 120
    assert found == ours | {label("embedding_drift_baseline_info", **info): 1}


def test_without_the_date_of_day_zero_only_what_needs_it_is_missing(path):
    before = of(path)
    execute(path, "UPDATE setting SET value = 'null' WHERE name = 'day_zero'")
    missing = before.keys() - of(path).keys()
    assert missing == {
        label("embedding_drift_window_end_timestamp_seconds"),
        label("search_probe_timestamp_seconds"),
        label("search_index_built_timestamp_seconds"),
    }
    execute(path, "DELETE FROM setting WHERE name = 'day_zero'")  # a file from before there were dates
    assert before.keys() - of(path).keys() == missing


def test_promtool_finds_nothing_to_improve(path):
    promtool = shutil.which("promtool")
    if not promtool and os.environ.get("PLAYBOOK_NEEDS_PROMETHEUS") != "1":
        pytest.skip("promtool is not installed")
    assert promtool
    with serve(path, 0) as url:
        text = ask(url)[1]
    done = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert set(re.findall(r"^# HELP (\S+)", text, re.M)) == set(exporter.METRICS)


def test_no_time_of_creation_is_told_in_either_format_and_nothing_global_changes(path):
    before = list(prometheus_client.REGISTRY._collector_to_names)
    with serve(path, 0) as one, serve(path, 0) as two:
        plain, modern = ask(one)[1], ask(two, Accept="application/openmetrics-text; version=1.0.0")[1]
    assert "_created" not in plain + modern and modern.endswith("# EOF\n")
    assert prometheus_client.REGISTRY._collector_to_names.keys() == set(before)
    assert prometheus_client.metrics._use_created


# Counters.


def counters(series):
    return {key: value for key, value in series.items() if key[0].endswith("_total")}


@pytest.mark.parametrize("seed", [0, 1])
def test_counters_never_fall_whatever_comes_however_late_and_however_often(seed, fitted, tmp_path):
    rng = np.random.default_rng(seed)
    log = queries(range(12), 60, seed=[20, seed])
    log.outcomes["click"] = log.outcomes["click"].astype(object).mask(rng.random(len(log)) < 0.02)
    log.embeddings[rng.random(len(log)) < 0.02] = np.nan
    arrival = log.outcomes["day"].to_numpy() + rng.integers(0, 5, len(log))
    batches = [log.where(arrival == day) for day in range(16)]
    stream = [*range(16), *rng.integers(0, 16, 6)]
    with Monitor(copy(fitted, tmp_path / "m.sqlite")) as monitor:
        before = counters(samples(monitor))
        start, keys = before, before.keys()
        for place in np.argsort(np.array(stream) + rng.uniform(0, 3, len(stream))):
            monitor.update(batches[stream[place]])
            after = counters(samples(monitor))
            assert after.keys() == keys
            assert all(after[key] >= before[key] for key in keys)
            before = after
    risen = {key[0] for key in keys if after[key] > start[key]}
    assert risen == {key[0] for key in keys} and len(keys) == 27 * len(SEGMENTS) + 4 * 6


def test_counters_begin_at_nought_and_count_the_first_event(fitted, tmp_path):
    path = copy(fitted, tmp_path / "m.sqlite")
    checks = {key: value for key, value in of(path).items() if "checks_total" in key[0]}
    assert set(checks.values()) == {0} and len(checks) == 27 * len(SEGMENTS)
    with Monitor(path) as monitor:
        monitor.update(queries([0], 19))
        monitor.update(queries([1], 19))
    ours = of(path)
    for segment in SEGMENTS:
        labels = {"detector": "novelty", "segment": segment}
        assert ours[label("embedding_drift_checks_total", **labels, result="insufficient_data")] == 1
        assert ours[label("embedding_drift_checks_total", **labels, result="ok")] == 0
        assert label("embedding_drift_last_success_timestamp_seconds", segment=segment) not in ours


def test_a_restart_forgets_nothing(path):
    seen = []
    for _ in range(2):
        with serve(path, 0) as url:
            seen.append(scrape(url))
    assert seen[0] == seen[1]


# What is not there has no sample.


def scores_of(series, segment):
    names = {"score", "smoothed_score", "threshold", "null_score"}
    return [
        key
        for key in series
        if key[0].removeprefix("embedding_drift_") in names and ("segment", segment) in key[1]
    ]


def test_a_day_of_too_few_queries_exposes_no_score_but_that_there_were_few(path):
    before = of(path)
    log = queries([16], 40, seed=1)
    with Monitor(path) as monitor:
        monitor.update(log.where(log.outcomes["segment"] != "mobile"))
        monitor.update(queries([17], 5, seed=2))
    ours = of(path)
    assert len(scores_of(ours, "all")) == 20 and scores_of(ours, "mobile") == []
    assert ours[label("embedding_drift_window_vectors", segment="mobile", window="current")] == 0
    last = label("embedding_drift_last_success_timestamp_seconds", segment="mobile")
    assert ours[last] >= before[last]
    with Monitor(path) as monitor:
        monitor.update(queries([20], 5, seed=3))
    empty = of(path)
    assert not any(scores_of(empty, segment) for segment in SEGMENTS) and empty[last] == ours[last]
    assert all(
        empty[label("embedding_drift_window_vectors", segment=segment, window="current")] == 0
        for segment in SEGMENTS
    )
    few = label(
        "embedding_drift_checks_total", detector="spread", segment="mobile", result="insufficient_data"
    )
    assert empty[few] == ours[few] + 3 == before[few] + 4  # the days 16 to 19; 15 had enough


FORGED = {
    "value": ("UPDATE score SET value = {} WHERE score = 'spread' AND segment = 'web'", 4),
    "state": ("UPDATE score SET state = {} WHERE score = 'spread' AND segment = 'web'", 4),
    "limit": ("UPDATE calibration SET limit_ = {} WHERE score = 'spread' AND segment = 'web'", 4),
    "mean": ("UPDATE calibration SET mean = {} WHERE score = 'spread' AND segment = 'web'", 4),
    "time of arrival": ("UPDATE batch SET received = {}", 1),
    "time of a check": ("UPDATE said SET said_at = {} WHERE segment = 'web'", 1),
}


@pytest.mark.parametrize("name, number", [*product(FORGED, ["9e999", "-9e999"]), ("value", "9e999 - 9e999")])
def test_a_number_that_is_not_finite_has_no_sample(name, number, path):
    before, (statement, missing) = of(path), FORGED[name]
    execute(path, statement.format(number))  # SQLite keeps NaN as NULL
    with serve(path, 0) as url:
        after = without_info(scrape(url))
    gone = before.keys() - after.keys()
    assert len(gone) == missing and all(np.isfinite(list(after.values())))
    assert {key: before[key] for key in after} == after
    if missing == 4:
        assert {dict(labels).get("detector") for _, labels in gone} == {"spread"}


# A file that is bad for a while.


def unfit(path):
    path.unlink()
    Monitor(path).close()


def cut_beside_an_empty_log(path):
    path.write_bytes(path.read_bytes()[:-100])
    path.with_name(f"{path.name}-wal").touch()


BAD_FILES = {
    "cut in its last page": (cut_beside_an_empty_log, "its end is missing"),
    "truncated": (lambda path: path.write_bytes(path.read_bytes()[:5000]), "or a damaged one"),
    "cut between pages": (lambda path: path.write_bytes(path.read_bytes()[: 20 * 4096]), "or a damaged one"),
    "no database": (lambda path: path.write_text("hello " * 1000), "no monitor's file"),
    "empty": (lambda path: path.write_bytes(b""), "no monitor's file"),
    "not there": (lambda path: path.unlink(), "cannot be read"),
    "not fitted": (unfit, "is not fitted: call Monitor.fit"),
    "another program's": (
        lambda path: execute(path, "PRAGMA application_id = 7"),
        "is another program's database",
    ),
    "a later layout": (lambda path: execute(path, "PRAGMA user_version = 2"), "has layout 2"),
    "a setting less": (
        lambda path: execute(path, "DELETE FROM setting WHERE name = 'reference_queries'"),
        "is damaged .*reference_queries",
    ),
    "a broken setting": (
        lambda path: execute(path, "UPDATE setting SET value = '{'"),
        "is damaged .*restore a copy",
    ),
    "a strange setting": (
        lambda path: execute(path, "UPDATE setting SET value = '7'"),
        "is damaged .*restore a copy",
    ),
    "too many segments": (
        lambda path: execute(
            path, "UPDATE setting SET value = ? WHERE name = 'segments'", json.dumps(["a"] * 51)
        ),
        "follows 51 segments: fit anew with at most 50",
    ),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_file_that_turns_bad_is_said_to_be_unreadable_until_it_is_good_again(name, path, capfd):
    good, (spoil, message) = path.read_bytes(), BAD_FILES[name]
    with serve(path, 0) as url:
        before = scrape(url)
        spoil(path)
        assert scrape(url) == {READABLE: 0}
        told = capfd.readouterr().err
        assert re.fullmatch(rf"exporter: (ValueError|OSError): path={re.escape(str(path))} .*\n", told)
        assert re.search(message, told)
        path.write_bytes(good)
        assert scrape(url) == before
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_file_that_is_bad_at_the_start_is_an_error_by_path(name, path, capfd):
    spoil, message = BAD_FILES[name]
    spoil(path)
    with pytest.raises((ValueError, OSError), match=f"path=.*monitor.sqlite .*{message}"), serve(path, 0):
        pass
    out = path.parent / "drift.prom"
    with pytest.raises((ValueError, OSError), match=f"path=.*monitor.sqlite .*{message}"):
        write_textfile(path, out)
    assert parsed(out.read_text()) == {READABLE: 0}  # the numbers of yesterday would look like those of today
    with pytest.raises(SystemExit) as ended:
        main(["--monitor", str(path), "--port", "0"])
    assert ended.value.code == 2
    assert re.search(f"exporter: error: path=.*monitor.sqlite .*{message}", capfd.readouterr().err)


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(OSError, match="path=.* cannot be read"), serve(tmp_path, 0):
        pass


# The file stays as it is, and its writer does not wait.


def test_reading_changes_nothing_and_makes_nothing(path):
    before, files = path.read_bytes(), os.listdir(path.parent)
    with serve(path, 0) as url:
        scrape(url)
    assert path.read_bytes() == before and os.listdir(path.parent) == files == ["monitor.sqlite"]


def test_the_log_of_a_killed_writer_is_read_and_left_alone(path, tmp_path):
    left = [tmp_path / name for name in ("left.sqlite", "left.sqlite-wal")]
    with Monitor(path) as monitor:
        monitor.update(queries([16], seed=5))
        for source, target in zip((path, path.with_name("monitor.sqlite-wal")), left, strict=True):
            copy(source, target)
        ours = samples(monitor)
    before = [file.read_bytes() for file in left]
    assert len(before[1]) > 1000
    with serve(left[0], 0) as url:
        assert without_info(scrape(url)) == ours
    assert [file.read_bytes() for file in left] == before


def test_a_scrape_sees_one_moment_and_keeps_no_writer_waiting(path):
    log = queries([16], seed=6)
    with serve(path, 0) as url, Monitor(path) as monitor:
        before = scrape(url)
        with monitor.store.transaction():
            monitor.store.rows("UPDATE traffic SET queries = queries + 1000")
            assert scrape(url) == before  # of a writer who is not done nothing is seen
            monitor.store.rows("UPDATE traffic SET queries = queries - 1000")
        with closing(Store(path, read_only=True)) as reader, reader.transaction("DEFERRED"):
            first = exporter._numbers(reader)
            monitor.store.connection.execute("PRAGMA busy_timeout = 0")
            assert monitor.update(log).accepted == 120
            assert exporter._numbers(reader) == first
        assert scrape(url) != before


def test_what_is_written_between_two_queries_is_not_seen_by_the_second(path, monkeypatch):
    before, arrivals, batches = (
        of(path),
        exporter._arrivals,
        iter([queries([16], seed=6), queries([17], seed=7)]),
    )

    def disturbed(store, segments):
        with Monitor(path) as other:
            other.update(next(batches))
        return arrivals(store, segments)

    with Monitor(path) as monitor, serve(path, 0) as url:
        monkeypatch.setattr(exporter, "_arrivals", disturbed)
        assert samples(monitor) == before
        after = without_info(scrape(url))
    total = label("search_queries_total", segment="all")
    assert after[total] == before[total] + 120  # the first batch whole, of the second nothing
    assert after[label("embedding_drift_window_end_timestamp_seconds")] == MIDNIGHT + 16 * 86400


def test_a_reader_cannot_write(path):
    for beside in (False, True):
        with closing(Store(path, read_only=True)) as reader:
            assert reader.has_log == beside
            with pytest.raises(OSError, match="readonly"), reader.transaction():
                reader.rows("DELETE FROM traffic")
        other = Monitor(path)  # makes a log
    other.close()


def test_what_was_written_in_the_middle_of_a_reading_is_not_believed(path, monkeypatch, capfd):
    numbers, seconds = exporter._numbers, iter([1, 2])

    def disturbed(store):
        second = next(seconds)
        os.utime(path, (second, second))
        return numbers(store)

    with serve(path, 0) as url:
        monkeypatch.setattr(exporter, "_numbers", disturbed)
        assert scrape(url) == {READABLE: 0}
        assert "was written while it was read: read it again" in capfd.readouterr().err
        with Monitor(path):  # with a log, SQLite itself keeps readers and writers apart
            assert scrape(url)[READABLE] == 1


# Labels.


def test_a_thousand_hostile_segments_add_no_series(path):
    before = of(path)
    hostile = [f'"}} evil{{a="{i}"}} 1\n# TYPE x gauge\\' for i in range(500)]
    hostile += [f"\N{RIGHT-TO-LEFT OVERRIDE}\x00{i}'; DROP TABLE score;" for i in range(498)] + [
        "all",
        "\ud800",
    ]
    log = queries([16], 1000, seed=7)
    log = Log(log.embeddings, log.outcomes.assign(segment=pd.Series(hostile, dtype=object)))
    with Monitor(path) as monitor:
        monitor.update(log, 'a batch "with\na name')
        monitor.update(queries([17], seed=8))
    other = label("search_queries_total", segment="other")
    with serve(path, 0) as url:
        text = ask(url)[1]
    after = without_info(parsed(text))
    new = queries([17], seed=8).outcomes["segment"].eq("partner").sum()
    assert after[other] - before[other] == 1000 + new
    assert before.keys() - after.keys() == set(scores_of(before, "web") + scores_of(before, "mobile"))
    assert after.keys() <= before.keys()
    assert not any(word in text for word in ("evil", "DROP", "a batch"))


def test_reasons_come_from_a_closed_list(path):
    assert set(REASONS) == {reason for _, reason in FAULTS.values()} | {"with another dimension"}
    with Monitor(path) as monitor:
        assert monitor.update(traffic([15], 7, dim=9)).rejected == {"with another dimension": 7}
    before = of(path)
    execute(path, "INSERT INTO rejected SELECT id, 'query: my secret' || rowid, 2 FROM batch")
    with serve(path, 0) as url:
        text = ask(url)[1]
    after, other = without_info(parsed(text)), label("embedding_drift_rejected_rows", reason="other")
    assert after.keys() == before.keys() and "secret" not in text
    assert after[other] == 2 * 19 and before[other] == 0
    assert after[label("embedding_drift_rejected_rows", reason="with another dimension")] == 7


def test_scores_and_segments_that_nobody_fitted_are_not_shown(path):
    before = of(path)
    for table, column in product(("score", "calibration", "said"), ("segment", "score")):
        with closing(sqlite3.connect(path)) as connection:
            names = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
        taken = ", ".join("'forged'" if name == column else name for name in names)
        execute(path, f"INSERT OR REPLACE INTO {table} SELECT {taken} FROM {table} WHERE segment = 'web'")
    execute(path, "INSERT INTO traffic VALUES (15, 'forged', 5, 0, 0, 0, 0, NULL)")
    assert of(path) == before


def test_fifty_segments_are_the_most_and_bound_the_number_of_series(path):
    names = [f"s{i}" for i in range(MOST_SEGMENTS)]
    reference = json.dumps({f"{name}/{kind}": 100 for name in ["all", *names] for kind in (0, 1)})
    execute(path, "UPDATE setting SET value = ? WHERE name = 'segments'", json.dumps(names))
    execute(path, "UPDATE setting SET value = ? WHERE name = 'reference_queries'", reference)
    for table in ("score", "calibration", "said", "traffic"):
        with closing(sqlite3.connect(path)) as connection:
            columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
        for name in names:
            taken = ", ".join(f"'{name}'" if column == "segment" else column for column in columns)
            execute(path, f"INSERT INTO {table} SELECT {taken} FROM {table} WHERE segment = 'web'")
    with serve(path, 0) as url:
        found = scrape(url)
    per_segment = 5 * 4 + 9 * 3 + 2 + 1 + 6  # charts, checks, windows, last success, traffic
    assert len(found) == 51 * per_segment + 6 + 10 + 9  # "other", reasons, what has no labels or only one set


# The server.


@pytest.fixture
def sockets(monkeypatch):
    """The sockets that servers listen at."""
    found, make_server = [], exporter.make_server

    def watched(*arguments):
        server = make_server(*arguments)
        found.append(server.socket)
        return server

    monkeypatch.setattr(exporter, "make_server", watched)
    return found


def test_it_listens_at_the_loopback_address_alone_and_stops(path, sockets):
    with serve(path, 0) as url:
        host, port = sockets[0].getsockname()
        assert host == "127.0.0.1" and url == f"http://127.0.0.1:{port}/metrics"
        assert ask(url)[0] == 200
    assert sockets[0].fileno() == -1
    with pytest.raises(ConnectionRefusedError):
        ask(url)


def test_a_port_that_was_left_can_be_taken_at_once(path):
    with serve(path, 0) as url:
        scrape(url)
    with serve(path, urlsplit(url).port) as again:
        assert again == url and scrape(again)


def test_the_second_exporter_on_a_port_fails_and_the_first_goes_on(path, capfd):
    with serve(path, 0) as url:
        port = urlsplit(url).port
        with (
            pytest.raises(OSError, match=f"port={port} of address='127.0.0.1' cannot be used"),
            serve(path, port),
        ):
            pass
        with pytest.raises(SystemExit) as ended:
            main(["--monitor", str(path), "--port", str(port)])
        assert ended.value.code == 2 and f"error: port={port} of" in capfd.readouterr().err
        assert scrape(url)[READABLE] == 1


@pytest.mark.parametrize(
    "options, error, message",
    [
        ({"port": -1}, ValueError, "port=-1 must be a whole number"),
        ({"port": 9108.0}, ValueError, "port=9108.0 must be a whole number"),
        ({"port": "9108"}, ValueError, "port='9108' must be a whole number"),
        ({"port": True}, ValueError, "port=True must be a whole number"),
        ({"port": 65536}, OSError, "port=65536 of address='127.0.0.1' cannot be used"),
        ({"port": 0, "address": ""}, ValueError, "address='' would be all of this machine's"),
        ({"port": 0, "address": "no such host."}, OSError, "address='no such host.' cannot be used"),
    ],
)
def test_bad_arguments_of_the_server_are_refused_by_name(options, error, message, path):
    with pytest.raises(error, match=message), serve(path, **options):
        pass


def test_a_client_that_says_nothing_keeps_nobody_else_waiting(path):
    with serve(path, 0) as url, socket.create_connection(("127.0.0.1", urlsplit(url).port)):
        assert scrape(url)[READABLE] == 1


def test_many_scrapes_at_once_say_the_same(path):
    found = []
    with serve(path, 0) as url:
        threads = [threading.Thread(target=lambda: found.append(scrape(url))) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(found) == 8 and all(each == found[0] for each in found)


def test_without_the_client_the_message_says_what_to_install(path, monkeypatch):
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    for call in (lambda: serve(path, 0).__enter__(), lambda: write_textfile(path, path.with_suffix(".prom"))):
        with pytest.raises(ImportError, match="pip install prometheus-client"):
            call()
    assert of(path)[READABLE] == 1  # which needs no client


# The text file.


def test_a_text_file_holds_a_scrape_and_replaces_the_last_one_whole(path):
    out = path.parent / "drift.prom"
    write_textfile(path, out)
    with serve(path, 0) as url:
        first = scrape(url)
    with out.open() as reader:  # who has begun to read the old one reads it to its end
        assert parsed(out.read_text()) == first
        with Monitor(path) as monitor:
            monitor.update(queries([16], seed=9))
        write_textfile(str(path), str(out))
        assert parsed(reader.read()) == first
    assert without_info(parsed(out.read_text())) == of(path) != without_info(first)
    assert sorted(os.listdir(path.parent)) == ["drift.prom", "monitor.sqlite"]


def test_a_text_file_that_fails_half_way_leaves_the_last_one(path, monkeypatch):
    out = path.parent / "drift.prom"
    write_textfile(path, out)
    before = out.read_bytes()

    def fail(*_):
        raise OSError("disk is full")

    monkeypatch.setattr(prometheus_client.exposition, "generate_latest", fail)
    with pytest.raises(OSError, match=r"out=.*drift\.prom cannot be written \(disk is full\)"):
        write_textfile(path, out)
    assert out.read_bytes() == before and sorted(os.listdir(path.parent)) == ["drift.prom", "monitor.sqlite"]


def test_bad_places_for_a_text_file_are_refused_by_name(path):
    for out in ("drift.txt", "drift", ".prom", ""):
        with pytest.raises(ValueError, match="out=.* must end in .prom"):
            write_textfile(path, out)
    with pytest.raises(OSError, match=r"out=.*nowhere.* cannot be written .*: give a folder that is there"):
        write_textfile(path, path.parent / "nowhere" / "drift.prom")
    itself = path.rename(path.with_suffix(".prom"))
    before = itself.read_bytes()
    with pytest.raises(ValueError, match="out=.* is the monitor's file"):
        write_textfile(itself, itself.parent / "." / itself.name)
    assert itself.read_bytes() == before


# The command line.


def test_the_command_line_writes_a_text_file(path):
    out = path.parent / "drift.prom"
    main(["--monitor", str(path), "--textfile", str(out)])
    assert without_info(parsed(out.read_text())) == of(path)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ([], "--monitor"),
        (["--monitor", "m", "--port", "http"], "--port: invalid int value: 'http'"),
        (["--monitor", "m", "--port", "1", "--textfile", "x.prom"], "not allowed with argument"),
        (["--monitor", "m", "--textfile", "x.txt"], "out=x.txt must end in .prom"),
        (["--monitor", "m", "--address", ""], "address='' would be all"),
        (["--monitor", "m"], "path=m cannot be read"),
    ],
)
def test_bad_arguments_of_the_command_line_are_refused_by_name(
    arguments, message, capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2 and message in capsys.readouterr().err
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(os.name == "nt", reason="Windows ends a process without asking it")
@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_a_served_file_is_left_in_peace_when_the_process_is_told_to_stop(stop, path):
    command = [sys.executable, "-W", "error", "-m", "helpers.exporter", "--monitor", path, "--port", "0"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            said = process.stdout.readline()
            found = scrape(said.split()[-1])
            process.send_signal(stop)
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()
    assert said.startswith(f"serving {path} at http://127.0.0.1:")
    assert (process.returncode, out, err) == (0, "", "")
    assert without_info(found) == of(path)
