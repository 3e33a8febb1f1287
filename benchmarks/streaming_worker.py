"""One streaming implementation in one process: reads jobs as lines of JSON, answers each.

Everybody follows the same unit rows in float32 where cost is measured, and the same traffic of the synthetic
product where delay is measured. `FOLLOWERS` are timed, `WATCHERS` look for changes.
"""

import pickle
import sys
import time
from collections.abc import Callable, Iterator
from functools import cache, partial
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.processes import attempt, serve
from benchmarks.worker import STATUS, cpu_seconds, memory

DIM, ROWS, REFERENCE, BATCH = 384, 8192, 1000, 256
FEATURES, PROJECTIONS, CLUSTERS, SAMPLE, WINDOW = 256, 8, 12, 1000, 32
FAST, SLOW = 2.0, 14.0  # half-lives in days
GAMMA = 0.5  # one over the squared distance of most pairs of unit rows
PER_DAY = 1000  # rows: the first 100,000 then fill all panes of a TwoRateMean
LIMIT = "bare product"


@cache
def unit_rows(n: int, seed: int = 0) -> NDArray[np.float32]:
    """Return n rows of length 1 in random directions."""
    rows = np.random.default_rng(seed).standard_normal((n, DIM), dtype=np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def batches(rows: NDArray, start: int, stop: int, size: int = BATCH) -> Iterator[tuple[int, NDArray]]:
    """Cut rows `start` to `stop` of an endless repetition of `rows` in batches, numbered by their first."""
    while start < stop:
        place = start % len(rows)
        batch = rows[place : place + min(size, stop - start)]
        yield start, batch
        start += len(batch)


# What is timed.


class Follower(NamedTuple):
    """Somebody who follows a stream."""

    update: Callable[[int, NDArray], object]  # number of the first row of a batch, and the batch
    state: Any  # what there is to save


def ours(name: str, reference: NDArray) -> Follower:
    """One of the states of `helpers.streaming`."""
    from helpers import streaming
    from helpers.metrics import random_directions

    make: dict[str, Callable[[], Any]] = {
        "RandomFeatureMean": lambda: streaming.RandomFeatureMean(DIM, FEATURES, gamma=GAMMA),
        "TwoRateMean": lambda: streaming.TwoRateMean(DIM, FEATURES, gamma=GAMMA, fast=FAST, slow=SLOW),
        "Reservoir": lambda: streaming.Reservoir(SAMPLE),
        "DecayedReservoir": lambda: streaming.DecayedReservoir(SAMPLE, half_life=FAST),
        "HashSample": lambda: streaming.HashSample(SAMPLE),
        "RunningMoments": lambda: streaming.RunningMoments(DIM),
        "ClusterCounts": lambda: streaming.ClusterCounts(reference[:CLUSTERS], limit=1.3),
        "ProjectionSketch": lambda: streaming.ProjectionSketch(random_directions(DIM, PROJECTIONS)),
    }
    state = make[name]()
    if name == "HashSample":
        return Follower(lambda at, rows: state.update(rows, ids=np.arange(at, at + len(rows))), state)
    return Follower(lambda at, rows: state.update(rows, timestamp=at / PER_DAY), state)


def product(reference: NDArray) -> Follower:
    """Return the float64 product of a batch with the frequencies of a RandomFeatureMean, and nothing else."""
    batch, frequencies = reference[:BATCH].astype(float), np.ones((DIM, FEATURES // 2))
    phases = np.empty((BATCH, FEATURES // 2))
    return Follower(lambda at, rows: np.dot(batch, frequencies, out=phases), None)


def river(kind: str, columns: int, reference: NDArray) -> Follower:
    """One River detector for each of some random projections, or for each of all columns."""
    from river import drift

    options = {"seed": 0} if kind == "KSWIN" else {}
    detectors = [getattr(drift, kind)(**options) for _ in range(columns)]
    directions = np.linalg.qr(np.random.default_rng(0).normal(size=(DIM, columns)))[0].astype(np.float32)

    def update(at: int, rows: NDArray) -> None:
        for values in (rows if columns == DIM else rows @ directions).tolist():
            for detector, value in zip(detectors, values, strict=True):
                detector.update(value)

    return Follower(update, detectors)


def alibi_detector(reference: NDArray) -> Any:
    """Alibi Detect's online MMD, PyTorch backend."""
    import torch
    from alibi_detect.cd import MMDDriftOnline

    torch.set_num_threads(1)
    # The bootstraps only set its own limit, once: few of them change neither the cost of a row nor the score.
    return MMDDriftOnline(
        reference, ert=100.0, window_size=WINDOW, backend="pytorch", n_bootstraps=200, verbose=False
    )


def alibi(reference: NDArray) -> Follower:
    """Alibi Detect's online MMD, in its documented call."""
    detector = alibi_detector(reference)

    def update(at: int, rows: NDArray) -> None:
        for row in rows:
            detector.predict(row)

    return Follower(update, detector)


def frouros(reference: NDArray) -> Follower:
    """MMDStreaming of Frouros."""
    from frouros.detectors.data_drift import MMDStreaming
    from frouros.utils.kernels import rbf_kernel

    detector = MMDStreaming(window_size=WINDOW, kernel=partial(rbf_kernel, sigma=1.0))
    detector.fit(X=reference.astype(float))

    def update(at: int, rows: NDArray) -> None:
        for row in rows.astype(float):
            detector.update(value=row)

    return Follower(update, detector)


STATES = (
    "RandomFeatureMean",
    "TwoRateMean",
    "Reservoir",
    "DecayedReservoir",
    "HashSample",
    "RunningMoments",
    "ClusterCounts",
    "ProjectionSketch",
)
FOLLOWERS: dict[str, Callable[[NDArray], Follower]] = {
    **{name: partial(ours, name) for name in STATES},
    LIMIT: product,
    "River PageHinkley, 8 projections": partial(river, "PageHinkley", PROJECTIONS),
    "River ADWIN, 8 projections": partial(river, "ADWIN", PROJECTIONS),
    "River KSWIN, 8 projections": partial(river, "KSWIN", PROJECTIONS),
    "River PageHinkley, 384 columns": partial(river, "PageHinkley", DIM),
    "Alibi Detect online MMD": alibi,
    "Frouros streaming MMD": frouros,
}


def follow(name: str) -> tuple[Follower, NDArray]:
    """Return a new follower and the rows of its stream."""
    return FOLLOWERS[name](unit_rows(REFERENCE, seed=1)), unit_rows(ROWS)


@cache
def under_way(name: str, warm: int) -> tuple[Follower, NDArray, list[int]]:
    """Return a follower that has seen `warm` rows, the rows, and how far it has come."""
    follower, rows = follow(name)
    for at, batch in batches(rows, 0, warm):
        follower.update(at, batch)
    return follower, rows, [warm]


def cost(name: str, batch: int, seconds: float, warm: int) -> dict[str, Any]:
    """CPU microseconds a row, over at least so many seconds of batches of this size."""
    follower, rows, position = under_way(name, warm)
    n = 1
    while True:
        chosen = list(islice(batches(rows, position[0], sys.maxsize, batch), n))
        start = time.process_time()
        for at, some in chosen:
            follower.update(at, some)
        spent = time.process_time() - start
        done = sum(len(some) for _, some in chosen)
        position[0] += done
        if spent >= seconds:
            return {"us": spent / done * 1e6}
        n *= 2


def kept(name: str, warm: int) -> dict[str, Any]:
    """Bytes of the saved state, pickled where it is not ours, and whether it can be merged.

    Only after all clocks: pickling makes CPython keep the attributes of an object in a dict, which is slower.
    """
    state = under_way(name, warm)[0].state
    parts = state if isinstance(state, list) else [state]
    saved = state.to_bytes() if hasattr(state, "to_bytes") else pickle.dumps(state)
    return {"saved": len(saved), "merges": all(hasattr(part, "merge") for part in parts)}


def grow(name: str, sizes: list[int]) -> dict[str, Any]:
    """CPU time a row, peak of memory above the start, and bytes of the state, when so many rows are seen."""
    follower, rows = follow(name)
    if STATUS.exists():
        Path("/proc/self/clear_refs").write_text("5")
    before, steps = memory("VmRSS"), []
    for start, stop in zip([0, *sizes[:-1]], sizes, strict=True):
        cpu = cpu_seconds()
        for at, batch in batches(rows, start, stop):
            follower.update(at, batch)
        us = (cpu_seconds() - cpu) / (stop - start) * 1e6
        peak = memory("VmHWM") - before
        steps.append({"rows": stop, "us": us, "peak": peak, "bytes": follower.state.nbytes})
    return {"steps": steps}


def shard(name: str, start: int, stop: int) -> dict[str, Any]:
    """State of these rows of the stream, in hexadecimal digits."""
    follower, rows = follow(name)
    cpu = time.process_time()
    for at, batch in batches(rows, start, stop):
        follower.update(at, batch)
    return {"cpu": time.process_time() - cpu, "state": follower.state.to_bytes().hex()}


# What looks for changes.

BEFORE = 28  # days of the reference, and again of traffic before day 0

Traffic = tuple[NDArray[np.float32], NDArray[np.int32]]  # rows, and the day of each, from -BEFORE on


class Watched(NamedTuple):
    """What somebody makes of the days from 0 on."""

    alarms: Callable[[float], NDArray[np.bool_]]  # limit -> whether there is an alarm on each day
    limits: list[float]  # to choose from; the highest is the strictest


Watcher = Callable[[Traffic], Watched]


def by_score(scores: NDArray[np.float64]) -> Watched:
    """Alarm on days with a score above the limit."""
    return Watched(lambda limit: scores > limit, scores.tolist())


def watch_ours(name: str, reference: NDArray) -> Watcher:
    """Score at the end of each day: of a TwoRateMean, or MMD^2 of a decayed mean and the reference's."""
    from helpers.metrics import median_gamma
    from helpers.streaming import RandomFeatureMean, TwoRateMean

    dim, gamma = reference.shape[1], median_gamma(reference)
    known = RandomFeatureMean(dim, FEATURES, gamma=gamma)
    known.update(reference)

    def watch(traffic: Traffic) -> Watched:
        decayed = RandomFeatureMean(dim, FEATURES, gamma=gamma, half_life=FAST)
        two_rates = TwoRateMean(dim, FEATURES, gamma=gamma, fast=FAST, slow=SLOW)
        (rows, days), scores = traffic, []
        for today in np.unique(days):
            if name == "TwoRateMean":
                two_rates.update(rows[days == today], timestamp=today)
                scores.append(two_rates.score())
            else:
                decayed.update(rows[days == today], timestamp=today)
                scores.append(decayed.mmd2(known))
        return by_score(np.array(scores[BEFORE:]))

    return watch


def components(reference: NDArray, n: int) -> Callable[[NDArray], NDArray]:
    """Return the projection on the first principal components of the reference, in their sd."""
    mean = reference.mean(axis=0)
    axes = np.linalg.svd(reference - mean, full_matrices=False)[2][:n].T
    scale = ((reference - mean) @ axes).std(axis=0)
    return lambda rows: (rows - mean) @ axes / scale


def watch_river(make: Callable[[Any, float], Any], limits: list[float], reference: NDArray) -> Watcher:
    """Alarm on days on which one of the detectors, of a component each, sees a drift."""
    from river import drift

    project = components(reference, PROJECTIONS)

    def watch(traffic: Traffic) -> Watched:
        rows, days = project(traffic[0]).tolist(), traffic[1].tolist()

        def alarms(limit: float) -> NDArray[np.bool_]:
            detectors = [make(drift, limit) for _ in range(PROJECTIONS)]
            out = np.zeros(days[-1] + 1, bool)
            for day, values in zip(days, rows, strict=True):
                for detector, value in zip(detectors, values, strict=True):
                    detector.update(value)
                    if detector.drift_detected and day >= 0:
                        out[day] = True
            return out

        return Watched(alarms, limits)

    return watch


def largest_of_day(score: Callable[[NDArray], float], traffic: Traffic) -> NDArray[np.float64]:
    """Largest score of the rows of each day from 0 on; the day before fills a window."""
    rows, days = traffic
    out = np.full(days[-1] + 1, -np.inf)
    for day, row in zip(days[days >= -1].tolist(), rows[days >= -1], strict=True):
        value = score(row)
        if day >= 0:
            out[day] = max(out[day], value)
    return out


def watch_kswin(reference: NDArray) -> Watcher:
    """Score: minus the logarithm of the smallest p-value of a day, on the first component.

    With alpha = 0 it never begins anew: one pass has the first alarm of every alpha.
    """
    from river import drift

    project = components(reference, 1)

    def watch(traffic: Traffic) -> Watched:
        detector = drift.KSWIN(alpha=0.0, seed=0)

        def score(row: NDArray) -> float:
            detector.update(float(row[0]))
            return -np.log10(detector.p_value) if detector.p_value else 0.0

        return by_score(largest_of_day(score, (project(traffic[0]), traffic[1])))

    return watch


def watch_alibi(reference: NDArray) -> Watcher:
    """Score: largest of a day of its own statistic."""
    detector = alibi_detector(reference[np.linspace(0, len(reference) - 1, REFERENCE).astype(int)])

    def watch(traffic: Traffic) -> Watched:
        detector.reset_state()
        return by_score(largest_of_day(detector.score, traffic))

    return watch


WATCHERS: dict[str, Callable[[NDArray], Watcher]] = {
    "RandomFeatureMean, EWMA against a reference": partial(watch_ours, "RandomFeatureMean"),
    "TwoRateMean": partial(watch_ours, "TwoRateMean"),
    "River PageHinkley, 8 components": partial(
        watch_river,
        lambda drift, limit: drift.PageHinkley(threshold=2.0**limit),
        [k / 4 for k in range(1, 57)],
    ),
    "River ADWIN, 8 components": partial(
        watch_river, lambda drift, limit: drift.ADWIN(delta=10.0**-limit), [float(k) for k in range(1, 25)]
    ),
    "River KSWIN, first component": watch_kswin,
    "Alibi Detect online MMD": watch_alibi,
}
CHANGES = {
    "stale rotation .25": ("rotation", 0.25),
    "new topic 6 %": ("new_topic", 0.06),
    "mean shift .06": ("mean_shift", 0.06),
}


def delay(name: str, products: int, quiet_days: int, days: int, budget: float) -> dict[str, Any]:
    """Days to the first alarm after each change, at one false alarm in `budget` days of quiet traffic.

    The limit is the last, coming from the strictest, before there are more false alarms than that; None where
    the strictest has more. Alarms on days in a row are one.
    """
    from helpers.synthetic import Event, Product

    def traffic(product: Product, until: int, events: list[Event]) -> Traffic:
        log = product.run(BEFORE + until, events, start=-BEFORE)
        return log.embeddings, log.outcomes["day"].to_numpy()

    quiet: list[Watched] = []
    changed: dict[str, list[Watched]] = {change: [] for change in CHANGES}
    for seed in range(products):
        product = Product(seed)
        watch = WATCHERS[name](product.run(BEFORE, start=-2 * BEFORE).embeddings)
        quiet.append(watch(traffic(product, quiet_days, [])))
        for change, (kind, size) in CHANGES.items():
            changed[change].append(watch(traffic(product, days, [Event(kind, size=size)])))

    limit, false = None, 0
    for candidate in sorted({limit for each in quiet for limit in each.limits}, reverse=True):
        count = sum(count_alarms(each.alarms(candidate)) for each in quiet)
        if count > products * quiet_days / budget:
            break
        limit, false = candidate, count
    if limit is None:
        return {"limit": None}
    delays = {change: [first_alarm(each.alarms(limit)) for each in of] for change, of in changed.items()}
    return {"limit": limit, "false": false / (products * quiet_days) * budget, "delays": delays}


def count_alarms(days: NDArray[np.bool_]) -> int:
    """Count the alarms: days in a row are one."""
    return int(days[0]) + int((days[1:] & ~days[:-1]).sum())


def first_alarm(days: NDArray[np.bool_]) -> int | None:
    """Days until the first alarm, that day included; None without one."""
    return int(days.argmax()) + 1 if days.any() else None


TASKS: dict[str, Callable[..., dict[str, Any]]] = {
    "cost": cost,
    "kept": kept,
    "grow": grow,
    "shard": shard,
    "delay": delay,
}
PACKAGES = {"River": "river", "Alibi": "alibi-detect", "Frouros": "frouros"}


def is_peer(name: str) -> bool:
    """Whether a name is that of a peer, which begins with its library's."""
    return name.split()[0] in PACKAGES


def answer(job: dict[str, Any]) -> dict[str, Any]:
    """Do a job: `task`, `name` and the other arguments of that task."""
    task, arguments = TASKS[job["task"]], {key: value for key, value in job.items() if key != "task"}
    package = PACKAGES.get(job["name"].split()[0], "numpy")
    return attempt(lambda: task(**arguments), package)


if __name__ == "__main__":
    serve(answer)
