"""Starting and stopping: nothing is left behind, nothing is open, and failures say what is wrong."""

import doctest
import os
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest
import yaml

from dashboard import demo, servers
from dashboard.history import UP, History, Story
from dashboard.servers import FILES, HOST, ROOT, Server, faster, free_port, get, wait_for


def exists(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.parametrize(
    ("text", "factor", "expected"),
    [
        ("rate(a_total[1d])", 86400, "rate(a_total[1000ms])"),
        ("for: 30m  # not three", 1800, "for: 1000ms  # not three"),
        ("a:increase1d > 2 * 86400", 100, "a:increase1d > 2 * 864"),
        ("age < -600", 60, "age < -10"),
        ("sample_limit: 6000", 10, "sample_limit: 6000"),
        ("group_wait: 0s", 10, "group_wait: 0ms"),
        ("interval: 1m", 6000, "interval: 250ms"),
        ("keep_firing_for: 36h", 1, "keep_firing_for: 36h"),
    ],
)
def test_durations_are_divided_and_nothing_else(text, factor, expected):
    assert faster(text, factor, least=0.25) == expected


def test_the_example_shows_what_happens():
    assert doctest.testmod(servers) == (0, 1)


def test_the_quick_configuration_is_the_operators_but_for_times_and_addresses(tmp_path):
    servers.configure(tmp_path, exporter=1, alertmanager=2, webhook=3, factor=8640)
    for path in sorted((FILES / "prometheus" / "rules").glob("*.yml")):
        theirs, ours = (
            [rule for group in yaml.safe_load(each.read_text())["groups"] for rule in group["rules"]]
            for each in (path, tmp_path / path.relative_to(FILES))
        )
        names = [[rule.get("record", rule.get("alert")) for rule in rules] for rules in (theirs, ours)]
        assert names[0] == names[1] != []
        assert [rule.get("labels") for rule in theirs] == [rule.get("labels") for rule in ours]
        assert [set(rule) for rule in theirs] == [set(rule) for rule in ours]
    routes = (tmp_path / "alertmanager" / "alertmanager.yml").read_text()
    assert f"{HOST}:3/page" in routes and "9099" not in routes


def test_a_taken_port_is_not_given():
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert free_port(port) != port


def test_a_program_that_ends_says_its_last_words(tmp_path):
    command = [sys.executable, "-c", "raise SystemExit('no such disk')"]
    server = Server(command, f"http://{HOST}:{free_port()}", "/", tmp_path / "log")
    with pytest.raises(ChildProcessError, match="no such disk"):
        server.start()
    server.stop()


def test_a_missing_program_is_named(monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert servers.missing() == ["prometheus", "promtool", "alertmanager", "amtool", "sh"]
    with pytest.raises(FileNotFoundError, match="'promtool' is not on the PATH"):
        servers.find("promtool")


def test_waiting_ends_and_names_what_did_not_come():
    with pytest.raises(TimeoutError, match="a miracle"):
        wait_for(lambda: False, "a miracle", seconds=0.1)


LEAVE = """
import os, pathlib, psutil, signal
from dashboard.servers import Server
server = Server({command!r}, {url!r}, "/", pathlib.Path({log!r}))
server.start()
print(*[each.pid for each in psutil.Process(server.process.pid).children(recursive=True)], flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def web(tmp_path):
    """A command that serves an empty folder, its address, and where to log."""
    (tmp_path / "empty").mkdir()
    port = free_port()
    command = [sys.executable, "-m", "http.server", "--bind", HOST, "--directory", str(tmp_path / "empty")]
    return [*command, str(port)], f"http://{HOST}:{port}", tmp_path / "log"


def test_a_server_dies_with_whoever_started_it(web):
    command, url, log = web
    program = LEAVE.format(command=command, url=url, log=str(log))
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    pids = [int(pid) for pid in done.stdout.split()]
    assert pids
    wait_for(lambda: not any(map(exists, pids)), "the end of the server")


def test_stop_and_kill_leave_nothing_and_it_can_start_again(web):
    command, url, log = web
    server = Server(command, url, "/", log)
    for end in (server.stop, server.kill):
        server.start()
        programs = psutil.Process(server.process.pid).children(recursive=True)
        assert programs and servers.answers(url)
        end()
        wait_for(lambda programs=programs: not any(exists(each.pid) for each in programs), "the end of it")
        assert not servers.answers(url)
    server.stop()


# The demo.


@pytest.fixture
def two_days(monkeypatch):
    """A history that is quick to make."""
    t = np.arange(0, 2 * 86400, 3600.0)
    history = History(t, {UP: np.ones(len(t))}, [Story("Nothing happens", 0, 86400, "nothing")])
    monkeypatch.setattr(demo, "twelve_weeks", lambda end: history)


def test_without_the_servers_the_demo_says_how_to_get_them_and_writes_the_page(
    two_days, monkeypatch, tmp_path, capsys
):
    monkeypatch.setattr(demo, "missing", lambda: ["prometheus", "promtool"])
    monkeypatch.chdir(tmp_path)
    assert demo.main([]) == 0
    said = capsys.readouterr().out
    assert "does not find: prometheus, promtool" in said
    assert "sudo systemctl disable --now prometheus prometheus-alertmanager" in said
    written = (tmp_path / demo.PAGE).read_text(encoding="utf-8")
    assert "Nothing happens" in written and (tmp_path / demo.PAGE).as_uri() in said


def test_the_page_is_written_where_one_says(two_days, tmp_path):
    assert demo.main(["--page", str(tmp_path / "here.html")]) == 0
    assert "Nothing happens" in (tmp_path / "here.html").read_text(encoding="utf-8")


def test_the_demo_starts_answers_and_stops_without_a_trace(needs_prometheus, tmp_path):
    said = tmp_path / "said"
    with said.open("w") as out:
        child = subprocess.Popen(
            [sys.executable, "-m", "dashboard"],
            cwd=ROOT,
            stdout=out,
            stderr=out,
            env={**os.environ, "TMPDIR": str(tmp_path)},
        )
    try:
        wait_for(lambda: child.poll() is not None or "Ctrl-C" in said.read_text(), "the addresses", 300)
        words = said.read_text().split()
        address = {name: words[words.index(name) + 1] for name in ("dashboard", "Alertmanager", "metrics")}
        programs = psutil.Process(child.pid).children(recursive=True)
        listening = [
            each.laddr.ip
            for program in programs
            for each in program.net_connections("inet")
            if each.status == psutil.CONN_LISTEN
        ]
        assert listening == [HOST] * 3
        assert b"<title>" in get(address["dashboard"])
        assert b"search_queries_total" in get(address["metrics"])
        url = address["dashboard"].rsplit("/consoles", 1)[0]
        yesterday = servers.ask(url, "segment:search_outcomes_degraded:count", time=time.time() - 86400)
        assert len(yesterday) == 4
        child.send_signal(signal.SIGTERM)
        assert child.wait(60) == 0
        assert not any(exists(each.pid) for each in programs)
        assert "Traceback" not in said.read_text()
    finally:
        child.kill()
        child.wait()
