"""What a monitor says, for Prometheus: its file is read anew at every scrape, and nothing is kept in between.

    python -m helpers.exporter --monitor monitor.sqlite                          # http://127.0.0.1:9108/metrics
    python -m helpers.exporter --monitor monitor.sqlite --textfile drift.prom    # once, for a cron job

It only reads: the file stays as it is, and whoever writes to it never waits. The numbers of a scrape are of
one moment. Counters are sums over tables that only grow, so neither a restart nor a late row makes them fall.
What is not there, such as the score of a day with too few queries, has no sample: NaN is above no limit, and
would look like no drift. Label values come from closed lists: no text, id or name out of the traffic.
"""

import argparse
import json
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import numpy as np

from helpers.events import is_weekend
from helpers.monitor import Monitor
from helpers.panel import DETECTORS, OUTCOMES
from helpers.store import Store
from helpers.windows import whole

PORT, LOOPBACK = 9108, "127.0.0.1"
MOST_SEGMENTS = 50
DAY = 86_400  # seconds
# Those of helpers/intake.py; a row of any other has the reason "other".
REASONS = (
    "with another dimension, not finite, too large, without a day, with a bad outcome, "
    "with a bad similarity, with a ticket on an impossible day, ahead of the clock, too late"
).split(", ")
CHART = ("score", "smoothed_score", "threshold", "null_score")
TRAFFIC = ("queries", "failure", "no_click", "no_answer", "escalation")
INFO = "embedding_drift_baseline_info"

# Name to labels and help. A name in _total is that of a counter, any other that of a gauge.
BY_DETECTOR, BY_SEGMENT = ("detector", "segment"), ("segment",)
METRICS: dict[str, tuple[tuple[str, ...], str]] = {
    "embedding_drift_file_readable": ((), "1 if the monitor's file could be read, 0 if not."),
    "embedding_drift_score": (BY_DETECTOR, "Last finished day's score in its own unit, larger when worse."),
    "embedding_drift_smoothed_score": (BY_DETECTOR, "EWMA chart of the score, in the score's unit."),
    "embedding_drift_threshold": (BY_DETECTOR, "Calibrated limit of the smoothed score."),
    "embedding_drift_null_score": (BY_DETECTOR, "Mean score of quiet weekdays, or of quiet weekend days."),
    "embedding_drift_checks_total": ((*BY_DETECTOR, "result"), "Daily checks, by what was said first."),
    "search_outcome_checks_total": (("outcome", "segment", "result"), "Daily checks of an outcome."),
    "embedding_drift_window_vectors": (("segment", "window"), "Queries of the last day; of the reference."),
    "embedding_drift_last_success_timestamp_seconds": (BY_SEGMENT, "When a usable day was checked."),
    "embedding_drift_last_batch_timestamp_seconds": ((), "When the last batch arrived."),
    "embedding_drift_window_end_timestamp_seconds": ((), "End of the last finished day."),
    "embedding_drift_rejected_rows": (("reason",), "Rows that do not count; falls if they are sent again."),
    INFO: (("dim", "reference_queries", "baseline_days", "budget_days"), "What the monitor was fitted with."),
    "search_queries_total": (BY_SEGMENT, "Queries."),
    "search_queries_clicked_total": (BY_SEGMENT, "Queries with a click on a result."),
    "search_queries_no_answer_total": (BY_SEGMENT, "Queries without an answer."),
    "search_queries_escalated_total": (BY_SEGMENT, "Queries that led to a ticket."),
    "search_retrieval_judgements_total": (("segment", "result"), "Queries, by whether a search succeeded."),
    "search_probes": ((), "Frozen probes asked."),
    "search_probe_success_ratio": ((), "Share of the frozen probes that succeeded."),
    "search_index_documents": ((), "Documents in the index."),
    "search_probe_timestamp_seconds": ((), "End of the day on which the probes were asked."),
    "search_index_built_timestamp_seconds": ((), "Start of the day on which the index was built."),
}

Series = tuple[str, tuple[tuple[str, str], ...]]  # name, labels sorted by key
Number = tuple[str, tuple[str, ...], float]  # name, label values in the order of METRICS


def samples(monitor: Monitor) -> dict[Series, float]:
    """Return the numbers of a scrape, without `embedding_drift_baseline_info`: (name, labels) to value.

    Raises ValueError where the monitor is not fitted or follows more than 50 segments.

    What it cannot tell you: that all is well. A series that is not there is not a low one.
    """
    with monitor.store.transaction("DEFERRED"):
        numbers = _numbers(monitor.store)
    return {
        (name, tuple(sorted(zip(METRICS[name][0], values, strict=True)))): float(value)
        for name, values, value in numbers
        if name != INFO
    }


# From the tables to numbers.


def _numbers(store: Store) -> list[Number]:
    """Return all samples; one transaction must be open."""
    settings = _settings(store)
    segments = ["all", *settings["segments"]]
    day, zero = store.rows("SELECT max(day) FROM score")[0][0], settings.get("day_zero")
    start = math.nan if zero is None else datetime.fromisoformat(zero).replace(tzinfo=UTC).timestamp()
    numbers = [
        ("embedding_drift_file_readable", (), 1),
        _info(settings),
        *_charts(store, day, segments),
        *_checks(store, segments),
        *_windows(store, day, segments, settings["reference_queries"]),
        *_arrivals(store, segments),
        ("embedding_drift_window_end_timestamp_seconds", (), start + DAY * (day + 1)),
        *_rejected(store),
        *_traffic(store, segments),
        *_probes(store, start),
    ]
    return [number for number in numbers if math.isfinite(number[2])]


def _settings(store: Store) -> dict:
    """Return what the monitor was fitted with, or raise naming the path."""
    settings = {name: json.loads(value) for name, value in store.rows("SELECT name, value FROM setting")}
    if not settings:
        raise ValueError(f"path={store.path} is not fitted: call Monitor.fit with a quiet history first")
    n = len(settings["segments"])
    if n > MOST_SEGMENTS:
        raise ValueError(f"path={store.path} follows {n} segments: fit anew with at most {MOST_SEGMENTS}")
    return settings


def _info(settings: dict) -> Number:
    reference = sum(settings["reference_queries"][f"all/{kind}"] for kind in (0, 1))
    days = settings["baseline_end"] - settings["start"] + 1
    return INFO, tuple(map(str, (settings["dim"], reference, days, settings["budget_days"]))), 1


def _charts(store: Store, day: int, segments: list[str]) -> Iterator[Number]:
    query = "SELECT segment, score, value, smooth, threshold, usual FROM chart WHERE day = ?"
    found = {(segment, score): numbers for segment, score, *numbers in store.rows(query, day)}
    for detector, segment in product(DETECTORS, segments):
        numbers = found.get((segment, detector), [None])
        if np.isfinite(np.array(numbers, float)).all():
            for name, number in zip(CHART, numbers, strict=True):
                yield f"embedding_drift_{name}", (detector, segment), number


def _checks(store: Store, segments: list[str]) -> Iterator[Number]:
    query = "SELECT score, segment, result, count(*) FROM said GROUP BY score, segment, result"
    said = {tuple(labels): n for *labels, n in store.rows(query)}
    kinds = ("embedding_drift", DETECTORS, "drift"), ("search_outcome", OUTCOMES, "degraded")
    for name, scores, alarm in kinds:
        results = {"ok": "ok", alarm: "alarm", "insufficient_data": "too few queries"}
        for score, segment, result in product(scores, segments, results):
            yield (
                f"{name}_checks_total",
                (score, segment, result),
                said.get((score, segment, results[result]), 0),
            )


def _windows(store: Store, day: int, segments: list[str], reference: dict[str, int]) -> Iterator[Number]:
    queries = dict(store.rows("SELECT segment, queries FROM traffic WHERE day = ?", day))
    for segment in segments:
        usual = reference[f"{segment}/{int(is_weekend(day))}"]
        yield "embedding_drift_window_vectors", (segment, "current"), queries.get(segment, 0)
        yield "embedding_drift_window_vectors", (segment, "reference"), usual


def _arrivals(store: Store, segments: list[str]) -> Iterator[Number]:
    for (received,) in store.rows("SELECT max(received) FROM batch HAVING count(*)"):
        yield "embedding_drift_last_batch_timestamp_seconds", (), received
    query = "SELECT segment, max(said_at) FROM said WHERE result <> 'too few queries' GROUP BY segment"
    said_at = dict(store.rows(query))
    for segment in segments:
        yield "embedding_drift_last_success_timestamp_seconds", (segment,), said_at.get(segment, math.nan)


def _rejected(store: Store) -> Iterator[Number]:
    rows = dict(store.rows("SELECT reason, sum(rows) FROM rejected GROUP BY reason"))
    for reason in REASONS:
        yield "embedding_drift_rejected_rows", (reason,), rows.pop(reason, 0)
    yield "embedding_drift_rejected_rows", ("other",), sum(rows.values())


def _traffic(store: Store, segments: list[str]) -> Iterator[Number]:
    """Yield the counters; "other" are the queries of all segments that nobody asked to follow."""
    sums = ", ".join(f"sum({column})" for column in TRAFFIC)
    found = {name: counts for name, *counts in store.rows(f"SELECT segment, {sums} FROM traffic GROUP BY 1")}
    counts = {name: np.array(found.get(name, [0] * len(TRAFFIC))) for name in segments}
    counts["other"] = 2 * counts["all"] - sum(counts.values())
    for name, (queries, failure, no_click, no_answer, escalation) in counts.items():
        yield "search_queries_total", (name,), queries
        yield "search_queries_clicked_total", (name,), queries - no_click
        yield "search_queries_no_answer_total", (name,), no_answer
        yield "search_queries_escalated_total", (name,), escalation
        yield "search_retrieval_judgements_total", (name, "success"), queries - failure
        yield "search_retrieval_judgements_total", (name, "miss"), failure


def _probes(store: Store, start: float) -> Iterator[Number]:
    query = "SELECT day, asked, succeeded, documents, built FROM probe ORDER BY day DESC LIMIT 1"
    for day, asked, succeeded, documents, built in store.rows(query):
        yield "search_probes", (), asked
        yield "search_probe_success_ratio", (), succeeded / asked
        yield "search_index_documents", (), documents
        yield "search_probe_timestamp_seconds", (), start + DAY * (day + 1)
        yield "search_index_built_timestamp_seconds", (), start + DAY * built


# From numbers to Prometheus.


def _read(path: str | Path) -> list[Number]:
    """Return the numbers of one moment of a file; raise ValueError or OSError naming its path."""
    path = Path(path)
    before = path.stat().st_mtime_ns if path.exists() else None
    try:
        with closing(Store(path, read_only=True)) as store, store.transaction("DEFERRED"):
            numbers = _numbers(store)
    except (KeyError, TypeError, json.JSONDecodeError) as error:
        raise ValueError(f"path={path} is damaged ({error!r}): restore a copy") from error
    if not store.has_log and path.stat().st_mtime_ns != before:
        raise OSError(f"path={path} was written while it was read: read it again")
    return numbers


def _client() -> Any:
    try:
        import prometheus_client
    except ImportError as error:
        raise ImportError("exporting needs the Prometheus client: pip install prometheus-client") from error
    return prometheus_client


class _Scrapes:
    """What `prometheus_client` asks to collect: each time, the file as it is then."""

    def __init__(self, path: str | Path, client: Any) -> None:
        self.path, self.core = path, client.metrics_core

    def collect(self) -> Iterator[Any]:
        """Yield the metrics; of a file that cannot be read, only that it cannot."""
        try:
            numbers = _read(self.path)
        except Exception as error:  # whatever it is, the file may be whole again at the next scrape
            print(f"exporter: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
            numbers = [("embedding_drift_file_readable", (), 0.0)]
        families: dict[str, Any] = {}
        for name, values, value in numbers:
            if name not in families:
                (labels, text), kind = METRICS[name], "Counter" if name.endswith("_total") else "Gauge"
                families[name] = getattr(self.core, f"{kind}MetricFamily")(name, text, labels=labels)
            families[name].add_metric(values, value)
        yield from families.values()


def _registry(path: str | Path, client: Any) -> Any:
    registry = client.CollectorRegistry()
    registry.register(_Scrapes(path, client))
    return registry


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    allow_reuse_address = os.name != "nt"  # Windows would let two exporters share a port


class _Handler(WSGIRequestHandler):
    timeout = 30  # seconds for a client that says nothing

    def log_request(self, *_: object) -> None:
        """Stay silent: Prometheus asks for ever."""


@contextmanager
def serve(path: str | Path, port: int = PORT, address: str = LOOPBACK) -> Iterator[str]:
    """Serve a monitor's file to Prometheus while the block runs; yield the URL.

    port : 0 for any that is free. address : of the machine's own; anyone who reaches it can read.

    Raises ValueError or OSError naming `path` where the file is missing, damaged or not fitted, or `port`
    where it is taken; ImportError without `prometheus_client`. What happens to the file later raises nothing:
    it is one line on stderr and `embedding_drift_file_readable` 0, until the file is good again.
    """
    client = _client()
    if not address:
        raise ValueError(f"address={address!r} would be all of this machine's: give one")
    _read(path)
    app = client.make_wsgi_app(_registry(path, client))
    try:
        server = make_server(address, whole(port, "port", least=0), app, _Server, _Handler)
    except (OSError, OverflowError) as error:
        raise OSError(f"port={port} of address={address!r} cannot be used ({error}): give another") from error
    with server:
        thread = threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True)
        thread.start()
        try:
            yield "http://{}:{}/metrics".format(*server.server_address)
        finally:
            server.shutdown()
            thread.join()


def write_textfile(path: str | Path, out: str | Path) -> None:
    """Write one scrape to a file, for node_exporter's textfile collector; who reads it sees all or nothing.

    Raises as `serve` does, or naming `out` where it cannot be written. That the monitor's file cannot be read
    is written down even so: old numbers would look like good ones.
    """
    client = _client()
    if Path(out).suffix != ".prom":
        raise ValueError(f"out={out} must end in .prom: node_exporter reads no other file")
    if Path(out).exists() and Path(path).exists() and os.path.samefile(path, out):
        raise ValueError(f"out={out} is the monitor's file: give another")
    try:
        client.write_to_textfile(str(out), _registry(path, client))
    except OSError as error:
        raise OSError(f"out={out} cannot be written ({error}): give a folder that is there") from error
    _read(path)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m helpers.exporter", description=__doc__.split(":")[0])
    parser.add_argument("--monitor", required=True, metavar="FILE", help="the monitor's file, fitted")
    parser.add_argument("--address", default=LOOPBACK, help=f"to listen at; by default {LOOPBACK} only")
    way = parser.add_mutually_exclusive_group()
    way.add_argument("--port", type=int, default=PORT, help=f"to listen at, by default {PORT}")
    way.add_argument("--textfile", metavar="OUT", help="write one scrape to this .prom file and end")
    given = parser.parse_args(arguments)
    try:
        if given.textfile:
            write_textfile(given.monitor, given.textfile)
            return
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: sys.exit(0))
        with serve(given.monitor, given.port, given.address) as url:
            print(f"serving {given.monitor} at {url}", flush=True)
            while True:
                time.sleep(3600)
    except (ImportError, OSError, ValueError) as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
