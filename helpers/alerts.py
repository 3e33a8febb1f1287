"""The dashboard's rules in NumPy: what Prometheus would record, and which alerts would fire.

The rules that an operator deploys stand in dashboard/prometheus/rules, with a reason for each. Here they are
once more, in that order and under those names, for a history that is all there. Tests hold both together.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from helpers.promql import Series, Vector, above, hold, increase, match, over_time, pick, sum_by

HOUR, DAY = 3600, 86_400

# Decisions of the product: the accepted share of bad queries, and how many times as many wake somebody.
OBJECTIVE = {"failure": 0.15, "no_click": 0.50, "no_answer": 0.12, "escalation": 0.05}
SEVERE_BURN = {"failure": 1.5, "no_click": 1.3, "no_answer": 2.0, "escalation": 4.0}

History = Mapping[Series, NDArray]


class Rule(NamedTuple):
    """How loud an alert is, what it is about, for how many seconds it waits, and for how many it goes on."""

    severity: str
    component: str
    wait: float
    keep: float = 0


RULES = {
    "EmbeddingDriftWithOutcomeDegradation": Rule("page", "embedding", HOUR / 2, 60 * HOUR),
    "SearchSupplyWithOutcomeDegradation": Rule("page", "supply", HOUR / 2, 36 * HOUR),
    "SearchOutcomeSevere": Rule("page", "outcome", HOUR / 2, 36 * HOUR),
    "EmbeddingDriftSustained": Rule("ticket", "embedding", HOUR, 6 * HOUR),
    "SearchOutcomeDegraded": Rule("ticket", "outcome", HOUR, 6 * HOUR),
    "SearchProbesFailing": Rule("ticket", "supply", HOUR, 6 * HOUR),
    "DriftExporterDown": Rule("ticket", "monitor", HOUR / 6),
    "DriftMetricsAbsent": Rule("ticket", "monitor", HOUR),
    "DriftFileUnreadable": Rule("ticket", "monitor", HOUR / 4),
    "DriftCheckStale": Rule("ticket", "monitor", 12 * HOUR),
    "DriftTrafficStale": Rule("ticket", "monitor", HOUR / 4),
    "DriftWindowTooSmall": Rule("ticket", "monitor", 60 * HOUR),
    "DriftClockSkew": Rule("ticket", "monitor", HOUR / 4),
    "DriftRowsRejected": Rule("ticket", "monitor", HOUR / 4),
    "SearchProbesStale": Rule("ticket", "supply", HOUR),
    "DriftWatchdog": Rule("none", "monitor", 0),
}


def evaluate(t: ArrayLike, series: Mapping[Series, ArrayLike]) -> dict[Series, NDArray[np.float64]]:
    """Evaluate every rule at every time; return what is recorded, and `ALERTS` as 1 where an alert fires.

    t (n,) : seconds since 1970, evenly spaced. What is shorter than their step is not seen.
    series : exported samples, (n,) each, NaN for none: those of `helpers.exporter.samples`, and `up` if it
        is known. The labels `job` and `instance`, which Prometheus adds, are left out of what is returned.

    Raises ValueError where t is not evenly spaced, or a series has another length or comes twice.

    What it cannot tell you: whether a message would have left. Grouping and inhibition are Alertmanager's.

    >>> [dict(labels)["alertname"] for name, labels in evaluate([0, 60], {}) if name == "ALERTS"]
    ['DriftWatchdog']
    """
    times, known = _checked(t, series)
    exported = set(known)
    for rules in (_drift, _monitor, _outcomes, _outcome_charts, _supply):
        for metric, vector in rules(times, known).items():
            known |= {(metric, labels): values for labels, values in vector.items()}
    for name, conditions in {**_act(times, known), **_trust(times, known)}.items():
        severity, component, wait, keep = RULES[name]
        about = dict(alertname=name, alertstate="firing", severity=severity, component=component)
        for labels, condition in conditions.items():
            firing = hold(times, condition, wait, keep)
            if firing.any():
                every = tuple(sorted({**dict(labels), **about}.items()))
                known["ALERTS", every] = np.where(firing, 1.0, np.nan)
    return {key: values for key, values in known.items() if key not in exported}


def _checked(
    t: ArrayLike, series: Mapping[Series, ArrayLike]
) -> tuple[NDArray[np.float64], dict[Series, NDArray]]:
    times = np.asarray(t, float)
    step = np.diff(times) if times.ndim == 1 else np.empty(0)
    if len(step) == 0 or not step[0] > 0 or not np.allclose(step, step[0], rtol=1e-6):
        raise ValueError(f"t has shape {times.shape}: give at least two times in seconds, evenly spaced")
    out: dict[Series, NDArray] = {}
    for (name, labels), values in series.items():
        array = np.asarray(values, float)
        if array.shape != times.shape:
            raise ValueError(f"series {name!r} has shape {array.shape}: give {len(times)} values, one a time")
        key = name, tuple(sorted(pair for pair in labels if pair[0] not in ("job", "instance")))
        if key in out:
            raise ValueError(f"series {name!r} {dict(key[1])} comes twice: give those of one exporter")
        out[key] = array
    return times, out


# The recording rules.


def _grown(t: NDArray, series: History, window: float, by: tuple[str, ...], metric: str, **of: str) -> Vector:
    """Return `sum by (...) (increase(metric{...}[window]))`."""
    return sum_by(match(lambda counter: increase(t, counter, window), pick(series, metric, **of)), *by)


def _charts(t: NDArray, series: History, metric: str, what: str, bad: str) -> tuple[Vector, Vector, Vector]:
    """Return alarms and usable checks of the last three days, and whether there was an alarm."""
    flagged = _grown(t, series, 3 * DAY, (what, "segment"), metric, result=bad)
    usable = _grown(t, series, 3 * DAY, (what, "segment"), metric, result=f"ok|{bad}")
    return flagged, usable, match(_alarm, flagged, usable)


def _alarm(flagged: NDArray, usable: NDArray) -> NDArray[np.float64]:
    return np.where(np.isfinite(flagged) & (usable >= 0.5), flagged >= 0.5, np.nan)


def _drift(t: NDArray, series: History) -> dict[str, Vector]:
    names = ("smoothed_score", "null_score", "threshold")
    scores = [pick(series, f"embedding_drift_{name}") for name in names]
    exceedance = match(lambda score, null, limit: (score - null) / above(limit - null, 0), *scores)
    flagged, usable, alarm = _charts(t, series, "embedding_drift_checks_total", "detector", "drift")
    return {
        "segment_detector:embedding_drift_exceedance:ratio": exceedance,
        "segment_detector:embedding_drift_checks_flagged:increase3d": flagged,
        "segment_detector:embedding_drift_checks_usable:increase3d": usable,
        "segment_detector:embedding_drift_alarm:bool": alarm,
        "segment:embedding_drift_detectors_in_alarm:count": sum_by(alarm, "segment"),
    }


def _monitor(t: NDArray, series: History) -> dict[str, Vector]:
    rejected = pick(series, "embedding_drift_rejected_rows")
    more = sum_by(match(lambda rows: rows - over_time(t, rows, DAY, "min"), rejected))
    asked, unknown = (
        _grown(t, series, DAY, (), "search_queries_total", segment=name) for name in ("all", "other")
    )
    return {
        "segment:embedding_drift_check_age:seconds": _age(
            t, series, "embedding_drift_last_success_timestamp_seconds"
        ),
        "embedding_drift_batch_age:seconds": _age(t, series, "embedding_drift_last_batch_timestamp_seconds"),
        "embedding_drift_rejected_rows:sum": sum_by(rejected),
        "embedding_drift_rejected_rows:ratio_increase1d": match(
            lambda bad, good: bad / above(bad + good, 0), more, asked
        ),
        "search_queries_unknown_segment:ratio_increase1d": match(
            lambda n, every: n / above(every, 0), unknown, asked
        ),
    }


def _age(t: NDArray, series: History, metric: str) -> Vector:
    return match(lambda then: t - then, pick(series, metric))


def _outcomes(t: NDArray, series: History) -> dict[str, Vector]:
    place = "segment_outcome:search_outcome"
    bad, events = _bad_and_events(t, series, DAY)
    lately, events_lately = _bad_and_events(t, series, 6 * HOUR)
    ratio, ratio_lately = (
        match(lambda x, n: x / above(n, 0), *pair) for pair in ((bad, events), (lately, events_lately))
    )
    objective: Vector = {labels: np.array(OBJECTIVE[dict(labels)["outcome"]]) for labels in ratio}
    return {
        "search_outcome_objective_bad_ratio": _constant(OBJECTIVE, len(t)),
        "search_outcome_severe_burn_ratio": _constant(SEVERE_BURN, len(t)),
        f"{place}_events:increase1d": events,
        f"{place}_bad:increase1d": bad,
        f"{place}_events:increase6h": events_lately,
        f"{place}_bad:increase6h": lately,
        f"{place}_bad:ratio_increase1d": ratio,
        f"{place}_bad:ratio_increase6h": ratio_lately,
        f"{place}_burn:ratio_increase1d": match(np.divide, ratio, objective),
        f"{place}_burn:ratio_increase6h": match(np.divide, ratio_lately, objective),
        f"{place}_bad:zscore1d": match(
            lambda p, p0, n: (p - p0) / np.sqrt(p0 * (1 - p0) / above(n, 0)), ratio, objective, events
        ),
    }


def _constant(numbers: dict[str, float], n: int) -> Vector:
    return {(("outcome", name),): np.full(n, number) for name, number in numbers.items()}


def _bad_and_events(t: NDArray, series: History, window: float) -> tuple[Vector, Vector]:
    """Return the bad queries, and all of them, for each outcome and segment."""
    by, queries = ("segment",), _grown(t, series, window, ("segment",), "search_queries_total")
    bad = {
        "failure": _grown(t, series, window, by, "search_retrieval_judgements_total", result="miss"),
        "no_click": match(
            np.subtract, queries, _grown(t, series, window, by, "search_queries_clicked_total")
        ),
        "no_answer": _grown(t, series, window, by, "search_queries_no_answer_total"),
        "escalation": _grown(t, series, window, by, "search_queries_escalated_total"),
    }
    judged = _grown(t, series, window, by, "search_retrieval_judgements_total")
    events = dict.fromkeys(bad, queries) | {"failure": judged}
    return _labelled(bad), _labelled(events)


def _labelled(outcomes: dict[str, Vector]) -> Vector:
    return {
        (("outcome", name), *labels): values
        for name, vector in outcomes.items()
        for labels, values in vector.items()
    }


def _outcome_charts(t: NDArray, series: History) -> dict[str, Vector]:
    flagged, usable, degraded = _charts(t, series, "search_outcome_checks_total", "outcome", "degraded")
    return {
        "segment_outcome:search_outcome_checks_flagged:increase3d": flagged,
        "segment_outcome:search_outcome_checks_usable:increase3d": usable,
        "segment_outcome:search_outcome_degraded:bool": degraded,
        "segment:search_outcomes_degraded:count": sum_by(degraded, "segment"),
    }


def _supply(t: NDArray, series: History) -> dict[str, Vector]:
    success = pick(series, "search_probe_success_ratio")
    return {
        "search_probe_success_drop:max28d": match(
            lambda now: over_time(t, now, 28 * DAY, "max") - now, success
        ),
        "search_index_age:seconds": _age(t, series, "search_index_built_timestamp_seconds"),
        "search_probe_age:seconds": _age(t, series, "search_probe_timestamp_seconds"),
    }


# The conditions of the alerts, true or false. A comparison with what is absent is false.


def _act(t: NDArray, series: History) -> dict[str, Vector]:
    never = np.zeros(len(t), bool)
    drifting = match(lambda n: n >= 2, pick(series, "segment:embedding_drift_detectors_in_alarm:count"))
    hurting = match(lambda n: n >= 1, pick(series, "segment:search_outcomes_degraded:count"))
    gap = pick(series, "segment_detector:embedding_drift_alarm:bool", detector="index_gap")
    gaping = {tuple(segment): alarm == 1 for (_, *segment), alarm in gap.items()}
    flagged = pick(series, "segment_outcome:search_outcome_checks_flagged:increase3d")
    again = sum_by(match(lambda n: n >= 1.5, flagged), "segment")
    failing = match(lambda drop: drop > 0.005, pick(series, "search_probe_success_drop:max28d"))
    everybody = hurting.get((("segment", "all"),), never)
    return {
        "EmbeddingDriftWithOutcomeDegradation": {
            segment: hurt
            & (again[segment] >= 1)
            & (drifting.get(segment, never) | gaping.get(segment, never))
            for segment, hurt in hurting.items()
        },
        "SearchSupplyWithOutcomeDegradation": match(lambda fails: fails & everybody, failing),
        "SearchOutcomeSevere": _severe(series),
        "EmbeddingDriftSustained": drifting,
        "SearchOutcomeDegraded": match(
            lambda alarm: alarm == 1, pick(series, "segment_outcome:search_outcome_degraded:bool")
        ),
        "SearchProbesFailing": failing,
    }


def _severe(series: History) -> Vector:
    place = "segment_outcome:search_outcome"
    burn, z = pick(series, f"{place}_burn:ratio_increase1d"), pick(series, f"{place}_bad:zscore1d")
    limit: Vector = {labels: np.array(SEVERE_BURN[dict(labels)["outcome"]]) for labels in burn}
    return match(
        lambda burn, limit, z, n, burn_lately, n_lately: (
            (burn > limit) & (z > 3) & (n >= 50) & ~((burn_lately <= 1) & (n_lately >= 20))
        ),
        *(burn, limit, z, pick(series, f"{place}_events:increase1d")),
        *(pick(series, f"{place}_{what}increase6h") for what in ("burn:ratio_", "events:")),
    )


def _trust(t: NDArray, series: History) -> dict[str, Vector]:
    age = pick(series, "segment:embedding_drift_check_age:seconds")
    batch = pick(series, "embedding_drift_batch_age:seconds")
    checks = pick(series, "embedding_drift_checks_total").values()
    window = pick(series, "embedding_drift_window_vectors", window="current")
    rejected = pick(series, "embedding_drift_rejected_rows:ratio_increase1d")
    ahead = [seconds < -600 for seconds in (*age.values(), *batch.values())]
    return {
        "DriftExporterDown": match(lambda up: up == 0, pick(series, "up")),
        "DriftMetricsAbsent": {(): ~np.any([np.zeros(len(t)), *map(np.isfinite, checks)], axis=0)},
        "DriftFileUnreadable": match(lambda ok: ok == 0, pick(series, "embedding_drift_file_readable")),
        "DriftCheckStale": match(lambda seconds: seconds > 3 * DAY, age),
        "DriftTrafficStale": match(lambda seconds: seconds > 36 * HOUR, batch),
        "DriftWindowTooSmall": match(lambda n: n < 20, sum_by(window, "segment")),
        "DriftClockSkew": {(): np.any([np.zeros(len(t)), *ahead], axis=0)},
        "DriftRowsRejected": match(lambda share: share > 0.01, rejected),
        "SearchProbesStale": match(lambda age: age > 7 * DAY, pick(series, "search_probe_age:seconds")),
        "DriftWatchdog": {(): np.ones(len(t), bool)},
    }
