"""Write the repository's address into every notebook's launch links and set-up cell, and into the README.

The address is one setting, in pyproject.toml. Only lines that carry it are rewritten: outputs, ids and
whatever else is in a file stay as they are. Standard library only.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from tools.files import write

ROOT = Path(__file__).resolve().parent.parent
UNSET = "after `python3 playbook.py links OWNER/REPO`, with your copy's address on GitHub"

LAUNCH_LINE = re.compile(r"^# \*\*Launch:\*\* .*$", re.MULTILINE)  # in a source
LAUNCH_JSON = re.compile(r'^    "\*\*Launch:\*\* (?:\\.|[^"\\])*"', re.MULTILINE)  # in a notebook
SETUP_LINE = re.compile(r'REPOSITORY, REF = (\\?")[^"\\]*\\?", \\?"[^"\\]*\\?"')
MARKED = re.compile(r"(<!-- launch(?: (\d\d))? -->).*?(<!-- /launch -->)", re.DOTALL)


@dataclass(frozen=True)
class Setting:
    """Where the project is on GitHub: OWNER/REPO, empty when unset, and a branch or tag."""

    repository: str = ""
    ref: str = "main"


def setting(root: Path = ROOT) -> Setting:
    """Return what pyproject.toml says."""
    table = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["playbook"]
    return Setting(table["repository"], table["ref"])


def checked(repository: str, ref: str) -> Setting:
    """Return a setting that GitHub can know, from `OWNER/REPO` or its address; ValueError if it cannot."""
    name = re.sub(r"^https://github\.com/|(\.git)?/?$", "", repository)
    if not re.fullmatch(r"[A-Za-z0-9](-?[A-Za-z0-9]){0,38}/[\w.-]{1,100}", name, re.ASCII):
        raise ValueError(f"{repository!r} is not a repository: give OWNER/REPO, as in its address on GitHub")
    if name.endswith(("/.", "/..")):
        raise ValueError(f"{repository!r} is not a repository: a name is more than dots")
    if not re.fullmatch(r"\w[\w.-]*", ref, re.ASCII) or ".." in ref:
        raise ValueError(f"{ref!r} is no ref to launch from: give a branch or a tag without slashes")
    return Setting(name, ref)


def binder(where: Setting, notebook: str) -> str:
    """Return the address that opens a notebook on Binder."""
    place = f"https://mybinder.org/v2/gh/{where.repository}/{where.ref}"
    return f"{place}?urlpath=lab/tree/notebooks/{notebook}"


def colab(where: Setting, notebook: str) -> str:
    """Return the address that opens a notebook on Colab."""
    place = "https://colab.research.google.com/github"
    return f"{place}/{where.repository}/blob/{where.ref}/notebooks/{notebook}"


def nbgitpuller(where: Setting, notebook: str, hub: str) -> str:
    """Return the address that clones the project on a JupyterHub and opens a notebook there."""
    name = where.repository.split("/")[1]
    repo = quote(f"https://github.com/{where.repository}", safe="")
    urlpath = quote(f"lab/tree/{name}/notebooks/{notebook}", safe="")
    return f"{hub.rstrip('/')}/hub/user-redirect/git-pull?repo={repo}&branch={where.ref}&urlpath={urlpath}"


def launch_line(where: Setting, notebook: str) -> str:
    """Return the paragraph of a notebook that says how to launch it."""
    number = notebook[:2]
    home = f"**Launch:** run `python3 playbook.py open {number}` in the project's folder. "
    home += "It opens this notebook in JupyterLab on your machine. "
    if not where.repository:
        return f"{home}Links to Binder and Colab appear here {UNSET}."
    links = f"[Binder]({binder(where, notebook)}) or [Colab]({colab(where, notebook)})"
    return f"{home}Or open it without installing anything: on {links}."


def badges(where: Setting, notebook: str) -> str:
    """Return the launch line of a Markdown page."""
    if not where.repository:
        return f"Buttons for Binder and Colab appear here {UNSET}."
    links = f"**[Open on Binder]({binder(where, notebook)})** · **[Open on Colab]({colab(where, notebook)})**"
    return f"Nothing to install: {links}"


def in_notebook(text: str, where: Setting, notebook: str) -> str:
    """Return a notebook's file with its Launch paragraph and its set-up cell rewritten."""
    line = json.dumps(launch_line(where, notebook) + "\n", ensure_ascii=False)
    text = put(LAUNCH_JSON, "    " + line, text, notebook)
    return put(SETUP_LINE, json.dumps(setup_line(where))[1:-1], text, notebook)


def in_source(text: str, where: Setting, notebook: str) -> str:
    """Return a notebook's source with its Launch paragraph and its set-up cell rewritten."""
    text = put(LAUNCH_LINE, "# " + launch_line(where, notebook), text, notebook)
    return put(SETUP_LINE, setup_line(where), text, notebook)


def put(pattern: re.Pattern[str], line: str, text: str, name: str) -> str:
    """Replace the one place that matches; ValueError if a file has none, or several."""
    text, n = pattern.subn(lambda found: line, text)
    if n != 1:
        raise ValueError(f"{name}: {n} places for {line!r}, where one is wanted")
    return text


def setup_line(where: Setting) -> str:
    """Return the line of the set-up cell that says where Colab finds the helpers."""
    return f'REPOSITORY, REF = "{where.repository}", "{where.ref}"'


def in_page(text: str, where: Setting, names: dict[str, str]) -> str:
    """Return a page with its marked places rewritten: `<!-- launch 03 -->` for a notebook, 00 without."""

    def fill(found: re.Match[str]) -> str:
        return f"{found[1]}\n{badges(where, names[found[2] or '00'])}\n{found[3]}"

    return MARKED.sub(fill, text)


def in_pyproject(text: str, where: Setting) -> str:
    """Return pyproject.toml with the setting rewritten."""
    text = re.sub(r'^repository = ".*"$', f'repository = "{where.repository}"', text, flags=re.MULTILINE)
    return re.sub(r'^ref = ".*"$', f'ref = "{where.ref}"', text, flags=re.MULTILINE)


def rewritten(where: Setting, root: Path = ROOT) -> Iterator[tuple[Path, str, str]]:
    """Yield each file that carries the address, its text, and its text under `where`."""
    notebooks = sorted((root / "notebooks").glob("??_*.ipynb"))
    names = {path.name[:2]: path.name for path in notebooks}
    for path in notebooks:
        yield path, (text := read(path)), in_notebook(text, where, path.name)
        source = root / "notebooks" / "source" / f"{path.stem}.py"
        yield source, (text := read(source)), in_source(text, where, path.name)
    for path in [root / "README.md", *sorted((root / "teaching").glob("*.md"))]:
        yield path, (text := read(path)), in_page(text, where, names)
    path = root / "pyproject.toml"  # last, so that a run that was interrupted can be seen and repeated
    yield path, (text := read(path)), in_pyproject(text, where)


def stale(root: Path = ROOT) -> list[Path]:
    """Return the files that do not say what the setting says."""
    return [path for path, old, new in rewritten(setting(root), root) if old != new]


def read(path: Path) -> str:
    """Return a file's text with its line ends as they are."""
    return path.read_bytes().decode("utf-8")


def main(args: list[str], root: Path = ROOT) -> int:
    """Write the address of your copy on GitHub into every launch link."""
    parser = argparse.ArgumentParser(prog="playbook.py links", description=main.__doc__)
    parser.add_argument("repository", nargs="?", help="OWNER/REPO on GitHub (default: as it is set)")
    parser.add_argument("--ref", help="branch or tag to launch from (default: as it is set)")
    parser.add_argument("--unset", action="store_true", help="take the address out again")
    parser.add_argument("--hub", help="address of a JupyterHub: print links for nbgitpuller too")
    options = parser.parse_args(args)
    if options.unset and (options.repository or options.ref):
        parser.error("--unset takes no address and no ref")
    before = setting(root)
    try:
        where = Setting() if options.unset else before
        if options.repository or options.ref:
            where = checked(options.repository or before.repository, options.ref or before.ref)
        changed = [(path, new) for path, old, new in rewritten(where, root) if old != new]
    except ValueError as error:
        parser.error(str(error))
    for path, text in changed:
        write(path, text)
        print(f"wrote {path.relative_to(root).as_posix()}", flush=True)
    print(f"{len(changed)} files changed. Launched from: {where.repository or 'nowhere yet'}, {where.ref}.")
    if options.hub and not where.repository:
        parser.error("--hub needs an address: playbook.py links OWNER/REPO --hub ...")
    for path in sorted((root / "notebooks").glob("??_*.ipynb")) if options.hub else []:
        print(nbgitpuller(where, path.name, options.hub))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
