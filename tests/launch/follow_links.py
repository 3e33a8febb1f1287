"""Follow every link of the pages and notebooks: to files always, to the web with --web.

    python tests/launch/follow_links.py [--web]

Standard library only. Prints each link that leads nowhere, with its page; exit code 1 if there is one.
"""

import argparse
import json
import re
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = ["*.md", "teaching/*.md", "dashboard/*.md", "benchmarks/results/*.md", "notebooks/*.ipynb"]
TRIES, SECONDS = 3, 30


def prose(path: Path) -> str:
    """Return the Markdown of a page or a notebook, without its code."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        cells = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "markdown"]
        text = "\n\n".join("".join(cell["source"]) for cell in cells)
    return re.sub(r"^```.*?^```|`[^`\n]*`", "", text, flags=re.MULTILINE | re.DOTALL)


def links_of(text: str) -> set[str]:
    """Return the targets of a text's links and pictures, and its bare addresses."""
    found = re.findall(r"\]\(<?([^)\s>]+)", text) + re.findall(r"(?:href|src)=\"([^\"]+)\"", text)
    return {*found, *re.findall(r"<(https?://[^>\s]+)>", text)}


def anchors_of(path: Path) -> set[str]:
    """Return the anchors that GitHub gives a page's headings."""
    titles = re.findall(r"^#+ +(.+?) *$", prose(path), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def fault_of_file(link: str, page: Path) -> str:
    """Say why a relative link leads nowhere, or nothing."""
    name, _, anchor = link.partition("#")
    target = (page.parent / name).resolve() if name else page
    if not target.exists():
        return "no such file"
    if anchor and target.suffix in (".md", ".ipynb") and anchor not in anchors_of(target):
        return "no such heading"
    return ""


def fault_of_address(link: str) -> str:
    """Say why an address does not answer, or nothing; try again before giving up."""
    request = urllib.request.Request(link, headers={"User-Agent": "Mozilla/5.0 (link check)"})
    fault = ""
    for attempt in range(TRIES):
        try:
            with urllib.request.urlopen(request, timeout=SECONDS):
                return ""
        except urllib.error.HTTPError as error:
            fault = f"answers {error.code}"
            if error.code in (404, 410):
                break
        except OSError as error:
            fault = str(getattr(error, "reason", error))
        time.sleep(2**attempt)
    return fault


def main(root: Path = ROOT) -> int:
    """Follow the links, and say which lead nowhere."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--web", action="store_true", help="follow links to the web too")
    web = parser.parse_args().web
    followed, faults = 0, 0
    for page in sorted(path for pattern in PAGES for path in root.glob(pattern)):
        for link in sorted(links_of(prose(page))):
            outside = re.match(r"[a-z]+:", link)
            if outside and not (web and link.startswith("http")):
                continue
            followed += 1
            if fault := fault_of_address(link) if outside else fault_of_file(link, page):
                faults += 1
                print(f"{page.relative_to(root).as_posix()}: {link}: {fault}", flush=True)
    print(f"{followed} links followed, {faults} lead nowhere.")
    return min(faults, 1)


if __name__ == "__main__":
    sys.exit(main())
