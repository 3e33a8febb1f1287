"""Visit the built site in Chromium as a reader does: every page, the search, a solution, the slides.

    python tests/browser/site.py BUILD_DIR [--repository OWNER/REPO] [--ref REF] [--links-only] [...]

Needs Debian's chromium and the packages in requirements.txt beside this file. BUILD_DIR is what
`playbook.py site` wrote. Exit code 0 means that all of it holds and that no request left this machine.
"""

import argparse
import json
import re
import sys
import tempfile
import tomllib
from pathlib import Path

from checks import check_access, check_outline, check_pictures, check_width, served, visitor
from playwright.sync_api import Page

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("??_*.ipynb"))
SEARCHES = {"Kitagawa": "03_connect_drift_to_outcomes", "Efraimidis": "05_stream_the_score"}
AXE = ["index", "notebooks/00_break_a_product", "notebooks/03_connect_drift_to_outcomes"]
AXE += ["notebooks/06_put_it_on_a_dashboard", "dashboard/runbook", "slides"]
RAW_MATH = re.compile(r"\$\$|\\\\\(|\\\\\[|\\frac|\\sum")
MATHS = "MathJax.startup.promise.then(() => true)"
# Shows one slide after the other; returns those with something outside the slide or its own box.
OVERFLOW = """() => {
    const bad = [];
    for (let n = 0; n < Reveal.getTotalSlides(); n++) {
        Reveal.slide(n);
        const slide = Reveal.getCurrentSlide(), frame = slide.getBoundingClientRect();
        for (const e of [slide, ...slide.querySelectorAll(':not(mjx-container *, br)')]) {
            const box = e.getBoundingClientRect();
            if (box.bottom > frame.bottom + 1 || box.right > frame.right + 1)
                bad.push(`${n + 1}: ${e.tagName} ends at ${box.right.toFixed()}, ${box.bottom.toFixed()}`);
        }
        if (slide.scrollHeight > slide.clientHeight) bad.push(`${n + 1}: too long`);
    }
    return bad;
}"""
SMALLEST = """() => Math.min(...[...document.querySelectorAll('.slides :is(p, li, td, th, pre)')]
    .map(e => parseFloat(getComputedStyle(e).fontSize)))"""


def tagged(path: Path, tag: str) -> int:
    """Count the cells of a committed notebook that carry a tag."""
    return sum(tag in cell["metadata"].get("tags", []) for cell in json.loads(path.read_text())["cells"])


def check_pages(page: Page, site: str, folder: Path) -> tuple[int, int]:
    """Open every page in two widths: outline, pictures, mathematics, nothing to scroll sideways."""
    pages = [
        path for path in sorted(folder.rglob("*.html")) if not {"_static", "_downloads"} & set(path.parts)
    ]
    pages = [path for path in pages if path.parent.name != "slides"]
    pictures = 0
    for path in pages:
        page.goto(f"{site}/{path.relative_to(folder).as_posix()}")
        page.evaluate("document.querySelectorAll('img').forEach(e => e.loading = 'eager')")
        check_outline(page)
        pictures += check_pictures(page)
        if page.evaluate("'MathJax' in window"):
            page.evaluate(MATHS)
            seen = RAW_MATH.search(page.locator("article").inner_text())
            assert not seen, f"{page.url}: mathematics not rendered: {seen}"
            assert page.locator("mjx-container svg").count(), f"{page.url}: no formula"
            assert not page.locator("mjx-merror").count(), f"{page.url}: a formula is wrong"
        check_width(page)
    return len(pages), pictures


def check_search(page: Page, site: str) -> None:
    """Type a word into the search and find the notebook about it."""
    for word, notebook in SEARCHES.items():
        page.goto(f"{site}/index.html")
        page.keyboard.press("Control+k")
        page.keyboard.type(word)
        page.keyboard.press("Enter")
        found = page.locator("#search-results li a")
        found.first.wait_for()
        links = found.evaluate_all("all => all.map(a => a.getAttribute('href'))")
        assert any(notebook in link for link in links[:1]), f"{word!r} found {links[:3]}"


def check_solutions(page: Page, site: str) -> int:
    """Hold every solution to being folded up; open one by mouse, close and open it by keyboard."""
    solutions = 0
    for path in NOTEBOOKS:
        page.goto(f"{site}/notebooks/{path.stem}.html")
        folded, expected = page.locator(".tag_solution details"), tagged(path, "solution")
        assert folded.count() == expected, f"{path.stem}: {folded.count()} of {expected} solutions folded"
        assert page.locator(".tag_solution details[open]").count() == 0, f"{path.stem}: a solution is open"
        if expected and not solutions:
            inside = folded.first.locator("pre").first
            assert not inside.is_visible()
            folded.first.locator("summary").click()
            assert inside.is_visible(), "a click does not open the solution"
            page.keyboard.press("Enter")
            assert not inside.is_visible(), "Enter does not close the solution"
            page.keyboard.press("Space")
            assert inside.is_visible(), "Space does not open the solution"
        solutions += expected
    assert solutions, "no notebook has a solution"
    return solutions


def check_launch(page: Page, site: str, repository: str, ref: str) -> None:
    """Expect the links to Binder and Colab if the address is set, and else none to anybody."""
    for path in NOTEBOOKS:
        page.goto(f"{site}/notebooks/{path.stem}.html")
        links = page.locator("a").evaluate_all("all => all.map(a => a.href)")
        if repository:
            place = f"notebooks/{path.name}"
            binder = f"https://mybinder.org/v2/gh/{repository}/{ref}?urlpath=lab/tree/{place}"
            colab = f"https://colab.research.google.com/github/{repository}/blob/{ref}/{place}"
            assert {binder, colab} <= set(links), f"{path.stem} lacks a launch link"
            assert page.locator(".dropdown-launch-buttons").count() == 1
        else:
            strangers = [a for a in links if re.search(r"mybinder|colab\.research|github\.com", a)]
            assert not strangers, f"{path.stem} links to {strangers}"
            assert "playbook.py links OWNER/REPO" in page.locator("footer.bd-footer-content").inner_text()


def check_themes(page: Page, site: str, pictures: Path) -> None:
    """Run axe over some pages in light and dark, everything unfolded."""
    for theme in ("light", "dark"):
        page.goto(f"{site}/index.html")
        page.evaluate(f"['mode', 'theme'].forEach(key => localStorage.setItem(key, '{theme}'))")
        for name in AXE:
            page.goto(f"{site}/{name}.html")
            assert page.evaluate("document.documentElement.dataset.theme") == theme
            page.screenshot(path=pictures / f"{Path(name).name}-{theme}.png")
            page.evaluate("document.querySelectorAll('details').forEach(e => e.open = true)")
            check_access(page)


def check_slides(page: Page, folder: Path) -> int:
    """Open the slides as files, turn them by keys, and find nothing outside a slide."""
    page.set_viewport_size({"width": 1280, "height": 720})
    slides, decks = 0, sorted(folder.glob("??.html"))
    assert [path.stem for path in decks] == [path.name[:2] for path in NOTEBOOKS]
    for path in decks:
        page.goto(path.as_uri())
        page.wait_for_function("window.Reveal && Reveal.isReady()")
        page.evaluate(MATHS)
        check_outline(page)
        check_pictures(page)
        outside = page.evaluate(OVERFLOW)
        assert not outside, f"slides {path.stem}: {outside[:5]}"
        assert page.evaluate(SMALLEST) >= 14, f"slides {path.stem}: type too small"
        total = page.evaluate("Reveal.getTotalSlides()")
        for key, place in {"Home": 0, "ArrowRight": 1, "End": total - 1, "ArrowLeft": total - 2}.items():
            page.keyboard.press(key)
            assert page.evaluate("Reveal.getIndices().h") == place, f"slides {path.stem}: {key}"
        slides += total
    check_access(page)
    return slides


def main() -> int:
    """Go through the whole visit."""
    setting = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["playbook"]
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--repository", default=setting["repository"])
    parser.add_argument("--ref", default=setting["ref"])
    parser.add_argument("--links-only", action="store_true", help="look at the launch links alone")
    parser.add_argument("--pictures", type=Path, default=Path(tempfile.gettempdir()))
    options = parser.parse_args()
    folder = options.folder.resolve()
    options.pictures.mkdir(parents=True, exist_ok=True)
    with served(folder) as site, visitor() as page:
        check_launch(page, site, options.repository, options.ref)
        print(f"Launch links: {options.repository or 'not set'}.")
        if options.links_only:
            return 0
        pages, pictures = check_pages(page, site, folder)
        check_search(page, site)
        solutions = check_solutions(page, site)
        check_themes(page, site, options.pictures)
        slides = check_slides(page, folder / "slides")
    print(
        f"{pages} pages, {pictures} pictures, {solutions} folded solutions, search and {slides} slides hold."
    )
    print("No request left this machine.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
