"""The rules in NumPy and the rules that Prometheus runs say the same of the same samples.

"The same" is the same times with a sample, and values within 1e-9: both compute in double precision, and add
in another order. Nothing is allowed to come an hour earlier or later.
"""

import numpy as np
import pytest

from dashboard.backfill import levels, rules_of
from dashboard.servers import FILES, ask
from helpers import alerts

RULES = rules_of(FILES / "prometheus" / "rules")


def differences(made, ours):
    """Return the series that one of both lacks, or in which they differ."""
    theirs = {
        (name, tuple(pair for pair in labels if pair[0] not in ("job", "instance"))): values
        for (name, labels), values in made.items()
        if name != "ALERTS_FOR_STATE"
    }
    theirs, ours = ({k: v for k, v in each.items() if np.isfinite(v).any()} for each in (theirs, ours))
    return sorted(
        key
        for key in theirs.keys() | ours.keys()
        if key not in theirs
        or key not in ours
        or not np.allclose(theirs[key], ours[key], rtol=1e-9, atol=1e-9, equal_nan=True)
    )


@pytest.fixture(scope="module")
def ours(past):
    _, t, series, _ = past
    return alerts.evaluate(t, series)


def test_every_recorded_series_and_alert_is_the_same_in_numpy(past, ours):
    assert differences(past[3], ours) == []


def test_every_rule_recorded_something_and_every_alert_fired(past):
    found = {name for name, _ in past[3]} | {dict(labels).get("alertname") for _, labels in past[3]}
    assert {rule.get("record", rule.get("alert")) for rule in RULES} <= found


@pytest.mark.parametrize(
    "change",
    [
        {"OBJECTIVE": {**alerts.OBJECTIVE, "no_click": 0.51}},
        {"DAY": alerts.DAY + alerts.HOUR},
        {"RULES": {**alerts.RULES, "SearchProbesFailing": alerts.Rule("ticket", "supply", 2 * alerts.HOUR)}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_another_rule_is_not_the_same(past, monkeypatch, change):
    for name, value in change.items():
        monkeypatch.setattr(alerts, name, value)
    assert differences(past[3], alerts.evaluate(past[1], past[2]))


def test_rules_come_after_those_that_they_use():
    order = [{rule.get("record") for rule in level} for level in levels(RULES)]
    assert len(order) == 4 and sum(map(len, levels(RULES))) == len(RULES)
    place = {name: number for number, names in enumerate(order) for name in names}
    assert (
        place["segment_detector:embedding_drift_checks_flagged:increase3d"]
        < place["segment_detector:embedding_drift_alarm:bool"]
        < place["segment:embedding_drift_detectors_in_alarm:count"]
    )


def test_the_server_holds_what_it_was_given(past):
    url, t, series, _ = past
    for name in ("search_queries_total", "embedding_drift_smoothed_score"):
        found = ask(url, name, start=t[0], end=t[-1], step=3600)
        for result in found:
            labels = {k: v for k, v in result["metric"].items() if k not in ("__name__", "job", "instance")}
            values = series[name, tuple(sorted(labels.items()))]
            there = np.isfinite(values)
            stored = dict(result["values"])
            assert [float(stored[now]) for now in t[there]] == values[there].tolist()
        assert len(found) == sum(key[0] == name for key in series)
