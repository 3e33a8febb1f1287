"""Every exercise answers: it sees a stub, says what is wrong with a wrong answer, takes any right one."""

import ast
import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest

from helpers.exercises import EXERCISES, check, hint
from helpers.predictions import reveal

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def answers_of(number):
    """Return what learners answer to one notebook's exercises."""
    path = Path(__file__).parent / "exercises" / f"answers_{number}.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.ANSWERS


ANSWERS = {name: given for path in NOTEBOOKS for name, given in answers_of(path.name[:2]).items()}
CORRECT = [(name, answer) for name, given in ANSWERS.items() for answer in given["correct"]]
WRONG = [(name, *pair) for name, given in ANSWERS.items() for pair in given["wrong"]]


class Hostile:
    """An object that fails whatever is done with it."""

    def __getattribute__(self, name):
        raise RuntimeError("no")

    def __eq__(self, other):
        raise RuntimeError("no")

    def __hash__(self):
        raise RuntimeError("no")

    def __array__(self, *args, **kwargs):
        raise RuntimeError("no")

    def __repr__(self):
        raise RuntimeError("no")


def quits(*args, **kwargs):
    sys.exit(3)


def returns_itself(*args, **kwargs):
    return returns_itself


OBJECTS = [
    None,
    True,
    0,
    -1e308,
    float("nan"),
    1j,
    "",
    "x" * 10_000,
    b"\x00",
    [],
    {},
    set(),
    (),
    [[]],
    [None],
]
OBJECTS += [
    {"a": ...},
    object(),
    Hostile(),
    Hostile,
    quits,
    returns_itself,
    lambda: 1,
    lambda *a: 1 / 0,
    range(3),
]
OBJECTS += [
    np.array([]),
    np.array(1.0),
    np.full((2, 3), np.nan),
    np.array(["a"]),
    [Hostile()],
]
OBJECTS += [pd.DataFrame(), pd.DataFrame({"success": [1.0]}), pd.Series(dtype=float), pd.Series(["a", None])]
OBJECTS += [iter([1, 2]), (number for number in [1, 2]), Exception("no"), sys, NotImplemented, [1, [2, 3]]]


def code_of(path, tag):
    """Return the code cells of a notebook that carry a tag."""
    cells = nbformat.read(path, as_version=4).cells
    return [cell for cell in cells if tag in cell.metadata.get("tags", [])]


def names_checked(cell):
    """Return the first argument of each call of `check` in a cell."""
    calls = [node for node in ast.walk(ast.parse(cell.source)) if isinstance(node, ast.Call)]
    return [ast.literal_eval(call.args[0]) for call in calls if getattr(call.func, "id", "") == "check"]


def printed(cell):
    return "".join(output.text for output in cell.outputs if output.output_type == "stream")


# --- the exercises in the notebooks ---------------------------------------------------------


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_each_exercise_has_a_text_a_stub_and_a_solution_of_its_own_name(path):
    cells = nbformat.read(path, as_version=4).cells
    begins = [
        (place, found[1])
        for place, cell in enumerate(cells)
        if (found := re.search(r"^### Exercise (\d\d-\d): \S", cell.source, re.MULTILINE))
    ]
    names = [name for _, name in begins]
    assert 2 <= len(names) <= 4
    assert names == [f"{path.name[:2]}-{number}" for number in range(1, len(names) + 1)]
    for place, name in begins:
        text, stub, solution = cells[place : place + 3]
        assert len(re.findall(r"^### Exercise", text.source, re.MULTILINE)) == 1
        assert stub.metadata.tags == ["exercise"] and names_checked(stub) == [name]
        assert "solution" in solution.metadata.tags and names_checked(solution) == [name]
    assert len(code_of(path, "exercise")) == len(code_of(path, "solution")) == len(names)
    assert (
        cells[begins[-1][0]]
        .source.split(f"### Exercise {names[-1]}")[1]
        .splitlines()[0]
        .endswith("(open-ended)")
    )


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_stubs_are_not_attempted_and_solutions_are_correct(path):
    for cell in code_of(path, "exercise"):
        (name,) = names_checked(cell)
        assert re.fullmatch(rf"{name}: not attempted\. .*\n", printed(cell))
    for cell in code_of(path, "solution"):
        (name,) = names_checked(cell)
        advice = "who runs all cells must see no answer: print nothing, end with check(..., solution=True)"
        assert printed(cell) == f"{name}, solution: correct.\n" and len(cell.outputs) == 1, advice
        first = cell.source.splitlines()[0]
        assert first == f"# Solution of {name}", (
            "JupyterLab shows the first line of a folded cell: start with this"
        )


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_solutions_are_folded_away_and_nothing_else_is(path):
    cells = nbformat.read(path, as_version=4).cells
    for cell in cells:
        folded = {"jupyter", "cellView"} & set(cell.metadata)
        assert bool(folded) == ("solution" in cell.metadata.get("tags", []))
    for cell in code_of(path, "solution"):
        assert cell.metadata.tags == ["solution", "hide-cell"]
        assert cell.metadata.jupyter == {"source_hidden": True, "outputs_hidden": True}


def test_every_exercise_stands_in_a_notebook_and_has_answers_here():
    there = [name for path in NOTEBOOKS for cell in code_of(path, "exercise") for name in names_checked(cell)]
    assert there == list(EXERCISES) == list(ANSWERS)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_each_prediction_is_committed_to_before_it_is_revealed(path):
    cells = [cell for cell in nbformat.read(path, as_version=4).cells]
    places = [place for place, cell in enumerate(cells) if "predict" in cell.metadata.get("tags", [])]
    assert len(places) >= 2
    for place in places:
        assert "**Predict.**" in cells[place - 1].source
        (names, dots) = cells[place].source.split("#")[0].strip().split(" = ")
        assert set(dots.split(", ")) == {"..."}
        later = "\n".join(cell.source for cell in cells[place + 1 : place + 4] if cell.cell_type == "code")
        for name in names.split(", "):
            assert name.startswith("guess") and f"reveal({name}, " in later


# --- what the checks say --------------------------------------------------------------------


@pytest.mark.parametrize("name", EXERCISES)
def test_exercise_is_complete(name):
    exercise, given = EXERCISES[name], ANSWERS[name]
    assert len(exercise.hints) >= 2 and len(set(exercise.hints)) == len(exercise.hints)
    texts = [exercise.because, *exercise.hints]
    assert [text for text in texts if not text.strip().endswith((".", "?", "`"))] == []
    assert len(given["correct"]) >= 2, "an answer and an equivalent one"
    assert len({words for _, words in given["wrong"]}) >= 2, "two typical wrong answers with two messages"


@pytest.mark.parametrize("name", EXERCISES)
def test_dots_are_not_attempted(name, capsys):
    check(name)
    check(name, ...)
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 2 and all(line.startswith(f"{name}: not attempted. ") for line in said)


@pytest.mark.parametrize(
    ("name", "answer"), CORRECT, ids=lambda value: value if isinstance(value, str) else ""
)
def test_right_answer_is_correct_in_any_form(name, answer, capsys):
    check(name, answer)
    assert capsys.readouterr().out == f"{name}: correct. {EXERCISES[name].because}\n"


@pytest.mark.parametrize(
    ("name", "answer", "words"), WRONG, ids=lambda value: value if isinstance(value, str) else ""
)
def test_wrong_answer_gets_its_own_message(name, answer, words, capsys):
    check(name, answer)
    said = capsys.readouterr().out
    assert said.startswith(f"{name}: not yet. ") and words in said
    assert "cannot be read as an answer" not in said


@pytest.mark.parametrize("name", EXERCISES)
def test_no_answer_whatsoever_raises_or_is_taken_for_correct(name, capsys):
    for answer in OBJECTS:
        assert check(name, answer) is None
        said = capsys.readouterr()
        assert re.match(rf"{name}: (not yet|not attempted)\. ", said.out), (type(answer), said.out)
        assert said.err == "" and said.out.count("\n") == 1


@pytest.mark.parametrize("name", [None, "", "99-9", "00-9", 3, [], {}, "x" * 999, ...])
def test_unknown_name_is_answered_with_those_that_exist(name, capsys):
    check(name, 1)
    hint(name)
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 2 and all(
        "there is no exercise of this name" in line and "00-1" in line for line in said
    )


@pytest.mark.parametrize("name", EXERCISES)
def test_hints_come_in_stages_and_end(name, capsys):
    hints = EXERCISES[name].hints
    for stage, text in enumerate(hints, 1):
        hint(name, stage)
        assert capsys.readouterr().out.startswith(f"{name}, hint {stage} of {len(hints)}: {text}\n")
    hint(name, 99)
    assert "This was the last one" in capsys.readouterr().out


def test_each_call_gives_the_next_hint(capsys):
    for _ in range(3):
        hint("00-1")
    assert re.findall(r"hint (\d) of", capsys.readouterr().out) == ["1", "2", "3"]


WATCH = """
import sys
sys.path.insert(0, "tests")
import test_exercises as t
from helpers.exercises import check, hint
for name, answer in t.CORRECT: check(name, answer)  # whatever is read once is read now
def watch(event, args):
    writes = event == "open" and isinstance(args[1], str) and set(args[1]) & set("wax+")
    if writes or event in ("socket.connect", "socket.getaddrinfo", "sqlite3.connect", "subprocess.Popen"):
        raise SystemExit(f"a check did {event} {args}")
sys.addaudithook(watch)
for name, answer in t.CORRECT: check(name, answer)
for name, answer, _ in t.WRONG: check(name, answer)
for name in t.EXERCISES: hint(name)
print("watched to the end")
"""


def test_checks_write_no_file_and_use_no_network():
    done = subprocess.run(
        [sys.executable, "-c", WATCH], capture_output=True, text=True, cwd=ROOT, timeout=300
    )
    assert done.stdout.endswith("watched to the end\n"), done.stdout[-500:] + done.stderr[-500:]


# --- predictions ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("guess", "found", "says"),
    [
        (11, 12.772, "Found: 12.8 %. You said 11 %: 1.8 too low."),
        (1024, 512, "Found: 512 %. You said 1,024 %: 512 too high."),
        (-2000, -2338.0, "Found: -2,338 %. You said -2,000 %: 338 too high."),
        (518.26, 120.4, "Found: 120 %. You said 518 %: 398 too high."),
        (94, 94.04, "Found: 94 %. You said 94 %: exactly."),
        (50, 94.04, "Found: 94 %. You said 50 %: 44 too low."),
        (np.float32(100), 94, "Found: 94 %. You said 100 %: close."),
        ("200", 94, "Found: 94 %. You said 200 %: 106 too high."),
        ("many", 94, "Found: 94 %. This is not a number but a str."),
        (..., 94, "Found: 94 %. No guess: put one in place of the dots before you run."),
        (None, 94, "Found: 94 %. This is not a number but None."),
        ("B ", "b", "Found: b. You said so."),
        ("a", "b", "Found: b. You said a."),
        (3, "b", "Found: b. Your guess is not a text: write it in quotes, such as 'b'."),
        (..., "b", "Found: b. No guess: put one in place of the dots before you run."),
    ],
)
def test_reveal_compares(guess, found, says, capsys):
    reveal(guess, found, "" if isinstance(found, str) else "%")
    assert capsys.readouterr().out == says + "\n"


@pytest.mark.parametrize("found", [94.0, "b"])
def test_reveal_never_raises(found, capsys):
    for guess in OBJECTS:
        reveal(guess, found)
        assert capsys.readouterr().out.startswith("Found: ")


def test_reveal_puts_the_number_into_its_unit(capsys):
    reveal(22, 20, "day {}", close=1)
    reveal(..., 2.81, "z = {}")
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "Found: day 20. You said day 22: 2 too high."
    assert said[1].startswith("Found: z = 2.81. No guess")


def test_reveal_takes_your_word_for_what_is_close(capsys):
    reveal(0.2, 0.0, close=0.3)
    reveal(0.2, 0.0)
    assert (
        capsys.readouterr().out.split()
        == "Found: 0. You said 0.2: close. Found: 0. You said 0.2: 0.2 too high.".split()
    )
