"""What the tests of the dashboard share: the twelve weeks, and the demand for servers."""

import os
from datetime import UTC, datetime

import numpy as np
import pytest

from dashboard import servers
from dashboard.backfill import backfill
from dashboard.demo import LOOKBACK
from dashboard.history import twelve_weeks
from helpers.alerts import evaluate

END = datetime(2026, 1, 14, 14, tzinfo=UTC).timestamp()  # a Wednesday afternoon


@pytest.fixture(scope="session")
def needs_prometheus():
    """Skip where the servers are not installed; fail there if they must be."""
    if lacks := servers.missing():
        said = f"these programs are not on the PATH: {', '.join(lacks)}"
        must = os.environ.get("PLAYBOOK_NEEDS_PROMETHEUS") == "1"
        (pytest.fail if must else pytest.skip)(said)


@pytest.fixture(scope="session")
def history():
    """The demo's history, up to a fixed hour."""
    return twelve_weeks(END)


@pytest.fixture(scope="session")
def made(history):
    """What the rules in NumPy make of the history."""
    return evaluate(history.t, history.series)


def troubled(history):
    """Return four weeks in which everything breaks at some time, and the history after them."""
    n, day = 28 * 24, 24
    past = {
        key: values[:n] - (n * 3600 if key[0].endswith("timestamp_seconds") else 0)
        for key, values in history.series.items()
    }

    def put(metric, first, last, value, **labels):
        for (name, own), values in past.items():
            if name == metric and labels.items() <= dict(own).items():
                values[first * day : last * day] = value(values[first * day : last * day])

    put("embedding_drift_window_vectors", 2, 6, np.zeros_like, window="current", segment="partner")
    put("embedding_drift_last_success_timestamp_seconds", 3, 8, lambda was: np.full_like(was, was[0]))
    put("embedding_drift_last_batch_timestamp_seconds", 10, 11, lambda was: was + 86400)
    put("embedding_drift_last_batch_timestamp_seconds", 12, 15, lambda was: np.full_like(was, was[0]))
    put("search_probe_timestamp_seconds", 12, 22, lambda was: np.full_like(was, was[0]))
    put("embedding_drift_file_readable", 18, 19, np.zeros_like)
    put(
        "embedding_drift_rejected_rows",
        20,
        28,
        lambda was: was + np.linspace(0, 900, len(was)),
        reason="too late",
    )
    put(
        "search_retrieval_judgements_total",
        22,
        28,
        lambda was: was + np.arange(len(was)) * 30.0,
        result="miss",
    )
    for (name, _), values in past.items():
        if name.endswith("_total"):
            values[16 * day :] -= values[16 * day]  # the monitor's file was lost, and fitted anew
    t = np.concatenate([history.t[0] + 3600 * np.arange(-n, 0), history.t])
    return t, {key: np.concatenate([past[key], values]) for key, values in history.series.items()}


@pytest.fixture(scope="session")
def past(needs_prometheus, history, tmp_path_factory):
    """A Prometheus with four troubled weeks and the history: its address, t, samples, what rules made."""
    data = tmp_path_factory.mktemp("past") / "blocks"
    t, series = troubled(history)
    labels = {"job": "embedding-drift", "instance": "127.0.0.1:9108"}
    made = backfill(data, servers.FILES / "prometheus" / "rules", t, series, **labels)
    config = data.with_suffix(".yml")
    server = servers.prometheus(config, data, servers.free_port(), LOOKBACK)
    try:
        server.start()
        yield server.url, t, series, made
    finally:
        server.stop()
