"""The playbook as one object that a service runs: a reference in, batches of traffic in, verdicts out.

    with Monitor("monitor.sqlite") as monitor:
        monitor.fit(sixteen_quiet_weeks)     # once
        receipt = monitor.update(batch)      # as often as traffic comes
        print(monitor.verdict())

All of it lives in one SQLite file (`helpers.store`). Traffic is kept as sums over a day and a segment, which
merge exactly; scores, charts and alarms follow from them. So nothing depends on the order of the batches or
on how the traffic was cut, as long as no row comes more than four weeks late. A batch is one transaction with
an id of its own: kill the process at any moment, send the batch again, and it counts once.
"""

import datetime
import json
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from helpers import intake
from helpers.events import is_weekend
from helpers.intake import Receipt, Rows
from helpers.log import Log
from helpers.panel import FAMILY, Panel, Sums
from helpers.store import Store
from helpers.usual import Usual, run_charts, usual_of
from helpers.windows import positive, whole

LATE_DAYS = 28  # a row of an older day comes too late
FEWEST = 20  # queries of a day that make a score
ACTIVE_DAYS = 3  # an alarm counts on its day and on the next two
PROBE_FALL = 0.005  # of probe success; the same texts vary by nothing while index and embedder stay


class Verdict(NamedTuple):
    """The state of things after the last day that is over.

    words : segment to "quiet", "drift", "harm", "harm with drift" or "too few queries".
    scores : one row a segment and score, the columns of the view `chart`.
    rejected : rows rejected so far, by reason.
    probes : what the frozen probes say of the supply side; empty where none were recorded.
    """

    day: int
    words: dict[str, str]
    scores: pd.DataFrame
    rejected: dict[str, int]
    probes: str

    def __str__(self) -> str:
        lines = [f"day {self.day}"]
        for segment, word in self.words.items():
            active = self.scores.loc[segment].query("active == 1").index
            lines.append(f"  {segment}: {word}" + (f" ({', '.join(active)})" if len(active) else ""))
        if self.probes:
            lines.append(f"  {self.probes}")
        if self.rejected:
            lost = ", ".join(f"{rows} rows {reason}" for reason, rows in self.rejected.items())
            lines.append(f"  rejected so far: {lost}")
        return "\n".join(lines)


class Monitor:
    """A monitor whose memory is the SQLite file at `path`, opened if it exists and made if it does not.

    clock : returns seconds since 1970; with another one, history can be played.

    Raises ValueError or OSError naming the path, as `helpers.store.Store` does.
    """

    def __init__(self, path: str | Path, clock: Callable[[], float] = time.time) -> None:
        self.store, self.clock = Store(path), clock
        self._settings: dict = {}
        try:
            self._load()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "Monitor":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self.store.close()

    def _load(self) -> None:
        """Take settings, reference and calibration out of the file, if it has them."""
        settings = {name: json.loads(value) for name, value in self.store.rows("SELECT * FROM setting")}
        if not settings:
            return
        frozen = dict(self.store.rows("SELECT name, state FROM frozen"))
        try:
            self._panel = Panel.from_bytes(frozen.pop("panel"))
            self._reference = {name: Sums.from_bytes(state) for name, state in frozen.items()}
        except (KeyError, ValueError) as error:
            raise ValueError(f"path={self.store.path} is damaged ({error}): restore a copy") from error
        self._segments = ["all", *settings["segments"]]
        self._usual: dict[str, Usual] = {}
        for segment in self._segments:
            query = "SELECT weekend, score, mean, sd, limit_ FROM calibration WHERE segment = ?"
            found = {(kind, score): numbers for kind, score, *numbers in self.store.rows(query, segment)}
            if found:  # not yet, in the middle of `fit`
                mean, sd, limit = np.array([[found[kind, score] for score in FAMILY] for kind in (0, 1)]).T
                self._usual[segment] = Usual(mean.T, sd.T, limit[:, 0])
        self._settings = settings

    def _expect_fitted(self) -> None:
        if not self._settings:
            self._load()  # another process may have fitted it
        if not self._settings:
            raise ValueError(f"path={self.store.path} is not fitted: call fit with a quiet history first")

    def _expect_unfitted(self) -> None:
        if self.store.rows("SELECT 1 FROM setting"):
            raise ValueError(f"path={self.store.path} is fitted already: give another path")

    # The reference and its quiet history.

    def fit(
        self,
        reference_log: Log,
        *,
        reference_days: int = 28,
        segments: Iterable[str] = (),
        budget_days: float = 91,
        day_zero: datetime.date | None = None,
        rng: int = 0,
    ) -> None:
        """Freeze a reference, and calibrate every score on the quiet days after it.

        reference_log : whole days. The first `reference_days` are the reference, all later ones, at least 28,
            the baseline; 84 and more are better (`charts.false_alarm_interval` says why). They are closed: no
            later batch can add to them.
        segments : those to follow by themselves, besides "all"; a query of any other is "other".
        budget_days : mean days between false alarms from all drift scores of one segment together; the
            outcomes have a budget of the same size. At least 7.
        day_zero : the date of day 0, a Monday; days are those of UTC. Only `helpers.exporter` needs it.
        rng : seed of the choice of known queries.

        Raises ValueError or TypeError where the monitor is fitted already, or the log is too short, has rows
        that cannot count, or too few of a segment. The file is then as before.

        What it cannot tell you: whether the history was quiet. What was broken then is what is usual now.
        """
        self._expect_unfitted()
        if positive(budget_days, "budget_days") < 7:
            raise ValueError(f"budget_days={budget_days} must be at least 7")
        names, rows = intake.segment_names(segments), intake.rows_of(reference_log, "reference_log")
        reference, baseline = intake.split(rows, reference_days)
        panel = Panel.fit(reference, rng=rng)
        intake.expect_sound(rows, panel.largest)
        sums = panel.by_kind(reference, names, least=FEWEST)
        frozen = [("panel", panel.to_bytes()), *((name, each.to_bytes()) for name, each in sums.items())]
        settings = {
            "segments": names,
            "dim": rows.embeddings.shape[1],
            "start": int(baseline.day.min()),
            "baseline_end": int(baseline.day.max()),
            "budget_days": budget_days,
            "day_zero": intake.monday(day_zero),
            "reference_queries": {place: each.features.rows for place, each in sums.items()},
        }
        try:
            with self.store.transaction():
                self._expect_unfitted()
                self.store.put("setting", [(name, json.dumps(value)) for name, value in settings.items()])
                self.store.put("frozen", frozen)
                self._load()
                self._add(baseline)
                self._add_tickets(reference)
                self._calibrate()
                self._rescore(settings["start"])
                self.store.let_go(settings["baseline_end"] + 1)
        except BaseException:
            self._settings = {}
            raise

    def _calibrate(self) -> None:
        """Write down mean, sd and limit of every score on the baseline's days."""
        for segment in self._segments:
            day, queries, values = self._values(segment, self._settings["start"])
            there = queries >= FEWEST
            try:
                usual = usual_of(day[there], queries[there], values[there], self._settings["budget_days"])
            except ValueError as error:
                raise ValueError(
                    f"reference_log has too few baseline days with {FEWEST} queries of segment {segment!r} "
                    f"({error}): leave that segment out, or give a longer log"
                ) from error
            self._usual[segment] = usual
            for kind in (0, 1):
                numbers = np.array([usual.mean[kind], usual.sd[kind], usual.limit]).T.tolist()
                rows = zip(FAMILY.items(), numbers, strict=True)
                self.store.put("calibration", [(segment, *score, kind, *three) for score, three in rows])

    # Traffic.

    def update(self, batch: Log, batch_id: str | None = None, *, longest_gap: int = 28) -> Receipt:
        """Count a batch, once, and score the days that are over; a day is over when a later one has begun.

        batch_id : a name that only this batch has; by default one made from its rows, in their order. A batch
            of which any row counted before is not counted again.
        longest_gap : rows that jump further ahead than so many days are taken for a broken clock. After a
            longer silence send the batch again with a longer gap.

        Rows that cannot count, such as those of a day more than 28 days back, are reported in the receipt and
        in the table `rejected`; the others count. Raises TypeError or ValueError, with nothing changed, where
        the batch is no Log or lacks a column.
        """
        self._expect_fitted()
        if whole(longest_gap, "longest_gap", least=1) > intake.MOST_DAYS:
            raise ValueError(f"longest_gap={longest_gap} must be at most {intake.MOST_DAYS}")
        rows = intake.rows_of(batch, "batch")
        name = intake.batch_name(batch_id, rows)
        faults = intake.faults_of(rows, self._settings["dim"], self._panel.largest)
        with self.store.transaction():
            if self.store.rows("SELECT 1 FROM batch WHERE id = ? AND accepted > 0", name):
                return Receipt(name, 0, {}, True)
            latest, baseline_end = self.store.latest_day(), self._settings["baseline_end"]
            oldest = max(latest - LATE_DAYS, baseline_end + 1)
            faults = intake.untimely(rows, faults, oldest, latest + longest_gap)
            good, rejected = rows.where(faults == ""), intake.counted(faults)
            span = (int(good.day.min()), int(good.day.max())) if good.n else (None, None)
            self.store.put("batch", [(name, self.clock(), good.n, *span)])
            self.store.rows("DELETE FROM rejected WHERE batch = ?", name)
            self.store.put("rejected", [(name, reason, n) for reason, n in rejected.items()])
            if good.n:
                first, now = max(min(self._add(good) | {latest}), baseline_end + 1), self.store.latest_day()
                if first < now:
                    self._rescore(first)
                    self.store.let_go(now - LATE_DAYS)
        return Receipt(name, good.n, rejected, False)

    def record_probes(self, day: int, *, asked: int, succeeded: int, documents: int, built: int) -> None:
        """Write down how the frozen probes fared on a day, and which index answered them.

        asked, succeeded : probes; documents : size of the index; built : day on which it was built. A day
            that has its numbers already gets new ones. Raises ValueError naming an impossible one.
        """
        row = intake.probe_row(day, asked=asked, succeeded=succeeded, documents=documents, built=built)
        with self.store.transaction():
            self.store.put("probe", [row])

    def _add(self, rows: Rows) -> set[int]:
        """Add queries and tickets to the traffic; return the days that changed."""
        parts = self._panel.by_day(rows, self._segments[1:])
        for (day, segment), (sums, counts) in parts.items():
            there = self.store.rows("SELECT state FROM traffic WHERE day = ? AND segment = ?", day, segment)
            if there and there[0][0] is not None:
                sums = sums.merge(Sums.from_bytes(there[0][0]))
            self.store.add_queries(day, segment, counts.tolist(), sums.to_bytes())
        return {day for day, _ in parts} | self._add_tickets(rows)

    def _add_tickets(self, rows: Rows) -> set[int]:
        """Add tickets to the days on which they are booked; return these days."""
        day = rows.number["escalation_day"]
        there = (rows.number["escalation"] == 1) & (day >= self._settings["start"])
        booked = Counter(
            (int(date), name)
            for date, segment in zip(day[there], rows.segment[there], strict=True)
            for name in {"all", segment} & set(self._segments)
        )
        for (date, name), n in booked.items():
            self.store.add_tickets(date, name, n)
        return {date for date, _ in booked}

    # Scores, charts, alarms.

    def _values(self, segment: str, first: int) -> tuple[NDArray, NDArray, NDArray]:
        """Return each day from `first` on that is over, its queries, its scores: NaN for too few queries."""
        day = np.arange(first, max(self.store.latest_day(), self._settings["baseline_end"] + 1))
        queries, values = np.zeros(len(day), np.int64), np.full((len(day), len(FAMILY)), np.nan)
        for date, n, *bad, state in self.store.rows(
            "SELECT day, queries, failure, no_click, no_answer, escalation, state FROM traffic "
            "WHERE segment = ? AND day BETWEEN ? AND ?",
            *(segment, first, first + len(day) - 1),
        ):
            queries[date - first] = n
            if n >= FEWEST:
                usual = self._reference[f"{segment}/{int(is_weekend(date))}"]
                scores = self._panel.scores(Sums.from_bytes(state), usual)
                values[date - first] = [*scores, *(each / n for each in bad)]
        return day, queries, values

    def _rescore(self, first: int) -> None:
        """Score the days from `first` on and run the charts through them."""
        for segment in self._segments:
            day, _, values = self._values(segment, first)
            limit, z = self._usual[segment].limit, self._usual[segment].z(day, values)
            before, alarmed = dict.fromkeys(FAMILY, 0.0), dict.fromkeys(FAMILY, -np.inf)
            for date, score, state, alarm in self.store.rows(
                "SELECT day, score, state, alarm FROM score WHERE segment = ? AND day BETWEEN ? AND ? "
                "ORDER BY day",
                *(segment, first - ACTIVE_DAYS, first - 1),
            ):
                before[score] = state
                alarmed[score] = date if alarm else alarmed[score]
            states = run_charts(z, limit, np.array(list(before.values())))
            rows = []
            for date, *numbers in zip(day.tolist(), states > limit, values, z, states, strict=True):
                columns = zip(FAMILY.items(), *(each.tolist() for each in numbers), strict=True)
                for (score, family), alarm, *three in columns:  # SQLite writes NaN as NULL
                    alarmed[score] = date if alarm else alarmed[score]
                    until = alarmed[score] + ACTIVE_DAYS
                    rows.append((date, segment, score, family, *three, alarm, date < until))
            self.store.put("score", rows)
            self.store.say(segment, max(first, self._settings["baseline_end"] + 1), self.clock())

    # What comes out.

    def verdict(self) -> Verdict:
        """Say how things stood after the last day that is over. Raises ValueError before `fit`.

        What it cannot tell you: that the drift did the harm. Both were active on that day, no more.
        """
        self._expect_fitted()
        with self.store.transaction("DEFERRED"):
            day = self.store.rows("SELECT max(day) FROM score")[0][0]
            words = dict(self.store.rows("SELECT segment, verdict FROM verdict WHERE day = ?", day))
            lost = self.store.rows("SELECT reason, sum(rows) FROM rejected GROUP BY reason ORDER BY reason")
            scores = self.store.table("chart", "WHERE day = ?", day).drop(columns="day")
            probes = self._probes(day)
        words = {segment: words[segment] for segment in self._segments}
        return Verdict(day, words, scores.set_index(["segment", "score"]), dict(lost), probes)

    def _probes(self, day: int) -> str:
        """Say what the probes of the last four weeks mean."""
        query = "SELECT day, 1.0 * succeeded / asked FROM probe WHERE day BETWEEN ? AND ? ORDER BY day"
        found = self.store.rows(query, day - LATE_DAYS, day)
        if len(found) < 2 or found[-1][0] < day - 7:
            return ""
        now, best = found[-1][1], max(rate for _, rate in found)
        if now < best - PROBE_FALL:
            return f"probes: {now:.1%} succeed, {best:.1%} before: look at the supply, index or embedder"
        return f"probes: {now:.1%} succeed, as before: index and embedder answer as they did"

    def table(self, name: str) -> pd.DataFrame:
        """Return a table or view of the file, one of those in `store.SCHEMA`; raise ValueError for others."""
        return self.store.table(name)
