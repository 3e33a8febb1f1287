"""Whatever the dashboard asks, a real Prometheus that holds the twelve weeks has an answer for it."""

import json
import re
from urllib.parse import quote

import pytest

from dashboard.panels import PANELS, selector
from dashboard.servers import FILES, ask, get

BOARD = json.loads((FILES / "grafana" / "dashboards" / "drift-and-outcomes.json").read_text(encoding="utf-8"))


def answer(past, query):
    """Return what a query finds in the twelve weeks, every fourth hour."""
    url, t, *_ = past
    return ask(url, query, start=t[28 * 24], end=t[-1], step=4 * 3600)


def console_queries():
    """Return the queries of the console page: the series of each panel, and its limit if that is one."""
    for panel in PANELS:
        yield panel.key, selector(panel.metric, panel.match)
        if isinstance(panel.limit, str):
            yield f"{panel.key}'s limit", selector(panel.limit, panel.match)


def grafana_queries():
    """Return the queries of panels and annotations, with every segment chosen."""
    for panel in BOARD["panels"]:
        for target in panel.get("targets", []):
            yield f"{panel['title']} {target['refId']}", target["expr"].replace("$segment", ".*")
    for annotation in BOARD["annotations"]["list"]:
        if "expr" in annotation:
            yield annotation["name"], annotation["expr"].replace("$segment", ".*")


@pytest.mark.parametrize("query", [pytest.param(query, id=name) for name, query in console_queries()])
def test_the_console_page_finds_something(past, query):
    assert answer(past, query)


@pytest.mark.parametrize("query", [pytest.param(query, id=name) for name, query in grafana_queries()])
def test_grafana_finds_something(past, query):
    assert answer(past, query)


def test_grafanas_choice_of_a_segment_has_all_segments(past):
    url, t, *_ = past
    (choice,) = [each for each in BOARD["templating"]["list"] if each["type"] == "query"]
    metric, label = re.fullmatch(r"label_values\((.*), (\w+)\)", choice["query"]["query"]).groups()
    address = f"{url}/api/v1/label/{label}/values"
    found = json.loads(get(address, **{"match[]": metric, "start": t[0], "end": t[-1]}))["data"]
    assert found == ["all", "mobile", "partner", "web"]


@pytest.mark.parametrize(
    "typo",
    [
        selector("embedding_drift_scores", {}),
        selector("segment_detector:embedding_drift_exceedance:ratio", {"detector": "noveltry"}),
        selector("search_probe_success_drop:max27d", {}),
    ],
)
def test_a_typo_finds_nothing(past, typo):
    assert answer(past, typo) == []


def test_prometheus_serves_the_console_page_as_it_is(past):
    served = get(f"{past[0]}/consoles/{quote('drift.html')}").decode()
    assert served == (FILES / "prometheus" / "consoles" / "drift.html").read_text(encoding="utf-8")
