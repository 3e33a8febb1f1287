"""The panels and the Grafana dashboard made of them: every query can be answered, every fault is caught."""

import copy
import json
import re
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
import yaml

from dashboard import build, grafana
from dashboard.panels import MEANING, PANELS, RUNBOOK, rows, selector
from helpers import alerts
from helpers.exporter import DETECTORS, METRICS
from helpers.panel import OUTCOMES
from helpers.plots import alt_text
from helpers.plots.dashboard import dashboard_view

matplotlib.use("Agg")
RULES = Path(build.HERE, "prometheus", "rules")
VALUES = {
    "alertstate": {"firing"},
    "detector": set(DETECTORS),
    "job": {"embedding-drift"},
    "outcome": set(OUTCOMES),
    "segment": {"$segment", "$segment|"},
    "severity": {"page", "ticket"},
    "window": {"current", "reference"},
}


def rules(kind: str) -> list[dict]:
    """Return all recording or alerting rules of the files that Prometheus reads."""
    files = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted(RULES.glob("*.yml"))]
    return [rule for file in files for group in file["groups"] for rule in group["rules"] if kind in rule]


def known() -> dict[str, set[str]]:
    """Return the labels of everything that is exported or recorded; a record's level names its labels."""
    found = {name: set(labels) for name, (labels, _) in METRICS.items()} | {"up": {"job", "instance"}}
    for rule in rules("record"):
        level = rule["record"].split(":")[0] if ":" in rule["record"] else ""
        own = set(level.split("_")) & {"segment", "detector", "outcome"} | set(rule.get("labels", {}))
        found.setdefault(rule["record"], {"job"}).update(own)
    for rule in rules("alert"):
        found.setdefault("ALERTS", {"alertname", "alertstate", "segment", "outcome"}).update(rule["labels"])
    return found


# The lint.

TARGET = {"datasource", "expr", "legendFormat", "range", "refId"}
SELECTOR = re.compile(r'([a-zA-Z_:][\w:]*)(?:\{((?:\w+=~?"[^"]*",?)+)\})?')
LINES = {"timeseries", "state-timeline"}


def faults(board: dict) -> list[str]:
    """Return what is wrong with a dashboard, in words."""
    found = [f"unknown schema {board['schemaVersion']}"] * (board["schemaVersion"] != 39)
    found += _layout(board["panels"])
    for panel in board["panels"]:
        if panel["type"] in LINES:
            found += [f"{panel['title']}: {fault}" for fault in _panel(panel)]
        elif panel["type"] != "row":
            found.append(f"unknown type {panel['type']}")
    for mark in board["annotations"]["list"]:
        found += _query(mark["expr"])
    for variable in board["templating"]["list"]:
        found += _variable(variable)
    names = {variable["name"] for variable in board["templating"]["list"]}
    used = set(re.findall(r"\$\{?(\w+)", json.dumps(board))) - {"__all"}
    return found + [f"undefined ${name}" for name in sorted(used - names)]


def _layout(panels: list[dict]) -> list[str]:
    ids = [panel["id"] for panel in panels]
    found = ["ids repeat"] * (len(set(ids)) < len(ids))
    for panel in panels:
        grid = panel["gridPos"]
        if grid["x"] < 0 or grid["x"] + grid["w"] > 24:
            found.append(f"{panel['title']} leaves the 24 columns")
    for one, other in combinations([panel["gridPos"] for panel in panels], 2):
        apart = [one[a] + one[s] <= other[a] or other[a] + other[s] <= one[a] for a, s in ("xw", "yh")]
        found += ["panels overlap"] * (not any(apart))
    return found


def _panel(panel: dict) -> list[str]:
    defaults = panel["fieldConfig"]["defaults"]
    steps = [step["value"] for step in defaults["thresholds"]["steps"]]
    letters = [target["refId"] for target in panel["targets"]]
    overridden = {each["matcher"]["options"] for each in panel["fieldConfig"]["overrides"]}
    found = [
        message
        for wrong, message in [
            (not panel.get("description"), "no description"),
            (defaults.get("unit") not in grafana.UNITS.values(), "no unit, or an unknown one"),
            (panel["datasource"]["uid"] != "${datasource}", "datasource is not the variable"),
            (steps[0] is not None or None in steps[1:], "thresholds must begin at nothing"),
            (len(set(letters)) < len(letters), "refIds repeat"),
            (not overridden <= set(letters), "an override for no query"),
            (not panel["links"] or RUNBOOK not in panel["links"][0]["url"], "no runbook"),
            (panel["links"] and panel["links"][0]["url"].split("#")[-1] not in SECTIONS, "no such section"),
        ]
        if wrong
    ]
    for target in panel["targets"]:
        found += [f"target's keys {sorted(target)}"] * (set(target) != TARGET)
        found += _query(target["expr"])
        found += _query_labels(target)
    return found


SECTIONS = {rule["alert"].lower() for rule in rules("alert")}


def _query(query: str) -> list[str]:
    parsed = SELECTOR.fullmatch(query)
    if not parsed:
        return [f"not one selector: {query}"]
    metric, matchers = parsed[1], re.findall(r'(\w+)=~?"([^"]*)"', parsed[2] or "")
    if metric not in KNOWN:
        return [f"nothing exports or records {metric}"]
    return [
        f"{metric} has no {label}={value}"
        for label, value in matchers
        if label not in KNOWN[metric] or value not in VALUES[label]
    ]


KNOWN = known()


def _query_labels(target: dict) -> list[str]:
    metric = target["expr"].split("{")[0]
    labels = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
    return [f"{metric} has no {label} for its legend" for label in labels - KNOWN.get(metric, labels)]


def _variable(variable: dict) -> list[str]:
    if variable["type"] == "datasource":
        return ["variable of another source"] * (variable["query"] != "prometheus")
    parsed = re.fullmatch(r"label_values\(([\w:]+), (\w+)\)", variable["query"]["query"])
    if not parsed or parsed[2] not in KNOWN.get(parsed[1], set()):
        return [f"variable {variable['name']} asks for what is not there"]
    return []


# What it finds: nothing in the dashboard, and every planted fault.


def test_the_dashboard_has_no_fault():
    assert faults(grafana.dashboard()) == []


def first(board: dict, kind: str = "timeseries") -> dict:
    return next(panel for panel in board["panels"] if panel["type"] == kind)


PLANTED: dict[str, Callable[[dict], object]] = {
    "unknown type": lambda b: first(b).update(type="timeserie"),
    "ids repeat": lambda b: first(b).update(id=1),
    "panels overlap": lambda b: first(b)["gridPos"].update(y=0),
    "leaves the 24 columns": lambda b: b["panels"][-1]["gridPos"].update(w=12),
    "no description": lambda b: first(b).pop("description"),
    "no unit": lambda b: first(b)["fieldConfig"]["defaults"].pop("unit"),
    "an unknown one": lambda b: first(b)["fieldConfig"]["defaults"].update(unit="percentunits"),
    "datasource is not the variable": lambda b: first(b)["datasource"].update(uid="prometheus"),
    "target's keys": lambda b: first(b)["targets"][0].update(exprs="up"),
    "nothing exports or records": lambda b: first(b)["targets"][0].update(expr="embedding_drift_scores"),
    "not one selector": lambda b: first(b)["targets"][0].update(expr='up{job="embedding-drift"'),
    "has no detector=query-drift": lambda b: first(b)["targets"][0].update(
        expr='embedding_drift_score{detector="query-drift"}'
    ),
    "has no result=": lambda b: first(b)["targets"][0].update(expr='embedding_drift_score{result="ok"}'),
    "for its legend": lambda b: first(b)["targets"][0].update(legendFormat="{{segments}}"),
    "undefined $": lambda b: b["templating"]["list"].pop(),
    "undefined $detector": lambda b: b.update(description="of $detector"),
    "asks for what is not there": lambda b: b["templating"]["list"][1]["query"].update(
        query="label_values(embedding_drift_scores, segment)"
    ),
    "of another source": lambda b: b["templating"]["list"][0].update(query="loki"),
    "thresholds must begin": lambda b: first(b)["fieldConfig"]["defaults"]["thresholds"]["steps"].pop(0),
    "refIds repeat": lambda b: first(b, "state-timeline")["targets"][1].update(refId="A"),
    "an override for no query": lambda b: first(b, "state-timeline")["targets"].pop(),
    "no runbook": lambda b: first(b).update(links=[]),
    "no such section": lambda b: first(b)["links"][0].update(url=f"{RUNBOOK}#drift"),
    "unknown schema": lambda b: b.update(schemaVersion=3),
    "has no severity=pages": lambda b: b["annotations"]["list"][0].update(expr='ALERTS{severity="pages"}'),
}


@pytest.mark.parametrize("fault", PLANTED)
def test_a_planted_fault_is_found(fault):
    board = copy.deepcopy(grafana.dashboard())
    PLANTED[fault](board)
    assert any(fault in each for each in faults(board)), faults(board)


# The panels themselves.


def test_regenerating_changes_no_byte():
    for path, text in build.files().items():
        assert path.read_bytes() == text.encode(), f"{path.name}: run `python -m dashboard.build`"


def test_every_alert_has_a_meaning_in_words():
    assert list(MEANING) == [rule["alert"] for rule in rules("alert")][:-1] == list(alerts.RULES)[:-1]


def test_runbook_links_are_those_of_the_alerts():
    for rule in rules("alert"):
        assert rule["annotations"]["runbook_url"] == f"{RUNBOOK}#{rule['alert'].lower()}"


def test_objectives_stand_in_the_rules_and_nowhere_else():
    shown = [panel for panel in PANELS if panel.row.startswith("Outcomes")]
    assert [panel.match["outcome"] for panel in shown] == list(OUTCOMES)
    assert {panel.limit for panel in shown} == {"search_outcome_objective_bad_ratio"}


@pytest.mark.parametrize(
    ("key", "alert", "limit"),
    [
        ("agree", "EmbeddingDriftSustained", ">= 2"),
        ("drop", "SearchProbesFailing", "> 0.005"),
        ("check_age", "DriftCheckStale", "> 3 * 86400"),
        ("batch_age", "DriftTrafficStale", "> 36 * 3600"),
        ("window", "DriftWindowTooSmall", "< 20"),
        ("rejected", "DriftRowsRejected", "> 0.01"),
        ("probe_age", "SearchProbesStale", "> 7 * 86400"),
    ],
)
def test_a_drawn_limit_is_the_one_that_alerts(key, alert, limit):
    (panel,) = (panel for panel in PANELS if panel.key == key)
    (rule,) = (rule for rule in rules("alert") if rule["alert"] == alert)
    assert rule["expr"].strip().endswith(limit) and panel.metric in rule["expr"]
    factors = re.findall(r"[\d.]+", limit)
    assert panel.limit == pytest.approx(np.prod([float(factor) for factor in factors]))
    assert (panel.bad == "below") == limit.startswith("<") and panel.alert == alert


def test_every_monitored_thing_has_a_panel():
    assert {panel.match["detector"] for panel in PANELS if "detector" in panel.match} == set(DETECTORS)
    assert len({panel.key for panel in PANELS}) == len(PANELS)
    assert all(len(panel.title) <= 50 and panel.title.endswith("?") for panel in PANELS)


def test_a_selector_quotes_its_labels():
    assert selector("up", {}) == "up"
    assert selector("up", {"job": "a"}, "$segment") == 'up{job="a",segment=~"$segment"}'


# The Matplotlib view.


def history() -> tuple[np.ndarray, dict]:
    """Return four weeks, hourly, in which the gap and the failures of one segment rise at the end."""
    t = 1.8e9 + 3600.0 * np.arange(28 * 24)
    late, series = t > t[500], {}
    for segment in ("all", "mobile"):
        shift = late * (segment == "mobile")
        for panel in PANELS[1:]:
            labels = panel.match | ({"segment": segment} if panel.legend == "segment" else {})
            series[panel.metric, tuple(sorted(labels.items()))] = 0.2 + 2.0 * shift
    labels = dict(alertname="SearchOutcomeSevere", alertstate="firing", severity="page", segment="mobile")
    series["ALERTS", tuple(sorted(labels.items()))] = np.where(late, 1.0, np.nan)
    for outcome, share in alerts.OBJECTIVE.items():
        series["search_outcome_objective_bad_ratio", (("outcome", outcome),)] = np.full(len(t), share)
    return t, series


@pytest.fixture
def view():
    t, series = history()
    yield dashboard_view(t, series, PANELS, title="It hurts", stories=[("upgrade", t[500], t[-1], "harm")])
    plt.close("all")


def test_the_view_says_its_numbers_in_words(view):
    text = alt_text(view)
    assert text.startswith("It hurts. Which alerts fire?")
    assert "page SearchOutcomeSevere · mobile, 1 spell, 25% of the time. Shaded: 1 upgrade." in text
    assert "Are the best documents further away? Last values in limits: all 0.2, mobile 2.2, limit 1." in text
    assert "Which share of searches fails? Last values in %: all 20, mobile 220, limit 15." in text


def test_the_view_draws_at_most_four_charts_of_each_row(view):
    shown = [min(len(panels), 4) for row, panels in rows(PANELS).items() if row != "Should anyone act?"]
    assert len(view.axes) == 1 + sum(shown)


def test_the_view_holds_the_data(view):
    t, series = history()
    (ax,) = (ax for ax in view.axes if ax.get_title(loc="left") == "Are queries unlike any known?")
    key = (
        "segment_detector:embedding_drift_exceedance:ratio",
        (("detector", "novelty"), ("segment", "mobile")),
    )
    assert any(np.array_equal(line.get_ydata(), series[key]) for line in ax.get_lines())


def test_what_is_absent_is_drawn_as_absent():
    t, _ = history()
    figure = dashboard_view(t, {}, PANELS, title="Nothing")
    assert "No alert fires" in alt_text(figure)
    drawn = [text.get_text() for ax in figure.axes for text in ax.texts]
    assert drawn.count("no data") == alt_text(figure).count("no data") == len(figure.axes) - 1
    plt.close(figure)
