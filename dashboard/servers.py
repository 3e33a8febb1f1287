"""Start Prometheus, Alertmanager and the exporter on this machine alone, and stop them again.

Their configuration is what an operator deploys, copied with other addresses. A demo or a test can have it
quicker: `faster` divides every duration in the files, so that the same rules live through a day in seconds.
"""

import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.client import HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
FILES = ROOT / "dashboard"
HOST = "127.0.0.1"
NAMES = {  # Debian calls one of them otherwise
    "prometheus": ("prometheus",),
    "promtool": ("promtool",),
    "alertmanager": ("prometheus-alertmanager", "alertmanager"),
    "amtool": ("amtool",),
}
DIRECTLY = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # no proxy reaches this machine
UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}

# Runs a program until standard input ends, which it does when we close it, and when we die in whatever way.
GUARD = """
exec 3<&0
"$@" </dev/null 3<&- & program=$!
{ read -r _ <&3; kill $program; } & guard=$!
wait $program; code=$?
kill $guard 2>/dev/null
exit $code
"""


def find(program: str) -> str:
    """Return where a program of `NAMES` is; raise FileNotFoundError if it is nowhere."""
    found = [path for name in NAMES[program] if (path := shutil.which(name))]
    if not found:
        raise FileNotFoundError(f"program {program!r} is not on the PATH")
    return found[0]


def missing() -> list[str]:
    """Name what the servers need and this machine lacks."""
    lacks = [program for program, names in NAMES.items() if not any(map(shutil.which, names))]
    return lacks + ([] if shutil.which("sh") else ["sh"])


def free_port(preferred: int = 0) -> int:
    """Return a port on which nothing listens: the preferred one, if it is free.

    Others come from below those that a system gives to outgoing connections: one of these could take it
    before the server does.
    """
    choices = [preferred] if preferred else []
    for port in choices + random.SystemRandom().sample(range(20_000, 32_000), 100):
        with socket.socket() as each:
            try:
                each.bind((HOST, port))
            except OSError:
                continue
            return port
    raise OSError(f"no free port on {HOST}")


def wait_for(condition: Callable[[], Any], what: str, seconds: float = 120) -> Any:
    """Return what the condition returns once it is true; raise TimeoutError naming what did not come."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > end:
            raise TimeoutError(f"waited {seconds:g} s in vain: {what}")
        time.sleep(0.05)
    return found


def get(url: str, **query: Any) -> bytes:
    """Return what an address answers."""
    if query:
        url += "?" + urllib.parse.urlencode(query)
    with DIRECTLY.open(url, timeout=60) as answer:
        return answer.read()


def answers(url: str) -> bool:
    """Tell whether an address answers."""
    try:
        return bool(get(url))
    except (OSError, HTTPException):
        return False


def ask(url: str, expression: str, **query: Any) -> list[dict[str, Any]]:
    """Return the result of a PromQL expression now, or over `start`, `end` and `step`."""
    kind = "query_range" if "step" in query else "query"
    return json.loads(get(f"{url}/api/v1/{kind}", query=expression, **query))["data"]["result"]


class Server:
    """A program that listens at `url` until it is stopped, or until this process ends in any way."""

    def __init__(self, command: list[str], url: str, ready: str, log: Path) -> None:
        self.command, self.url, self.ready, self.log = command, url, ready, log
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers; raise ChildProcessError with its last words if it ends."""
        with self.log.open("ab") as log:
            guard = subprocess.Popen(
                ["sh", "-c", GUARD, "guard", *self.command],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for us: we stop it in order
            )
        self.process = guard
        wait_for(lambda: guard.poll() is not None or answers(self.url + self.ready), self.url)
        if guard.poll() is not None:
            words = self.log.read_text(errors="replace").splitlines()[-5:]
            raise ChildProcessError("\n".join([f"{self.command[0]} did not start:", *words]))

    def stop(self) -> None:
        """Stop it in order, or at once if it does not listen; do nothing if it does not run."""
        if self.process is None:
            return
        try:
            self.process.communicate(timeout=20)  # closes its standard input
            self.process = None
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End it as a crash would."""
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.communicate()
            self.process = None


class Servers(NamedTuple):
    """What was started."""

    exporter: Server
    prometheus: Server
    alertmanager: Server


def faster(text: str, factor: float, least: float = 0.001) -> str:
    """Divide every duration in a configuration by a factor, and the seconds with which ages are compared.

    least : no duration becomes shorter than so many seconds, except 0.

    >>> faster("increase(rows_total[3d]) > 0 and age:seconds > 36 * 3600   # for: 30m", 8640)
    'increase(rows_total[30000ms]) > 0 and age:seconds > 36 * 0.4166667   # for: 208ms'
    """
    if factor == 1:
        return text

    def duration(found: re.Match) -> str:
        seconds = int(found[1]) * UNITS[found[2]]
        return f"{round(1000 * max(seconds / factor, least if seconds else 0))}ms"

    text = re.sub(r"\b(\d+)(ms|[smhdw])\b", duration, text)
    return re.sub(r"\b(86400|3600|600)\b", lambda found: f"{int(found[1]) / factor:.7g}", text)


def configure(folder: Path, exporter: int, alertmanager: int, webhook: int, factor: float = 1) -> None:
    """Write the operator's configuration into a folder, with these ports and `faster` by a factor.

    Alertmanager waits for messages, not for days, so it is quicker by 100 at most: tickets still wait for
    the page that explains them.
    """
    files = [FILES / "prometheus" / "prometheus.yml", FILES / "alertmanager" / "alertmanager.yml"]
    for path in [*files, *sorted((FILES / "prometheus" / "rules").glob("*.yml"))]:
        copy = folder / path.relative_to(FILES)
        copy.parent.mkdir(parents=True, exist_ok=True)
        text = path.read_text(encoding="utf-8").replace(f"{HOST}:9099", f"{HOST}:{webhook}")
        by = min(factor, 100) if "alertmanager" in path.parts else factor
        copy.write_text(faster(text, by, least=0.25), encoding="utf-8")
    targets = folder / "prometheus" / "targets"
    targets.mkdir(exist_ok=True)
    for name, port in (("exporter", exporter), ("alertmanager", alertmanager)):
        (targets / f"{name}.json").write_text(json.dumps([{"targets": [f"{HOST}:{port}"]}]))


def prometheus(config: Path, data: Path, port: int, *flags: str) -> Server:
    """Return a Prometheus; by default it would listen on all interfaces and forget after 15 days."""
    command = [find("prometheus"), f"--config.file={config}", f"--storage.tsdb.path={data}"]
    command += [f"--web.listen-address={HOST}:{port}", "--storage.tsdb.retention.time=400d"]
    consoles = FILES / "prometheus" / "consoles"
    command += [f"--web.console.templates={consoles}", f"--web.console.libraries={consoles}", *flags]
    return Server(command, f"http://{HOST}:{port}", "/-/ready", data.with_suffix(".log"))


def alertmanager(config: Path, data: Path, port: int) -> Server:
    """Return an Alertmanager without company: by default it would listen for peers on all interfaces."""
    command = [find("alertmanager"), f"--config.file={config}", f"--storage.path={data}"]
    command += [f"--web.listen-address={HOST}:{port}", "--cluster.listen-address="]
    return Server(command, f"http://{HOST}:{port}", "/-/ready", data.with_suffix(".log"))


def exporter(monitor: Path, log: Path, port: int) -> Server:
    """Return the exporter of a monitor's file."""
    command = [sys.executable, "-m", "helpers.exporter", "--monitor", str(monitor), "--port", str(port)]
    return Server(command, f"http://{HOST}:{port}", "/metrics", log)


@contextmanager
def servers(folder: Path, monitor: Path, webhook: int, factor: float = 1, *flags: str) -> Iterator[Servers]:
    """Configure the three servers for a monitor's file, and stop those that were started, whatever happens.

    webhook : port that alerts are sent to. flags : for Prometheus.
    """
    ports = [free_port(usual) for usual in ((9108, 9090, 9093) if factor == 1 else (0, 0, 0))]
    configure(folder, ports[0], ports[2], webhook, factor)
    if factor > 1:  # an alert that is sent before Alertmanager is found waits for so long
        flags = ("--rules.alert.resend-delay=5s", *flags)
    made = Servers(
        exporter(monitor, folder / "exporter.log", ports[0]),
        prometheus(folder / "prometheus" / "prometheus.yml", folder / "blocks", ports[1], *flags),
        alertmanager(folder / "alertmanager" / "alertmanager.yml", folder / "silences", ports[2]),
    )
    with ExitStack() as stack:
        for each in made:
            stack.callback(each.stop)
        yield made


class Message(NamedTuple):
    """One alert of a notification: where it was sent ("page", "ticket", "deadman"), and what it says."""

    to: str
    status: str
    labels: dict[str, str]
    summary: str


@contextmanager
def receiver(on_message: Callable[[Message], object]) -> Iterator[int]:
    """Listen for Alertmanager's notifications, and hand over each alert in them; give the port."""

    class Webhook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # noqa: N802
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            for alert in body["alerts"]:
                summary = alert["annotations"].get("summary", "")
                on_message(Message(self.path.strip("/"), alert["status"], alert["labels"], summary))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer((HOST, 0), Webhook) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()
