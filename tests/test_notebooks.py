"""Every notebook is its text source, run once from top to bottom, in the series' frame."""

import re
from itertools import pairwise
from pathlib import Path

import nbformat
import pytest

from tools.build import read_source

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"
PATHS = sorted(NOTEBOOKS.glob("*.ipynb"))
VERBS = ("Alert Break Connect Diagnose Monitor Put Quantify Scale Solve Stream Try Upgrade Visualize").split()
CLOSING = ["When this misleads you", "In production", "Exercises", "Recap"]
MOST_CELLS, MOST_LINES, FEWEST_PREDICTIONS, SHORTEST_ALT = 62, 18, 3, 60
MOST_ROWS, MOST_TABLE_BYTES = 40, 60_000

# What an output must not hold, since another machine or another run would print another one.
ACCIDENTAL = re.compile(
    r"0x[0-9a-f]{6,}|[/](home|root|work|Users|tmp|var)[/]|[A-Z]:\\|site-packages|ipykernel_\d"
    r"|\b\d+\.\d+\.\d+\b"
)


@pytest.fixture(params=PATHS, ids=lambda path: path.stem)
def path(request):
    return request.param


@pytest.fixture
def notebook(path):
    return nbformat.read(path, as_version=4)


@pytest.fixture
def code(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


@pytest.fixture
def prose(notebook):
    """The text of each Markdown cell, without its code blocks."""
    texts = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    return [re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL) for text in texts]


@pytest.fixture
def outputs(code):
    return [output for cell in code for output in cell.outputs]


def headings(text):
    """Return (level, title) of each heading in a Markdown text."""
    found = re.findall(r"^(#+) +(.+?) *$", text, re.MULTILINE)
    return [(len(marks), title) for marks, title in found]


def section(text, title):
    """Return what stands between a second-level heading and the next heading."""
    found = re.search(rf"^## {re.escape(title)} *$(.*?)(?=^#+ |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, f"no section '## {title}'"
    return found[1]


def bullets(text):
    return re.findall(r"^[-*] +(.+)", text, re.MULTILINE)


def links(text):
    """Return the relative targets that a text links to or shows, without their anchors."""
    found = re.findall(r"\]\(([^)\s]+)", text) + re.findall(r"(?:href|src)=\"([^\"]+)\"", text)
    return [target.split("#")[0] for target in found if not re.match(r"[a-z]+:|#", target)]


# --- the file -------------------------------------------------------------------------------


def test_sources_and_notebooks_are_pairs():
    sources = {path.stem for path in (NOTEBOOKS / "source").glob("*.py")}
    assert PATHS
    assert sources == {path.stem for path in PATHS}
    assert [stem for stem in sources if not re.fullmatch(r"\d\d_[a-z0-9_]+", stem)] == []


def test_notebook_is_its_source(path, notebook):
    source = read_source(NOTEBOOKS / "source" / f"{path.stem}.py")
    assert notebook.metadata == source.metadata
    kept = ("id", "cell_type", "source", "metadata")
    for place, (ours, theirs) in enumerate(zip(notebook.cells, source.cells, strict=True), 1):
        for key in kept:
            assert ours[key] == theirs[key], f"cell {place}: run 'playbook.py run {path.name[:2]}'"


def test_file_is_written_as_the_build_writes_it(path, notebook):
    nbformat.validate(notebook)
    assert path.read_bytes() == (nbformat.writes(notebook).rstrip("\n") + "\n").encode()


def test_every_cell_ran_once_and_in_order(code):
    # nbval compares nothing in a cell without a count
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))


def test_no_cell_warned_or_failed(outputs):
    assert [o for o in outputs if o.output_type == "error" or o.get("name") == "stderr"] == []


def test_no_cell_ends_with_a_semicolon(code):
    # nbval shows what the semicolon hides, and fails
    assert [cell.id for cell in code if cell.source.rstrip().endswith(";")] == []


def test_outputs_hold_nothing_accidental(outputs):
    texts = [str(output.get("text", "")) for output in outputs]
    texts += [str(v) for o in outputs for kind, v in o.get("data", {}).items() if "text" in kind]
    assert [found[0] for text in texts if (found := ACCIDENTAL.search(text))] == []


# --- the frame ------------------------------------------------------------------------------


def test_first_cell_introduces_the_notebook(notebook):
    assert notebook.cells[0].cell_type == "markdown"
    text = notebook.cells[0].source
    blocks = [block.strip() for block in re.split(r"\n\s*\n", text)]
    assert re.fullmatch(r"# \S.*", blocks[0])
    assert blocks[0].split()[1] in VERBS, "a title starts with a verb of the list in this test"
    assert blocks[1].endswith(".") and not re.search(r"[.!?]\s+[A-Z]", blocks[1]), "one sentence"
    assert blocks[2].startswith("**Launch:**")
    assert blocks[3].startswith("| To read | To practise | To run | Memory |\n")
    assert len(blocks[3].splitlines()) == 3
    titles = [title for level, title in headings(text) if level == 2]
    assert titles == ["What you will be able to do", "What you need"]
    goals = bullets(section(text, "What you will be able to do"))
    assert 3 <= len(goals) <= 5
    assert [goal for goal in goals if not goal.startswith("You can")] == []


def test_second_cell_is_the_common_setup(notebook):
    setup = notebook.cells[1]
    assert setup.cell_type == "code" and setup.metadata.get("tags") == ["setup"]
    assert setup.source == nbformat.read(PATHS[0], as_version=4).cells[1].source
    assert [c.id for c in notebook.cells[2:] if "setup" in c.metadata.get("tags", [])] == []


def test_headings_form_an_outline(prose):
    levels = [level for text in prose for level, _ in headings(text)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert [(up, down) for up, down in pairwise(levels) if down > up + 1] == []


def test_length(notebook, code):
    tags = [set(cell.metadata.get("tags", [])) for cell in notebook.cells]
    practice = sum(bool(tag & {"predict", "exercise", "solution"}) for tag in tags)
    texts = sum("### Exercise" in cell.source for cell in notebook.cells)
    assert len(notebook.cells) - practice - texts <= MOST_CELLS
    lines = {cell.id: sum(bool(line.strip()) for line in cell.source.splitlines()) for cell in code}
    assert {cell: count for cell, count in lines.items() if count > MOST_LINES} == {}


def test_closing_sections(prose):
    titles = [title for text in prose for level, title in headings(text) if level == 2]
    assert titles[-len(CLOSING) :] == CLOSING


def test_recap_answers_every_objective(prose):
    goals = bullets(section(prose[0], "What you will be able to do"))
    before_links = "\n\n".join(prose[:-1])
    assert len(bullets(section(before_links, "Recap"))) == len(goals)


def test_learner_predicts(prose):
    predictions = re.findall(r"^\*\*Predict\.\*\*", "\n".join(prose), re.MULTILINE)
    assert len(predictions) >= FEWEST_PREDICTIONS


def test_last_cell_leads_to_the_neighbours(path, notebook):
    assert notebook.cells[-1].cell_type == "markdown"
    place = PATHS.index(path)
    before = PATHS[place - 1].name if place else "../README.md"
    after = PATHS[place + 1].name if place + 1 < len(PATHS) else "../README.md"
    assert {before, after} <= set(links(notebook.cells[-1].source))


def test_links_resolve(notebook):
    texts = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    targets = [target for text in texts for target in links(text)]
    assert [target for target in targets if not (NOTEBOOKS / target).exists()] == []


def test_every_figure_is_described(outputs):
    for output in outputs:
        data = output.get("data", {})
        assert not {"image/jpeg", "image/gif"} & set(data), "only PNG figures are compared"
        if "image/png" in data:
            alt = output.metadata.get("image/png", {}).get("alt", "")
            assert len(alt) >= SHORTEST_ALT and re.search(r"\d", alt), f"alt text: {alt!r}"
            assert data.get("text/plain") == alt


def test_the_numbers_of_every_figure_stand_below_it(code):
    for cell in code:
        for picture, below in pairwise([*cell.outputs, {}]):
            if "image/png" not in picture.get("data", {}):
                continue
            html = below.get("data", {}).get("text/html", "")
            assert html.startswith('<details class="figure-data">'), f"{cell.id}: no numbers below a figure"
            for table in html.split("<table>")[1:]:
                assert re.search(r"<caption>[^<]", table) and '<th scope="row">' in table, cell.id
                assert '<th scope="col">' in table and re.search(r"<td>-?\d", table), cell.id
                assert table.count("<tr>") <= MOST_ROWS, f"{cell.id}: {table.count('<tr>')} rows"


def test_the_numbers_of_all_figures_stay_small(outputs):
    tables = [data for output in outputs if "figure-data" in str(data := output.get("data", {}))]
    assert sum(len(text.encode()) for data in tables for text in data.values()) < MOST_TABLE_BYTES


def test_every_picture_in_the_text_is_described(prose):
    assert [text for text in prose if re.search(r"!\[\s*\]\(", text)] == []


# --- the README -----------------------------------------------------------------------------


def test_readme_says_how_long_each_notebook_takes(path, prose):
    read, practise = re.search(r"^\| (\d+) minutes \| (\d+) minutes \|", prose[0], re.MULTILINE).groups()
    readme = (NOTEBOOKS.parent / "README.md").read_text(encoding="utf-8")
    row = rf"^\| {path.name[:2]} \| \[.+?\]\(notebooks/{path.name}\) \| (\d+) \|"
    assert int(re.search(row, readme, re.MULTILINE)[1]) == int(read) + int(practise)


def test_readme_counts_notebooks_and_exercises():
    texts = [cell.source for path in PATHS for cell in nbformat.read(path, as_version=4).cells]
    exercises = sum(text.count("### Exercise ") for text in texts)
    said = re.search(
        r"(\d+) notebooks that run offline, .+? (\d+) exercises", (NOTEBOOKS.parent / "README.md").read_text()
    )
    assert [int(number) for number in said.groups()] == [len(PATHS), exercises]
