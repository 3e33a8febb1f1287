"""The panels as a Grafana 11 dashboard: plain dicts, the same bytes every time."""

import json

from dashboard.panels import PANELS, RUNBOOK, TITLE, Panel, rows, selector
from helpers.plots.base import COLOURS

SCHEMA_VERSION = 39  # Grafana 11.0; later ones migrate it when they read it
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
UNITS = {"share": "percentunit", "seconds": "s", "count": "short", "limits": "none", "cosine": "none"}
UNITS["yes"] = "bool_yes_no"
SEVERITIES = {"page": COLOURS["alarm"], "ticket": "#E69F00"}
ALERTS = {"alertstate": "firing"}


def dashboard() -> dict:
    """Return the whole dashboard."""
    return {
        "uid": "embedding-drift",
        "title": TITLE,
        "description": "Generated from dashboard/panels.py by `python -m dashboard.build`: edit that.",
        "tags": ["embedding-drift"],
        "schemaVersion": SCHEMA_VERSION,
        "version": 1,
        "editable": False,
        "timezone": "utc",
        "time": {"from": "now-12w", "to": "now"},
        "refresh": "5m",
        "graphTooltip": 1,  # one crosshair for all panels
        "links": [_link("Runbook", RUNBOOK)],
        "templating": {"list": [_choice_of_source(), _choice_of_segment()]},
        "annotations": {"list": [_annotation("page", True), _annotation("ticket", False)]},
        "panels": _laid_out(),
    }


def text() -> str:
    """Return the dashboard as the text of its file."""
    return json.dumps(dashboard(), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _laid_out() -> list[dict]:
    """Return a heading for each row, and its panels below it, at most four abreast on the 24 columns."""
    found: list[dict] = []
    y = 0
    for title, panels in rows(PANELS).items():
        found.append(
            {"type": "row", "id": len(found) + 1, "title": title, "collapsed": False, "panels": []}
            | {"gridPos": {"x": 0, "y": y, "w": 24, "h": 1}}
        )
        y += 1
        for line in _lines(panels):
            height, width = (9 if line[0].kind == "timeline" else 7), 24 // len(line)
            for place, panel in enumerate(line):
                grid = {"x": place * width, "y": y, "w": width, "h": height}
                found.append(_panel(panel, len(found) + 1) | {"gridPos": grid})
            y += height
    return found


def _lines(panels: list[Panel]) -> list[list[Panel]]:
    """Cut a row into lines: a timeline has one to itself."""
    wide = [[panel] for panel in panels if panel.kind == "timeline"]
    narrow = [panel for panel in panels if panel.kind != "timeline"]
    return wide + [narrow[i : i + 4] for i in range(0, len(narrow), 4)]


def _panel(panel: Panel, number: int) -> dict:
    """Return one panel without its place."""
    return {
        "id": number,
        "title": panel.title,
        "description": panel.doc,
        "datasource": SOURCE,
        "links": [_link(f"Runbook: {panel.alert}", f"{RUNBOOK}#{panel.alert.lower()}")],
    } | (_timeline(panel) if panel.kind == "timeline" else _curves(panel))


def _curves(panel: Panel) -> dict:
    """Return a time series with its limit: a threshold, or a dashed line where the rules hold it."""
    segment = "$segment" if panel.legend == "segment" else ""
    name = f"{{{{{panel.legend}}}}}" if panel.legend else panel.title
    targets = [_target("A", selector(panel.metric, panel.match, segment), name)]
    style = {"drawStyle": "line", "lineWidth": 2, "fillOpacity": 0, "showPoints": "never", "spanNulls": False}
    style["thresholdsStyle"] = {"mode": "dashed"}
    defaults: dict = {"unit": UNITS[panel.unit], "custom": style, "color": {"mode": "palette-classic"}}
    defaults |= {"thresholds": _thresholds(panel), "noValue": "no data"}
    if panel.unit in ("count", "share", "yes"):
        defaults["min"] = 0
    if panel.unit == "yes":
        defaults["max"] = 1
    overrides = []
    if isinstance(panel.limit, str):
        targets.append(_target("B", selector(panel.limit, panel.match), "objective"))
        dashes = {"fill": "dash", "dash": [8, 6]}
        overrides = [_override("B", {"custom.lineStyle": dashes, "color": _fixed(COLOURS["alarm"])})]
    return {
        "type": "timeseries",
        "targets": targets,
        "fieldConfig": {"defaults": defaults, "overrides": overrides},
        "options": {
            "legend": {
                "showLegend": True,
                "displayMode": "list",
                "placement": "bottom",
                "calcs": ["lastNotNull"],
            },
            "tooltip": {"mode": "multi", "sort": "desc"},
        },
    }


def _timeline(panel: Panel) -> dict:
    """Return the state timeline of the alerts: one query a severity, so that each has a word and a colour."""
    # An alert without a segment belongs to every choice of one, hence the empty alternative.
    segment = "$segment|"
    name = "{{alertname}} {{segment}} {{outcome}}"
    targets, overrides = [], []
    for letter, (severity, colour) in zip("AB", SEVERITIES.items(), strict=True):
        chosen = selector(panel.metric, panel.match | {"severity": severity}, segment)
        targets.append(_target(letter, chosen, f"{severity}: {name}"))
        words = {"type": "value", "options": {"1": {"text": severity, "color": colour, "index": 0}}}
        overrides.append(_override(letter, {"mappings": [words], "color": _fixed(colour)}))
    defaults = {"unit": UNITS[panel.unit], "noValue": "no alert fires", "color": _fixed("text")}
    defaults |= {"thresholds": _thresholds(panel), "custom": {"fillOpacity": 90, "lineWidth": 0}}
    return {
        "type": "state-timeline",
        "targets": targets,
        "fieldConfig": {"defaults": defaults, "overrides": overrides},
        "options": {
            "mergeValues": True,
            "showValue": "auto",
            "alignValue": "left",
            "rowHeight": 0.8,
            "legend": {"showLegend": False, "displayMode": "list", "placement": "bottom", "calcs": []},
            "tooltip": {"mode": "single", "sort": "none"},
        },
    }


def _thresholds(panel: Panel) -> dict:
    """Return the steps of a fixed limit; the first step has no beginning."""
    ok, bad = COLOURS["outcome"], COLOURS["alarm"]
    first, then = (ok, bad) if panel.bad == "above" else (bad, ok)
    if panel.limit is None or isinstance(panel.limit, str):
        return {"mode": "absolute", "steps": [{"color": ok, "value": None}]}
    return {
        "mode": "absolute",
        "steps": [{"color": first, "value": None}, {"color": then, "value": panel.limit}],
    }


def _target(letter: str, query: str, name: str) -> dict:
    return {"refId": letter, "expr": query, "legendFormat": name, "range": True, "datasource": SOURCE}


def _override(letter: str, properties: dict) -> dict:
    values = [{"id": name, "value": value} for name, value in properties.items()]
    return {"matcher": {"id": "byFrameRefID", "options": letter}, "properties": values}


def _fixed(colour: str) -> dict:
    return {"mode": "fixed", "fixedColor": colour}


def _link(title: str, url: str) -> dict:
    kind = {"type": "link", "icon": "doc", "tooltip": "", "tags": [], "asDropdown": False}
    return kind | {"title": title, "url": url, "targetBlank": True, "includeVars": False, "keepTime": False}


def _choice_of_source() -> dict:
    shown = {"refresh": 1, "regex": "", "multi": False, "includeAll": False, "hide": 0}
    return {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"} | {
        **shown, "options": [],
    }  # fmt: skip


def _choice_of_segment() -> dict:
    query = "label_values(embedding_drift_window_vectors, segment)"
    return {"name": "segment", "label": "Segment", "type": "query", "datasource": SOURCE} | {
        "query": {"query": query, "refId": "segment"}, "refresh": 2, "sort": 1,
        "multi": True, "includeAll": True, "allValue": ".*", "hide": 0, "regex": "", "options": [],
        "current": {"text": ["All"], "value": ["$__all"]},
    }  # fmt: skip


def _annotation(severity: str, on: bool) -> dict:
    """Return the alerts of one severity as marks in every panel."""
    chosen = selector("ALERTS", ALERTS | {"severity": severity}, "$segment|")
    return {
        "name": f"{severity.capitalize()}s",
        "datasource": SOURCE,
        "enable": on,
        "hide": False,
        "iconColor": SEVERITIES[severity],
        "expr": chosen,
        "step": "10m",
        "titleFormat": "{{alertname}} {{segment}}",
        "textFormat": f"{severity}: see the runbook",
        "tagKeys": "severity,segment",
    }
