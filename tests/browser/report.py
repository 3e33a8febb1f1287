"""Open a report that `playbook.py report` wrote, as its reader does, and hold it to what the site is held to.

    python tests/browser/report.py PAGE [--pictures FOLDER]

Needs Debian's chromium and the packages in requirements.txt beside this file. Exit code 0 means: one H1
and ordered headings, every picture described, no serious finding of axe in light or dark, nothing that
scrolls the page sideways on a screen or a telephone, and no request that left this machine.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from checks import check_access, check_outline, check_pictures, check_width, visitor


def main() -> int:
    """Open the page in both colour schemes and two widths."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("page", type=Path)
    parser.add_argument("--pictures", type=Path, default=Path(tempfile.gettempdir()))
    options = parser.parse_args()
    options.pictures.mkdir(parents=True, exist_ok=True)
    with visitor() as page:
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            page.goto(options.page.resolve().as_uri())
            page.evaluate("document.querySelectorAll('details').forEach(e => e.open = true)")
            check_outline(page)
            pictures = check_pictures(page)
            check_width(page)
            check_access(page)
            page.screenshot(path=options.pictures / f"report-{scheme}.png", full_page=True)
    print(f"{options.page.name}: {pictures} pictures, outline, widths and axe hold; nothing was fetched.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
