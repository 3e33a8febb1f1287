"""The workshop kit adds up: minutes, agendas, sections, quoted numbers, links and questions."""

import re
from datetime import datetime
from functools import cache
from itertools import pairwise
from pathlib import Path

import nbformat
import pytest

import playbook

ROOT = Path(__file__).resolve().parent.parent
TEACHING = ROOT / "teaching"
NOTEBOOKS = {path.name[:2]: path for path in sorted((ROOT / "notebooks").glob("??_*.ipynb"))}
PAGES = {path.name[:2]: path for path in sorted(TEACHING.glob("??_*.md"))}
GUIDE, ASSESSMENT = TEACHING / "README.md", TEACHING / "self_assessment.md"
DOCUMENTS = [GUIDE, ASSESSMENT, *PAGES.values()]

FRAME = ["Goals", "What to say", "Misconceptions", "Checkpoints", "When you are late", "Fallback"]
FRAME += ["Questions", "Discuss"]
MOST_WORDS = 750  # a page
SECTIONS = re.compile(r"\bsections? (\d+(?:–\d+)?(?:(?:, | and )\d+(?:–\d+)?)*)", re.IGNORECASE)
EXERCISE = re.compile(r"\b\d\d-\d\b")

# Kinds of rows in an agenda, and the least and most minutes of each whole agenda.
KINDS = {"open", "teach", "exercise", "break", "close"}
AGENDAS = {"Half a day": (210, 240), "One day": (420, 480), "A talk": (90, 90)}
LONGEST_STRETCH, SHORTEST_BREAK = 90, 10


def text_of(path):
    return path.read_text(encoding="utf-8")


def without_code(text):
    return re.sub(r"^ *(?:> )?```.*?^ *(?:> )?```", "", text, flags=re.MULTILINE | re.DOTALL)


def part(text, title):
    """Return what stands below a second-level heading."""
    found = re.search(rf"^## {re.escape(title)}$(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, f"no section '## {title}'"
    return found[1]


def table(text):
    """Return the rows of the first table in a text, as dictionaries by column."""
    lines = re.search(r"^\|.*\n\|[-| ]+\|\n(?:\|.*\n)+", text, re.MULTILINE)[0].splitlines()
    names, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [dict(zip(names, row, strict=True)) for row in rows]


def minutes_in(cell):
    return int(re.fullmatch(r"(\d+) minutes", cell)[1])


@cache
def said(number):
    """Return all that a notebook prints and says, with single spaces."""
    texts = []
    for cell in nbformat.read(NOTEBOOKS[number], as_version=4).cells:
        texts.append(cell.source if cell.cell_type == "markdown" else "")
        for output in cell.get("outputs", []):
            texts.append(output.get("text", output.get("data", {}).get("text/plain", "")))
    return re.sub(r"\s+", " ", " ".join(texts))


@cache
def titles(number):
    """Return the second-level titles of a notebook."""
    cells = nbformat.read(NOTEBOOKS[number], as_version=4).cells
    prose = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    return re.findall(r"^## (.+?) *$", prose, re.MULTILINE)


@cache
def minutes(number):
    """Return the minutes to read and to practise that a notebook states."""
    source = ROOT / "notebooks" / "source" / f"{NOTEBOOKS[number].stem}.py"
    row = table(re.sub(r"^# \|", "|", text_of(source), flags=re.MULTILINE))[0]
    return minutes_in(row["To read"]), minutes_in(row["To practise"])


def numbers_in(reference):
    """Return the section numbers of '2, 4–6 and 9'."""
    for first, last in re.findall(r"(\d+)(?:–(\d+))?", reference):
        yield from range(int(first), int(last or first) + 1)


def absent_sections(text, number):
    """Return the sections that a text names and a notebook does not have."""
    there = {int(title.split(".")[0]) for title in titles(number) if title[0].isdigit()}
    named = [section for found in SECTIONS.findall(text) for section in numbers_in(found)]
    quoted = re.findall(r'"(When this misleads you|In production|Recap)"', text)
    return [s for s in named if s not in there] + [q for q in quoted if q not in titles(number)]


def unproved(text, heard):
    """Return the quotations with a digit that do not occur in what a notebook prints and says."""
    quotes = [quote for quote in re.findall(r"`([^`\n]+)`", text) if re.search(r"\d", quote)]
    return [quote for quote in quotes if not re.search(whole(quote), heard)]


def whole(quote):
    """Return a pattern that finds a quotation, but not inside a longer number."""
    return rf"(?<![\w.,])(?<!\s[-+−]){re.escape(quote)}(?!\w|[.,]\d)"


# --- one page for each notebook -------------------------------------------------------------


def test_every_notebook_has_a_page_of_its_name():
    assert {path.stem for path in PAGES.values()} == {path.stem for path in NOTEBOOKS.values()}


@pytest.fixture(params=NOTEBOOKS)
def number(request):
    return request.param


@pytest.fixture
def page(number):
    return text_of(PAGES[number])


def test_page_has_the_frame_and_is_one_page(number, page):
    name = re.search(r"^# (.+)", nbformat.read(NOTEBOOKS[number], as_version=4).cells[0].source)[1]
    assert page.startswith(f"# Teach {number}: {name}\n")
    assert re.findall(r"^## (.+)", page, re.MULTILINE) == FRAME
    assert f"](../notebooks/{NOTEBOOKS[number].name})" in page
    assert len(page.split()) <= MOST_WORDS


def test_page_has_the_minutes_of_its_notebook(number, page):
    row = {name: minutes_in(cell) for name, cell in table(page)[0].items()}
    assert (row["Teach"], row["Exercises"]) == minutes(number)
    assert row["Together"] == sum(minutes(number))


def test_talking_points_are_few_and_tied_to_sections(page):
    points = re.findall(r"^- (.+)", part(page, "What to say"), re.MULTILINE)
    assert 3 <= len(points) <= 6
    assert len([point for point in points if SECTIONS.search(point)]) >= len(points) - 1


def test_misconceptions_are_one_or_two_and_say_how_they_show(page):
    found = re.findall(r'^- \*\*"(.+?)"\*\*(.+)', part(page, "Misconceptions"), re.MULTILINE)
    assert 1 <= len(found) <= 2
    assert [name for name, rest in found if not re.search("see it|shows|comes", rest)] == []


def test_questions_have_answers(page):
    found = re.findall(r"^- \*\*(.+?)\*\* (\S.+)", part(page, "Questions"), re.MULTILINE)
    assert 2 <= len(found) <= 4


def test_checkpoints_name_exercises_that_exist(number, page):
    line = re.search(r"^Checkpoints: (.+)$", part(page, "Checkpoints"), re.MULTILINE)[1]
    names = line.split(", ")
    assert names and all(re.fullmatch(rf"{number}-[1-4]", name) for name in names)
    cells = nbformat.read(NOTEBOOKS[number], as_version=4).cells
    there = set(EXERCISE.findall(" ".join(re.findall(r'check\("[^"]+"', " ".join(c.source for c in cells)))))
    assert set(names) <= there


def test_page_says_what_to_cut_by_sections_that_exist(number, page):
    assert SECTIONS.search(part(page, "When you are late"))
    assert absent_sections(page, number) == []


def test_every_quoted_number_is_printed_or_said_by_the_notebook(number, page):
    assert unproved(page, said(number)) == []


def test_no_number_stands_outside_a_quotation(page):
    prose = "\n".join(line for line in page.splitlines() if not re.match(r"# |\||\[Notebook\]", line))
    for proved in (r"`[^`\n]+`", SECTIONS, EXERCISE, r"\bnotebooks? \d\d"):
        prose = re.sub(proved, "", prose, flags=0 if isinstance(proved, re.Pattern) else re.IGNORECASE)
    # A digit after a letter belongs to a name, such as PC1.
    assert re.findall(r".{0,30}(?<!\w)\d.*", prose) == []


@pytest.mark.parametrize("wrong", ["0.813", "0.80", "803", "9% of the queries", "4.9", "7"])
def test_a_number_that_no_cell_prints_is_found(wrong):
    heard = "success 0.803 in 9% of the traffic, change -4.9, 17 of 26 weeks"
    right = "`0.803`, `9% of the traffic`, `-4.9`, `26 weeks`"
    assert unproved(right, heard) == []
    assert unproved(f"{right}, `{wrong}`", heard) == [wrong]


# --- the agendas ----------------------------------------------------------------------------


def clock(cell):
    return datetime.strptime(cell, "%H:%M")


def length(row):
    return (clock(row["End"]) - clock(row["Start"])).seconds // 60


@pytest.fixture(params=AGENDAS)
def name(request):
    return request.param


@pytest.fixture
def title(name):
    found = re.findall(rf"^## ({name}.*)$", text_of(GUIDE), re.MULTILINE)
    assert len(found) == 1
    return found[0]


@pytest.fixture
def rows(title):
    return table(part(text_of(GUIDE), title))


def test_agenda_has_neither_gap_nor_overlap(rows):
    assert [(a["End"], b["Start"]) for a, b in pairwise(rows) if a["End"] != b["Start"]] == []
    assert min(length(row) for row in rows) >= 5


def test_agenda_takes_as_long_as_its_title_says(name, title, rows):
    size, unit = re.search(r"\((\d+) (hours|minutes)\)$", title).groups()
    total = sum(length(row) for row in rows)
    assert total == int(size) * (60 if unit == "hours" else 1)
    assert AGENDAS[name][0] <= total <= AGENDAS[name][1]


def test_nobody_sits_longer_than_ninety_minutes(rows):
    stretch = 0
    for row in rows:
        stretch = 0 if row["Kind"] == "break" else stretch + length(row)
        assert stretch <= LONGEST_STRETCH, row
        assert row["Kind"] != "break" or length(row) >= SHORTEST_BREAK


def test_agenda_sums_up_its_kinds(title, rows):
    total = {kind: sum(length(row) for row in rows if row["Kind"] == kind) for kind in KINDS}
    assert {row["Kind"] for row in rows} <= KINDS and total["exercise"] > 0
    expected = f"In sum: teaching {total['teach']} minutes, exercises {total['exercise']}, "
    expected += f"breaks {total['break']}, opening and closing {total['open'] + total['close']}."
    assert expected in part(text_of(GUIDE), title)


def places(rows, kinds=("teach", "exercise")):
    """Return the notebook and the reference of each row of these kinds."""
    return [(re.match(r"\[(\d\d)\]", row["Where"])[1], row) for row in rows if row["Kind"] in kinds]


def test_agenda_leads_to_notebooks_and_sections_that_exist(rows):
    for number, row in places(rows):
        assert row["Where"].startswith(f"[{number}](../notebooks/{NOTEBOOKS[number].name})")
        assert absent_sections(row["Where"], number) == []
    assert [row for _, row in places(rows, ["teach"]) if not re.search(r'section|"', row["Where"])] == []


def test_agenda_takes_notebooks_in_order(rows):
    order = [number for number, _ in places(rows)]
    assert order == sorted(order)


@pytest.mark.parametrize("name", ["Half a day", "One day"])
def test_agenda_has_time_to_read_each_notebook_and_for_half_of_its_exercises(rows):
    given = {}
    for number, row in places(rows):
        given.setdefault(number, {"teach": 0, "exercise": 0})[row["Kind"]] += length(row)
    assert list(given)[:4] == ["00", "01", "02", "03"]
    for number, got in given.items():
        read, practise = minutes(number)
        assert got["teach"] >= read and got["exercise"] >= practise / 2, number


def test_guide_lists_every_page(number):
    assert f"]({PAGES[number].name})" in part(text_of(GUIDE), "One page for each notebook")


# --- the self-assessment --------------------------------------------------------------------

QUESTIONS = re.findall(r"^## \d+\. .*?(?=^## |\Z)", text_of(ASSESSMENT), re.MULTILINE | re.DOTALL)


def kind_of(question):
    return re.search(r"^\*(Choose|Estimate|Read the table|Judge)\.\*", question, re.MULTILINE)[1]


def test_there_are_ten_questions_of_four_kinds():
    assert [int(question[3:].split(".")[0]) for question in QUESTIONS] == list(range(1, 11))
    kinds = [kind_of(question) for question in QUESTIONS]
    assert {kind: kinds.count(kind) >= 2 for kind in kinds} == dict.fromkeys(kinds, True)
    assert len(set(kinds)) == 4


def test_right_options_are_spread_over_the_letters():
    right = [found[1] for q in QUESTIONS if (found := re.search(r"^\*\*([A-D])\.\*\*", q, re.MULTILINE))]
    assert max(map(right.count, right)) <= 2 and len(set(right)) >= 4


@pytest.fixture(params=QUESTIONS, ids=lambda question: question.split("\n")[0][3:])
def question(request):
    return request.param


@pytest.fixture
def answer(question):
    pattern = r"<details>\n<summary>Answer</summary>\n\n(.+)\n\n</details>\n\Z"
    found = re.search(pattern, question.rstrip() + "\n", re.DOTALL)
    assert found and question.count("<details>") == 1
    return found[1]


def test_question_has_an_answer_that_gives_reasons(question, answer):
    options = re.findall(r"^- ([A-Z])\. ", question.split("<details>")[0], re.MULTILINE)
    if kind_of(question) in ("Choose", "Read the table"):
        assert options == ["A", "B", "C", "D"]
        right = re.match(r"\*\*([A-D])\.\*\*", answer)[1]
        # why each other option is wrong, by its letter
        assert [x for x in options if x != right and not re.search(rf"\b{x}\b", answer)] == []
    else:
        assert options == []
        assert re.search("tempting wrong answer|common guess|even an oracle", answer)
    assert len(answer.split()) >= 50


def test_answer_stands_in_the_fold_only(question, answer):
    assert not re.search(r"\*\*[A-D]\.\*\*|Read again", question.split("<details>")[0])
    assert answer.count("Read again: [notebook ") == 1


def test_answer_leads_to_the_place_in_a_notebook(answer):
    number, target, place = re.search(r"Read again: \[notebook (\d\d)\]\((.+?)\), (.+)\.", answer).groups()
    assert target == f"../notebooks/{NOTEBOOKS[number].name}"
    assert re.search(r'section \d|"', place)
    assert absent_sections(place, number) == []


def test_every_quoted_number_of_a_question_is_printed_by_its_notebook(question):
    number = re.search(r"Read again: \[notebook (\d\d)\]", question)[1]
    assert unproved(question, said(number)) == []


# --- all documents --------------------------------------------------------------------------


@pytest.fixture(params=DOCUMENTS, ids=lambda path: path.stem)
def document(request):
    return request.param


def test_links_are_relative_and_resolve(document):
    for target in re.findall(r"\]\(([^)\s]+)\)", text_of(document)):
        assert not re.match(r"[a-z]+:", target), target
        file, _, anchor = target.partition("#")
        assert (document.parent / file).exists(), target
        heads = re.findall(r"^#+ (.+)", text_of(document), re.MULTILINE)
        assert not anchor or anchor in [re.sub(r"[^\w-]", "", h.lower().replace(" ", "-")) for h in heads]


def test_headings_form_an_outline(document):
    levels = [len(marks) for marks in re.findall(r"^(#+) ", without_code(text_of(document)), re.MULTILINE)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert [(up, down) for up, down in pairwise(levels) if down > up + 1] == []


def test_tables_have_headers_and_even_rows(document):
    blocks = re.findall(r"(?:^\|.*\n)+", text_of(document), re.MULTILINE)
    for block in blocks:
        lines = block.splitlines()
        assert re.fullmatch(r"\|(?:-+\|)+", lines[1]), lines[0]
        assert {line.count("|") for line in lines} == {lines[0].count("|")}


def test_commands_name_jobs_of_the_playbook(document):
    named = re.findall(r"playbook\.py ([a-z]+)", text_of(document))
    assert [job for job in named if job not in playbook.JOBS] == []
