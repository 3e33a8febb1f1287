"""Look at the dashboard's pages in a real browser, as somebody who is woken at night does.

    python -m dashboard.build --page drift.html
    python tests/browser/dashboard.py drift.html [--url http://127.0.0.1:9090] [--pictures FOLDER]

The first line needs the project's environment; the second needs Debian's chromium and the package in
requirements.txt beside this file, in an environment of its own. With --url the console page of a running
Prometheus, which has data, is visited as well. Exit code 0 means, at 1280 and at 400 pixels, in light and in
dark: no request left the page's own server, nothing was logged as an error, nothing scrolls sideways, all
can be reached and read by keyboard, all text has contrast, every chart has words, every story has a verdict,
and a server that is down, empty or refuses is told as such.
"""

import argparse
import re
import tempfile
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Browser, Page, Route, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
CONSOLE = ROOT / "dashboard" / "prometheus" / "consoles" / "drift.html"
QUIET = "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
QUIET += " --disable-component-update --disable-sync"
SETTLED = "() => !document.getElementById('verdict').classList.contains('wait')"
NOWHERE = "http://127.0.0.1:9"  # nothing is sent there: the browser's requests are answered in this file

CONTRAST = """() => {
    const channels = text => text.match(/[\\d.]+/g).map(Number);
    const light = ([r, g, b]) => [r, g, b].map(c => c / 255)
        .map(c => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
        .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
    const behind = element => {
        let block = element;
        if (/^on-/.test(element.getAttribute('class') ?? ''))
            while ((block = block.previousElementSibling))
                if (block.classList.contains('block')) return channels(getComputedStyle(block).fill);
        for (let e = element; e; e = e.parentElement) {
            const colour = channels(getComputedStyle(e).backgroundColor);
            if (colour[3] !== 0) return colour;
        }
        return [255, 255, 255];
    };
    const own = e => [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
    const poor = [];
    for (const e of document.body.querySelectorAll('*')) {
        if (!own(e) || !e.getClientRects().length || ['SCRIPT', 'OPTION'].includes(e.tagName)) continue;
        const style = getComputedStyle(e), ink = channels(e.tagName === 'text' ? style.fill : style.color);
        const [a, b] = [light(ink), light(behind(e))].sort((x, y) => y - x);
        const ratio = (a + 0.05) / (b + 0.05), large = parseFloat(style.fontSize) >= 24;
        if (ratio < (large ? 3 : 4.5)) poor.push(e.textContent.slice(0, 30) + ' ' + ratio.toFixed(2));
    }
    return poor;
}"""
CHARTS = """() => [...document.querySelectorAll('figure')].map(figure => {
    const plot = figure.querySelector('.plot'), says = name => plot.getAttribute(name) ?? '';
    return {name: document.getElementById(says('aria-labelledby')).textContent, role: says('role'),
        text: says('aria-valuetext'), hidden: plot.querySelector('svg').getAttribute('aria-hidden'),
        link: figure.querySelector('a').href};
})"""
FOCUS = """() => {
    const e = document.activeElement, style = getComputedStyle(e), box = e.getBoundingClientRect();
    return {tag: e.tagName, id: e.id || e.textContent.slice(0, 30),
        seen: box.width > 0 && box.bottom > 0 && box.top < innerHeight,
        outline: style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2};
}"""
LEVELS = "() => [...document.querySelectorAll('h1, h2, h3')].map(h => +h.tagName[1])"


def visit(
    browser: Browser, address: str, width: int, scheme: str, abroad: list[str], errors: list[str]
) -> Page:
    """Open a page, and write down what it asks for and what goes wrong."""
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    home = re.compile(re.escape(address.split("/consoles/")[0]) + "|data:")
    page.on("request", lambda r: None if home.match(r.url) else abroad.append(r.url))
    page.on("console", lambda m: errors.append(m.text) if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda e: errors.append(str(e)))
    page.goto(address)
    page.wait_for_function(SETTLED)
    return page


def sentence(page: Page) -> str:
    """Return the sentence on top."""
    return page.locator("#sentence").inner_text()


def check_sentence(page: Page) -> str:
    """The sentence is about the worst alert of those that are listed below it; return it."""
    words, listed = sentence(page), page.locator("#firing b").all_inner_texts()
    begins = "Page: " if "page" in listed else "Nobody needs to wake up. Look this week: "
    assert words.startswith(begins if listed else "Nobody needs to act"), (words, listed)
    assert words.endswith(".") and not listed or len(words) > len(begins) + 10, words
    return words


def check_words(page: Page) -> None:
    """Every chart has a name, a role, its latest values in words, and a runbook; headings skip no level."""
    charts = page.evaluate(CHARTS)
    assert len(charts) > 20
    for chart in charts:
        assert chart["role"] == "slider" and chart["hidden"] == "true", chart
        assert re.match(r"Latest, \d+ \w+ \d\d:\d\d, \S", chart["text"]), chart
        assert "#" in chart["link"], chart
    levels = page.evaluate(LEVELS)
    assert levels.count(1) == 1
    assert all(b - a <= 1 for a, b in zip(levels, levels[1:], strict=False)), levels


def check_keyboard(page: Page) -> None:
    """Tab goes through everything, in sight and marked, and comes out; arrows read all charts at once."""
    reached = []
    page.reload()  # Tab begins where somebody clicked last
    page.wait_for_function(SETTLED)
    for _ in range(250):
        page.keyboard.press("Tab")
        at = page.evaluate(FOCUS)
        if at["tag"] == "BODY":
            break
        assert at["seen"] and at["outline"], f"focus is out of sight or unmarked on {at}"
        reached.append(at["id"])
    else:
        raise AssertionError("Tab never comes out of the page")
    buttons = page.locator("button:visible").all_inner_texts()
    assert {"segment", "asof"} <= set(reached), reached
    assert not [text for text in buttons if text[:30] not in reached and text != "Latest"], reached
    plots = page.locator(".plot")
    assert {plot.get_attribute("id") for plot in plots.all()} <= set(reached), reached
    plots.nth(4).focus()
    before = plots.nth(4).get_attribute("aria-valuenow")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    assert plots.nth(4).get_attribute("aria-valuenow") != before
    texts = [plots.nth(i).get_attribute("aria-valuetext") for i in range(plots.count())]
    assert all(text.startswith("At ") for text in texts), texts
    page.keyboard.press("Escape")
    assert plots.nth(0).get_attribute("aria-valuetext").startswith("Latest")


def check_table(page: Page) -> None:
    """The numbers of a chart are there as a table, on demand."""
    figure = page.locator("#query_drift")
    figure.locator("summary").click()
    page.wait_for_function("() => document.querySelectorAll('#query_drift tbody tr').length > 20")
    assert figure.locator("thead th").count() >= 3
    figure.locator("summary").click()


def check_controls(page: Page) -> None:
    """A range and a segment change what is shown."""
    ticks = page.locator("#query_drift .tick").all_text_contents()
    page.get_by_role("button", name="1 week").click()
    page.wait_for_function(
        "old => [...document.querySelectorAll('#query_drift .tick')].map(t => t.textContent).join() !== old",
        arg=",".join(ticks),
    )
    page.locator("#segment").select_option(index=2)
    page.wait_for_function("() => document.querySelectorAll('#query_drift .values svg').length === 1")
    page.locator("#segment").select_option(index=0)
    page.get_by_role("button", name="12 weeks").click()


def check_stories(page: Page, pictures: Path, name: str) -> dict[str, str]:
    """Each story's button changes date and words; together they show that pages, tickets and peace exist."""
    told = {}
    for button in page.locator("#chapters button").all():
        button.click()
        page.wait_for_function("e => e.getAttribute('aria-pressed') === 'true'", arg=button.element_handle())
        told[button.inner_text()] = check_sentence(page)
        assert page.locator("#shows").inner_text().startswith("To see: ")
        page.screenshot(path=pictures / f"{name}-story-{len(told)}.png")
    assert len(set(told.values())) >= 4, told
    kinds = {text.split(" ")[0] for text in told.values()}
    assert {"Page:", "Nobody"} <= kinds, told
    return told


def check(page: Page, pictures: Path, name: str) -> None:
    """Check one page at one width in one scheme."""
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth"), "it scrolls sideways"
    check_sentence(page)
    assert not page.locator("#trouble").is_visible(), page.locator("#trouble").inner_text()
    check_words(page)
    poor = page.evaluate(CONTRAST)
    assert not poor, f"{name}: too little contrast: {poor[:8]}"
    page.screenshot(path=pictures / f"{name}.png", full_page=True)
    check_table(page)
    check_controls(page)
    check_keyboard(page)
    if page.locator("#chapters button").count():
        for story, words in check_stories(page, pictures, name).items():
            print(f"  {story}: {words}")


def server(answer: str | None) -> Callable[[Route], None]:
    """Return a Prometheus that serves the page and gives one answer, or none, to every question."""

    def serve(route: Route) -> None:
        if route.request.url.endswith("drift.html"):
            route.fulfill(body=CONSOLE.read_text(encoding="utf-8"), content_type="text/html")
        elif answer is None:
            route.abort()
        elif "/label/" in route.request.url and "success" in answer:
            route.fulfill(body='{"status": "success", "data": []}')
        else:
            route.fulfill(body=answer)

    return serve


def check_troubles(browser: Browser, pictures: Path) -> None:
    """A server that does not answer, refuses or has nothing: the page says so, and never that all is well."""
    answers = {
        "does not answer": None,
        "refused a query: too busy": '{"status": "error", "error": "too busy"}',
        "the answer is no JSON": "<html>Bad gateway</html>",
        "no data at all": '{"status": "success", "data": {"result": [], "resultType": "matrix"}}',
    }
    for words, answer in answers.items():
        page = browser.new_page(viewport={"width": 900, "height": 700})
        page.route("**/*", server(answer))
        page.goto(f"{NOWHERE}/consoles/drift.html")
        page.wait_for_function(SETTLED)
        page.get_by_text(words).wait_for()
        assert sentence(page).startswith("Nobody can say"), sentence(page)
        page.screenshot(path=pictures / f"trouble-{words.split()[0]}.png")
        page.close()


def main() -> int:
    """Visit all pages."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("page", type=Path, help="the page that needs no server")
    parser.add_argument("--url", help="a running Prometheus that serves the console page")
    parser.add_argument("--pictures", type=Path, default=Path(tempfile.gettempdir()))
    options = parser.parse_args()
    options.pictures.mkdir(parents=True, exist_ok=True)
    addresses = {"page": options.page.resolve().as_uri()}
    if options.url:
        addresses["console"] = f"{options.url}/consoles/drift.html"
    abroad: list[str] = []
    errors: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=QUIET.split())
        for kind, address in addresses.items():
            for width, scheme in ((1280, "light"), (400, "light"), (1280, "dark"), (400, "dark")):
                name = f"{kind}-{width}-{scheme}"
                print(name)
                page = visit(browser, address, width, scheme, abroad, errors)
                check(page, options.pictures, name)
                page.close()
        check_troubles(browser, options.pictures)
        browser.close()
    assert not abroad, f"requests left: {abroad[:3]}"
    assert not errors, f"the browser logged: {errors[:3]}"
    print(
        "The dashboard can be seen, read, heard and worked by keyboard; it asked nobody but its own server."
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
