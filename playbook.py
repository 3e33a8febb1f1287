#!/usr/bin/env python3
"""The one entrance to the playbook: set it up, open it, run it, test it.

Needs Python 3.11 or newer and nothing else. The first job you run makes `.venv` beside this
file and installs the exact versions of requirements.txt in it. After that, no job but `lock`
uses the network.
"""

from __future__ import annotations

import sys

if sys.version_info < (3, 11):
    sys.exit(
        "The playbook needs Python 3.11 or newer; this is Python "
        + ".".join(map(str, sys.version_info[:3]))
        + ".\nInstall a newer one and name it: python3.11 playbook.py"
    )

import argparse
import hashlib
import importlib.util
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sysconfig
import tempfile
import time
import webbrowser
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from tools.progress import Progress

ROOT = Path(__file__).resolve().parent
LIST, LOCK = ROOT / "environment.yml", ROOT / "requirements.txt"
ENV = ROOT / ".venv"
STAMP = ENV / "playbook-stamp"
PYTHON = "Scripts/python.exe" if os.name == "nt" else "bin/python"
PY = str(ENV / PYTHON)
UV = "uv==0.13.9"  # compiles the lock

# What pip says -> what you can do about it. The first line that matches wins.
REMEDIES = {
    "No space left|Disk quota": "The disk is full. Free about 2 GB, then run this again.",
    "Permission denied|Read-only file": "This folder cannot be written. Move it to one that can.",
    "name resolution|getaddrinfo|unreachable|Connection|timed out|Max retries|Proxy|SSL": (
        "The packages could not be fetched. Check the network or proxy, then run this again."
    ),
    "No matching distribution|Failed building|subprocess-exited": (
        "A package has no build for this Python and system. Try Python 3.11, 3.12 or 3.13."
    ),
    "": "Mend what the lines above say, then run this again. The set-up starts afresh.",
}


def listen(command: list[str], on_line: Callable[[str], None] = lambda line: None) -> list[str]:
    """Run `command`, hand over each line it prints; leave with its last lines if it fails."""
    lines: list[str] = []
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as child:
        try:
            for line in child.stdout or ():
                lines.append(line.rstrip())
                on_line(lines[-1])
        except BaseException:
            child.kill()
            raise
    if child.returncode:
        raise ChildError("\n".join(lines[-12:]), remedy_for("\n".join(lines)))
    return lines


class ChildError(Exception):
    """A command of the set-up failed: the end of what it printed, and what to do."""


def remedy_for(output: str) -> str:
    """Say in one line what to do about a failed set-up."""
    return next(advice for pattern, advice in REMEDIES.items() if re.search(pattern, output))


def fingerprint() -> str:
    """Identify what `.venv` must be made from: lock, Python, and place (a moved one is broken)."""
    parts = (LOCK.read_text(encoding="utf-8"), platform.python_version(), str(ENV))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def is_ready() -> bool:
    """Tell whether `.venv` is whole and made from today's lock."""
    return STAMP.is_file() and STAMP.read_text() == fingerprint() and Path(PY).is_file()


def set_up() -> None:
    """Make `.venv` from the lock unless it is there already.

    The stamp is removed first and written last: a set-up that failed or was interrupted has
    none, and is done again from the start.
    """
    if is_ready():
        return
    if importlib.util.find_spec("ensurepip") is None:
        version = "{}.{}".format(*sys.version_info)
        stop(f"This Python cannot make environments. Run: sudo apt install python{version}-venv")
    if Path(sys.prefix).resolve() == ENV:
        stop("The environment must be made again. Run `deactivate`, then run this again.")
    print("Setting up .venv: once, a minute or two, about 1 GB of disk.", file=sys.stderr)
    STAMP.unlink(missing_ok=True)
    began = time.monotonic()
    with Progress() as bar:
        try:
            bar.show("making .venv")
            listen([sys.executable, "-m", "venv", "--clear", str(ENV)])
            listen(pip("install", "--progress-bar=off", "-r", str(LOCK)), pip_progress(bar))
        except ChildError as failure:
            bar.clear()
            stop(f"{failure.args[0]}\n\nThe set-up failed. {failure.args[1]}")
    keep_quiet()
    STAMP.write_text(fingerprint())
    print(f"Set up in {time.monotonic() - began:.0f} s.", file=sys.stderr)


def keep_quiet() -> None:
    """Tell JupyterLab not to ask whether it may fetch news."""
    settings = ENV / "share" / "jupyter" / "lab" / "settings"
    settings.mkdir(parents=True, exist_ok=True)
    notification = {"fetchNews": "false", "checkForUpdates": False}
    choices = {"@jupyterlab/apputils-extension:notification": notification}
    (settings / "overrides.json").write_text(json.dumps(choices))


def pip(*args: str, python: str = PY) -> list[str]:
    """Spell a pip command that never asks and never looks for a newer pip."""
    return [python, "-m", "pip", "--no-input", "--no-color", "--disable-pip-version-check", *args]


def pip_progress(bar: Progress) -> Callable[[str], None]:
    """Return a reader of pip's lines that moves the bar: collected first, then installed."""
    total = sum(bool(re.match(r"\w", line)) for line in LOCK.read_text().splitlines())
    collected = 0

    def read(line: str) -> None:
        nonlocal collected
        if found := re.match(r"(?:Collecting|Ignoring) ([\w.-]+)", line):
            bar.show(f"collecting {found[1]}", collected, total)
        elif found := re.match(r" *(?:Downloading|Using cached) ([\w.]+)-.*(\(.*\))", line):
            bar.show(f"downloading {found[1]} {found[2]}", collected, total)
        elif line.startswith("Installing collected packages:"):
            # pip falls silent here, so count what it has written.
            before = packages_written()
            bar.show("installing", 0, line.count(",") + 1)
            bar.measure = lambda: packages_written() - before
        collected += bool(re.match(r"(Ignoring|Collecting|Processing|Requirement already)\b", line))

    return read


def packages_written() -> int:
    """Count the packages in `.venv`."""
    place = sysconfig.get_path("purelib", "venv", {"base": str(ENV), "platbase": str(ENV)})
    return sum(1 for _ in Path(place).glob("*.dist-info"))


def stop(message: str, code: int = 1) -> NoReturn:
    """Print a message for the reader and leave."""
    print(message, file=sys.stderr)
    sys.exit(code)


def call(
    command: list[str],
    env: dict[str, str] | None = None,
    cwd: Path | None = ROOT,
    patient: bool = False,
) -> int:
    """Run a job in `.venv` and return its exit code.

    Ctrl-C reaches the job too. It gets ten seconds to end by itself; a `patient` call waits as
    long as the job wants.
    """
    set_up()
    child = subprocess.Popen(command, cwd=cwd, env={**os.environ, **(env or {})})
    interrupted = False
    try:
        while True:
            try:
                code = child.wait(10 if interrupted and not patient else None)
                return 130 if interrupted and not patient else code
            except KeyboardInterrupt:
                interrupted = True
    finally:
        if child.poll() is None:
            child.terminate()
            child.wait()


def one_thread() -> dict[str, str]:
    """Return the variables that give BLAS one thread: more of them burn time on many small products."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    return {name: os.environ.get(name, "1") for name in names}


def steady() -> dict[str, str]:
    """Return the variables that make outputs the same on every machine, where you set none."""
    ours = {"PYTHONHASHSEED": "0", "IPYTHONDIR": str(ENV / "ipython")}
    return one_thread() | {name: os.environ.get(name, value) for name, value in ours.items()}


def has_browser() -> bool:
    """Tell whether a graphical browser can be opened from here."""
    try:
        # A plain GenericBrowser is a text browser, which would take over the terminal.
        return type(webbrowser.get()) is not webbrowser.GenericBrowser
    except webbrowser.Error:
        return False


def open_notebook(args: list[str]) -> int:
    """Open JupyterLab on a notebook."""
    parser = parser_of("open")
    parser.add_argument("notebook", nargs="?", default="00", help="its number (default: 00)")
    parser.add_argument("--port", type=int, default=8888, help="first port to try (default: 8888)")
    parser.add_argument("--no-browser", action="store_true", help="only print the link")
    options = parser.parse_args(args)
    found = sorted((ROOT / "notebooks").glob(f"{options.notebook}_*.ipynb"))
    if not found:
        numbers = sorted(path.name[:2] for path in (ROOT / "notebooks").glob("??_*.ipynb"))
        parser.error(f"no notebook {options.notebook!r} (there are: {', '.join(numbers)})")
    command = [PY, "-m", "jupyterlab", "--ServerApp.ip=127.0.0.1", f"--port={options.port}"]
    command += [f"--ServerApp.root_dir={ROOT}", "--ServerApp.log_level=WARN"]
    command += [f"--LabApp.default_url=/lab/tree/notebooks/{found[0].name}"]
    command += ["--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"]
    command += ["--LabApp.news_url=None", "--LabApp.extension_manager=readonly"]
    command += ["--KernelManager.transport_encryption=auto"]  # without, each kernel warns
    if getattr(os, "geteuid", lambda: 1)() == 0:
        command.append("--allow-root")
    if options.no_browser or not has_browser():
        command.append("--no-browser")
    set_up()
    print(f"Opening notebooks/{found[0].name} in JupyterLab. Ctrl-C stops it.", flush=True)
    return call(command, one_thread(), patient=True)


def run(args: list[str]) -> int:
    """Execute the notebooks' sources and write the notebooks."""
    parser = parser_of("run")
    parser.add_argument("notebook", nargs="*", help="numbers, such as 00 03 (default: all)")
    return call([PY, "-m", "tools.build", *parser.parse_args(args).notebook], steady())


def test(args: list[str]) -> int:
    """Run every test, and every notebook against its committed outputs."""
    return call([PY, "-m", "pytest", "-n", "2", "--dist", "loadscope", *args], steady())


def figures(args: list[str]) -> int:
    """Redraw the three figures of the idea as SVG."""
    return call([PY, "-m", "tools.figures", *args], steady())


def report(args: list[str]) -> int:
    """Compare two files of your own embeddings and write an HTML report."""
    # Your current directory is kept, for your relative paths; -P keeps its modules out.
    here = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return call([PY, "-P", "-m", "report", *args], {"PYTHONPATH": here}, cwd=None)


def lock(args: list[str]) -> int:
    """Compile requirements.txt from environment.yml (needs the network)."""
    parser = parser_of("lock")
    parser.add_argument("--upgrade", action="store_true", help="take newest versions throughout")
    upgrade = ["--upgrade"] if parser.parse_args(args).upgrade else []
    wanted = re.findall(r"^      - (\S+)", LIST.read_text(encoding="utf-8"), re.MULTILINE)
    with Progress() as bar, tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "list.txt"), Path(folder, "lock.txt")
        source.write_text("\n".join(wanted))
        if LOCK.exists():
            shutil.copy(LOCK, target)  # uv keeps its versions unless the list forbids them
        python = str(Path(folder, "venv", PYTHON))
        try:
            bar.show(f"fetching {UV}")
            listen([sys.executable, "-m", "venv", str(Path(folder, "venv"))])
            listen(pip("install", UV, python=python))
            bar.show(f"resolving {len(wanted)} packages and all they need")
            compile_ = [python, "-m", "uv", "pip", "compile", "--quiet", "--no-config", *upgrade]
            compile_ += ["--universal", "--python-version=3.11", "--no-header", "--no-annotate"]
            listen([*compile_, "--output-file", str(target), str(source)])
        except ChildError as failure:
            bar.clear()
            stop(f"{failure.args[0]}\n\nThe lock is unchanged. {failure.args[1]}")
        fresh = LOCK.with_suffix(".tmp")
        fresh.write_text(target.read_text(), encoding="utf-8", newline="\n")
        os.replace(fresh, LOCK)
    print(f"Wrote {LOCK.name}: {len(LOCK.read_text().splitlines())} packages.")
    return 0


JOBS = {
    "open": open_notebook,
    "run": run,
    "test": test,
    "figures": figures,
    "report": report,
    "lock": lock,
}
PASSED_ON = {"test": "pytest", "figures": "tools/figures.py", "report": "report"}


def parser_of(job: str) -> argparse.ArgumentParser:
    """Return a parser that introduces one job."""
    return argparse.ArgumentParser(prog=f"playbook.py {job}", description=JOBS[job].__doc__)


def main(argv: list[str]) -> int:
    """Do the job that the command line names; `open` when it names none."""
    jobs = "\n".join(f"  {name:<9}{job.__doc__}" for name, job in JOBS.items())
    parser = argparse.ArgumentParser(
        prog="playbook.py",
        description="The Embedding Drift Playbook. Jobs:\n\n" + jobs,
        epilog="'playbook.py JOB --help' tells what a job takes. First use sets up .venv.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("job", nargs="?", default="open", choices=JOBS, help="default: open")
    job, rest = parser.parse_args(argv[:1]).job, argv[1:]
    if job in PASSED_ON and rest[:1] in (["-h"], ["--help"]):
        print(f"usage: playbook.py {job} ...\n\n{JOBS[job].__doc__}")
        print(f"What you add is passed on to {PASSED_ON[job]}.", flush=True)
        if not is_ready() or job == "test":
            return 0
    return JOBS[job](rest)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        stop("\nStopped.", 130)
