"""Formatter, linter and type checker are content, and no file names what it must not."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# Spelled so that this file does not match itself.
FORBIDDEN = {
    "a package registry's host": r"py[p]i\.org|python[h]osted|npm[j]s\.(?:org|com)|anaconda\.or[g]",
    "a path of one machine": r"[/](?:home|Users)[/]\w|[/]roo[t]/|[/]wor[k]/|\b[A-Z]:\\+Users",
    "an address that others can reach": r"\b0\.0\.0\.[0]\b",
}


def files():
    """Return the text files that are, or would be, committed."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    # The project may be an unpacked archive, or lie inside somebody else's repository.
    if (ROOT / ".git").exists():
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True)
        paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    else:
        hidden = re.compile(r"[/\\](\.venv|\.\w+_cache|__pycache__|\.ipynb_checkpoints)[/\\]")
        paths = [path for path in ROOT.rglob("*") if not hidden.search(str(path))]
    return [path for path in paths if path.is_file() and b"\0" not in path.read_bytes()[:8000]]


@pytest.mark.parametrize("command", ["ruff check .", "ruff format --check .", "mypy"])
def test_tool_is_content(command):
    env = {**os.environ, "NO_COLOR": "1"}
    words = [sys.executable, "-m", *command.split()]
    done = subprocess.run(words, cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_file_names(what):
    pattern = re.compile(FORBIDDEN[what])
    found = [
        f"{path.relative_to(ROOT)}:{number}: {match[0]}"
        for path in files()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if len(line) < 5000  # a figure in a notebook is one long line of base64
        for match in pattern.finditer(line)
    ]
    assert found == []


def test_text_files_end_with_one_newline():
    assert [
        str(path.relative_to(ROOT))
        for path in files()
        if (text := path.read_bytes()) and (not text.endswith(b"\n") or text.endswith(b"\n\n"))
    ] == []
