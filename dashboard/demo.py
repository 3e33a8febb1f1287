"""The dashboard with twelve weeks behind it, on this machine alone.

With Prometheus and Alertmanager installed, it starts them and the exporter; without, it writes the page that
needs no server, and says how to get them.
"""

import argparse
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from dashboard.backfill import backfill
from dashboard.history import Play, first_monday, twelve_weeks
from dashboard.page import page
from dashboard.servers import FILES, Message, Servers, answers, missing, receiver, servers
from helpers.alerts import evaluate

PAGE = "drift-and-outcomes.html"
LOOKBACK = "--query.lookback-delta=65m"  # the past has one sample an hour
GO_ON = "--rules.alert.for-outage-tolerance=3h"  # what fired at its end still fires

HOW_TO_GET = """The demo needs Prometheus and Alertmanager. It does not find: {}.

Debian 12, Ubuntu 24.04, and newer:
    sudo apt-get install --no-install-recommends prometheus prometheus-alertmanager
    sudo systemctl disable --now prometheus prometheus-alertmanager
  The first line also starts both at once, open to your whole network; the second ends that.
Windows:
  the same in WSL.
Other systems:
  unpack both from https://prometheus.io/download/ and put their folders on the PATH.
"""

ADDRESSES = """
  dashboard      {prometheus}/consoles/drift.html
  alerts         {prometheus}{alerts}
  Alertmanager   {alertmanager}
  metrics        {exporter}/metrics

What Alertmanager sends is printed below; the first comes after a minute or two. Ctrl-C stops everything.
"""


def write_page(path: Path) -> None:
    """Write the page that needs no server, with the twelve weeks inside."""
    history = twelve_weeks(time.time())
    made = evaluate(history.t, history.series)
    path.write_text(page(history.t, history.series | made, stories=history.stories), encoding="utf-8")
    print(f"Open {path.resolve().as_uri()} in a browser.")


@contextmanager
def started(folder: Path, tell: Callable[[Message], object]) -> Iterator[tuple[Servers, Play]]:
    """Start the three servers with twelve weeks behind them; stop them when the block ends.

    folder : an empty one, for what they write. tell : is called with each alert that Alertmanager sends.
    Yields the servers, and the play that goes on when it is told to `advance`.
    """
    path = folder / "monitor.sqlite"
    play = Play(path, first_monday(time.time()))
    with play.monitor, receiver(tell) as port, servers(folder, path, port, 1, LOOKBACK, GO_ON) as three:
        history = play.record(time.time())
        labels = {"job": "embedding-drift", "instance": three.exporter.url.removeprefix("http://")}
        backfill(folder / "blocks", FILES / "prometheus" / "rules", history.t, history.series, **labels)
        for server in three:
            server.start()
        yield three, play


def run(folder: Path) -> None:
    """Run the demo until it is interrupted."""
    print("Playing twelve weeks of traffic, and filling Prometheus with them ...", flush=True)
    with started(folder, _tell) as (three, play):
        print(_addresses(three), flush=True)
        while True:
            time.sleep(60)
            play.advance(time.time())


def _tell(message: Message) -> None:
    if message.to != "deadman":
        print(f"{message.to}, {message.status}: {message.summary}", flush=True)


def _addresses(three: Servers) -> str:
    urls = {name: server.url for name, server in three._asdict().items()}
    alerts = "/alerts" if answers(three.prometheus.url + "/alerts") else "/classic/alerts"  # Debian's
    return ADDRESSES.format(alerts=alerts, **urls)


def _leave(*_: object) -> NoReturn:
    raise SystemExit(0)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m dashboard", description=__doc__.split("\n")[0])
    parser.add_argument("--page", type=Path, metavar="FILE", help="only write the page that needs no server")
    given = parser.parse_args(arguments)
    if given.page:
        write_page(given.page)
        return 0
    if lacks := missing():
        print(HOW_TO_GET.format(", ".join(lacks)))
        print("Until then, here is the dashboard without servers.", flush=True)
        write_page(Path(PAGE))
        return 0
    for number in (signal.SIGTERM, signal.SIGHUP):  # the second: the window was closed
        signal.signal(number, _leave)
    try:
        with tempfile.TemporaryDirectory() as folder:
            run(Path(folder))
    except KeyboardInterrupt:
        print("\nStopped.")
    return 0
