"""Open a notebook in JupyterLab as a newcomer does, run all of it in a real browser, and compare.

    python tests/browser/lab.py [NN] [--pictures FOLDER]

Needs Debian's chromium and the package in requirements.txt beside this file, in an environment of its
own; the project's is used for JupyterLab. The notebook's outputs are stripped first and put back at the
end, whatever happens. Exit code 0 means: the link that was printed opened the notebook, every cell ran
without an error, the saved outputs equal the committed ones, and no request left this machine.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
QUIET = "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
QUIET += " --disable-component-update --disable-sync"
SECONDS = 1000  # Playwright counts in milliseconds
IDLE = "Python 3 (ipykernel) | Idle"
ALL_DONE = """n => {
    const prompts = [...document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')].map(e => e.textContent);
    return prompts.includes('[' + n + ']:') && !prompts.some(text => text.includes('*'));
}"""


def code_cells(path: Path) -> list[dict]:
    """Return the code cells of a notebook file."""
    return [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]


def last_open(cells: list[dict]) -> int:
    """Return the number of the last code cell that is not folded away: a folded one shows no count."""
    return max(n for n, cell in enumerate(cells, 1) if not cell["metadata"].get("jupyter"))


def strip(path: Path) -> None:
    """Take the outputs and counts out of a notebook file."""
    notebook = json.loads(path.read_text())
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            cell["outputs"], cell["execution_count"] = [], None
    path.write_text(json.dumps(notebook, indent=1))


def comparable(cell: dict) -> tuple:
    """Return what must be equal: the count, the printed text, and every picture and table."""
    printed = "".join("".join(o["text"]) for o in cell["outputs"] if o["output_type"] == "stream")
    shown = [
        {kind: "".join(value).strip() for kind, value in output["data"].items()}
        for output in cell["outputs"]
        if "data" in output
    ]
    return cell["execution_count"], printed, shown


def printed_link(log: Path, server: subprocess.Popen) -> str:
    """Wait for the link that the entrance prints."""
    for _ in range(240):
        if found := re.search(r"http://127\.0\.0\.1:\d+/lab\S*", log.read_text()):
            return found[0]
        if server.poll() is not None:
            break
        time.sleep(0.5)
    raise SystemExit(f"no link was printed:\n{log.read_text()}")


def start_all(page: Page) -> None:
    """Choose Run All Cells from the menu."""
    page.get_by_text("Run", exact=True).first.click()
    page.get_by_text("Run All Cells", exact=True).click()


def run_all(page: Page, link: str, cells: int, pictures: Path) -> None:
    """Open the link, run every cell, save."""
    page.goto(link)
    page.wait_for_selector(".jp-Notebook .jp-CodeCell", timeout=120 * SECONDS)
    page.get_by_text(IDLE).wait_for(timeout=120 * SECONDS)
    assert page.locator(".jp-OutputArea-output").count() == 0, "the notebook should open stripped"
    page.screenshot(path=pictures / "opened.png")
    start_all(page)
    page.wait_for_function(ALL_DONE, arg=cells, timeout=300 * SECONDS)
    page.get_by_text(IDLE).wait_for(timeout=60 * SECONDS)
    page.keyboard.press("Escape")
    page.keyboard.press("Control+s")
    errors = (
        "[data-mime-type='application/vnd.jupyter.stderr'], [data-mime-type='application/vnd.jupyter.error']"
    )
    assert page.locator(errors).count() == 0, "a cell shows an error or a warning"
    page.screenshot(path=pictures / "ran.png")
    images = page.locator(".jp-OutputArea-output img")
    assert images.count() > 0, "no figure is shown"
    images.first.scroll_into_view_if_needed()
    page.wait_for_timeout(SECONDS)
    page.screenshot(path=pictures / "figure.png")


def wait_until_saved(path: Path) -> list[dict]:
    """Wait until every code cell in the file has a count; return the cells."""
    for _ in range(120):
        try:
            cells = code_cells(path)
        except ValueError:  # half-written
            cells = []
        if cells and all(cell["execution_count"] for cell in cells):
            return cells
        time.sleep(0.5)
    raise SystemExit("the notebook was not saved")


def in_jupyterlab(path: Path, visit: Callable[[Page, str], None]) -> None:
    """Start JupyterLab on a notebook as the README says, and `visit(page, link)` it in Chromium."""
    folder = Path(tempfile.mkdtemp())
    log = folder / "log"
    places = {f"JUPYTER_{name}_DIR": str(folder / name) for name in ("CONFIG", "DATA", "RUNTIME")}
    command = [sys.executable, str(ROOT / "playbook.py"), "open", path.name[:2], "--no-browser"]
    with log.open("w") as sink:
        server = subprocess.Popen(
            command, env={**os.environ, **places}, stdout=sink, stderr=subprocess.STDOUT, cwd=folder
        )
    try:
        link = printed_link(log, server)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=QUIET.split())
            page = browser.new_page(viewport={"width": 1400, "height": 1000})
            abroad: list[str] = []
            local = re.compile(r"(https?|wss?)://127\.0\.0\.1[:/]|data:|blob:|about:")
            page.on("request", lambda r: None if local.match(r.url) else abroad.append(r.url))
            visit(page, link)
            browser.close()
        assert not abroad, f"requests left this machine: {abroad[:3]}"
    finally:
        server.terminate()
        server.wait(30)
        shutil.rmtree(folder, ignore_errors=True)


def check(path: Path, pictures: Path) -> None:
    """Go through the whole visit with one notebook."""
    committed = code_cells(path)
    strip(path)

    def visit(page: Page, link: str) -> None:
        run_all(page, link, last_open(committed), pictures)
        for number, (old, new) in enumerate(zip(committed, wait_until_saved(path), strict=True), 1):
            assert comparable(old) == comparable(new), f"code cell {number} gave another output"

    in_jupyterlab(path, visit)


def main() -> int:
    """Check one notebook; put its file back."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("notebook", nargs="?", default="01")
    parser.add_argument("--pictures", type=Path, default=Path(tempfile.gettempdir()))
    options = parser.parse_args()
    options.pictures.mkdir(parents=True, exist_ok=True)
    (path,) = (ROOT / "notebooks").glob(f"{options.notebook}_*.ipynb")
    before = path.read_bytes()
    try:
        check(path, options.pictures)
    finally:
        path.write_bytes(before)
    print(f"{path.name}: opened, ran and saved in Chromium; every output equals the committed one.")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
