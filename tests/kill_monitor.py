"""Kill the monitor's process at random and at chosen moments, and report what its file then holds.

`test_monitor.py` runs this as a program of one thread, so that it may fork: the children have all imports
done. Prints a JSON of what happened.
"""

import json
import os
import select
import signal
import sqlite3
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd

from helpers.log import Log
from helpers.monitor import Monitor
from helpers.store import Store

DIM, ROWS, BATCHES, KILLS = 16, 4000, 250, 50
EXACT = ("setting", "frozen", "traffic", "calibration", "score", "probe")


def contents(path):
    """Return all that a monitor's file holds, but for how the traffic was cut and when it arrived."""
    with Monitor(path) as monitor:
        rows = {name: sorted(monitor.store.rows(f"SELECT * FROM {name}"), key=repr) for name in EXACT}
        rows["rejected"] = monitor.store.rows("SELECT reason, sum(rows) FROM rejected GROUP BY reason")
        rows["accepted"] = monitor.store.rows("SELECT sum(accepted) FROM batch")
    return rows


def traffic(days, rows, *, dim=DIM, seed=0, shift=0.0):
    """Return a log with `rows` queries on each of some days, in no order."""
    rng = np.random.default_rng(seed)
    day = rng.permutation(np.repeat(np.asarray(days), rows))
    embeddings = (rng.normal(size=(len(day), dim)) + shift).astype(np.float32)
    outcomes = {"day": day, "segment": rng.choice(["web", "mobile", "partner"], len(day), p=[0.5, 0.3, 0.2])}
    outcomes["best_similarity"] = rng.uniform(0.5, 1, len(day))
    for name, share in (("success", 0.9), ("click", 0.6), ("no_answer", 0.04), ("escalation", 0.05)):
        outcomes[name] = rng.random(len(day)) < share
    outcomes["escalation_day"] = day + rng.geometric(0.25, len(day))
    return Log(embeddings, pd.DataFrame(outcomes))


def batch(number, rows=ROWS):
    """Return a batch of the stream; half of its rows come a day late."""
    return traffic([number, max(0, number - 1)], rows // 2, seed=[7, number])


def copy(fitted, path):
    """Copy a closed file."""
    path.write_bytes(fitted.read_bytes())
    return path


def send(path, numbers, rows=ROWS, acknowledge=lambda number, repeat: None):
    """Send batches to a monitor."""
    with Monitor(path) as monitor:
        for number in numbers:
            acknowledge(number, monitor.update(batch(number, rows), f"batch {number}").repeat)


def fork(work):
    """Start a child that does this work and nothing else; return its id."""
    child = os.fork()
    if child == 0:
        try:
            work()
            os._exit(0)
        except BaseException as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
            os._exit(1)
    return child


def kill(child):
    """Kill a child as a power cut would, and say whether it was still there to be killed."""
    os.kill(child, signal.SIGKILL)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def at_random_moments(fitted, folder):
    """Kill a stream of a million embeddings fifty times; a new process goes on where it was acknowledged."""
    started = time.perf_counter()
    send(copy(fitted, folder / "whole.sqlite"), range(BATCHES))
    usual = (time.perf_counter() - started) / BATCHES
    rng, path = np.random.default_rng(3), copy(fitted, folder / "killed.sqlite")
    lives = rng.permutation(np.resize(np.arange(7), KILLS)).tolist()  # batches acknowledged before each kill
    acknowledged, killed, inside, repeats = 0, 0, 0, 0
    while acknowledged < BATCHES:
        wanted = lives.pop() if lives else BATCHES
        ours, theirs = os.pipe()

        def work(pipe=theirs, first=acknowledged, wanted=wanted):
            transaction = Store.transaction

            @contextmanager
            def reported(self, *kind):
                with transaction(self, *kind):
                    os.write(pipe, b"<")
                    yield
                os.write(pipe, b">")

            Store.transaction = reported
            numbers = range(first, min(first + wanted + 2, BATCHES))
            send(path, numbers, acknowledge=lambda _, repeat: os.write(pipe, b"r" if repeat else b"."))
            if wanted < BATCHES:
                signal.pause()  # nobody has killed us yet: be killed between two batches

        child, marks = fork(work), b""
        os.close(theirs)
        while marks.count(b".") + marks.count(b"r") < wanted and (more := os.read(ours, 1000)):
            marks += more
        select.select([], [], [], rng.uniform(0, usual))
        killed += kill(child)
        while more := os.read(ours, 1000):
            marks += more
        os.close(ours)
        inside += marks.endswith(b"<")
        repeats += marks.count(b"r")
        acknowledged += marks.count(b".") + marks.count(b"r")
    return {
        "rows": BATCHES * ROWS,
        "killed": killed,
        "inside": inside,
        "repeats": repeats,
        "equal": contents(path) == contents(folder / "whole.sqlite"),
        "batches": sqlite3.connect(path).execute("SELECT count(*), sum(accepted) FROM batch").fetchone(),
    }


def steps_of(work, fuse=None):
    """Do work that opens one database; count its steps, or die at the step `fuse`."""
    connect, steps = sqlite3.connect, 0

    def step():
        nonlocal steps
        steps += 1
        if steps == fuse:
            os.kill(os.getpid(), signal.SIGKILL)
        return 0

    def counting(*args, **options):
        connection = connect(*args, **options)
        connection.set_progress_handler(step, 1)
        return connection

    sqlite3.connect = counting
    try:
        work()
    finally:
        sqlite3.connect = connect
    return steps


def at_chosen_steps(work, path, start, points):
    """Kill work on a file in the middle of SQLite's statements; return how often, and the files it left."""
    files = [path.with_name(f"{path.name}-{name}") for name in ("wal", "shm", "journal")]

    def fresh():
        for file in (path, *files):
            file.unlink(missing_ok=True)
        if start:
            copy(start, path)

    fresh()
    last = steps_of(work)
    for fuse in np.linspace(1, last, points, endpoint=False).astype(int).tolist():
        fresh()
        child = fork(lambda fuse=fuse: steps_of(work, fuse))
        yield os.WIFSIGNALED(os.waitpid(child, 0)[1])


def while_the_file_is_made(folder):
    """Kill the creation of a file; afterwards it can be opened and is empty."""
    path, killed, good = folder / "made.sqlite", 0, 0
    for dead in at_chosen_steps(lambda: Monitor(path).close(), path, None, 30):
        with Monitor(path) as monitor:
            good += monitor.table("traffic").empty and monitor.table("setting").empty
        killed += dead
    return {"killed": killed, "good": good}


def while_fitting(history, fitted, folder):
    """Kill a fit; afterwards the file is not fitted, and a new fit gives what one fit gives."""
    path, killed, unfitted = folder / "fit.sqlite", 0, 0
    for dead in at_chosen_steps(lambda: fit(path, history), path, None, 5):
        killed += dead
        with Monitor(path) as monitor:
            unfitted += monitor.table("setting").empty and monitor.table("traffic").empty
    fit(path, history)
    return {"killed": killed, "unfitted": unfitted, "equal": contents(path) == contents(fitted)}


def in_the_middle_of_a_batch(fitted, folder):
    """Kill one update at many steps; before it is committed the file is as it was, and afterwards whole."""
    before = copy(fitted, folder / "before.sqlite")
    send(before, range(5), 400)
    after = copy(before, folder / "after.sqlite")
    send(after, [5], 400)
    old, new = contents(before), contents(after)
    path, killed, as_before, whole = folder / "one.sqlite", 0, 0, 0
    for dead in at_chosen_steps(lambda: send(path, [5], 400), path, before, 25):
        killed += dead
        as_before += contents(path) == old
        send(path, [5], 400)
        whole += contents(path) == new
    return {"killed": killed, "as before": as_before, "whole": whole}


def with_a_torn_log(fitted, folder):
    """Cut the write-ahead log that a killed process left, anywhere; what is left are the first batches."""
    path, whole = copy(fitted, folder / "torn.sqlite"), copy(fitted, folder / "untorn.sqlite")
    send(whole, range(12), 400)

    def work():
        monitor = Monitor(path)
        for number in range(8):
            monitor.update(batch(number, 400), f"batch {number}")
        os.kill(os.getpid(), signal.SIGKILL)  # before it is closed, which would empty the log

    os.waitpid(fork(work), 0)
    log = path.with_name("torn.sqlite-wal")
    file, logged, left, prefixes, equal = path.read_bytes(), log.read_bytes(), [], 0, 0
    for share in (0, 0.2, 0.4, 0.61, 0.8, 0.93, 0.999, 1):
        path.write_bytes(file)
        log.write_bytes(logged[: int(len(logged) * share)])
        path.with_name("torn.sqlite-shm").unlink(missing_ok=True)
        with Monitor(path) as monitor:
            found = {name for (name,) in monitor.store.rows("SELECT id FROM batch")}
        left.append(len(found))
        prefixes += found == {f"batch {number}" for number in range(len(found))}
        send(path, range(12), 400)
        equal += contents(path) == contents(whole)
    return {"left": left, "prefixes": prefixes, "equal": equal}


def two_at_once(history, fitted, folder):
    """Let two processes write into one file that both have just made; both send some of the batches."""
    path, whole = folder / "two.sqlite", copy(fitted, folder / "one by one.sqlite")
    send(whole, range(20), 400)
    failed = 0
    for _ in range(30):
        path.unlink(missing_ok=True)
        pair = [fork(lambda: Monitor(path).close()) for _ in range(2)]
        failed += sum(os.waitpid(child, 0)[1] != 0 for child in pair)
    fit(path, history)
    shares = (
        [number for number in range(20) if number % 3],
        [number for number in range(20) if number % 3 < 2],
    )
    pair = [fork(lambda mine=mine: send(path, mine, 400)) for mine in shares]
    failed += sum(os.waitpid(child, 0)[1] != 0 for child in pair)
    return {"failed": failed, "equal": contents(path) == contents(whole)}


def fit(path, history):
    """Fit a monitor with two segments."""
    with Monitor(path) as monitor:
        monitor.fit(history, segments=["web", "mobile"])


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    history, fitted = traffic(range(-56, 0), 200), folder / "fitted.sqlite"
    fit(fitted, history)
    parts = {
        "a million": lambda: at_random_moments(fitted, folder),
        "made": lambda: while_the_file_is_made(folder),
        "fitting": lambda: while_fitting(history, fitted, folder),
        "one batch": lambda: in_the_middle_of_a_batch(fitted, folder),
        "torn": lambda: with_a_torn_log(fitted, folder),
        "two": lambda: two_at_once(history, fitted, folder),
    }
    out = {}
    for name in sys.argv[2:] or parts:
        out[name] = parts[name]()
    print(json.dumps(out))
