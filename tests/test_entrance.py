"""playbook.py says what exists, leaves with the right code, and never uses half an environment."""

import ast
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zipfile
from pathlib import Path

import pytest

import playbook
from tools import environments
from tools.environments import Environment
from tools.progress import Progress

ROOT = Path(__file__).resolve().parent.parent
posix_only = pytest.mark.skipif(os.name == "nt", reason="signals as a terminal sends them")


def enter(*args, root=ROOT, **options):
    """Run playbook.py as a user would."""
    command = [sys.executable, str(root / "playbook.py"), *args]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, **options)


# --- what it says ---------------------------------------------------------------------------


def test_help_has_a_line_for_each_job():
    done = enter("--help")
    assert done.returncode == 0
    for job in playbook.JOBS:
        assert re.search(rf"^  {job} +[A-Z].+\.?$", done.stdout, re.MULTILINE)


@pytest.mark.parametrize("job", playbook.JOBS)
def test_every_job_explains_itself(job, monkeypatch, capsys):
    monkeypatch.setattr(Environment, "missing", lambda self: list(self.locks))
    try:
        assert playbook.main([job, "--help"]) == 0
    except SystemExit as done:
        assert done.code == 0
    assert f"usage: playbook.py {job}" in (said := capsys.readouterr().out)
    assert " ".join(playbook.JOBS[job].__doc__.split()) in " ".join(said.split())


@pytest.mark.parametrize(
    ("args", "exists"),
    [
        (["nonsense"], ", ?".join(playbook.JOBS)),
        (["--nonsense"], ", ?".join(playbook.JOBS)),
        (["open", "--nonsense"], "--no-browser"),
        (["open", "77"], r"no notebook 77 \(there are: 00\b"),
        (["run", "--nonsense"], "notebook"),
        (["lock", "--nonsense"], "--upgrade"),
        (["links", "--nonsense"], "--unset"),
        (["doctor", "--nonsense"], "usage: playbook.py doctor"),
    ],
)
def test_wrong_words_are_answered_with_what_exists(args, exists):
    done = enter(*args)
    assert done.returncode == 2
    assert re.search(exists, done.stderr.replace("'", ""))
    assert "Traceback" not in done.stderr


def test_old_python_is_told_what_to_do():
    source = (ROOT / "playbook.py").read_text()
    ast.parse(source, feature_version=(3, 8))
    pretend = "import sys, runpy; sys.version_info = (3, 9, 1); runpy.run_path('playbook.py')"
    done = subprocess.run([sys.executable, "-c", pretend], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert "needs Python 3.11 or newer; this is Python 3.9.1" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("output", "advice"),
    [
        ("OSError: [Errno 28] No space left on device", "disk is full"),
        ("Temporary failure in name resolution ... No matching distribution", "network"),
        ("ERROR: No matching distribution found for toy==9", "no build"),
        ("something never seen", "run this again"),
    ],
)
def test_remedies(output, advice):
    assert advice in environments.remedy_for(output)


# --- what it passes on ----------------------------------------------------------------------


@pytest.fixture
def called(monkeypatch):
    """Catch the command of a job instead of running it."""
    calls = []

    def call(command, variables=None, cwd=None, patient=False):
        calls.append((command, variables or {}, cwd))
        return 7

    monkeypatch.setattr(playbook, "call", call)
    monkeypatch.setattr(playbook, "set_up", lambda environment: None)
    return calls


@pytest.mark.parametrize("job", ["run", "test", "figures", "report", "site", "slides"])
def test_exit_code_of_the_job_is_passed_on(job, called):
    assert playbook.main([job]) == 7


def test_arguments_are_passed_on(called):
    playbook.main(["test", "-k", "word", "--maxfail=1"])
    playbook.main(["report", "--current", "B.npy"])
    playbook.main(["run", "00", "03"])
    playbook.main(["run", "00", "--measure"])
    playbook.main(["site", "--out", "here"])
    assert [command[-n:] for (command, _, _), n in zip(called, (3, 2, 2, 2, 2), strict=True)] == [
        ["-k", "word", "--maxfail=1"],
        ["--current", "B.npy"],
        ["00", "03"],
        ["--measure", "00"],
        ["--out", "here"],
    ]


def test_each_job_runs_in_its_own_environment(called):
    for job in ("run", "test", "site", "slides"):
        playbook.main([job])
    pythons = [Path(command[0]).relative_to(ROOT).parts[0] for command, _, _ in called]
    assert pythons == [".venv", ".venv", ".venv-site", ".venv-site"]


def test_a_job_may_keep_what_it_compiled(monkeypatch):
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    ask = [sys.executable, "-c", "import sys; sys.exit(sys.dont_write_bytecode)"]
    assert environments.call(ask) == 0


def test_report_keeps_the_current_directory(called):
    playbook.main(["report"])
    [(command, env, cwd)] = called
    assert cwd is None and "-P" in command
    assert env["PYTHONPATH"].split(os.pathsep)[0] == str(ROOT)


def test_outputs_do_not_depend_on_the_machine_unless_you_say_so(called, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "5")
    playbook.main(["run"])
    [(_, env, _)] = called
    assert (env["OMP_NUM_THREADS"], env["OPENBLAS_NUM_THREADS"]) == ("1", "5")
    assert env["PYTHONHASHSEED"] == os.environ.get("PYTHONHASHSEED", "0")


def test_unknown_notebook_number_of_run():
    done = subprocess.run(
        [sys.executable, "-m", "tools.build", "77"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 2 and "There are: 0" in done.stderr


def test_setup_makes_the_environments_and_runs_nothing(called, monkeypatch, capsys):
    made = []
    monkeypatch.setattr(playbook, "set_up", made.append)
    assert playbook.main(["setup"]) == playbook.main(["setup", "--all"]) == 0
    assert made == [playbook.HOME, playbook.WITH_TOOLS, playbook.SITE] and called == []
    assert capsys.readouterr().out == "Everything is there.\n" * 2


# --- the set-up -----------------------------------------------------------------------------

SHOW = "import sys, toy; print('toy', toy.VALUE, *sys.argv[1:]); sys.exit(5)"


def make_wheel(folder, value, name="toy"):
    """Write the smallest package that pip installs without a network."""
    path = folder / f"{name}-{value}-py3-none-any.whl"
    info = f"{name}-{value}.dist-info"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(f"{name}.py", f"VALUE = {value}\n")
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {value}\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    return f"{name} @ {path.as_uri()}\n"


@pytest.fixture
def scratch(tmp_path, monkeypatch):
    """A copy of the entrance whose lock holds one package and whose job shows it."""
    root = tmp_path / "a folder with spaces"
    (root / "tools").mkdir(parents=True)
    shutil.copy(ROOT / "playbook.py", root)
    for name in ("doctor", "environments", "inside", "files", "links", "lock", "progress", "quietly"):
        shutil.copy(ROOT / "tools" / f"{name}.py", root / "tools")
    (root / "tools" / "figures.py").write_text(SHOW)
    (root / "requirements.txt").write_text(make_wheel(tmp_path, 1))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    return root


def stamp(root):
    return root / ".venv" / "playbook-stamp"


def test_set_up_happens_once_and_again_when_the_lock_changes(scratch, tmp_path):
    first = enter("figures", "--size", "3", root=scratch)
    assert (first.returncode, first.stdout) == (5, "toy 1 --size 3\n"), first.stderr
    assert "Setting up" in first.stderr

    second = enter("figures", root=scratch)
    assert (second.returncode, second.stdout, second.stderr) == (5, "toy 1\n", "")

    (scratch / "requirements.txt").write_text(make_wheel(tmp_path, 2))
    third = enter("figures", root=scratch)
    assert (third.returncode, third.stdout) == (5, "toy 2\n"), third.stderr


def test_tools_are_installed_on_top_when_a_job_needs_them(scratch, tmp_path):
    (scratch / "tools" / "requirements.txt").write_text(make_wheel(tmp_path, 3, "tool"))
    (scratch / "pytest.py").write_text("import toy, tool; print(toy.VALUE, tool.VALUE)")
    assert enter("figures", root=scratch).stdout == "toy 1\n"
    assert enter("test", root=scratch).stdout == "1 3\n"
    (scratch / "tools" / "requirements.txt").write_text("tool @ file:///nowhere/tool-1-py3-none-any.whl\n")
    failed = enter("test", root=scratch)
    assert failed.returncode == 1 and "The set-up failed." in failed.stderr
    assert enter("figures", root=scratch).stderr == "", "what was made before is still whole"


def test_failed_set_up_is_explained_and_not_used(scratch):
    (scratch / "requirements.txt").write_text("toy @ file:///nowhere/toy-1-py3-none-any.whl\n")
    for _ in range(2):
        done = enter("figures", root=scratch)
        assert (done.returncode, done.stdout) == (1, "")
        assert "nowhere" in done.stderr and "The set-up failed." in done.stderr
        assert "Traceback" not in done.stderr
        assert not stamp(scratch).exists()


@posix_only
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGKILL], ids=lambda number: number.name)
def test_interrupted_set_up_is_redone(scratch, sent):
    command = [sys.executable, str(scratch / "playbook.py"), "figures"]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # ignored in a shell's background
    ) as started:
        deadline = time.monotonic() + 30
        while not (scratch / ".venv" / "pyvenv.cfg").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        os.killpg(started.pid, sent)  # as Ctrl-C does: to the entrance and to what it started
        said = started.communicate(timeout=30)
    assert started.returncode == (130 if sent == signal.SIGINT else -signal.SIGKILL)
    assert said[0] == "" and "Traceback" not in said[1]
    assert (scratch / ".venv").exists() and not stamp(scratch).exists()

    again = enter("figures", root=scratch)
    assert (again.returncode, again.stdout) == (5, "toy 1\n"), again.stderr


@posix_only
def test_ctrl_c_ends_a_job_with_a_word(scratch):
    (scratch / "tools" / "figures.py").write_text(
        "import sys; print('at work', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-m", "tools.quietly", "tools.figures"],
        cwd=scratch,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as started:
        assert started.stdout.readline() == "at work\n"
        os.killpg(started.pid, signal.SIGINT)
        said = started.communicate(timeout=30)
    assert (started.returncode, *said) == (130, "", "\nStopped.\n")


def test_stamp_knows_lock_python_and_place(monkeypatch, tmp_path):
    lock = tmp_path / "lock.txt"
    lock.write_text("toy==1\n")
    here, there = (Environment(tmp_path / name, (lock,)) for name in ("here", "there"))
    known = {here.fingerprint(lock), there.fingerprint(lock)}
    monkeypatch.setattr(environments.platform, "python_version", lambda: "3.99.0")
    known.add(here.fingerprint(lock))
    lock.write_text("toy==2\n")
    known.add(here.fingerprint(lock))
    assert len(known) == 4


def test_progress_counts_what_pip_says(tmp_path):
    lock = tmp_path / "requirements.txt"
    lock.write_text("alpha==1\nbeta==2 ; os_name == 'nt'\ngamma==3\n")
    bar = Progress()
    seen = []
    read = environments.pip_progress(bar, Environment(tmp_path / ".venv", (lock,)), lock)
    for line in (
        "Ignoring beta: markers 'os_name == \"nt\"' don't match your environment",
        "Collecting alpha==1 (from -r requirements.txt (line 1))",
        "  Downloading alpha-1-py3-none-any.whl (134 kB)",
        "Processing ./gamma-3-py3-none-any.whl (from -r requirements.txt (line 3))",
        "Installing collected packages: alpha, gamma",
    ):
        read(line)
        seen.append((bar.label, bar.done, bar.total))
    assert seen[1] == ("collecting alpha", 1, 3)
    assert seen[2] == ("downloading alpha (134 kB)", 2, 3)
    assert seen[-1] == ("installing", 0, 2)


# --- JupyterLab -----------------------------------------------------------------------------


def test_an_opened_notebook_has_one_thread_of_blas_unless_you_chose_another_number(monkeypatch):
    seen = []
    monkeypatch.setattr(playbook, "set_up", bool)
    monkeypatch.setattr(playbook, "call", lambda command, variables, *_: seen.append(variables) or 0)
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    assert playbook.main(["open", "00", "--no-browser"]) == 0
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert playbook.main(["open", "00", "--no-browser"]) == 0
    assert [env["OMP_NUM_THREADS"] for env in seen] == ["1", "2"]
    assert [env["OPENBLAS_NUM_THREADS"] for env in seen] == ["1", "1"]


@posix_only
def test_the_printed_link_opens_the_notebook():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # The environment at work may be another one than .venv, so the set-up is left out.
    start = (
        "import sys, signal, playbook; playbook.set_up = bool;"
        "type(playbook.HOME).python = sys.executable;"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(143));"
        f"sys.exit(playbook.main(['open', '00', '--no-browser', '--port={port}']))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", start], cwd=ROOT, stderr=subprocess.PIPE, text=True
    ) as server:
        try:
            link = next(re.finditer(r"http://\S+token=(\w+)", "".join(until(server, "token="))))
            assert "<title>JupyterLab</title>" in fetch(link[0])
            [place] = re.findall(r"/lab/tree/(notebooks/00_\w+\.ipynb)\?", link[0])
            assert link[0].startswith(f"http://127.0.0.1:{port}/")
            api = f"http://127.0.0.1:{port}/api/contents/{place}?token={link[1]}"
            assert json.loads(fetch(api))["type"] == "notebook"
        finally:
            server.terminate()
    assert server.returncode == 143


def fetch(url):
    """Return the page at a local address, as soon as the server answers."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    for _ in range(100):
        try:
            with direct.open(url, timeout=30) as page:
                assert page.status == 200
                return page.read().decode()
        except urllib.error.URLError as error:
            if not isinstance(error.reason, ConnectionRefusedError):
                raise
            time.sleep(0.1)
    pytest.fail(f"no answer from {url}")


def until(process, word):
    """Yield the lines a process prints, up to the first that holds `word`."""
    for line in process.stderr:
        yield line
        if word in line:
            return
