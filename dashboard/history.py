"""Twelve weeks of the synthetic product under a real monitor: the history that the dashboard shows.

Six stories, with quiet days between them. Each edits a cause, never an outcome (`helpers.synthetic`), and
looks different on the dashboard. What fires besides is what the alarm budget allows: a false alarm a quarter
from the detectors of a segment, and one from its outcomes.
"""

import datetime
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from helpers.events import SEGMENTS, Event
from helpers.exporter import Series, samples
from helpers.log import Log
from helpers.monitor import Monitor
from helpers.synthetic import Product

HOUR, DAY = 3600, 86400
WEEKS = 12
QUIET_DAYS = 16 * 7  # four weeks of reference, twelve of baseline; then a week passes before day 0
QUERIES = 800  # a day: the smallest segment has enough of them at weekends
BATCHES = 6  # a day
PROBES = 300
SILENT = (59.75, 62.25)  # days between which nobody can read the monitor
UP: Series = ("up", (("job", "embedding-drift"),))


class Story(NamedTuple):
    """What happens to the product from `start` to `end`, and what the dashboard should show of it."""

    title: str
    start: float
    end: float
    shows: str


class History(NamedTuple):
    """What a server that scrapes once an hour would have stored.

    t (n,) : seconds since 1970, on the hour. series : exported series to their samples (n,), NaN where there
    was none. stories : their times in seconds, too.
    """

    t: NDArray[np.float64]
    series: dict[Series, NDArray[np.float64]]
    stories: list[Story]


STORIES = [  # in days
    Story("A launch, with its documents", 9, 16, "drift alone: a ticket, nobody is hurt"),
    Story("An upgrade leaves the index behind", 24, 29, "demand, match, supply and outcomes: pages"),
    Story("Documents deleted by mistake", 36, 42, "match, supply and outcomes: pages, and demand is silent"),
    Story("A page design hides results", 49, 54, "clicks alone: a ticket"),
    Story("A client breaks while the exporter is down", *SILENT, "a gap, and the page as it ends"),
    Story("One client's queries get noisier", 76, 7 * WEEKS + 7, "one segment: a page that still fires"),
]
EVENTS = [
    Event("new_topic", 9, 16, size=0.12, index_follows=True),
    Event("rotation", 24, 29, size=0.4),
    Event("remove_docs", 36, 42, size=0.8, topic=3),
    Event("ui", 49, 54, size=0.15),
    Event("null_vectors", 60, 62, size=0.2),
    Event("spread", 76, size=0.3, segment="partner"),
]


def first_monday(end: float) -> datetime.date:
    """Return the Monday with which a history of at least twelve weeks up to `end` begins: day 0."""
    day = datetime.datetime.fromtimestamp(end, datetime.UTC).date() - datetime.timedelta(weeks=WEEKS)
    return day - datetime.timedelta(days=day.weekday())


class Play:
    """The product's traffic, sent to a monitor of its own as time passes.

    path : of the monitor's file, which must not be there yet. day_zero : the Monday that is day 0.
    """

    def __init__(self, path: str | Path, day_zero: datetime.date, *, seed: int = 0) -> None:
        midnight = datetime.datetime.combine(day_zero, datetime.time(), datetime.UTC)
        self.start = midnight.timestamp()
        self.sent, self.now = -7 * BATCHES, self.start - 7 * DAY
        self.product = Product(seed, queries_per_day=QUERIES)
        self.monitor = Monitor(path, clock=lambda: self.now)
        quiet = self.product.run(QUIET_DAYS, start=-QUIET_DAYS - 7)
        self.monitor.fit(quiet, segments=list(SEGMENTS), day_zero=day_zero)

    def advance(self, until: float) -> None:
        """Send what is due by then: each batch when its part of the day is over, the probes with the last."""
        while (due := self.start + (self.sent + 1) * DAY / BATCHES) <= until:
            day, part = divmod(self.sent, BATCHES)
            if part == 0 or self.sent == -7 * BATCHES:
                self._today = self.product.run(1, EVENTS, start=day)
            self.now, self.sent = due, self.sent + 1
            self.monitor.update(_part(self._today, part), f"day {day}, part {part}")
            if part == BATCHES - 1:
                self._ask_probes(day)

    def _ask_probes(self, day: int) -> None:
        """Ask the frozen probes of that day's index, which is built anew on Mondays."""
        succeeded = round(PROBES * self.product.probe_success(day, EVENTS, PROBES))
        index = {"documents": len(self.product.index(day, EVENTS).documents), "built": day - day % 7}
        self.monitor.record_probes(day, asked=PROBES, succeeded=succeeded, **index)

    def record(self, end: float) -> History:
        """Advance hour by hour until `end`, and return what was there to scrape from day 0 on."""
        t = np.arange(self.start, end + 1, HOUR)
        day = (t - self.start) / DAY
        sent, scrapes = None, []
        for now, hidden in zip(t, (day >= SILENT[0]) & (day < SILENT[1]), strict=True):
            self.advance(now)
            if sent != self.sent:
                exported, sent = samples(self.monitor), self.sent
            scrapes.append({UP: 0.0} if hidden else {UP: 1.0, **exported})
        names = dict.fromkeys(name for scrape in scrapes for name in scrape)
        series = {name: np.array([scrape.get(name, np.nan) for scrape in scrapes]) for name in names}
        return History(t, series, [self._dated(story) for story in STORIES])

    def _dated(self, story: Story) -> Story:
        return story._replace(start=self.start + story.start * DAY, end=self.start + story.end * DAY)


def _part(log: Log, part: int) -> Log:
    """Return one of `BATCHES` parts of a day, in the order of its rows."""
    return log.where(np.arange(len(log)) * BATCHES // len(log) == part)


def twelve_weeks(end: float, *, seed: int = 0) -> History:
    """Return twelve weeks up to `end`, and what has passed of the thirteenth: 84 to 91 days from a Monday.

    end : seconds since 1970. One seed tells the same stories whatever the date.

    What it cannot tell you: how loud your own product is. Sizes and days of the stories were chosen.
    """
    with tempfile.TemporaryDirectory() as folder:
        play = Play(Path(folder, "monitor.sqlite"), first_monday(end), seed=seed)
        with play.monitor:
            return play.record(end)
