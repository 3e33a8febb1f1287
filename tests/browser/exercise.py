"""Answer an exercise in JupyterLab as a learner does: not at all, wrongly, with a hint, rightly.

    python tests/browser/exercise.py [--pictures FOLDER]

Needs what lab.py beside it needs. The notebook's file is put back at the end, whatever happens. Exit
code 0 means: the stub said "not attempted", a wrong answer got its own message, the hint came, the right
answer was correct, the solution lay folded below and opened by a click, and a prediction was compared.
"""

import argparse
import tempfile
from pathlib import Path

from lab import ALL_DONE, IDLE, ROOT, SECONDS, code_cells, in_jupyterlab, last_open, start_all
from playwright.sync_api import Locator, Page

NOTEBOOK = ROOT / "notebooks" / "00_break_a_product.ipynb"
STUB, SOLUTION, PREDICTION = "answer = ...  # one letter", 'answer = "b"', "guess_success, guess_click = ..."


def cell_with(page: Page, text: str) -> Locator:
    """Scroll until the cell whose source holds `text` is drawn; Lab draws only what is near."""
    cell = page.locator(".jp-CodeCell").filter(has_text=text).first
    notebook = page.locator(".jp-WindowedPanel-outer").first
    notebook.hover()
    for step in (-700, 700):
        for _ in range(60):
            if cell.count():
                cell.scroll_into_view_if_needed()
                return cell
            page.mouse.wheel(0, step)
            page.wait_for_timeout(100)
    raise AssertionError(f"no cell with {text!r} is to be found")


def write(page: Page, cell: Locator, source: str) -> None:
    """Put another source into a cell and run it."""
    cell.locator(".cm-content").click()
    page.keyboard.press("Control+a")
    page.keyboard.insert_text(source)
    before = cell.locator(".jp-InputPrompt").inner_text()
    page.keyboard.press("Control+Enter")
    page.wait_for_function(
        "([cell, before]) => /\\d/.test(cell.innerText) && cell.innerText !== before",
        arg=[cell.locator(".jp-InputPrompt").element_handle(), before],
        timeout=120 * SECONDS,
    )
    page.get_by_text(IDLE).wait_for(timeout=60 * SECONDS)


def said(page: Page, cell: Locator, source: str) -> str:
    """Return what a cell prints with another source."""
    write(page, cell, source)
    return cell.locator(".jp-OutputArea-output").first.inner_text()


def run_above(page: Page, cells: int) -> None:
    """Run everything once, as the notebook stands."""
    start_all(page)
    page.wait_for_function(ALL_DONE, arg=cells, timeout=300 * SECONDS)
    page.get_by_text(IDLE).wait_for(timeout=60 * SECONDS)
    page.keyboard.press("Escape")


def answer(page: Page, link: str, pictures: Path) -> None:
    """Go through one exercise and one prediction."""
    page.goto(link)
    page.wait_for_selector(".jp-Notebook .jp-CodeCell", timeout=120 * SECONDS)
    page.get_by_text(IDLE).wait_for(timeout=120 * SECONDS)
    run_above(page, last_open(code_cells(NOTEBOOK)))

    stub = cell_with(page, STUB)
    assert "00-2: not attempted." in stub.locator(".jp-OutputArea-output").inner_text()
    stub = page.locator(".jp-CodeCell").filter(has_text='check("00-2", answer)').first
    words = said(page, stub, 'answer = "a"\ncheck("00-2", answer)')
    assert words.startswith("00-2: not yet. Search `_day`"), words
    page.screenshot(path=pictures / "exercise_wrong.png")
    words = said(page, stub, 'hint("00-2")  # check("00-2", answer)')
    assert words.startswith("00-2, hint 1 of 2:"), words
    words = said(page, stub, 'answer = "b"\ncheck("00-2", answer)')
    assert words.startswith("00-2: correct."), words
    page.screenshot(path=pictures / "exercise_right.png")

    folded = page.locator(".jp-CodeCell:has(.jp-InputPlaceholder)")
    assert folded.count() > 0, "no solution is folded away"
    assert page.get_by_text("# Solution of 00-2").count() == 1
    assert page.get_by_text(SOLUTION + "  # success").count() == 0, "the solution shows before it is opened"
    page.screenshot(path=pictures / "solution_folded.png")
    stub.scroll_into_view_if_needed()
    below = (
        page.locator(".jp-CodeCell")
        .filter(has_text='check("00-2", answer)')
        .first.locator("xpath=following-sibling::*[contains(@class, 'jp-CodeCell')][1]")
    )
    below.locator(".jp-InputPlaceholder").click()
    below.locator(".cm-content").filter(has_text=SOLUTION).wait_for(timeout=10 * SECONDS)
    page.screenshot(path=pictures / "solution_open.png")

    cell_with(page, PREDICTION)
    guess = page.locator(".jp-CodeCell").filter(has_text="guess_success, guess_click =").first
    write(page, guess, "guess_success, guess_click = 80, 60")
    revealed = page.locator(".jp-CodeCell").filter(has_text="reveal(guess_success").first
    revealed.locator(".cm-content").click()
    page.keyboard.press("Control+Enter")
    revealed.get_by_text("You said 80 % succeed: 15.6 too low.").wait_for(timeout=60 * SECONDS)
    page.screenshot(path=pictures / "prediction.png")


def main() -> int:
    """Answer; put the notebook's file back."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pictures", type=Path, default=Path(tempfile.gettempdir()))
    options = parser.parse_args()
    options.pictures.mkdir(parents=True, exist_ok=True)
    before = NOTEBOOK.read_bytes()
    try:
        in_jupyterlab(NOTEBOOK, lambda page, link: answer(page, link, options.pictures))
    finally:
        NOTEBOOK.write_bytes(before)
    print("An exercise answered in Chromium: not attempted, not yet, a hint, correct; its solution unfolds.")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
