"""The monitor's file: one SQLite database that any SQL tool can read.

`SCHEMA` is its documentation: it stands in the file too, comments included. Days are whole numbers, the days
of the log. `segment` is one of the monitor's segments, or "all" for everybody.
The version of the layout is `PRAGMA user_version`; `PRAGMA application_id` says whose file it is.

What it cannot tell you: that a number in it was changed afterwards. SQLite has no checksum for its pages;
only the states have one.
"""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd

APPLICATION, VERSION = 0x45445031, 1  # "EDP1"
PATIENCE = 60  # seconds to wait for another process; a reader, who is asked again soon, waits 5

# Errors that are not the file's fault.
SYSTEM = {f"SQLITE_{name}" for name in "BUSY CANTOPEN FULL IOERR LOCKED PERM READONLY".split()}

SCHEMA = """
CREATE TABLE setting (              -- what `Monitor.fit` was given; values are JSON
    name TEXT PRIMARY KEY, value TEXT NOT NULL
) STRICT;
CREATE TABLE frozen (               -- states of the reference, in the layout of helpers/states.py
    name TEXT PRIMARY KEY, state BLOB NOT NULL
) STRICT;
CREATE TABLE batch (                -- each batch that was committed, once
    id TEXT PRIMARY KEY,
    received REAL NOT NULL,         -- seconds since 1970, by the clock of the monitor's machine
    accepted INTEGER NOT NULL,      -- rows that count
    first_day INTEGER, last_day INTEGER
) STRICT;
CREATE TABLE rejected (             -- rows that do not count, and why
    batch TEXT NOT NULL REFERENCES batch (id), reason TEXT NOT NULL, rows INTEGER NOT NULL,
    PRIMARY KEY (batch, reason)
) STRICT;
CREATE TABLE traffic (              -- sums over the queries of a day and segment
    day INTEGER NOT NULL, segment TEXT NOT NULL,
    queries INTEGER NOT NULL,
    failure INTEGER NOT NULL, no_click INTEGER NOT NULL, no_answer INTEGER NOT NULL,
    escalation INTEGER NOT NULL,    -- tickets booked on that day, whenever the query was asked
    state BLOB,                     -- what the scores need (helpers/panel.py); NULL once the day is closed
    PRIMARY KEY (day, segment)
) STRICT;
CREATE TABLE calibration (          -- each score in quiet time, weekdays and weekends apart
    segment TEXT NOT NULL, score TEXT NOT NULL, family TEXT NOT NULL, weekend INTEGER NOT NULL,
    mean REAL NOT NULL, sd REAL NOT NULL, limit_ REAL NOT NULL,
    PRIMARY KEY (segment, score, weekend)
) STRICT;
CREATE TABLE score (                -- each score of each day that is over, late rows included
    day INTEGER NOT NULL, segment TEXT NOT NULL, score TEXT NOT NULL, family TEXT NOT NULL,
    value REAL, z REAL,             -- z: in sd of quiet days of that kind; NULL if too few queries came
    state REAL NOT NULL,            -- of the EWMA chart of z
    alarm INTEGER NOT NULL,         -- state above the limit
    active INTEGER NOT NULL,        -- an alarm on this day or on one of the two before
    PRIMARY KEY (day, segment, score)
) STRICT;
CREATE TABLE said (                 -- what was said of a day first; late rows do not change it
    day INTEGER NOT NULL, segment TEXT NOT NULL, score TEXT NOT NULL,
    result TEXT NOT NULL,           -- ok, alarm, too few queries
    said_at REAL NOT NULL,          -- seconds since 1970
    PRIMARY KEY (day, segment, score)
) STRICT;
CREATE TABLE probe (                -- frozen queries with known answers, and the index that answered them
    day INTEGER PRIMARY KEY, asked INTEGER NOT NULL, succeeded INTEGER NOT NULL,
    documents INTEGER NOT NULL, built INTEGER NOT NULL      -- the day on which the index was built
) STRICT;
CREATE VIEW outcome AS              -- rates of bad outcomes
    SELECT day, segment, queries, 1.0 * failure / queries AS failure, 1.0 * no_click / queries AS no_click,
           1.0 * no_answer / queries AS no_answer, 1.0 * escalation / queries AS escalation
    FROM traffic WHERE queries > 0;
CREATE VIEW chart AS                -- the charts in the units of their scores: alarm where smooth > threshold
    SELECT day, segment, score, s.family, value, z, mean AS usual, mean + state * sd AS smooth,
           mean + limit_ * sd AS threshold, state, limit_, alarm, active
    FROM score AS s JOIN calibration AS c USING (segment, score)
    -- day 0 is a Monday, and SQL's % of a negative day is negative
    WHERE weekend = ((day % 7 + 7) % 7 >= 5);
CREATE VIEW verdict AS              -- should anyone act?
    SELECT day, segment,
           sum(active AND family <> 'outcome') AS drifting, sum(active AND family = 'outcome') AS hurting,
           CASE WHEN sum(value IS NOT NULL) = 0 THEN 'too few queries'
                WHEN sum(active AND family = 'outcome') = 0
                THEN CASE WHEN sum(active) = 0 THEN 'quiet' ELSE 'drift' END
                ELSE CASE WHEN sum(active AND family <> 'outcome') = 0 THEN 'harm' ELSE 'harm with drift' END
           END AS verdict
    FROM score GROUP BY day, segment;
"""


class Store:
    """An open file with the tables of `SCHEMA`, made if it is not there.

    read_only : leave the file alone, make none and keep no writer waiting. Where no log stood beside the file
        (`has_log`), nobody has it open, and none is made; who begins to write then is not seen.

    Raises ValueError where the file is something else, damaged, or of another version, and OSError where it
    cannot be opened or written. Neither changes the file.
    """

    def __init__(self, path: str | Path, *, read_only: bool = False) -> None:
        self.path = Path(path)
        self._log = self.path.with_name(f"{self.path.name}-wal")
        is_new = not self.path.exists() or (self.path.is_file() and self.path.stat().st_size == 0)
        if self.path.is_file() and not is_new:
            self._expect_whole()
        self.has_log = self._log.exists()
        mode = "rwc" if not read_only else "ro" if self.has_log else "ro&immutable=1"
        where, wait = f"{self.path.absolute().as_uri()}?mode={mode}", 5 if read_only else PATIENCE
        with self._named_errors():
            self.connection = sqlite3.connect(where, uri=True, timeout=wait, isolation_level=None)
            try:
                if not is_new:
                    with self.transaction("DEFERRED"):  # one moment: another process may be making the file
                        self._check()
                if not read_only:
                    self._expect_tables()
            except BaseException:
                self.connection.close()
                raise

    @contextmanager
    def _named_errors(self) -> Iterator[None]:
        """Say which file it was."""
        try:
            yield
        except sqlite3.Error as error:
            name = getattr(error, "sqlite_errorname", None)
            if name is None or isinstance(error, sqlite3.IntegrityError):  # ours, and none of SQLite's
                raise
            if "_".join(name.split("_")[:2]) in SYSTEM:
                raise OSError(
                    f"path={self.path} cannot be read or written ({error}): see that it is a file in a "
                    "folder that is there, has room and lets you write, then do it again"
                ) from error
            raise self._damaged(str(error)) from error

    def _damaged(self, why: str) -> ValueError:
        return ValueError(
            f"path={self.path} is no monitor's file, or a damaged one ({why}): restore a copy, or give "
            "another path and fit anew"
        )

    def _expect_whole(self) -> None:
        """Look at what SQLite itself passes over: very short files, and a last page that is cut."""
        size = self.path.stat().st_size
        with self.path.open("rb") as file:
            header = file.read(100)
        if not header.startswith(b"SQLite format 3\0") or len(header) < 100:
            raise self._damaged("file is not a database")
        page = int.from_bytes(header[16:18], "big")
        if size % max(page, 512) and not (self._log.exists() and self._log.stat().st_size):
            raise self._damaged("its end is missing")

    def _check(self) -> None:
        whose, version = self.rows("PRAGMA application_id")[0][0], self._version()
        if (whose, version) == (0, 0) and not self.rows("SELECT 1 FROM sqlite_master"):
            return  # made by a process that was killed before its first commit
        if whose != APPLICATION:
            raise ValueError(f"path={self.path} is another program's database: give another path")
        if version != VERSION:
            raise ValueError(
                f"path={self.path} has layout {version}, this code reads {VERSION}: fit anew in another"
            )
        found = self.rows("PRAGMA quick_check(1)")[0][0]
        if found != "ok":
            raise self._damaged(found)

    def _version(self) -> int:
        return self.rows("PRAGMA user_version")[0][0]

    def _expect_tables(self) -> None:
        """Make the file ready to be written, and its tables if it has none."""
        self._keep_a_log()
        self.connection.execute("PRAGMA synchronous = FULL")  # a committed batch survives a power cut
        if not self._version():
            self._create()

    def _keep_a_log(self) -> None:
        """Switch to a write-ahead log.

        It is the one statement that SQLite refuses at once, rather than wait, where another process is about
        to write: of two that make a file at the same moment one would fail.
        """
        patience = time.monotonic() + PATIENCE
        while True:
            try:
                self.connection.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError as error:
                if not error.sqlite_errorname.startswith("SQLITE_BUSY") or time.monotonic() >= patience:
                    raise
            time.sleep(0.01)

    def _create(self) -> None:
        with self.transaction():
            if not self._version():  # no other process was faster
                for statement in SCHEMA.split(";\n"):
                    self.connection.execute(statement)
                self.connection.execute(f"PRAGMA application_id = {APPLICATION}")
                self.connection.execute(f"PRAGMA user_version = {VERSION}")

    @contextmanager
    def transaction(self, kind: str = "IMMEDIATE") -> Iterator[None]:
        """Commit all that the block does, or nothing of it. One writer at a time; others wait.

        kind : "DEFERRED" for a block that only reads: it sees one moment, and nobody waits for it.
        """
        with self._named_errors():
            self.connection.execute(f"BEGIN {kind}")
            try:
                yield
                self.connection.execute("COMMIT")
            except BaseException:
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")
                raise

    def rows(self, query: str, *values: object) -> list[tuple]:
        """Return all rows of a query."""
        return self.connection.execute(query, values).fetchall()

    def put(self, table: str, rows: list[tuple]) -> None:
        """Insert rows with all columns of a table, or replace those with the same key."""
        if rows:
            places = ", ".join("?" * len(rows[0]))
            self.connection.executemany(f"INSERT OR REPLACE INTO {table} VALUES ({places})", rows)

    def table(self, name: str, condition: str = "", *values: object) -> pd.DataFrame:
        """Return a table or view, or its rows of a condition; raise ValueError for an unknown one."""
        known = [each for (each,) in self.rows("SELECT name FROM sqlite_master WHERE type <> 'index'")]
        if name not in known:
            raise ValueError(f"name={name!r} is no table of the file: give one of {', '.join(sorted(known))}")
        return pd.read_sql_query(f"SELECT * FROM {name} {condition}", self.connection, params=values)

    def latest_day(self) -> int:
        """Return the last day on which anybody asked."""
        return self.rows("SELECT max(day) FROM traffic WHERE queries > 0")[0][0]

    # What one writes into it.

    def add_queries(self, day: int, segment: str, counts: list[int], state: bytes) -> None:
        """Add counts (queries, failure, no_click, no_answer) to a day and segment, and replace the state."""
        self.rows(
            "INSERT INTO traffic VALUES (?, ?, ?, ?, ?, ?, 0, ?) ON CONFLICT DO UPDATE SET "
            "queries = queries + excluded.queries, failure = failure + excluded.failure, "
            "no_click = no_click + excluded.no_click, no_answer = no_answer + excluded.no_answer, "
            "state = excluded.state",
            *(day, segment, *counts, state),
        )

    def add_tickets(self, day: int, segment: str, n: int) -> None:
        """Add tickets that are booked on a day."""
        self.rows(
            "INSERT INTO traffic VALUES (?, ?, 0, 0, 0, 0, ?, NULL) "
            "ON CONFLICT DO UPDATE SET escalation = escalation + excluded.escalation",
            *(day, segment, n),
        )

    def say(self, segment: str, first: int, now: float) -> None:
        """Write down what is said of the days from `first` on, unless something was said of them before."""
        self.rows(
            "INSERT OR IGNORE INTO said SELECT day, segment, score, CASE WHEN value IS NULL "
            "THEN 'too few queries' WHEN alarm THEN 'alarm' ELSE 'ok' END, ? "
            "FROM score WHERE segment = ? AND day >= ?",
            *(now, segment, first),
        )

    def let_go(self, day: int) -> None:
        """Forget the sums of the days before this one: nothing can change them any more."""
        self.rows("UPDATE traffic SET state = NULL WHERE day < ? AND state IS NOT NULL", day)

    def close(self) -> None:
        """Close the file."""
        self.connection.close()
