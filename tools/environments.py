"""Make an environment from its lock, and run things in it. Standard library only: the entrance needs it."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import platform
import re
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from tools.progress import Progress

PYTHON = "Scripts/python.exe" if os.name == "nt" else "bin/python"

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


class ChildError(Exception):
    """A command of the set-up failed: the end of what it printed, and what to do."""


@dataclass(frozen=True)
class Environment:
    """A folder with a Python of its own. The first lock makes it; the others are installed on top."""

    folder: Path
    locks: tuple[Path, ...]

    @property
    def python(self) -> str:
        """The path of its Python."""
        return str(self.folder / PYTHON)

    @property
    def stamp(self) -> Path:
        """The file that says what has been installed: a line for each lock."""
        return self.folder / "playbook-stamp"

    def missing(self) -> list[Path]:
        """Return the locks that are still to install: all of them if the first one is."""
        whole = self.stamp.is_file() and Path(self.python).is_file()
        done = self.stamp.read_text().splitlines() if whole else []
        if self.fingerprint(self.locks[0]) not in done:
            return list(self.locks)
        return [lock for lock in self.locks if self.fingerprint(lock) not in done]

    def fingerprint(self, lock: Path) -> str:
        """Identify what is made from a lock: its text, Python, and place (a moved one is broken)."""
        parts = (lock.read_text(encoding="utf-8"), platform.python_version(), str(self.folder))
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def set_up(environment: Environment) -> None:
    """Make the environment from its locks unless it is there already.

    The stamp is removed first and written last: a set-up that failed or was interrupted has
    none, and is done again from the start.
    """
    if not (missing := environment.missing()):
        return
    name = environment.folder.name
    if importlib.util.find_spec("ensurepip") is None:
        version = "{}.{}".format(*sys.version_info)
        stop(f"This Python cannot make environments. Run: sudo apt install python{version}-venv")
    if missing[0] == environment.locks[0] and Path(sys.prefix).resolve() == environment.folder:
        stop(f"{name} must be made again. Run `deactivate`, then run this again.")
    print(f"Setting up {name}: once, a minute or two.", file=sys.stderr)
    began = time.monotonic()
    with Progress() as bar:
        try:
            install(environment, missing, bar)
        except ChildError as failure:
            bar.clear()
            stop(f"{failure.args[0]}\n\nThe set-up failed. {failure.args[1]}")
    print(f"Set up in {time.monotonic() - began:.0f} s.", file=sys.stderr)


def install(environment: Environment, locks: list[Path], bar: Progress) -> None:
    """Install the locks one after the other; note each in the stamp when it is whole."""
    if locks[0] == environment.locks[0]:
        environment.stamp.unlink(missing_ok=True)
        bar.show(f"making {environment.folder.name}")
        listen([sys.executable, "-m", "venv", "--clear", str(environment.folder)])
    for lock in locks:
        bar.measure = None
        # Python compiles what is used when it is used: that takes less time and disk than all at once.
        command = pip(environment.python, "install", "--no-compile", "--progress-bar=off", "-r", str(lock))
        listen(command, pip_progress(bar, environment, lock))
        keep_quiet(environment)
        with environment.stamp.open("a") as stamp:
            print(environment.fingerprint(lock), file=stamp)


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


def remedy_for(output: str) -> str:
    """Say in one line what to do about a failed set-up."""
    return next(advice for pattern, advice in REMEDIES.items() if re.search(pattern, output))


def keep_quiet(environment: Environment) -> None:
    """Tell JupyterLab not to ask whether it may fetch news."""
    settings = environment.folder / "share" / "jupyter" / "lab" / "settings"
    settings.mkdir(parents=True, exist_ok=True)
    notification = {"fetchNews": "false", "checkForUpdates": False}
    choices = {"@jupyterlab/apputils-extension:notification": notification}
    (settings / "overrides.json").write_text(json.dumps(choices))


def pip(python: str, *args: str) -> list[str]:
    """Spell a pip command that never asks and never looks for a newer pip."""
    return [python, "-m", "pip", "--no-input", "--no-color", "--disable-pip-version-check", *args]


def pip_progress(bar: Progress, environment: Environment, lock: Path) -> Callable[[str], None]:
    """Return a reader of pip's lines that moves the bar: collected first, then installed."""
    total = sum(bool(re.match(r"\w", line)) for line in lock.read_text(encoding="utf-8").splitlines())
    collected = 0

    def read(line: str) -> None:
        nonlocal collected
        if found := re.match(r"(?:Collecting|Ignoring) ([\w.-]+)", line):
            bar.show(f"collecting {found[1]}", collected, total)
        elif found := re.match(r" *(?:Downloading|Using cached) ([\w.]+)-.*(\(.*\))", line):
            bar.show(f"downloading {found[1]} {found[2]}", collected, total)
        elif line.startswith("Installing collected packages:"):
            # pip falls silent here, so count what it has written.
            before = packages_written(environment)
            bar.show("installing", 0, line.count(",") + 1)
            bar.measure = lambda: packages_written(environment) - before
        collected += bool(re.match(r"(Ignoring|Collecting|Processing|Requirement already)\b", line))

    return read


def packages_written(environment: Environment) -> int:
    """Count the packages in an environment."""
    base = str(environment.folder)
    place = sysconfig.get_path("purelib", "venv", {"base": base, "platbase": base})
    return sum(1 for _ in Path(place).glob("*.dist-info"))


def stop(message: str, code: int = 1) -> NoReturn:
    """Print a message for the reader and leave."""
    print(message, file=sys.stderr)
    sys.exit(code)


def call(
    command: list[str],
    variables: dict[str, str] | None = None,
    cwd: Path | None = None,
    patient: bool = False,
) -> int:
    """Run a command and return its exit code.

    Ctrl-C reaches the command too. It gets ten seconds to end by itself; a `patient` call waits as
    long as the command wants.
    """
    env = {**os.environ, **(variables or {})}
    env.pop("PYTHONDONTWRITEBYTECODE", None)  # nothing is compiled yet: each start would do it all anew
    child = subprocess.Popen(command, cwd=cwd, env=env)
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
