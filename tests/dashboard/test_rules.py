"""The rules and routes that an operator deploys: sound, tested, and no test of them in vain."""

import json
import re
import subprocess
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest
import yaml
from mutations import mutants

from dashboard import servers
from dashboard.panels import PANELS
from helpers import alerts
from helpers.exporter import METRICS
from helpers.store import Store

PROMETHEUS = servers.FILES / "prometheus"
ALERTMANAGER = servers.FILES / "alertmanager" / "alertmanager.yml"
RUNBOOK = servers.FILES / "runbook.md"
LINK = "https://example.invalid/runbook#"
TESTS = {
    "drift": ["drift"],
    "supply": ["supply"],
    "outcomes": ["outcomes", "outcome_charts"],
    "alerts": ["alerts", "alerts_days"],
}
GROUPS = {
    name: yaml.safe_load((PROMETHEUS / f"rules/{name}.yml").read_text(encoding="utf-8"))["groups"]
    for name in TESTS
}
RULES = [rule for groups in GROUPS.values() for group in groups for rule in group["rules"]]
ALERTS = {rule["alert"]: rule for rule in RULES if "alert" in rule}
KNOWN = {rule["record"] for rule in RULES if "record" in rule} | set(METRICS) | {"up"}


def said(*command):
    done = subprocess.run([servers.find(command[0]), *map(str, command[1:])], capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


# Sound.


@pytest.mark.parametrize(
    "command",
    [
        ("promtool", "check", "config", PROMETHEUS / "prometheus.yml"),
        ("promtool", "check", "rules", *sorted((PROMETHEUS / "rules").glob("*.yml"))),
        ("amtool", "check-config", ALERTMANAGER),
    ],
    ids=lambda command: " ".join(command[:-1][:3]),
)
def test_configuration_is_valid(command, needs_prometheus):
    code, words = said(*command)
    assert code == 0, words


def names_in(expressions):
    """Return the series that some PromQL asks for."""
    pattern = r"\b(?:embedding_drift|search|segment)[\w:]*[_:]\w+\b|\bup\b"
    return {name for each in expressions for name in re.findall(pattern, each)}


def test_rules_go_by_what_is_exported_or_recorded_and_every_name_is_used_once():
    recorded = [(rule["record"], str(rule.get("labels"))) for rule in RULES if "record" in rule]
    assert len(set(recorded)) == len(recorded)
    used = names_in(rule["expr"] for rule in RULES)
    assert used <= KNOWN
    assert len(used) > 30


def test_numpy_has_the_constants_of_the_rules():
    def seconds(rule, key):
        number, unit = int(rule.get(key, "0s")[:-1]), rule.get(key, "0s")[-1]
        return number * servers.UNITS[unit]

    expected = {
        name: (*rule["labels"].values(), seconds(rule, "for"), seconds(rule, "keep_firing_for"))
        for name, rule in ALERTS.items()
    }
    assert {name: tuple(rule) for name, rule in alerts.RULES.items()} == expected
    for record, numbers in (
        ("search_outcome_objective_bad_ratio", alerts.OBJECTIVE),
        ("search_outcome_severe_burn_ratio", alerts.SEVERE_BURN),
    ):
        rules = [rule for rule in RULES if rule.get("record") == record]
        assert {rule["labels"]["outcome"]: rule["expr"] for rule in rules} == {
            outcome: f"vector({number:.2f})" if "objective" in record else f"vector({number:g})"
            for outcome, number in numbers.items()
        }


def test_no_severe_level_is_beyond_what_can_happen():
    assert {name: burn * alerts.OBJECTIVE[name] < 1 for name, burn in alerts.SEVERE_BURN.items()} == (
        dict.fromkeys(alerts.OBJECTIVE, True)
    )


def test_scrapes_are_bounded_and_addresses_are_loopback():
    config = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text(encoding="utf-8"))
    (job,) = config["scrape_configs"]
    assert job["job_name"] == "embedding-drift"
    most = 51 * 60  # segments by samples of each, roughly
    assert job["sample_limit"] > 1.5 * most
    assert {"label_limit", "label_value_length_limit", "body_size_limit"} < set(job)
    targets = [json.loads(path.read_text()) for path in sorted((PROMETHEUS / "targets").glob("*.json"))]
    assert [group[0]["targets"][0].split(":")[0] for group in targets] == [servers.HOST, servers.HOST]
    assert set(re.findall(r"http://([^:/]+)", ALERTMANAGER.read_text())) == {servers.HOST}


# Tested.


@pytest.mark.parametrize("path", sorted((PROMETHEUS / "tests").glob("*.yml")), ids=lambda path: path.stem)
def test_rules_do_what_their_unit_tests_say(path, needs_prometheus):
    code, words = said("promtool", "test", "rules", path)
    assert code == 0, words


@pytest.mark.parametrize("path", sorted((PROMETHEUS / "tests").glob("*.yml")), ids=lambda path: path.stem)
def test_rules_do_the_same_where_windows_leave_out_their_early_edge(path, needs_prometheus, tmp_path):
    """As in Prometheus 3: no sample lies a second from an edge, so a second less is the same window."""

    def shorter(found):
        return f"[{int(found[1]) * servers.UNITS[found[2]] - 1}s]"

    (tmp_path / "rules").mkdir()
    for rules in (PROMETHEUS / "rules").glob("*.yml"):
        text = rules.read_text(encoding="utf-8")
        (tmp_path / "rules" / rules.name).write_text(re.sub(r"\[(\d+)([hd])\]", shorter, text))
    (tmp_path / "tests").mkdir()
    copy = tmp_path / "tests" / path.name
    copy.write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
    code, words = said("promtool", "test", "rules", copy)
    assert code == 0, words


def cases(file, name):
    """Return the unit tests of a file of rules one by one, those first that name a rule: most end there."""
    out = []
    for test in TESTS[file]:
        text = (PROMETHEUS / f"tests/{test}_test.yml").read_text(encoding="utf-8")
        head, *each = re.split(r"(?m)^(?=  - name: )", text)
        out += [head + case for case in each]
    return sorted(out, key=lambda text: re.search(rf"(?<![\w:]){name}(?![\w:])", text) is None)


def survives(folder, file, place, what, mutant):
    """Run the unit tests on a file with a changed rule; return what was changed if they notice nothing."""
    group, number = place
    groups = [dict(each, rules=list(each["rules"])) for each in GROUPS[file]]
    rule, groups[group]["rules"][number] = groups[group]["rules"][number], mutant
    name = rule.get("alert") or rule["record"]
    for each in ("rules", "tests"):
        (folder / each).mkdir(parents=True)
    (folder / f"rules/{file}.yml").write_text(yaml.safe_dump({"groups": groups}))
    path = folder / "tests/one_test.yml"
    for text in cases(file, name):
        path.write_text(text, encoding="utf-8")
        code, words = said("promtool", "test", "rules", path)
        if code:
            assert " exp" in words, f"{what} makes no rule: {words}"  # an expectation failed, not the syntax
            return None
    return f"{name} {rule.get('labels', '')}: {what}"


@pytest.mark.parametrize("file", TESTS)
def test_unit_tests_notice_every_change_of_a_rule(file, needs_prometheus, tmp_path):
    jobs = [
        ((group, number), what, mutant)
        for group, rules in enumerate(GROUPS[file])
        for number, rule in enumerate(rules["rules"])
        for what, mutant in mutants(rule)
    ]
    assert len({place for place, _, _ in jobs}) == sum(len(group["rules"]) for group in GROUPS[file])
    with ThreadPoolExecutor(2) as pool:
        done = pool.map(lambda job: survives(tmp_path / str(job[0]), file, *job[1]), enumerate(jobs))
        assert [each for each in done if each] == []


# Routed.


def receiver_of(**labels):
    pairs = [f"{name}={value}" for name, value in labels.items()]
    command = [servers.find("amtool"), "config", "routes", "test", f"--config.file={ALERTMANAGER}", *pairs]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_every_alert_reaches_the_receiver_of_its_severity(needs_prometheus):
    for name, rule in ALERTS.items():
        expected = {"page": "page", "ticket": "ticket", "none": "deadman"}[rule["labels"]["severity"]]
        assert receiver_of(alertname=name, **rule["labels"], segment="web", job="embedding-drift") == expected


def test_nothing_falls_on_the_floor(needs_prometheus):
    for labels in ({}, {"severity": "critical"}, {"severity": "none", "alertname": "Other"}, {"job": "x"}):
        assert receiver_of(**labels) == "ticket"


@pytest.fixture(scope="module")
def inhibited(needs_prometheus, tmp_path_factory):
    """Post alerts to a live Alertmanager; ask it which of them it holds back."""
    folder = tmp_path_factory.mktemp("alertmanager")
    config = folder / "alertmanager.yml"
    config.write_text(ALERTMANAGER.read_text().replace(":9099/", f":{servers.free_port()}/"))
    server = servers.alertmanager(config, folder / "data", servers.free_port())
    url = f"{server.url}/api/v2/alerts"

    def ask(job, fires):
        body = [
            {"labels": {"job": job, "alertname": name, **ALERTS[name]["labels"], **labels}}
            for name, labels in fires
        ]
        head = {"Content-Type": "application/json"}
        urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode(), head), timeout=10)

        def held():
            found = json.loads(servers.get(url, filter=f'job="{job}"'))
            by = {place(each["labels"]): bool(each["status"]["inhibitedBy"]) for each in found}
            return by if len(by) == len(fires) else None

        return servers.wait_for(held, f"{len(fires)} alerts of {job}")

    try:
        server.start()
        yield ask
    finally:
        server.stop()


def place(labels):
    return " ".join(labels[key] for key in ("alertname", "segment", "outcome") if key in labels)


WEB, MOBILE = {"segment": "web"}, {"segment": "mobile"}
NO_NUMBERS = ("DriftMetricsAbsent", "DriftTrafficStale")
STALE = ("DriftCheckStale", "DriftWindowTooSmall")
# What fires, and which of it is held back; "!" marks these.
INHIBITIONS = {
    "a drift page holds back the tickets of its segment": [
        ("EmbeddingDriftWithOutcomeDegradation", WEB),
        ("!EmbeddingDriftSustained", WEB),
        ("!SearchOutcomeDegraded", WEB | {"outcome": "failure"}),
        ("EmbeddingDriftSustained", MOBILE),
        ("SearchOutcomeDegraded", MOBILE | {"outcome": "failure"}),
        ("SearchProbesFailing", {}),
    ],
    "a supply page holds back the tickets of its job": [
        ("SearchSupplyWithOutcomeDegradation", {}),
        ("!EmbeddingDriftSustained", WEB),
        ("!SearchOutcomeDegraded", MOBILE | {"outcome": "no_click"}),
        ("!SearchProbesFailing", {}),
        ("DriftCheckStale", WEB),
        ("EmbeddingDriftWithOutcomeDegradation", WEB),
    ],
    "a severe outcome holds back what is said of outcomes in its segment": [
        ("SearchOutcomeSevere", WEB | {"outcome": "failure"}),
        ("!SearchOutcomeDegraded", WEB | {"outcome": "no_click"}),
        ("SearchOutcomeDegraded", MOBILE | {"outcome": "no_click"}),
        ("EmbeddingDriftSustained", WEB),
    ],
    "an exporter that is down explains what is absent, stale and small, and ends no page": [
        ("DriftExporterDown", {"instance": "a"}),
        *((f"!{name}", {}) for name in NO_NUMBERS),
        *((f"!{name}", WEB) for name in STALE),
        ("DriftClockSkew", {}),
        ("SearchOutcomeSevere", WEB | {"outcome": "failure"}),
    ],
    "so does a file that cannot be read": [
        ("DriftFileUnreadable", {"instance": "a"}),
        *((f"!{name}", {}) for name in NO_NUMBERS),
        *((f"!{name}", WEB) for name in STALE),
    ],
    "so do numbers that are absent": [
        ("DriftMetricsAbsent", {}),
        ("!DriftTrafficStale", {}),
        *((f"!{name}", WEB) for name in STALE),
    ],
    "without traffic checks are old, but a day is not small": [
        ("DriftTrafficStale", {}),
        ("!DriftCheckStale", WEB),
        ("DriftWindowTooSmall", WEB),
    ],
    "tickets hold back nothing": [
        ("EmbeddingDriftSustained", WEB),
        ("SearchOutcomeDegraded", WEB | {"outcome": "failure"}),
        ("SearchProbesFailing", {}),
        ("DriftCheckStale", WEB),
        ("DriftWindowTooSmall", WEB),
    ],
}


@pytest.mark.parametrize("story", INHIBITIONS)
def test_inhibition(story, inhibited):
    fires = [(name.lstrip("!"), labels) for name, labels in INHIBITIONS[story]]
    expected = {
        place({"alertname": name.lstrip("!"), **labels}): name.startswith("!")
        for name, labels in INHIBITIONS[story]
    }
    servers.wait_for(lambda: inhibited(story, fires) == expected, story, seconds=10)


# Explained.


def test_every_alert_has_its_section_in_the_runbook_and_every_link_its_anchor():
    titles = re.findall(r"(?m)^## (.+)$", RUNBOOK.read_text(encoding="utf-8"))
    anchors = {title.lower().replace(" ", "-") for title in titles}
    assert set(ALERTS) <= set(titles)
    links = {name: rule["annotations"]["runbook_url"] for name, rule in ALERTS.items()}
    assert links == {name: LINK + name.lower() for name in ALERTS}
    assert {link.removeprefix(LINK) for link in links.values()} <= anchors


def pasted(language):
    """What the runbook says to paste."""
    return re.findall(rf"{language}: `([^`]+)`", RUNBOOK.read_text(encoding="utf-8"))


def test_sql_of_the_runbook_runs(tmp_path):
    store = Store(tmp_path / "monitor.sqlite")
    for query in pasted("SQL"):
        store.rows(query)
    store.close()
    assert len(pasted("SQL")) >= 10


def test_promql_of_the_runbook_asks_for_what_there_is(needs_prometheus, tmp_path):
    rules = [{"record": f"pasted:{n}", "expr": query} for n, query in enumerate(pasted("PromQL"))]
    assert len(rules) >= 15
    path = tmp_path / "rules.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "runbook", "rules": rules}]}))
    code, words = said("promtool", "check", "rules", "--lint=none", path)
    assert code == 0, words
    assert names_in(rule["expr"] for rule in rules) <= KNOWN


def test_panels_of_the_runbook_are_on_the_dashboard():
    text = " ".join(RUNBOOK.read_text(encoding="utf-8").split())
    named = set(re.findall(r"[Pp]anel \*([^*]+)\*", text))
    assert named <= {panel.title for panel in PANELS}
    assert len(named) > 10


def test_each_section_says_what_to_look_at_and_when_to_wake_somebody():
    for section in re.split(r"(?m)^## ", RUNBOOK.read_text(encoding="utf-8"))[1:]:
        name = section.splitlines()[0]
        parts = re.findall(r"(?m)^\*\*([\w ]+)\.\*\*", section)
        assert parts == ["Means", "Look", "Usually", "Wake somebody", "Over"], name
        assert re.findall(r"(?m)^(\d)\. ", section) == ["1", "2", "3"], name
