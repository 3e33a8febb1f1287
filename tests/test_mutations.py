"""The suite notices: each change that should fail a test is made in a copy, and must fail one."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LEFT_OUT = shutil.ignore_patterns(".git", ".venv", ".*_cache", "__pycache__", ".ipynb_checkpoints")
[NOTEBOOK] = sorted((ROOT / "notebooks").glob("00_*.ipynb"))
STEM = NOTEBOOK.stem
CODE_CELLS = sum(cell["cell_type"] == "code" for cell in json.loads(NOTEBOOK.read_text())["cells"])

STRUCTURE = ["tests/test_notebooks.py", "-k", STEM]
OUTPUTS = [f"notebooks/{NOTEBOOK.name}"]


@pytest.fixture
def project(tmp_path):
    """A copy of the project that can be changed."""
    return Path(shutil.copytree(ROOT, tmp_path / "project", ignore=LEFT_OUT))


def suite(project, tests):
    """Run a part of the suite in the copy; return its exit code and what it printed."""
    env = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
    env |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", "-x", "-p", "no:cacheprovider", "--color=no"]
    done = subprocess.run(
        [*command, *tests], cwd=project, env=env, capture_output=True, text=True, timeout=300
    )
    return done.returncode, done.stdout + done.stderr


def replace_once(path, pattern, change):
    """Change what the pattern's first group holds; the pattern must be found exactly once."""
    text = path.read_text(encoding="utf-8")
    found = list(re.finditer(pattern, text, re.MULTILINE))
    assert len(found) == 1, f"{path.name}: {len(found)} places match {pattern}"
    start, end = found[0].span(1)
    assert (new := change(found[0][1])) != found[0][1]
    path.write_text(text[:start] + new + text[end:], encoding="utf-8")


def edit_notebook(project, change):
    """Let `change` edit the code cells of notebook 00."""
    path = project / "notebooks" / NOTEBOOK.name
    content = json.loads(path.read_text(encoding="utf-8"))
    change([cell for cell in content["cells"] if cell["cell_type"] == "code"])
    text = json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")


def an_output_digit(project):
    def change(cells):
        streams = [out for cell in cells for out in cell["outputs"] if out.get("name") == "stdout"]
        stream = next(out for out in streams if re.search(r"\d", "".join(out["text"])))
        text = "".join(stream["text"])
        place = re.search(r"\d", text).start()
        text = text[:place] + str((int(text[place]) + 1) % 10) + text[place + 1 :]
        stream["text"] = text.splitlines(keepends=True)

    edit_notebook(project, change)


def a_helper_constant(project):
    synthetic = project / "helpers" / "synthetic.py"
    replace_once(synthetic, r"^CLICK_ON_SUCCESS\b.*= (0\.62)\b", lambda value: "0.55")


def a_line_colour(project):
    plots = project / "helpers" / "plots" / "base.py"
    replace_once(plots, r"^ +\"current\": \"(#[0-9A-Fa-f]{6})\"", lambda colour: "#AA4499")


def a_stale_source(project):
    source = project / "notebooks" / "source" / f"{STEM}.py"
    replace_once(source, r"^# ## (In production)$", lambda title: "In  production")


def stripped_outputs(project):
    def change(cells):
        for cell in cells:
            cell.update(outputs=[], execution_count=None)

    edit_notebook(project, change)


def one_alt_text(project):
    def change(cells):
        outputs = [output for cell in cells for output in cell["outputs"]]
        figure = next(out for out in outputs if "image/png" in out.get("data", {}))
        figure["metadata"]["image/png"]["alt"] += " Changed."

    edit_notebook(project, change)


def figure_tables(cells):
    outputs = [output for cell in cells for output in cell["outputs"]]
    return [
        output for output in outputs if "figure-data" in "".join(output.get("data", {}).get("text/html", ""))
    ]


def one_number_of_a_figure(project):
    def change(cells):
        html = figure_tables(cells)[0]["data"]["text/html"]
        place = next(number for number, line in enumerate(html) if re.search(r"<td>\d", line))
        html[place] = re.sub(r"<td>(\d)", lambda cell: f"<td>{(int(cell[1]) + 1) % 10}", html[place])

    edit_notebook(project, change)


def a_figure_without_numbers(project):
    def change(cells):
        for cell in cells:
            left_out = figure_tables([cell])[:1]
            cell["outputs"] = [output for output in cell["outputs"] if output not in left_out]

    edit_notebook(project, change)


def test_the_unchanged_copy_passes(project):
    code, said = suite(project, STRUCTURE)
    assert code == 0 and not re.search(r"\d+ (skipped|xfailed|failed|errors?)\b", said), said
    assert int(re.search(r"(\d+) passed", said)[1]) > 10
    code, said = suite(project, OUTPUTS)
    assert code == 0 and f"= {CODE_CELLS} passed in" in said, said


CASES = [
    (an_output_digit, OUTPUTS, "Cell outputs differ"),
    (a_helper_constant, OUTPUTS, "Cell outputs differ"),
    (a_line_colour, OUTPUTS, r"figure \d+: RMS pixel difference"),
    (stripped_outputs, OUTPUTS, "was never run"),
    (stripped_outputs, STRUCTURE, "test_every_cell_ran_once_and_in_order"),
    (a_stale_source, STRUCTURE, "test_notebook_is_its_source"),
    (one_alt_text, STRUCTURE, "test_every_figure_is_described"),
    (one_number_of_a_figure, OUTPUTS, "Cell outputs differ"),
    (a_figure_without_numbers, STRUCTURE, "test_the_numbers_of_every_figure_stand_below_it"),
]


@pytest.mark.parametrize(("mutate", "tests", "complaint"), CASES, ids=[case[0].__name__ for case in CASES])
def test_the_suite_notices(mutate, tests, complaint, project):
    mutate(project)
    code, said = suite(project, tests)
    assert code == 1 and re.search(r"\b1 failed\b", said), said
    assert re.search(complaint, said), said
