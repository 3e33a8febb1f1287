"""The dashboard once, as data. Grafana, the console page, the page without a server and Matplotlib draw it.

A panel selects one exported or recorded series. All arithmetic stands in the rules, so that what is drawn and
what alerts are the same numbers.
"""

from typing import NamedTuple

TITLE = "Embedding drift and outcomes"
RUNBOOK = "https://example.invalid/runbook"  # as in the alerts: dashboard/runbook.md says how to replace it

ACT = "Should anyone act?"
DEMAND = "Demand: what is asked"
MATCH = "Match: does the index fit the questions?"
SUPPLY = "Supply: what answers"
OUTCOMES = "Outcomes: is anybody hurt?"
TRUST = "Can these numbers be trusted?"

HOUR, DAY = 3600.0, 86400.0


class Panel(NamedTuple):
    """One chart.

    metric, match : the series: a name, and values of labels. legend : the label that tells its lines apart;
    lines of segments follow the choice of a segment. unit : count, share, seconds, limits, cosine or yes.
    limit : a number, or the name of the series that holds it; it is bad to be on the side `bad` of it.
    alert : the section of the runbook to read. doc : how to read the chart.
    """

    key: str
    row: str
    title: str
    metric: str
    doc: str
    alert: str
    match: dict[str, str] = {}
    legend: str = "segment"
    unit: str = "count"
    limit: float | str | None = None
    bad: str = "above"
    kind: str = "lines"


def _exceedance(key: str, row: str, title: str, doc: str) -> Panel:
    """Return the panel of one detector, in units that all detectors share."""
    doc += " 0 is usual, 1 the calibrated limit."
    metric = "segment_detector:embedding_drift_exceedance:ratio"
    match, alert = {"detector": key}, "EmbeddingDriftSustained"
    return Panel(key, row, title, metric, doc, alert, match, unit="limits", limit=1)


def _outcome(key: str, title: str, doc: str) -> Panel:
    """Return the panel of one outcome: the share of bad queries of a day, and what is acceptable."""
    metric, limit = (
        "segment_outcome:search_outcome_bad:ratio_increase1d",
        "search_outcome_objective_bad_ratio",
    )
    match, alert = {"outcome": key}, "SearchOutcomeSevere"
    return Panel(key, OUTCOMES, title, metric, doc, alert, match, unit="share", limit=limit)


PANELS = [
    Panel(
        "alerts", ACT, "Which alerts fire?", "ALERTS",
        "A page: users are worse off and something moved, or they are far worse off. A ticket: one of the "
        "two alone, or the monitor is blind.",
        "EmbeddingDriftWithOutcomeDegradation", {"alertstate": "firing"}, unit="yes", kind="timeline",
    ),
    Panel(
        "agree", ACT, "How many of the five detectors are in alarm?",
        "segment:embedding_drift_detectors_in_alarm:count",
        "In alarm: one of the last three daily checks passed the limit. One alone is expected now and then.",
        "EmbeddingDriftSustained", limit=2,
    ),
    Panel(
        "degraded", ACT, "How many of the four outcomes are unusually bad?",
        "segment:search_outcomes_degraded:count",
        "Unusual beside quiet weeks, by the same kind of chart as the detectors.",
        "SearchOutcomeDegraded", limit=1,
    ),
    _exceedance("query_drift", DEMAND, "Are the queries other than before?", "MMD² of the day's queries."),
    _exceedance("spread", DEMAND, "Are the queries spread wider?", "How unlike each other they are."),
    _exceedance("cluster_shift", DEMAND, "Are other topics asked for?", "Shares of the frozen clusters."),
    _exceedance("novelty", DEMAND, "Are queries unlike any known?", "Share far from all known queries."),
    _exceedance(
        "index_gap", MATCH, "Are the best documents further away?",
        "Similarity to the best document, beside the usual.",
    ),
    Panel(
        "gap", MATCH, "How much similarity is lost?", "embedding_drift_score",
        "Usual mean cosine to the best document, minus the day's. Days with too few queries have none.",
        "EmbeddingDriftWithOutcomeDegradation", {"detector": "index_gap"}, unit="cosine",
    ),
    Panel(
        "probes", SUPPLY, "Do frozen probes find their answers?", "search_probe_success_ratio",
        "Known questions, asked every day. Only the supply can change it.",
        "SearchProbesFailing", legend="", unit="share",
    ),
    Panel(
        "drop", SUPPLY, "How far have the probes fallen?", "search_probe_success_drop:max28d",
        "Best success of the last 28 days minus the latest.",
        "SearchProbesFailing", legend="", unit="share", limit=0.005,
    ),
    Panel(
        "documents", SUPPLY, "How many documents can be found?", "search_index_documents",
        "A step down is a deletion or a build that broke off.",
        "SearchSupplyWithOutcomeDegradation", legend="",
    ),
    Panel(
        "index_age", SUPPLY, "How old is the index?", "search_index_age:seconds",
        "Time since the index was built.",
        "SearchSupplyWithOutcomeDegradation", legend="", unit="seconds",
    ),
    _outcome("failure", "Which share of searches fails?", "Judged searches without a right result."),
    _outcome("no_click", "Which share ends without a click?", "Some leave content: read it with the others."),
    _outcome("no_answer", "Which share gets no answer?", "Nothing in the index was similar enough."),
    _outcome("escalation", "Which share goes to a human?", "Tickets, counted on the day of the booking."),
    Panel(
        "window", TRUST, "Are there enough queries to judge?", "embedding_drift_window_vectors",
        "Queries of the last finished day.",
        "DriftWindowTooSmall", {"window": "current"}, limit=20, bad="below",
    ),
    Panel(
        "check_age", TRUST, "When was the last usable check?", "segment:embedding_drift_check_age:seconds",
        "They come once a day. No verdict is not 'no drift'.",
        "DriftCheckStale", unit="seconds", limit=3 * DAY,
    ),
    Panel(
        "batch_age", TRUST, "When did traffic last arrive?", "embedding_drift_batch_age:seconds",
        "Below zero, two clocks disagree.",
        "DriftTrafficStale", legend="", unit="seconds", limit=36 * HOUR,
    ),
    Panel(
        "up", TRUST, "Does the exporter answer?", "up",
        "If it does not, no number on this page is new.",
        "DriftExporterDown", {"job": "embedding-drift"}, "instance", unit="yes", limit=0.5, bad="below",
    ),
    Panel(
        "readable", TRUST, "Can the monitor's file be read?", "embedding_drift_file_readable",
        "If not, nothing is shown rather than something old.",
        "DriftFileUnreadable", legend="", unit="yes", limit=0.5, bad="below",
    ),
    Panel(
        "rejected", TRUST, "Which share of rows cannot count?",
        "embedding_drift_rejected_rows:ratio_increase1d",
        "Of the last day. A jump is a broken sender or a broken clock.",
        "DriftRowsRejected", legend="", unit="share", limit=0.01,
    ),
    Panel(
        "unknown", TRUST, "Which share has an unknown segment?",
        "search_queries_unknown_segment:ratio_increase1d",
        "They count for everybody and for no segment.",
        "DriftRowsRejected", legend="", unit="share",
    ),
    Panel(
        "probe_age", TRUST, "When were the probes last asked?", "search_probe_age:seconds",
        "Without probes, a broken supply looks like a change of demand.",
        "SearchProbesStale", legend="", unit="seconds", limit=7 * DAY,
    ),
]  # fmt: skip

# What an alert says, to be read after "Page:" or "Look this week:". A segment is put behind it.
MEANING = {
    "EmbeddingDriftWithOutcomeDegradation": "users are worse off and embeddings drifted",
    "SearchSupplyWithOutcomeDegradation": "users are worse off and the index fails its probes",
    "SearchOutcomeSevere": "more searches end badly than anybody accepts",
    "EmbeddingDriftSustained": "embeddings drifted",
    "SearchOutcomeDegraded": "outcomes are unusually bad",
    "SearchProbesFailing": "frozen probes fail",
    "DriftExporterDown": "the exporter does not answer, so nobody is watching",
    "DriftMetricsAbsent": "no drift metrics arrive, so nobody is watching",
    "DriftFileUnreadable": "the monitor's file cannot be read, so nobody is watching",
    "DriftCheckStale": "no usable check for three days",
    "DriftTrafficStale": "no traffic has arrived",
    "DriftWindowTooSmall": "too few queries to judge",
    "DriftClockSkew": "clocks disagree",
    "DriftRowsRejected": "rows were rejected",
    "SearchProbesStale": "the probes were not asked",
}


def rows(panels: list[Panel]) -> dict[str, list[Panel]]:
    """Return the panels by row, in order."""
    found: dict[str, list[Panel]] = {}
    for panel in panels:
        found.setdefault(panel.row, []).append(panel)
    return found


def selector(metric: str, match: dict[str, str], segment: str = "") -> str:
    """Return a PromQL selector; `segment` is a regular expression, and empty where it does not matter."""
    matchers = [f'{label}="{value}"' for label, value in match.items()]
    matchers += [f'segment=~"{segment}"'] if segment else []
    return f"{metric}{{{','.join(matchers)}}}" if matchers else metric
