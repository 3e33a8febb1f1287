"""Make slides from the notebooks, by rule: no cell is marked by hand.

Each section gives its heading with the first paragraph and what to predict; then each figure or printed
output with the paragraph that reads it, and short code beside it. Formulas, tables and the closing sections
are kept whole. Run by an environment with site/requirements.txt. The slides need no network: reveal.js and
MathJax lie beside them.
"""

import argparse
import html
import json
import re
import shutil
import sys
from dataclasses import dataclass
from math import ceil
from pathlib import Path

from markdown_it import MarkdownIt
from mdit_py_plugins.dollarmath import dollarmath_plugin
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from tools.assets import mathjax, reveal

ROOT = Path(__file__).resolve().parent.parent
WHOLE = {"What you will be able to do", "In production", "Exercises", "Recap"}  # sections kept word by word
LEFT_OUT = {"What you need"}
NOT_SHOWN = {"setup", "exercise", "solution"}  # tags of cells
UNANSWERED = re.compile(r" *No guess: put one in .*|.*: not attempted\. Put your .*\n?")  # said to a stub
MOST_CODE = 8  # lines; longer code is for the notebook
# In pixels of a slide of 1280 x 720: the room below the heading, and the sizes of fixed-width type.
ROOM, WIDTH = 590, 1120
CODE, PRINTED, SMALLEST = 20, 26, 14
FIGURE = 440  # the least height of a figure; it takes what is left
DENSE = 0.83  # what the smaller type takes, for a section that is kept whole and long


@dataclass
class Piece:
    """Something that stays together on a slide: its HTML and its height in pixels."""

    html: str
    height: float
    last: bool = False  # nothing may follow on the same slide


def math(content: str, options: dict) -> str:
    """Hand a formula to MathJax."""
    left, right = (r"\[", r"\]") if options["display_mode"] else (r"\(", r"\)")
    return left + html.escape(content) + right


md = MarkdownIt("commonmark").enable("table").use(dollarmath_plugin, renderer=math)
for end in ("link_open", "link_close"):  # a slide leads nowhere
    md.add_render_rule(end, lambda self, tokens, place, options, env: "")


def blocks(text: str) -> list[tuple[str, str]]:
    """Cut Markdown into (kind, text): paragraphs, headings, tables, formulas, and lists by their items."""
    lines, found = text.splitlines(), []
    for token in md.parse(text):
        whole = token.level == 0 and token.nesting >= 0 and not token.type.endswith("list_open")
        if token.map and (whole or (token.type == "list_item_open" and token.level == 1)):
            found.append((token.type.removesuffix("_open"), "\n".join(lines[slice(*token.map)]).strip()))
    return found


def piece_of(kind: str, text: str) -> Piece:
    """Return a block of prose as a piece of a slide."""
    words = re.sub(r"[*`$]|\]\([^)]*\)", "", text)
    if kind == "heading":  # inside an output; the slide has its own
        text = f"**{text.lstrip('# ')}**"
    if kind == "fence":
        plain = "\n".join(text.splitlines()[1:-1])
        return mono(plain, CODE, f'<div class="code"><pre>{html.escape(plain)}</pre></div>')
    height = {
        "table": sum(33 * ceil(len(row) / 75) + 11 for row in words.splitlines()[1:]) + 20,
        "math_block": 150,
        "list_item": 41 * ceil(len(words) / 62) + 8,
    }.get(kind, 41 * ceil(len(words) / 66) + 22)
    return Piece(md.render(text), height, last=text.startswith("**Predict."))


def mono(text: str, largest: int, box: str) -> Piece:
    """Return fixed-width text in a size in which it fits."""
    lines = text.splitlines() or [""]
    fits = min(WIDTH / 0.62 / max(1, *map(len, lines)), (ROOM - 34) / 1.32 / len(lines))
    size = max(SMALLEST, min(largest, fits))
    box = box.replace("<div ", f'<div style="font-size: {size:.1f}px" ', 1)
    rows = sum(max(1, ceil(len(line) * 0.62 * size / WIDTH)) for line in lines)
    return Piece(box, 1.32 * size * rows + 34)


def output_pieces(cell: dict) -> list[Piece]:
    """Return what a code cell shows: short code with printed text or a table, or a figure alone."""
    pieces = []
    for output in cell["outputs"]:
        data = output.get("data", {})
        if "image/png" in data:
            alt = html.escape(output["metadata"]["image/png"]["alt"])
            source = "data:image/png;base64," + data["image/png"].replace("\n", "")
            pieces.append(Piece(f'<img src="{source}" alt="{alt}">', FIGURE, last=True))
        elif output["output_type"] == "stream":
            pieces += printed(UNANSWERED.sub("", "".join(output["text"])))
        elif "<table" in (table := "".join(data.get("text/html", ""))) and "<details" not in table:
            pieces.append(Piece(f'<div class="table">{table}</div>', 40 * table.count("<tr") + 30))
        elif "text/markdown" in data:
            pieces += [piece_of(*block) for block in blocks("".join(data["text/markdown"]))]
    code = "".join(cell["source"])
    if pieces and len(code.splitlines()) <= MOST_CODE and not pieces[0].html.startswith("<img"):
        plain = HtmlFormatter(noclasses=True, nobackground=True, cssclass="code")
        box, first = mono(code, CODE, highlight(code, PythonLexer(), plain)), pieces.pop(0)
        joined = Piece(box.html + first.html, box.height + first.height)
        pieces = [joined, *pieces] if joined.height <= ROOM else [box, first, *pieces]
    return pieces


def printed(text: str, most: int = 20) -> list[Piece]:
    """Return printed text, cut where it is too long for one slide."""
    lines = text.rstrip().splitlines()
    parts = ["\n".join(lines[at : at + most]) for at in range(0, len(lines), most)]
    return [
        mono(part, PRINTED, f'<div class="printed"><pre>{html.escape(part)}</pre></div>') for part in parts
    ]


def kept(run: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Choose from the prose between two headings or outputs what the room should see."""
    chosen: list[tuple[str, str]] = []
    for place, (kind, text) in enumerate(run):
        leads_to_formula = [kind for kind, _ in run[place + 1 : place + 2]] == ["math_block"]
        of_kept_list = kind == "list_item" and chosen[-1:] == run[place - 1 : place]
        wanted = place == 0 or kind in ("table", "math_block") or text.startswith("**Predict.")
        if kind != "html_block" and (wanted or leads_to_formula or of_kept_list):
            chosen.append((kind, text))
    return chosen


def sections(notebook: dict) -> list[tuple[str, list[Piece]]]:
    """Return each section's heading with what is shown of it."""
    found: list[tuple[str, list[Piece]]] = []
    whole = False
    for cell in notebook["cells"][:-1]:  # the last one leads to the next notebook
        if cell["cell_type"] == "code":
            if not NOT_SHOWN & set(cell["metadata"].get("tags", [])):
                found[-1][1].extend(output_pieces(cell))
            continue
        runs: list[list[tuple[str, str]]] = [[]]
        for kind, text in blocks("".join(cell["source"])):
            runs += [[]] if kind == "heading" else []
            runs[-1].append((kind, text))
        for run in filter(None, runs):
            if run[0][0] == "heading":
                marks, title = run.pop(0)[1].split(" ", 1)
                whole = title in WHOLE or (whole and marks == "###")
                found.append((title, []))
            chosen = [block for block in run if block[0] != "html_block"] if whole else kept(run)
            found[-1][1].extend(piece_of(*block) for block in chosen)
    return [(title, pieces) for title, pieces in found if title not in LEFT_OUT]


def pack(title: str, pieces: list[Piece]) -> list[str]:
    """Put the pieces of a section on as few slides as have room for them."""
    slides = [f"<h2>{md.renderInline(title)}</h2>"]
    room: float = ROOM - 55 * ceil(len(title) / 42)
    tight = title in WHOLE and sum(piece.height for piece in pieces) > room
    scale, kind = (DENSE, ' class="dense"') if tight else (1, "")
    follows = f'<p class="running">{md.renderInline(title)}</p>'
    for place, piece in enumerate(pieces):
        started = place > 0
        if started and (scale * piece.height > room or pieces[place - 1].last):
            slides.append(follows)
            room = ROOM
        slides[-1] += piece.html
        room -= scale * piece.height
    return [f"<section{kind}>{slide}</section>" for slide in slides]


def deck(path: Path) -> str:
    """Return the slides of a notebook as one page."""
    (title, opening), *rest = sections(json.loads(path.read_text(encoding="utf-8")))
    slides = [f"<section><h1>{md.renderInline(title)}</h1>{opening[0].html}</section>"]
    slides += [slide for section in rest for slide in pack(*section)]
    page = (ROOT / "site" / "slides.html").read_text(encoding="utf-8")
    return page.replace("TITLE", html.escape(title)).replace("SLIDES", "\n".join(slides))


def write(paths: list[Path], folder: Path) -> None:
    """Write the slides of some notebooks, and beside them what a browser needs to show them."""
    assets = folder / "assets"
    unneeded = shutil.ignore_patterns("*.map", "*.esm.js", "theme")
    shutil.copytree(reveal() / "dist", assets, dirs_exist_ok=True, ignore=unneeded)
    for file in (mathjax(), reveal() / "plugin" / "zoom" / "zoom.js", ROOT / "site" / "slides.css"):
        shutil.copyfile(file, assets / file.name)
    for path in paths:
        text = deck(path)
        (folder / f"{path.name[:2]}.html").write_text(text, encoding="utf-8")
        print(f"{folder.name}/{path.name[:2]}.html: {text.count('</section>')} slides", flush=True)


def main() -> int:
    """Write the slides of the chosen notebooks."""
    parser = argparse.ArgumentParser(prog="playbook.py slides", description=__doc__.split("\n")[0])
    parser.add_argument("notebook", nargs="*", help="numbers, such as 00 03 (default: all)")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "slides", help="folder to write to")
    options = parser.parse_args()
    there = {path.name[:2]: path for path in sorted((ROOT / "notebooks").glob("??_*.ipynb"))}
    if unknown := set(options.notebook) - set(there):
        parser.error(f"no notebook {', '.join(sorted(unknown))} (there are: {', '.join(there)})")
    write([there[number] for number in options.notebook or there], options.out)
    print(f"Open a page of {options.out}. Arrow keys turn it, Esc shows all, Alt and a click enlarge.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
