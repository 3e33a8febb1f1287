"""The site's pages before Sphinx sees them, and the slides; the pages themselves are tested in a browser."""

import html
import json
import re

import pytest

from tools import site, slides

NOTEBOOKS = site.found(site.PAGES["The notebooks"])
PARAGRAPH = slides.Piece("<p>text</p>", 100)
PREDICT = slides.piece_of("paragraph", "**Predict.** How many?")


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """The folder that Sphinx is given."""
    folder = tmp_path_factory.mktemp("site")
    site.lay_out(folder)
    return folder


def cells_of(path, kind="code"):
    return [
        cell for cell in json.loads(path.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == kind
    ]


@pytest.mark.parametrize("file", ["site", "tests/browser"])
def test_requirements_are_exact_versions_without_an_address(file):
    lines = (site.ROOT / file / "requirements.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert pins
    assert [line for line in pins if not re.fullmatch(r"[a-z0-9-]+==[\d.]+( # .*)?", line)] == []


def test_sidebar_has_every_notebook_in_order(source):
    listed = re.findall(
        r"^(\d\d) (.+) </notebooks/(.+)>$", (source / "index.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert [stem for _, _, stem in listed] == [path.stem for path in NOTEBOOKS]
    assert ("00", "Break a product", "00_break_a_product") in listed


def test_every_link_of_a_page_leads_to_a_file_of_the_site(source):
    missing = []
    for page in source.rglob("*.md"):
        missing += [
            (page.name, link)
            for link in site.LINK.findall(page.read_text(encoding="utf-8"))
            if lost(page, link)
        ]
    for page in source.rglob("*.ipynb"):
        for cell in cells_of(page, "markdown"):
            missing += [(page.name, link) for link in site.LINK.findall(cell["source"]) if lost(page, link)]
    assert missing == []


def lost(page, link):
    return not re.match(r"[a-z]+:", link) and not (page.parent / link).is_file()


def test_notebooks_lead_to_the_home_page_and_not_to_the_readme(source):
    last = cells_of(source / "notebooks" / NOTEBOOKS[0].name, "markdown")[-1]["source"]
    assert "](../index.md)" in last and "README" not in last


def test_every_figure_keeps_its_alt_text(source):
    # MyST-NB knows one alt text for a cell, so a cell may show one figure
    for path in NOTEBOOKS:
        for ours, theirs in zip(cells_of(path), cells_of(source / "notebooks" / path.name), strict=True):
            alts = [
                o["metadata"]["image/png"]["alt"] for o in ours["outputs"] if "image/png" in o.get("data", {})
            ]
            image = theirs["metadata"]["mystnb"].get("image")
            assert [image] == [{"alt": alt} for alt in alts] or (not alts and image is None)


def test_every_solution_starts_folded(source):
    cells = [cell for path in NOTEBOOKS for cell in cells_of(source / "notebooks" / path.name)]
    solutions = [cell["metadata"] for cell in cells if "solution" in cell["metadata"]["tags"]]
    assert solutions
    assert [data for data in solutions if "hide-cell" not in data["tags"]] == []
    assert {data["mystnb"]["code_prompt_show"] for data in solutions} == {"Show a solution"}


@pytest.mark.parametrize("written", [True, False])
def test_a_frame_is_kept_only_with_the_page_it_shows(tmp_path, written):
    output = {"data": {"text/html": '<iframe src="there.html" title="A page"></iframe>'}}
    cell = {"cell_type": "code", "source": "", "metadata": {}, "outputs": [output]}
    if written:
        (tmp_path / "there.html").write_text("page")
    site.prepare(cell, tmp_path / "notebook.ipynb")
    assert ("<iframe" in output["data"]["text/html"]) == written
    assert "there.html" in output["data"]["text/html"]


# --- slides ---------------------------------------------------------------------------------


def test_prose_is_cut_into_blocks_and_lists_into_items():
    text = "## A\n\nOne\ntwo.\n\n- a\n  b\n- c\n\n$$x$$\n\n| a |\n|---|\n| b |"
    kinds = ["heading", "paragraph", "list_item", "list_item", "math_block", "table"]
    assert [kind for kind, _ in slides.blocks(text)] == kinds
    assert slides.blocks(text)[2][1] == "- a\n  b"


def test_the_room_sees_the_first_paragraph_formulas_and_predictions():
    formula, predict = ("math_block", "$$x$$"), ("paragraph", "**Predict.** How many?")
    first, second, lead = ("paragraph", "First."), ("paragraph", "Second."), ("paragraph", "That is")
    assert slides.kept([first, second, lead, formula, second, predict]) == [first, lead, formula, predict]


def test_a_list_goes_with_the_paragraph_that_begins_it():
    first, other, item = ("paragraph", "Two:"), ("paragraph", "Others:"), ("list_item", "- one")
    assert slides.kept([first, item, item, other, item]) == [first, item, item]


def test_nothing_follows_a_prediction_on_its_slide():
    packed = slides.pack("How many?", [PARAGRAPH, PREDICT, PARAGRAPH])
    assert len(packed) == 2
    assert "Predict" in packed[0] and "Predict" not in packed[1]


@pytest.mark.parametrize("pieces", [1, 7, 30])
def test_slides_hold_every_piece_and_none_holds_more_than_it_has_room_for(pieces):
    packed = slides.pack("A title", [PARAGRAPH] * pieces)
    counts = [slide.count("<p>text</p>") for slide in packed]
    assert sum(counts) == pieces
    assert max(counts) <= slides.ROOM // PARAGRAPH.height


def test_long_printed_text_goes_on_on_the_next_slide():
    parts = slides.printed("\n".join(map(str, range(45))))
    assert [part.html.count("\n") + 1 for part in parts] == [20, 20, 5]


def test_wide_printed_text_gets_smaller_type():
    sizes = [re.search(r"font-size: ([\d.]+)px", slides.printed("x" * n)[0].html)[1] for n in (20, 100, 400)]
    assert [float(size) for size in sizes] == [26.0, pytest.approx(18.1, abs=0.1), 14.0]


def test_a_figure_comes_with_its_alt_text_and_without_its_table():
    png = {
        "data": {"image/png": "AAAA"},
        "metadata": {"image/png": {"alt": 'a "b"'}},
        "output_type": "display_data",
    }
    table = {"data": {"text/html": "<details><table></table></details>"}, "output_type": "display_data"}
    (piece,) = slides.output_pieces({"outputs": [png, table], "source": "plots.show(ax)"})
    assert 'alt="a &quot;b&quot;"' in piece.html


@pytest.mark.parametrize(("lines", "slides_needed"), [(3, 1), (18, 2)])
def test_short_code_stays_with_its_output_where_both_fit(lines, slides_needed):
    output = {"output_type": "stream", "text": "word\n" * lines}
    pieces = slides.output_pieces({"outputs": [output], "source": "print(text)\n" * 6})
    assert len(pieces) == slides_needed
    assert 'class="code"' in pieces[0].html


def test_what_a_stub_prints_is_not_shown():
    said = "Found: 94 %. No guess: put one in place of the dots before you run.\n"
    said += "00-1: not attempted. Put your answer in place of the dots and run the cell again.\nlast\n"
    (piece,) = slides.output_pieces(
        {"outputs": [{"output_type": "stream", "text": said}], "source": "a\n" * 9}
    )
    assert "<pre>Found: 94 %.\nlast</pre>" in piece.html


def bare(text):
    """HTML without its tags."""
    return html.unescape(re.sub("<[^>]*>", "", text))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_deck_has_every_section_and_no_solution(path):
    deck = slides.deck(path)
    titles = re.findall(
        r"^## (.+)$", "\n".join("".join(c["source"]) for c in cells_of(path, "markdown")), re.M
    )
    shown = [bare(title) for title in re.findall("<h2>(.*?)</h2>", deck)]
    plain = [re.sub("[`*]", "", title) for title in titles if title not in slides.LEFT_OUT]
    assert [title for title in shown if not title.startswith("Exercise ")] == plain
    assert deck.count("<h1>") == 1
    assert 'src="http' not in deck and "<details" not in deck
    solutions = [cell for cell in cells_of(path) if "solution" in cell["metadata"].get("tags", [])]
    assert [cell for cell in solutions if "".join(cell["source"]) in bare(deck)] == []


@pytest.mark.parametrize("lines", [1, 16, 17, 20, 45])
def test_printed_text_fits_on_its_slides(lines):
    pieces = slides.printed("\n".join(["a line"] * lines))
    assert max(piece.height for piece in pieces) <= slides.ROOM + 0.01
    assert sum(piece.html.count("a line") for piece in pieces) == lines
