"""A product whose days last seconds under the real servers: what the end-to-end and the fault tests share.

Nothing here sleeps for a fixed time and hopes: whatever a test waits for, it waits for until it is there.
"""

import json
import time
from contextlib import ExitStack, contextmanager

from dashboard import servers
from dashboard.servers import ask, get, wait_for
from helpers.events import SEGMENTS, Event
from helpers.exporter import samples
from helpers.monitor import Monitor
from helpers.synthetic import Product

PAGE, DRIFT = "EmbeddingDriftWithOutcomeDegradation", "EmbeddingDriftSustained"
LAUNCH = Event("new_topic", size=0.4, segment="web", index_follows=True)  # drift, and nobody is hurt
STALE = Event("rotation", size=0.6, segment="mobile")  # drift, and people are


class World:
    """Product, monitor and servers. For the rules a day lasts `seconds`; traffic of a day comes when told."""

    def __init__(self, seconds, product, monitor, three, messages):
        self.seconds = seconds
        self.product, self.monitor, self.messages = product, monitor, messages
        self.exporter, self.prometheus, self.alertmanager = three
        self.number = 0  # of the next day

    def day(self, *events, log=None, whole=False):
        """Send a day's traffic, wait until what was said of the day before is in Prometheus.

        whole : wait, too, until the day is over by the clock of the rules.
        """
        begun = time.monotonic()
        self.monitor.update(self.traffic(*events) if log is None else log)
        self.number += 1
        self.until_seen()
        wait_for(lambda: not whole or time.monotonic() > begun + self.seconds, "the end of the day")

    def traffic(self, *events):
        """Return the next day's traffic with events."""
        return self.product.run(1, events, start=self.number)

    def until_seen(self):
        """Wait until Prometheus has every check."""
        checks = sum(n for (name, _), n in samples(self.monitor).items() if "checks_total" in name)
        query = 'sum({__name__=~".+_checks_total"})'
        wait_for(lambda: self.value(query) == checks, f"{checks} checks in Prometheus")

    def days_until(self, condition, what, *events, whole=False):
        """Let days with these events pass until something has come true."""
        for _ in range(40):
            if condition():
                return
            self.day(*events, whole=whole)
        raise TimeoutError(f"40 days passed in vain: {what}\n{self.firing()}\n{self.messages}")

    def value(self, query):
        """Return the one value that a query has, or None."""
        found = ask(self.prometheus.url, query)
        return float(found[0]["value"][1]) if len(found) == 1 else None

    def values(self, query):
        """Return the values of a query by segment."""
        return {
            each["metric"].get("segment", ""): float(each["value"][1])
            for each in ask(self.prometheus.url, query)
        }

    def firing(self, *components):
        """Return name and segment of what fires now, by the rules' own state, but for the watchdog."""
        alerts = json.loads(get(f"{self.prometheus.url}/api/v1/alerts"))["data"]["alerts"]
        return {
            (each["labels"]["alertname"], each["labels"].get("segment", ""))
            for each in alerts
            if each["state"] == "firing" and each["labels"]["severity"] != "none"
            if each["labels"]["component"] in components or not components
        }

    def harm(self):
        """Return what fires about the product, and not about the monitor."""
        return self.firing("embedding", "outcome", "supply")

    def told(self, to, name, segment=None, status="firing"):
        """Tell whether a message about an alert has come."""
        return any(
            (each.to, each.status, each.labels["alertname"]) == (to, status, name)
            and segment in (None, each.labels.get("segment"))
            for each in self.messages
        )


@contextmanager
def world(folder, seconds):
    """Make a world in `folder` whose days last so many seconds, with two behind it; stop it at the end."""
    product, path, messages = Product(2, queries_per_day=500), folder / "monitor.sqlite", []
    with ExitStack() as stack:
        monitor = stack.enter_context(Monitor(path))
        monitor.fit(product.run(112, start=-112), segments=list(SEGMENTS))
        port = stack.enter_context(servers.receiver(messages.append))
        three = stack.enter_context(servers.servers(folder, path, port, 86400 / seconds))
        for server in three:
            server.start()
        made = World(seconds, product, monitor, three, messages)
        made.day()
        made.day()
        yield made
