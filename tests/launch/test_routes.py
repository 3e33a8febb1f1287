"""What starts the series elsewhere names only what exists: Binder's start, the dev container, workflows."""

import http.server
import json
import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import yaml

import playbook
from tests.launch import follow_links

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
posix_only = pytest.mark.skipif(os.name == "nt", reason="Binder and dev containers are Linux")


def assert_exists(command):
    """A command of a workflow or container names a job of the entrance, a file, or a plain git command."""
    words = command.split()
    if words[:2] == ["git", "diff"]:
        assert all((ROOT / name).exists() for name in words[3:])
        return
    assert words[0] in ("python", "python3") and (ROOT / words[1]).is_file(), command
    if words[1] == "playbook.py":
        assert words[2] in playbook.JOBS, command


# --- Binder ---------------------------------------------------------------------------------


@posix_only
def test_binders_start_gives_one_thread_and_runs_what_it_is_given():
    show = "import os, sys; e = os.environ; "
    show += "print(e['OMP_NUM_THREADS'], e['OPENBLAS_NUM_THREADS'], *sys.argv[1:])"
    bare = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    done = subprocess.run(
        [ROOT / "start", sys.executable, "-c", show, "two words"], env=bare, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, "1 1 two words\n")
    failed = subprocess.run([ROOT / "start", sys.executable, "-c", "raise SystemExit(3)"])
    assert failed.returncode == 3


def test_nothing_hides_the_list_from_binder():
    assert not [name for name in ("binder", ".binder", "Dockerfile", "postBuild") if (ROOT / name).exists()]


# --- the dev container ----------------------------------------------------------------------


def test_dev_container_sets_up_with_the_entrance():
    container = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text())
    for command in container["postCreateCommand"].split(" && "):
        assert_exists(command)
    assert re.fullmatch(r"[\w./-]+/python:3\.11", container["image"])
    assert container["forwardPorts"] == [8888] and "8888" in container["portsAttributes"]
    assert "appPort" not in container, "a forwarded port is the reader's alone, a published one is not"


# --- GitHub's workflows ---------------------------------------------------------------------


@pytest.fixture(params=WORKFLOWS, ids=lambda path: path.name)
def workflow(request):
    return yaml.safe_load(request.param.read_text())


def steps_of(workflow):
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


def test_every_workflow_is_there():
    assert {path.stem for path in WORKFLOWS} == {"tests", "newest", "links", "pages"}


def test_workflow_runs_only_what_exists(workflow):
    for step in steps_of(workflow):
        for command in step.get("run", "").splitlines():
            assert_exists(command)


def test_actions_are_pinned_to_a_commit_and_come_from_github(workflow):
    used = [step["uses"] for step in steps_of(workflow) if "uses" in step]
    assert used
    assert [name for name in used if not re.fullmatch(r"actions/[\w-]+@[0-9a-f]{40}", name)] == []


def test_a_pin_says_the_same_version_everywhere():
    pins = {
        found for path in WORKFLOWS for found in re.findall(r"uses: (\S+)@(\w+) # (v\S+)", path.read_text())
    }
    assert len(pins) == len({action for action, _, _ in pins})


def test_workflow_may_do_no_more_than_it_must(workflow):
    assert workflow["permissions"] == {"contents": "read"}
    extra = [job["permissions"] for job in workflow["jobs"].values() if "permissions" in job]
    assert extra == ([{"pages": "write", "id-token": "write"}] if workflow["name"] == "pages" else [])
    assert "secrets." not in json.dumps(workflow, default=str)


def test_workflow_ends_and_does_not_pile_up(workflow):
    assert workflow["concurrency"]["group"]
    assert all(job["timeout-minutes"] <= 90 for job in workflow["jobs"].values())


def test_tests_run_on_three_systems_and_all_supported_pythons():
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "tests.yml").read_text())["jobs"]
    matrices = [job["strategy"]["matrix"] for job in jobs.values()]
    assert all(matrix["python"] == ["3.11", "3.12", "3.13"] for matrix in matrices)
    systems = {jobs["linux"]["runs-on"], *jobs["elsewhere"]["strategy"]["matrix"]["system"]}
    assert {name.split("-")[0] for name in systems} == {"ubuntu", "macos", "windows"}


# --- links ----------------------------------------------------------------------------------


class Answer(http.server.BaseHTTPRequestHandler):
    """Answers 404 to /gone, 503 to the first visit of /busy, else 200."""

    busy = 1

    def do_GET(self):  # noqa: N802
        code = 404 if self.path == "/gone" else 200
        if self.path == "/busy" and Answer.busy:
            Answer.busy -= 1
            code = 503
        self.send_response(code)
        self.end_headers()

    def log_message(self, *args):
        pass


@pytest.fixture
def address(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(follow_links.time, "sleep", lambda seconds: None)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def test_links_are_followed_and_what_leads_nowhere_is_named(address, tmp_path, monkeypatch, capsys):
    (tmp_path / "README.md").write_text(
        f"# One\n[a]({address}/here) [b]({address}/gone) [c]({address}/busy) [d](other.md#two-words)\n"
        "[e](other.md#three) [f](nowhere.md) `[g](code.md)`\n```\n[h](code.md)\n```\n"
    )
    (tmp_path / "other.md").write_text("# Two words\n[back](README.md)\n")
    monkeypatch.setattr(sys, "argv", ["follow_links.py", "--web"])
    assert follow_links.main(tmp_path) == 1
    assert capsys.readouterr().out.splitlines() == [
        f"README.md: {address}/gone: answers 404",
        "README.md: nowhere.md: no such file",
        "README.md: other.md#three: no such heading",
        "7 links followed, 3 lead nowhere.",
    ]


def test_every_link_to_a_file_of_the_project_leads_somewhere(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["follow_links.py"])
    assert follow_links.main() == 0, capsys.readouterr().out
