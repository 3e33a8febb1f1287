"""What every page is held to in a browser, and a server for a folder of pages. Used by the scripts here."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, sync_playwright

QUIET = "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
QUIET += " --disable-component-update --disable-sync"
LOCAL = re.compile(r"(https?|wss?)://127\.0\.0\.1[:/]|data:|blob:|about:|file:")
HEADINGS = "[...document.querySelectorAll('h1, h2, h3, h4, h5, h6')].map(e => Number(e.tagName[1]))"
SIDEWAYS = "document.scrollingElement.scrollWidth - document.scrollingElement.clientWidth"
PICTURES = "[...document.images].map(e => [e.getAttribute('alt') ?? '', e.naturalWidth, e.src.slice(0, 90)])"


class Quiet(SimpleHTTPRequestHandler):
    """A file server that prints nothing."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder on this machine alone; give its address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@contextmanager
def visitor() -> Iterator[Page]:
    """Give a page of a browser; fail if it asked another machine, missed a file or met an error."""
    trouble: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=QUIET.split())
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.on("request", lambda r: None if LOCAL.match(r.url) else trouble.append(f"asked for {r.url}"))
        page.on("response", lambda r: trouble.append(f"{r.status}: {r.url}") if r.status >= 400 else None)
        page.on("pageerror", lambda error: trouble.append(f"{page.url}: {error}"))
        yield page
        browser.close()
    assert not trouble, f"on the way: {trouble[:5]}"


def check_outline(page: Page) -> None:
    """Hold the page to one H1 and headings that skip no level."""
    levels = page.evaluate(HEADINGS)
    assert levels.count(1) == 1, f"{page.url} has {levels.count(1)} H1"
    jumps = [(up, down) for up, down in pairwise(levels) if down > up + 1]
    assert not jumps and levels[0] == 1, f"{page.url}: headings jump {jumps}"


def check_pictures(page: Page) -> int:
    """Hold every picture to being there and having a text that is no file name; return how many."""
    pictures = page.evaluate(PICTURES)
    for alt, width, source in pictures:
        assert width, f"{page.url}: a picture is missing: {source}"
        assert alt.strip() and not re.search(r"\.(png|svg)$", alt), f"{page.url}: no alt text: {source}"
    return len(pictures)


def check_width(page: Page) -> None:
    """Hold the page to fitting a telephone and a screen without scrolling sideways."""
    for width in (400, 1280):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate(SIDEWAYS) <= 0, f"{page.url} scrolls sideways at {width} px"


def check_access(page: Page) -> None:
    """Hold the page to having no serious or critical finding of axe."""
    page.add_style_tag(content="* { animation: none !important; transition: none !important; }")
    response = Axe().run(page, options={"preload": False}).response  # preloading would miss imported styles
    found = [v for v in response["violations"] if v["impact"] in ("serious", "critical")]
    told = [f"{v['id']}: {node['target']} {node['failureSummary']}" for v in found for node in v["nodes"]]
    assert not told, f"{page.url}: {len(told)} findings, such as\n" + "\n".join(told[:8])
