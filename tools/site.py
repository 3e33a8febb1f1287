"""Build the site: the README, the notebooks with their committed outputs, the workshop kit, the runbook.

Run by an environment with site/requirements.txt. The pages keep their places, so that their links stay
right; only the README becomes the home page. Nothing is executed, and no other machine is asked.
"""

import argparse
import json
import re
import shutil
import sys
from pathlib import Path

from tools.slides import write as write_slides

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build" / "site"
HOME = ROOT / "README.md"
TEACH, KIT, NOTES = "Teach with it", "teaching/README.md", "teaching/??_*.md"
PAGES = {
    "The notebooks": ["notebooks/??_*.ipynb"],
    TEACH: [KIT, "teaching/[a-z]*.md"],
    "Look things up": [
        "dashboard/runbook.md",
        "benchmarks/results/table.md",
        "benchmarks/results/streaming.md",
        "CONTRIBUTING.md",
    ],
}
SLIDES = """Made from the notebooks, for a room. Arrow keys turn the slides, Esc shows all of them, Alt and a
click enlarge a part of a figure, and `?print-pdf` at the end of the address makes them ready to print."""
LINK = re.compile(r"(?<=\]\()[^)\s#]+")
FRAME = re.compile(r'<iframe src="([^":]+)".*?</iframe>')
NO_FRAME = "<p>Run the notebook to see here the page <code>{}</code> that it writes.</p>"
FOLDED = {"setup": "the set-up", "solution": "a solution"}  # the tags of cells that start folded up


def found(patterns: list[str]) -> list[Path]:
    """Return the files that match, in order, each once."""
    return list(dict.fromkeys(path for pattern in patterns for path in sorted(ROOT.glob(pattern))))


def local(text: str, page: Path) -> dict[str, Path]:
    """Return the links of a page that lead to files of the project, with these files."""
    there = {link: (page.parent / link).resolve() for link in LINK.findall(text)}
    return {link: path for link, path in there.items() if path.is_file() and path.is_relative_to(ROOT)}


def move_home(text: str, page: Path) -> str:
    """Let the links to the README lead to the home page."""
    home = {link for link, path in local(text, page).items() if path == HOME}
    return LINK.sub(lambda m: m[0].replace(HOME.name, "index.md") if m[0] in home else m[0], text)


def prepare(cell: dict, page: Path) -> None:
    """Give the site what it needs of a notebook's cell: links, alt text, what to fold."""
    cell["source"] = "".join(cell["source"])
    if cell["cell_type"] == "markdown":
        cell["source"] = move_home(cell["source"], page)
        return
    tags = cell["metadata"].setdefault("tags", [])
    ours: dict = cell["metadata"].setdefault("mystnb", {})
    for tag in [tag for tag in FOLDED if tag in tags]:
        tags[:] = dict.fromkeys([*tags, "hide-cell"])
        ours |= {"code_prompt_show": f"Show {FOLDED[tag]}", "code_prompt_hide": f"Hide {FOLDED[tag]}"}
    for output in cell["outputs"]:
        data = output.get("data", {})
        if frame := FRAME.search(shown := "".join(data.get("text/html", ""))):
            there = (page.parent / frame[1]).is_file()
            data["text/html"] = shown if there else FRAME.sub(NO_FRAME.format(frame[1]), shown)
        if alt := output.get("metadata", {}).get("image/png", {}).get("alt"):
            ours["image"] = {"alt": alt}


def copy_page(page: Path, source: Path) -> str:
    """Put a page in place; return its text as Markdown."""
    target = source / ("index.md" if page == HOME else page.relative_to(ROOT))
    target.parent.mkdir(parents=True, exist_ok=True)
    text = page.read_text(encoding="utf-8")
    if page.suffix == ".ipynb":
        notebook = json.loads(text)
        for cell in notebook["cells"]:
            prepare(cell, page)
        target.write_text(json.dumps(notebook, indent=1, ensure_ascii=False), encoding="utf-8")
        return "\n\n".join(cell["source"] for cell in notebook["cells"] if cell["cell_type"] == "markdown")
    target.write_text(move_home(text, page), encoding="utf-8")
    return text


def title_of(page: Path, text: str) -> str:
    """Return a page's first heading, after the number of a notebook."""
    heading = re.search(r"^# +(.+)", text, re.MULTILINE)
    number = f"{page.name[:2]} " if page.suffix == ".ipynb" else ""
    return number + (heading[1] if heading else page.stem)


def toctree(texts: dict[Path, str], patterns: list[str], caption: str = "") -> str:
    """Return a part of the site's contents: the pages that match, by their first headings."""
    rows = [
        f"{title_of(page, texts[page])} </{page.relative_to(ROOT).with_suffix('').as_posix()}>"
        for page in found(patterns)
    ]
    rows += ["Slides </slides>"] if caption == TEACH else []
    options = [":hidden:"] + ([f":caption: {caption}"] if caption else [])
    return "\n".join(["\n```{toctree}", *options, "", *rows, "```\n"])


def slides_page(texts: dict[Path, str]) -> str:
    """Return the page that leads to the slides, which lie beside the pages and are none of theirs."""
    rows = [
        f'- <a href="slides/{page.name[:2]}.html">{title_of(page, text)}</a>'
        for page, text in texts.items()
        if page.suffix == ".ipynb"
    ]
    return "# Slides\n\n" + SLIDES + "\n\n" + "\n".join(rows) + "\n"


def append(text: str, page: Path) -> None:
    """Add a text to a page."""
    page.write_text(page.read_text(encoding="utf-8") + text, encoding="utf-8")


def lay_out(source: Path) -> None:
    """Copy every page and what it links to; give the home page the contents, and the kit its notes."""
    patterns = [*(pattern for part in PAGES.values() for pattern in part), NOTES]
    texts = {page: copy_page(page, source) for page in [HOME, *found(patterns)]}
    for caption, part in PAGES.items():
        append(toctree(texts, part, caption), source / "index.md")
    append(toctree(texts, [NOTES]), source / KIT)
    (source / "slides.md").write_text(slides_page(texts), encoding="utf-8")
    for page, text in texts.items():
        for path in set(local(text, page).values()) - set(texts):
            target = source / path.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)


def copy_frames(out: Path) -> None:
    """Put the pages that notebooks frame beside them, where a run has written them; git ignores these."""
    for notebook in found(PAGES["The notebooks"]):
        for frame in re.findall(r'<iframe src=\\"([^":]+?)\\"', notebook.read_text(encoding="utf-8")):
            if (notebook.parent / frame).is_file():
                shutil.copyfile(notebook.parent / frame, out / "notebooks" / frame)


def main() -> int:
    """Lay out the pages, then let Sphinx make HTML of them; a warning is an error."""
    from sphinx.cmd.build import main as sphinx  # only here, so that the rest can be tested without it

    parser = argparse.ArgumentParser(prog="playbook.py site", description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=BUILD / "html", help="folder to write the pages to")
    out = parser.parse_args().out
    shutil.rmtree(BUILD, ignore_errors=True)
    lay_out(BUILD / "source")
    options = ["-b", "html", "-W", "--keep-going", "-c", str(ROOT / "site"), "-d", str(BUILD / "doctrees")]
    failed = sphinx([*options, str(BUILD / "source"), str(out)])
    if not failed:
        copy_frames(out)
        write_slides(found(PAGES["The notebooks"]), out / "slides")
        print(f"Open {out / 'index.html'}, or serve it: python3 -m http.server -b 127.0.0.1 -d {out}")
    return failed


if __name__ == "__main__":
    sys.exit(main())
