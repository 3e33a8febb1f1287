"""Check that this machine can run the series; for each problem, say what to do. Standard library only."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import webbrowser
from collections.abc import Callable
from pathlib import Path

from tools.environments import Environment

ROOT = Path(__file__).resolve().parent.parent
TESTED = "3.11 to 3.13"
DISK_GB, MEMORY_GB = 2.0, 1.5  # to set up with room to spare; JupyterLab and the hungriest notebook
KERNEL_SECONDS = 90
PORTS = range(8888, 8939)  # the ones that JupyterLab tries by itself


class ProblemError(Exception):
    """What is wrong, and what to do about it."""


def python() -> str:
    """Say which Python this is."""
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info >= (3, 14):
        return f"{version}; tested are {TESTED}. If the set-up fails, take one of these"
    return version


def environments() -> str:
    """Say whether this Python can make an environment."""
    if lost := [name for name in ("venv", "ensurepip") if importlib.util.find_spec(name) is None]:
        version = "{}.{}".format(*sys.version_info)
        raise ProblemError(
            f"{' and '.join(lost)} missing. On Debian and Ubuntu: sudo apt install python{version}-venv. "
            "Elsewhere: install Python from its own site"
        )
    return "this Python can make them"


def folder() -> str:
    """Say whether the project's folder can be written."""
    try:
        for place in (ROOT, ROOT / "notebooks"):
            with tempfile.TemporaryFile(dir=place):
                pass
    except OSError as error:
        message = f"cannot be written ({error.strerror}). Move the project's folder into your home folder"
        raise ProblemError(message) from error
    return "can be written"


def disk(environment: Environment) -> str:
    """Say how much room is left, for the set-up if that is still to come."""
    free = shutil.disk_usage(ROOT).free / 1e9
    wanted = DISK_GB if environment.missing() else DISK_GB / 10
    if free < wanted:
        raise ProblemError(f"{free:.1f} GB free, {wanted:.1f} GB wanted. Delete what you no longer need")
    return f"{free:.0f} GB free"


def memory() -> str:
    """Say how much memory is free."""
    free = free_memory()
    if free is None:
        return "this system does not say how much is free"
    if free < MEMORY_GB:
        raise ProblemError(f"{free:.1f} GB free, {MEMORY_GB} GB wanted. Close other programs, browsers first")
    return f"{free:.1f} GB free"


def free_memory() -> float | None:
    """Return the gigabytes that programs can still have; None where that cannot be told."""
    if os.name == "nt":
        status = (ctypes.c_uint64 * 8)(64)  # MEMORYSTATUSEX: its size first, free physical memory third
        ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status))  # type: ignore[attr-defined]
        return int(status[2]) / 1e9
    info = Path("/proc/meminfo")
    found = re.search(r"MemAvailable: +(\d+) kB", info.read_text()) if info.exists() else None
    return int(found[1]) * 1024 / 1e9 if found else None


def port() -> str:
    """Say whether programs of this machine can talk to one another, and where JupyterLab will listen."""
    try:
        with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()):
            pass
    except OSError as error:
        message = f"nothing can listen on 127.0.0.1 ({error.strerror}). Allow Python in the firewall"
        raise ProblemError(message) from error
    for number in PORTS:
        try:
            socket.create_server(("127.0.0.1", number)).close()
            return f"{number} is free"
        except OSError:
            continue
    raise ProblemError(f"{PORTS[0]} to {PORTS[-1]} are all taken. Use another: playbook.py open --port 9999")


def packages(environment: Environment) -> str:
    """Say whether what is locked is what is installed."""
    if environment.missing():
        raise ProblemError(
            "not installed yet. Run `playbook.py setup`, with a network: it takes a minute or two"
        )
    name = environment.folder.name
    remedy = f"Delete the folder {name} and run `playbook.py setup`"
    return inside(environment, "packages", f"{name} is damaged. {remedy}")


def kernel(environment: Environment) -> str:
    """Say whether a notebook's kernel starts and answers."""
    if environment.missing():
        return "waits for the packages"
    remedy = (
        "no kernel answers. Look for a security program that stops Python; close other programs; try again"
    )
    return inside(environment, "kernel", remedy)


def inside(environment: Environment, question: str, remedy: str) -> str:
    """Ask the environment's Python; what it prints last is the answer or the reason."""
    command = [environment.python, "-m", "tools.inside", question]
    try:
        done = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, errors="replace", timeout=KERNEL_SECONDS
        )
    except subprocess.TimeoutExpired as error:
        raise ProblemError(f"{remedy} (nothing after {KERNEL_SECONDS} s)") from error
    except OSError as error:
        raise ProblemError(f"{remedy} ({error.strerror})") from error
    said = (done.stdout + done.stderr).strip().splitlines() or ["no reason given"]
    if done.returncode:
        raise ProblemError(f"{remedy} ({said[-1]})")
    return said[-1]


def git() -> str:
    """Say whether git is there; nothing here needs it."""
    return "found" if shutil.which("git") else "not found; you need it only to fetch newer versions"


def browser() -> str:
    """Say whether a browser can be opened from here."""
    if has_browser():
        return "found"
    return "none can be opened from here; copy the link that is printed into one"


def has_browser() -> bool:
    """Tell whether a graphical browser can be opened from here."""
    try:
        # A plain GenericBrowser is a text browser, which would take over the terminal.
        return type(webbrowser.get()) is not webbrowser.GenericBrowser
    except webbrowser.Error:
        return False


def main(environment: Environment) -> int:
    """Print a line for each check; return 0 if there is no problem."""
    checks: dict[str, Callable[[], str]] = {
        "Python": python,
        "environments": environments,
        "folder": folder,
        "disk": lambda: disk(environment),
        "memory": memory,
        "port": port,
        "git": git,
        "browser": browser,
        "packages": lambda: packages(environment),
        "kernel": lambda: kernel(environment),
    }
    problems = 0
    for name, check in checks.items():
        try:
            mark, said = "ok", check()
        except ProblemError as problem:
            mark, said = "problem", str(problem)
            problems += 1
        print(f"{mark:<9}{name:<14}{said}.", flush=True)
    print(f"\n{problems} to mend." if problems else "\nThis machine is ready.")
    return min(problems, 1)
