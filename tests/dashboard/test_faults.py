"""Whatever breaks, no alarm is lost, none is invented, and the trust row shows it.

Each test breaks something in one running world, looks, and mends it. For the rules a day lasts 20 seconds, so
that what happened stays in sight on a slow machine; traffic comes as fast as it is seen.
"""

import os
import shutil
import sqlite3
import subprocess
import sys
import time
from contextlib import closing

import numpy as np
import psutil
import pytest
from quick import PAGE, STALE, world

from dashboard.panels import PANELS, TRUST, selector
from dashboard.servers import HOST, ROOT, ask, get, wait_for
from helpers.log import Log
from helpers.monitor import Monitor

SERIES = 'count({job="embedding-drift",__name__!~".*:.*|ALERTS.*"})'
UNREADABLE = ("DriftFileUnreadable", "")


@pytest.fixture(scope="module")
def here(needs_prometheus, tmp_path_factory):
    with world(tmp_path_factory.mktemp("world"), seconds=20) as made:
        yield made


def panel(key):
    """Return the query of a panel of the trust row."""
    (found,) = [each for each in PANELS if each.key == key]
    assert found.row == TRUST
    return selector(found.metric, found.match)


def fires(here, name):
    return name in {each for each, _ in here.firing()}


def test_nothing_listens_beyond_this_machine(here):
    for server in (here.exporter, here.prometheus, here.alertmanager):
        programs = psutil.Process(server.process.pid).children(recursive=True)
        listening = [
            each.laddr.ip
            for program in programs
            for each in program.net_connections("inet")
            if each.status == psutil.CONN_LISTEN or (each.type == 2 and not each.raddr)
        ]
        assert listening == [HOST]


def test_two_exporters_cannot_share_a_port(here):
    port = here.exporter.url.rsplit(":", 1)[1]
    command = [sys.executable, "-m", "helpers.exporter", "--monitor", str(here.monitor.store.path)]
    second = subprocess.run([*command, "--port", port], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert second.returncode == 2 and f"port={port}" in second.stderr
    assert b"embedding_drift_score{" in get(f"{here.exporter.url}/metrics")
    here.day()
    assert here.value(panel("up")) == 1


def test_an_empty_window_has_no_score_and_no_alarm(here):
    log, harm = here.traffic(), here.harm()
    here.day(log=log.where((log.outcomes["segment"] != "partner").to_numpy()))
    here.day()
    wait_for(lambda: here.values(panel("window")).get("partner") == 0, "an empty window")
    assert "partner" not in here.values("embedding_drift_score")
    assert here.harm() == harm
    here.day()
    wait_for(lambda: "partner" in here.values('embedding_drift_score{detector="spread"}'), "a score again")
    assert here.harm() == harm


def test_a_score_that_is_no_number_has_no_sample_and_is_no_alarm(here):
    harm, query = here.harm(), 'embedding_drift_score{detector="novelty"}'
    with closing(sqlite3.connect(here.monitor.store.path)) as file, file:
        what = "score = 'novelty' AND segment = 'web' AND day = (SELECT max(day) FROM score)"
        file.execute(f"UPDATE score SET value = 9e999 WHERE {what}")
    wait_for(lambda: set(here.values(query)) == {"all", "mobile", "partner"}, "a score that is gone")
    exceedance = 'segment_detector:embedding_drift_exceedance:ratio{detector="novelty"}'
    wait_for(lambda: "web" not in here.values(exceedance), "a gap in the line")
    assert here.harm() == harm
    here.day()
    wait_for(lambda: "web" in here.values(query), "the next day's score")


def test_a_thousand_unknown_segments_make_no_series(here):
    log, before, harm = here.traffic(), here.value(SERIES), here.harm()
    names = np.array([f"unknown {number}" for number in range(1000)], object)
    here.day(log=Log(log.embeddings, log.outcomes.assign(segment=np.resize(names, len(log)))))
    wait_for(lambda: (here.value(panel("unknown")) or 0) > 0.01, "the share of unknown segments")
    assert here.value(SERIES) == before
    here.day()
    assert here.harm() == harm


def test_a_clock_that_is_ahead_is_told(here):
    harm = here.harm()
    here.monitor.clock = lambda: time.time() + 8
    here.day()
    wait_for(lambda: fires(here, "DriftClockSkew"), "an alert about the clock")
    here.monitor.clock = time.time
    wait_for(lambda: (here.value(panel("batch_age")) or 0) < 0, "an age below zero")
    assert here.harm() == harm
    wait_for(lambda: not fires(here, "DriftClockSkew"), "the end of the alert, when time has caught up")


def test_a_truncated_file_is_told_and_comes_back_whole(here):
    path, harm = here.monitor.store.path, here.harm()
    here.monitor.close()
    with closing(sqlite3.connect(path, timeout=60)) as file:
        assert file.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0  # all is in this file now
    checks = 'sum({__name__=~".+_checks_total"})'
    before, copy = here.value(checks), shutil.copy(path, path.with_suffix(".copy"))
    os.truncate(path, path.stat().st_size // 2)
    wait_for(lambda: UNREADABLE in here.firing(), "an alert about the file")
    assert here.value(panel("readable")) == 0
    assert ask(here.prometheus.url, "embedding_drift_score") == [], "no old number looks like a new one"
    assert here.harm() == harm
    os.replace(copy, path)
    here.monitor = Monitor(path)
    wait_for(lambda: here.value(checks) == before, "the counters as they were")
    wait_for(lambda: UNREADABLE not in here.firing(), "the end of the alert")
    assert here.value(panel("readable")) == 1
    here.day()
    assert here.harm() == harm


def test_what_happens_while_the_exporter_is_dead_pages_when_it_is_back(here):
    assert {each.to for each in here.messages if each.labels["component"] != "monitor"} == set(), (
        "no fault so far made an alarm about the product"
    )
    here.exporter.kill()
    wait_for(lambda: fires(here, "DriftExporterDown"), "an alert about the exporter")
    assert here.value(panel("up")) == 0
    for _ in range(2):  # two bad days, and a good one in which the second is judged
        here.monitor.update(here.traffic(STALE))
        here.number += 1
    here.monitor.update(here.traffic())
    here.number += 1
    here.exporter.start()
    wait_for(lambda: (PAGE, "mobile") in here.firing(), "the page about what happened meanwhile")
    assert not {segment for name, segment in here.harm() if name == PAGE} & {"web", "partner"}
    here.until_seen()
    wait_for(lambda: not fires(here, "DriftExporterDown"), "the end of the alert")


def test_a_restart_of_prometheus_neither_loses_nor_invents_an_alarm(here):
    for _ in range(3):
        here.day(STALE)
    here.days_until(lambda: (PAGE, "mobile") in here.firing(), "a page", STALE)
    here.prometheus.stop()
    here.prometheus.start()
    here.days_until(lambda: (PAGE, "mobile") in here.firing(), "the page again", STALE)
    here.day()
    assert not {segment for name, segment in here.harm() if name == PAGE} & {"web", "partner"}
    assert here.value(panel("up")) == 1
