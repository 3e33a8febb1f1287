"""Compile the locks: requirements.txt from environment.yml, and that of tools/ from pyproject.toml.

Needs the network. Standard library only; the compiler is fetched for the occasion.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
import tomllib
from pathlib import Path

from tools.environments import PYTHON, ChildError, listen, pip, stop
from tools.files import write
from tools.progress import Progress

ROOT = Path(__file__).resolve().parent.parent
LIST, LOCK = ROOT / "environment.yml", ROOT / "requirements.txt"
TOOLS_LIST, TOOLS_LOCK = ROOT / "pyproject.toml", ROOT / "tools" / "requirements.txt"
UV = "uv==0.13.9"


def main(args: list[str]) -> int:
    """Compile the locks from the lists of packages (needs the network)."""
    parser = argparse.ArgumentParser(prog="playbook.py lock", description=main.__doc__)
    parser.add_argument("--upgrade", action="store_true", help="take newest versions throughout")
    upgrade = parser.parse_args(args).upgrade
    with Progress() as bar, tempfile.TemporaryDirectory() as folder:
        try:
            texts = compiled(Path(folder), upgrade, bar)
        except ChildError as failure:
            bar.clear()
            stop(f"{failure.args[0]}\n\nThe locks are unchanged. {failure.args[1]}")
    changed = [path for path, text in texts.items() if text != path.read_text(encoding="utf-8")]
    for path in changed:
        write(path, texts[path])
    names = ", ".join(path.relative_to(ROOT).as_posix() for path in changed)
    print(f"Wrote {names}." if changed else "Nothing changed.")
    return 0


def compiled(folder: Path, upgrade: bool, bar: Progress) -> dict[Path, str]:
    """Return the text of both lists and both locks."""
    python = str(folder / "venv" / PYTHON)
    bar.show(f"fetching {UV}")
    listen([sys.executable, "-m", "venv", str(folder / "venv")])
    listen(pip(python, "install", UV))
    texts = {path: path.read_text(encoding="utf-8") for path in (LIST, LOCK, TOOLS_LIST, TOOLS_LOCK)}
    wanted, tools = wanted_by(texts)
    bar.show(f"resolving {len(wanted + tools)} packages and all they need")
    if upgrade:
        newest = resolve(python, folder, [line.split("==")[0] for line in wanted + tools], "")
        texts = {path: raised(text, newest) for path, text in texts.items()}
        wanted, tools = wanted_by(texts)
    texts[LOCK] = resolve(python, folder, wanted, texts[LOCK])
    both = resolve(python, folder, wanted + tools, texts[LOCK] + texts[TOOLS_LOCK])
    texts[TOOLS_LOCK] = "".join(sorted(set(both.splitlines(True)) - set(texts[LOCK].splitlines(True))))
    return texts


def wanted_by(texts: dict[Path, str]) -> tuple[list[str], list[str]]:
    """Return what the two lists want."""
    wanted = re.findall(r"^      - (\S+)", texts[LIST], re.MULTILINE)
    return wanted, tomllib.loads(texts[TOOLS_LIST])["dependency-groups"]["tools"]


def resolve(python: str, folder: Path, wanted: list[str], preferred: str) -> str:
    """Return the lock of what is wanted; versions that are preferred stay where that is possible."""
    source, target = folder / "list.txt", folder / "lock.txt"
    source.write_text("\n".join(wanted), encoding="utf-8")
    target.write_text(preferred, encoding="utf-8")  # uv keeps the versions that it finds here
    command = [python, "-m", "uv", "pip", "compile", "--quiet", "--no-config", "--universal"]
    command += ["--python-version=3.11", "--no-header", "--no-annotate", "--output-file", str(target)]
    listen([*command, str(source)])
    return target.read_text(encoding="utf-8")


def raised(text: str, lock: str) -> str:
    """Return a text with the lock's versions in its exact pins; Python 3.11's, where they differ."""
    pin = re.compile(r"(?<![\w.-])([a-z][\w.-]*)==([\w.]+)")
    versions = dict(reversed(pin.findall(lock)))
    return pin.sub(lambda found: f"{found[1]}=={versions.get(found[1], found[2])}", text)
