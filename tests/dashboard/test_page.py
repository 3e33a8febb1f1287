"""The page: whole, small, shut to the network, and made of the series it was given."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from dashboard import page
from dashboard.build import files
from dashboard.panels import MEANING, PANELS, RUNBOOK
from helpers.exporter import DETECTORS

T = 1.8e9 + 3600.0 * np.arange(12 * 7 * 24 + 1)
FOUR = ("all", "mobile", "partner", "web")


class Parts(HTMLParser):
    """Collects the page's elements, and what stands in its scripts and styles."""

    def __init__(self, html):
        super().__init__()
        self.elements, self.inside, self.text = [], [], ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self.text = ""

    def handle_data(self, data):
        self.text += data

    def handle_endtag(self, tag):
        if tag in ("script", "style"):
            self.inside.append((tag, self.elements[-1][1], self.text))


def embedded(html):
    """Return the data inside a page, with its series spelled out again."""
    (data,) = (
        json.loads(text) for _, attributes, text in Parts(html).inside if attributes.get("id") == "data"
    )
    unpacked = {
        (metric, tuple(sorted(labels.items()))): np.concatenate(
            [
                np.full(run[1], run[0], float) if isinstance(run, list) else np.array([run], float)
                for run in runs
            ]
        )
        for metric, labels, runs in data["series"]
    }
    return data, unpacked


def every_series():
    """Return noise for each series that any panel draws, of four segments: harder to pack than a real day."""
    rng, series = np.random.default_rng(0), {}
    for panel in PANELS:
        for segment in FOUR if panel.legend == "segment" else [None]:
            labels = panel.match | ({"segment": segment} if segment else {})
            series[panel.metric, tuple(sorted(labels.items()))] = rng.normal(0.5, 0.1, len(T))
    return series


@pytest.fixture(scope="module")
def html():
    stories = [("A launch", T[10], T[200], "drift alone")]
    return page.page(T, every_series(), stories=stories)


def test_twelve_weeks_stay_under_a_megabyte_and_a_half(html):
    assert len(html.encode()) < 1.5e6


def test_the_page_holds_the_series_to_four_digits(html):
    data, found = embedded(html)
    series = every_series()
    assert found.keys() == series.keys()
    for name, values in series.items():
        np.testing.assert_allclose(found[name], values, rtol=5e-4)
    assert (data["start"], data["step"], data["n"]) == (T[0], 3600, len(T))
    assert data["stories"] == [{"title": "A launch", "start": T[10], "end": T[200], "shows": "drift alone"}]


def test_large_numbers_keep_their_ones_and_gaps_stay_gaps():
    values = np.array([123456.0, 123456.4, np.nan, np.inf, 0.0, -0.0, 0.00012345])
    _, found = embedded(page.page(T[:7], {("search_index_documents", ()): values}))
    expected = [123456, 123456, np.nan, np.nan, 0, 0, 0.0001234]
    np.testing.assert_array_equal(found["search_index_documents", ()][:6], expected[:6])
    assert found["search_index_documents", ()][6] == pytest.approx(values[6], rel=5e-4)


def test_series_that_no_panel_draws_are_left_out():
    _, found = embedded(page.page(T[:3], {("search_probes", ()): np.ones(3), ("up", ()): np.ones(3)}))
    assert list(found) == [("up", ())]


@pytest.mark.parametrize("evil", ["</script><script>alert(1)</script>", "<!--", "{{ . }}", '"\u2028'])
def test_no_label_value_breaks_out_of_the_data(evil):
    html = page.page(T[:2], {("up", (("job", evil),)): np.ones(2)})
    _, found = embedded(html)
    assert [tag for tag, _ in Parts(html).elements].count("script") == 3 and "{{" not in html
    assert list(found) == [("up", (("job", evil),))]


@pytest.mark.parametrize(
    ("t", "values", "words"),
    [
        ([0.0], [1.0], "t must be a list of at least two"),
        ([0.0, np.nan], [1.0, 1.0], "t must be a list"),
        ([0.0, 1.0, 3.0], np.ones(3), "even steps"),
        ([1.0, 0.0], np.ones(2), "must go up"),
        ([0.0, 1.0], np.ones(3), "one value for each of the 2 times"),
    ],
)
def test_what_does_not_fit_is_named(t, values, words):
    with pytest.raises(ValueError, match=words):
        page.page(t, {("up", ()): values})


@pytest.mark.parametrize("which", ["console", "page"])
def test_the_policy_allows_the_page_itself_and_nothing_else(which, html):
    text = page.console() if which == "console" else html
    parts = Parts(text)
    (policy,) = (
        a["content"] for tag, a in parts.elements if a.get("http-equiv") == "Content-Security-Policy"
    )
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'" and "unsafe" not in policy
    assert rules["connect-src"] == ("'self'" if which == "console" else "'none'")
    for tag, attributes, inside in parts.inside:
        if attributes.get("type") != "application/json":
            digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
            assert rules[f"{tag}-src"] == f"'sha256-{digest}'"
    attributes = {name for _, named in parts.elements for name in named}
    assert not attributes & {"src", "style"} and not any(name.startswith("on") for name in attributes)


def test_no_address_is_inside_but_the_runbooks_and_the_drawings():
    found = set(re.findall(r"https?://[\w./-]+", page.console()))
    assert found == {RUNBOOK, "http://www.w3.org/2000/svg"}


def test_the_template_engine_of_prometheus_finds_nothing_to_do():
    (console,) = (text for path, text in files().items() if path.name == "drift.html")
    assert "{{" not in console
    # It would cut comments out, and the hash of the script would not fit any more.
    assert not re.search(r"^\s*(//|/\*)", console, re.M) and "<!--" not in console


def test_both_pages_have_one_script_style_and_list_of_panels(html):
    shared = [
        [(tag, text) for tag, attributes, text in Parts(each).inside if attributes.get("id") != "data"]
        for each in (html, page.console())
    ]
    assert shared[0] == shared[1]
    (board,) = (json.loads(text) for _, a, text in Parts(html).inside if a.get("id") == "panels")
    assert [panel["key"] for row in board["rows"] for panel in row["panels"]] == [each.key for each in PANELS]
    assert board["meaning"] == MEANING
    assert {
        panel["match"]["detector"]
        for row in board["rows"]
        for panel in row["panels"]
        if "detector" in panel["match"]
    } == set(DETECTORS)
