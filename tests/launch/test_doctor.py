"""The doctor names each thing that keeps the series from running, says what to do, and else is content."""

import errno
import os
import re
import subprocess
import sys
from collections import namedtuple
from contextlib import ExitStack
from pathlib import Path

import pytest

import playbook
from tools import doctor, inside
from tools.doctor import ProblemError
from tools.environments import Environment

ROOT = Path(__file__).resolve().parents[2]
Disk = namedtuple("Disk", "total used free")


@pytest.fixture
def ready(monkeypatch):
    """An environment that is set up: the one at work."""
    monkeypatch.setattr(Environment, "missing", lambda self: [])
    monkeypatch.setattr(Environment, "python", sys.executable)
    return playbook.HOME


@pytest.fixture
def bare(monkeypatch):
    """An environment that is not set up yet."""
    monkeypatch.setattr(Environment, "missing", lambda self: list(self.locks))
    return playbook.HOME


def lines(said):
    return {line.split()[1]: line.split()[0] for line in said.splitlines() if line[:1] in "op" and line}


# --- the whole visit ------------------------------------------------------------------------


def test_a_machine_that_is_ready_has_no_problem(ready, monkeypatch, capsys):
    monkeypatch.setattr(doctor, "memory", lambda: "enough")
    monkeypatch.setattr(doctor, "disk", lambda environment: "enough")
    assert playbook.main(["doctor"]) == 0
    said = capsys.readouterr().out
    assert set(lines(said).values()) == {"ok"} and len(lines(said)) == 10
    assert re.search(r"^ok +kernel +starts, and knows that 1 \+ 1 is 2\.$", said, re.MULTILINE)
    assert re.search(r"^ok +packages +all \d+ installed\.$", said, re.MULTILINE)
    assert said.endswith("This machine is ready.\n")


def test_before_the_set_up_the_doctor_says_how_to_set_up_and_sets_nothing_up(bare, monkeypatch, capsys):
    monkeypatch.setattr(playbook, "set_up", lambda environment: pytest.fail("must not set up"))
    monkeypatch.setattr(doctor, "memory", lambda: "enough")
    monkeypatch.setattr(doctor, "disk", lambda environment: "enough")
    assert playbook.main(["doctor"]) == 1
    said = capsys.readouterr().out
    assert lines(said)["packages"] == "problem" and "playbook.py setup" in said
    assert list(lines(said).values()).count("problem") == 1 and said.endswith("1 to mend.\n")


def test_a_problem_does_not_keep_the_other_checks_from_running(bare, monkeypatch, capsys):
    monkeypatch.setattr(doctor, "free_memory", lambda: 0.3)
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda path: Disk(1e10, 1e10, 1e8))
    assert doctor.main(bare) == 1
    marks = lines(capsys.readouterr().out)
    assert [name for name, mark in marks.items() if mark == "problem"] == ["disk", "memory", "packages"]
    assert marks["kernel"] == "ok"


# --- one fault at a time --------------------------------------------------------------------


@pytest.mark.parametrize("lost", ["venv", "ensurepip"])
def test_python_without_environments(lost, monkeypatch):
    there = doctor.importlib.util.find_spec
    monkeypatch.setattr(
        doctor.importlib.util, "find_spec", lambda name: None if name == lost else there(name)
    )
    with pytest.raises(ProblemError, match=rf"{lost} missing.*apt install python3\.\d+-venv"):
        doctor.environments()


def test_python_newer_than_the_tested_ones_is_no_problem_but_said(monkeypatch):
    assert "tested" not in doctor.python()
    monkeypatch.setattr(doctor.sys, "version_info", (3, 99, 0))
    assert doctor.python().startswith("3.99.0; tested are 3.11 to 3.13")


def test_full_disk(bare, monkeypatch):
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda path: Disk(1e10, 9e9, 1e9))
    with pytest.raises(ProblemError, match=r"^1\.0 GB free, 2\.0 GB wanted\. Delete"):
        doctor.disk(bare)


def test_what_is_set_up_needs_little_more_disk(ready, monkeypatch):
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda path: Disk(1e10, 9e9, 1e9))
    assert doctor.disk(ready) == "1 GB free"


def test_no_memory(monkeypatch):
    monkeypatch.setattr(doctor, "free_memory", lambda: 0.7)
    with pytest.raises(ProblemError, match=r"^0\.7 GB free, 1\.5 GB wanted\. Close"):
        doctor.memory()


def test_memory_that_cannot_be_told_is_no_problem(monkeypatch):
    monkeypatch.setattr(doctor, "free_memory", lambda: None)
    assert "does not say" in doctor.memory()


def test_memory_of_this_machine_is_believable():
    assert doctor.free_memory() is None or 0.05 < doctor.free_memory() < 10_000


def test_folder_that_cannot_be_written(monkeypatch):
    def refuse(dir):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(dir))

    assert doctor.folder() == "can be written"
    monkeypatch.setattr(doctor.tempfile, "TemporaryFile", refuse)
    with pytest.raises(ProblemError, match=r"cannot be written \(Permission denied\)\. Move"):
        doctor.folder()


def test_port_that_is_taken_is_passed_over_and_all_taken_is_a_problem(monkeypatch):
    with ExitStack() as held:
        taken = [
            held.enter_context(doctor.socket.create_server(("127.0.0.1", 0))).getsockname()[1]
            for _ in range(3)
        ]
        monkeypatch.setattr(doctor, "PORTS", taken)
        with pytest.raises(ProblemError, match=rf"^{taken[0]} to {taken[-1]} are all taken.*--port 9999"):
            doctor.port()
    assert doctor.port() == f"{taken[0]} is free"


def test_loopback_that_is_shut(monkeypatch):
    def refuse(address):
        raise OSError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(doctor.socket, "create_connection", refuse)
    with pytest.raises(ProblemError, match="nothing can listen.*firewall"):
        doctor.port()


def test_package_of_another_version(monkeypatch):
    monkeypatch.setattr(inside, "version", lambda name: "0.0.1" if name == "numpy" else inside_version(name))
    with pytest.raises(SystemExit, match=r"^1 of \d+ packages missing or of another version: numpy$"):
        inside.packages()


inside_version = inside.version


def test_damaged_environment_says_what_to_delete(ready, monkeypatch):
    answer = subprocess.CompletedProcess([], 1, "", "ModuleNotFoundError: No module named 'packaging'\n")
    monkeypatch.setattr(doctor.subprocess, "run", lambda *args, **options: answer)
    message = r"\.venv is damaged\. Delete the folder \.venv and run `playbook.py setup` \(ModuleNotFound"
    with pytest.raises(ProblemError, match=message):
        doctor.packages(ready)


def test_environment_whose_python_is_gone(ready, monkeypatch):
    monkeypatch.setattr(Environment, "python", "/nowhere/python")
    with pytest.raises(ProblemError, match="Delete the folder"):
        doctor.packages(ready)


def test_kernel_that_dies(ready, monkeypatch, tmp_path):
    (tmp_path / "ipykernel_launcher.py").write_text("raise SystemExit('broken kernel')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(ProblemError, match="no kernel answers.*Kernel died"):
        doctor.kernel(ready)


def test_kernel_that_never_answers(ready, monkeypatch, tmp_path):
    (tmp_path / "ipykernel_launcher.py").write_text("import threading; threading.Event().wait(30)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(doctor, "KERNEL_SECONDS", 2)
    with pytest.raises(ProblemError, match="no kernel answers.*nothing after 2 s"):
        doctor.kernel(ready)


@pytest.mark.parametrize(
    ("check", "name", "said"),
    [(doctor.git, "shutil", "fetch newer versions"), (doctor.browser, "webbrowser", "copy the link")],
)
def test_what_can_be_done_without_is_no_problem(check, name, said, monkeypatch):
    def none(*args):
        raise doctor.webbrowser.Error

    monkeypatch.setattr(doctor.shutil, "which", lambda program: None)
    monkeypatch.setattr(doctor.webbrowser, "get", none)
    assert said in check()


def test_a_text_browser_does_not_count(monkeypatch):
    monkeypatch.setattr(doctor.webbrowser, "get", lambda: doctor.webbrowser.GenericBrowser("lynx"))
    assert not doctor.has_browser()
