"""Write the files that are generated from the panels.

python -m dashboard.build                    # the Grafana dashboard and the console page, in their places
python -m dashboard.build --page drift.html  # one page with twelve weeks of stories, to open without a server
"""

import argparse
import time
from pathlib import Path

from dashboard import grafana, page
from dashboard.history import twelve_weeks
from helpers.alerts import evaluate

HERE = Path(__file__).parent


def files() -> dict[Path, str]:
    """Return each generated file and its text."""
    return {
        HERE / "grafana" / "dashboards" / "drift-and-outcomes.json": grafana.text(),
        HERE / "prometheus" / "consoles" / "drift.html": page.console(),
    }


def sample_page(end: float) -> str:
    """Return the page that needs no server, of the synthetic product's twelve weeks up to `end`."""
    history = twelve_weeks(end)
    series = {**history.series, **evaluate(history.t, history.series)}
    return page.page(history.t, series, stories=history.stories)


def main() -> int:
    """Write the generated files, or the page."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--page", type=Path, metavar="FILE", help="write the page that needs no server")
    wanted = parser.parse_args().page
    written = files() if wanted is None else {wanted: sample_page(time.time() // 3600 * 3600)}
    for path, text in written.items():
        path.write_text(text, encoding="utf-8", newline="\n")
        print(f"wrote {path.name}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
