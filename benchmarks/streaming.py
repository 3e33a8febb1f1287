"""Measure the streaming states against peers: `python -m benchmarks.streaming --peers PYTHON`.

PYTHON is the interpreter of an environment with benchmarks/requirements.txt; by default the one at work.
Writes results/streaming.md and results/streaming.svg, in about ten minutes on two quiet cores.
"""

import argparse
import math
import os
import platform
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from statistics import median
from typing import Any, NamedTuple

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt

from benchmarks import streaming_worker as work
from benchmarks.__main__ import RESULTS
from benchmarks.processes import ONE_THREAD, Worker
from helpers.streaming import RandomFeatureMean

MAIN = "RandomFeatureMean"
PEERS = [name for name in work.FOLLOWERS if work.is_peer(name)]
BATCHES = (1, 32, work.BATCH)

Found = dict[str, dict[str, Any]]  # by name


class Plan(NamedTuple):
    """Sizes of a run."""

    rounds: int = 3
    seconds: float = 0.3  # CPU time of one measurement, at least
    warm: int = 100_000  # rows that a state has seen before
    warm_peer: int = 300
    growth: tuple[int, ...] = (100_000, 1_000_000, 10_000_000)
    shared: int = 1_000_000  # rows that two processes share
    products: int = 4  # each with quiet days and changes of its own
    quiet_days: int = 182
    days: int = 28  # after a change
    budget: int = 91  # quiet days to one false alarm


SMALL = Plan(1, 0.02, 2_000, 110, (2_000, 20_000, 40_000), 20_000, 1, 30, 5, 30)


class Follower(Worker):
    """A process for one implementation of the streaming benchmark, with one thread."""

    def __init__(self, name: str, peers: str) -> None:
        python = peers if work.is_peer(name) else sys.executable
        super().__init__(name, python, "benchmarks.streaming_worker", ONE_THREAD)

    def ask(self, task: str, **arguments: Any) -> None:
        """Send a job."""
        self.send({"task": task, "name": self.name, **arguments})

    def do(self, task: str, **arguments: Any) -> dict[str, Any]:
        """Send a job and wait for its answer."""
        self.ask(task, **arguments)
        return self.receive()


# What is measured.


def measure_costs(plan: Plan, peers: str) -> Found:
    """Measure CPU microseconds a row for each size of batch, in turns; what is saved; who merges."""
    workers = [Follower(name, peers) for name in work.FOLLOWERS]
    warm = {name: plan.warm_peer if name in PEERS else plan.warm for name in work.FOLLOWERS}
    found = {worker.name: worker.do("cost", batch=1, seconds=0, warm=warm[worker.name]) for worker in workers}
    times: dict[tuple[str, int], list[float]] = {}
    for _ in range(plan.rounds):
        for worker in workers:
            name = worker.name
            sizes = (1,) if name in PEERS else (work.BATCH,) if name == work.LIMIT else BATCHES
            for batch in sizes if "us" in found[name] else ():
                job = {"batch": batch, "seconds": plan.seconds, "warm": warm[name]}
                result = found[name] = worker.do("cost", **job)
                if "us" in result:
                    times.setdefault((name, batch), []).append(result["us"])
    for worker in workers:
        name = worker.name
        if "us" in found[name]:
            found[name] = worker.do("kept", warm=warm[name])
            found[name]["us"] = {batch: median(each) for (who, batch), each in times.items() if who == name}
        worker.end()
    return found


def measure_growth(plan: Plan) -> Found:
    """Measure time and memory of each state while its stream grows, one after the other."""
    found = {}
    for name in work.STATES:
        worker = Follower(name, sys.executable)
        found[name] = worker.do("grow", sizes=plan.growth)
        worker.end()
    return found


def measure_delays(plan: Plan, peers: str) -> Found:
    """Measure days to the first alarm after each change, on all cores: no clock runs here."""

    def one(name: str) -> dict[str, Any]:
        worker = Follower(name, peers)
        sizes = {"products": plan.products, "quiet_days": plan.quiet_days, "days": plan.days}
        result = worker.do("delay", budget=plan.budget, **sizes)
        worker.end()
        return result

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        slowest_first = list(work.WATCHERS)[::-1]
        found = dict(zip(slowest_first, pool.map(one, slowest_first), strict=True))
    return {name: found[name] for name in work.WATCHERS}


def measure_sharing(plan: Plan) -> dict[str, Any]:
    """Measure one process against two that share the rows and merge, in turns."""
    workers = [Follower(MAIN, sys.executable) for _ in range(3)]
    for worker in workers:
        worker.do("shard", start=0, stop=work.BATCH)
    middle = plan.shared // 2
    parts = {1: [(0, plan.shared)], 2: [(0, middle), (middle, plan.shared)]}
    times: dict[str, list[float]] = {}
    states = set()
    for _ in range(plan.rounds):
        for processes, ranges in parts.items():
            wall = time.perf_counter()
            chosen = workers[processes - 1 :][:processes]
            for worker, (start, stop) in zip(chosen, ranges, strict=True):
                worker.ask("shard", start=start, stop=stop)
            results = [worker.receive() for worker in chosen]
            state, *others = [RandomFeatureMean.from_bytes(bytes.fromhex(each["state"])) for each in results]
            for other in others:
                state = state.merge(other)
            times.setdefault(f"wall {processes}", []).append(time.perf_counter() - wall)
            times.setdefault(f"cpu {processes}", []).append(sum(each["cpu"] for each in results))
            states.add(state.to_bytes())
    for worker in workers:
        worker.end()
    return {key: median(each) for key, each in times.items()} | {"equal": len(states) == 1}


# What is written.


def number(value: float) -> str:
    """Three digits, or all before the point; nothing for what was not measured."""
    if math.isnan(value):
        return ""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def table(head: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table, its first column aligned to the left; short rows are filled."""
    lines = [head, ["---", *["--:"] * (len(head) - 1)]]
    lines += [row + [""] * (len(head) - len(row)) for row in rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def label(name: str, result: dict[str, Any]) -> str:
    """Ours in bold, peers with their version."""
    if work.is_peer(name):
        return f"{name} ({result['version']})" if "version" in result else name
    return name if name == work.LIMIT else f"**{name}**"


def absent(result: dict[str, Any]) -> str:
    """Say what became of somebody without a result."""
    return "missing" if "missing" in result else f"failed: {result.get('failed')}"


def cost_table(costs: Found) -> str:
    """Return the costs as Markdown."""
    unit = costs[MAIN]["us"]
    head = ["CPU µs a row", *(f"batches of {size}" for size in BATCHES)]
    head += ["times ours, row by row", "times ours, in batches", "bytes saved", "merges"]
    rows = []
    for name, result in costs.items():
        if "us" not in result:
            rows.append([label(name, result), absent(result)])
            continue
        us = result["us"]
        row = [label(name, result), *(number(us[size]) if size in us else "" for size in BATCHES)]
        row += [number(us[1] / unit[1]) if 1 in us else "", number(min(us.values()) / unit[work.BATCH])]
        if name != work.LIMIT:
            row += [f"{result['saved']:,}", "yes" if result["merges"] else "no"]
        rows.append(row)
    return table(head, rows)


def growth_table(growth: Found) -> str:
    """Return time and memory of growing streams as Markdown."""
    at = [f"{step['rows']:,}" for step in growth[MAIN]["steps"]]
    head = ["when so many rows are seen", *(f"{rows}: rows a second since before" for rows in at)]
    head += [f"{rows}: MB above the start" for rows in at] + [f"{rows}: bytes of the state" for rows in at]
    rows = []
    for name, result in growth.items():
        steps = result["steps"]
        row = [label(name, result), *(f"{1e6 / step['us']:,.0f}" for step in steps)]
        row += [f"{step['peak'] / 1e6:.1f}" for step in steps] + [f"{step['bytes']:,}" for step in steps]
        rows.append(row)
    return table(head, rows)


def middle(delays: list[int | None]) -> float:
    """Median of the days; without an alarm they are infinitely many."""
    return median(math.inf if delay is None else delay for delay in delays)


def delay_table(delays: Found, plan: Plan) -> str:
    """Return the delays as Markdown."""
    rows = []
    for name, result in delays.items():
        if "limit" not in result:
            rows.append([label(name, result), absent(result)])
        elif result["limit"] is None:
            rows.append([label(name, result), "its strictest limit has more"])
        else:
            row = [label(name, result), f"{result['false']:.2g}"]
            for each in result["delays"].values():
                days = f"{middle(each):g}" if middle(each) < math.inf else f"> {plan.days}"
                row.append(f"{days} ({len(each) - each.count(None)} of {len(each)})")
            rows.append(row)
    return table(["days to the alarm", f"false alarms in {plan.budget} days", *work.CHANGES], rows)


def goals(costs: Found, growth: Found, sharing: dict[str, Any]) -> str:
    """Return the goals as Markdown: wanted, measured, and whether that is reached."""
    ours = costs[MAIN]["us"][work.BATCH]
    bare = costs[work.LIMIT]["us"][work.BATCH]
    fastest = min((costs[name]["us"][1] for name in PEERS if "us" in costs[name]), default=math.nan)
    tenfold = [result["steps"][-2:] for result in growth.values()]
    rows = f"from {tenfold[0][0]['rows']:,} to {tenfold[0][1]['rows']:,} rows"
    memory = max(after["peak"] - before["peak"] for before, after in tenfold) / 1e6
    size = max(after["bytes"] / before["bytes"] for before, after in tenfold)
    slower = max(after["us"] / before["us"] for before, after in tenfold)
    lines = [
        (f"{MAIN}, batches of {work.BATCH}, rows a second on one core", "at least", 300_000, 1e6 / ours),
        ("the same, times ahead of the fastest peer", "at least", 1, fastest / ours),
        ("the same, share of its time that the bare product needs", "", 0, bare / ours),
        (f"all states, {rows}: MB by which memory grows", "at most", 1, memory),
        (f"all states, {rows}: bytes of the state, times", "at most", 1.1, size),
        (f"all states, {rows}: time of a row, times", "at most", 1.2, slower),
        ("merged states of two processes with the bits of one", "at least", 1, sharing["equal"]),
    ]
    table_rows = []
    for words, relation, wanted, value in lines:
        reached = value >= wanted if relation == "at least" else value <= wanted
        verdict = "not measured" if math.isnan(value) else "reached" if reached else "missed"
        judged = [f"{relation} {wanted:,}", number(value), verdict]
        table_rows.append([words, *(judged if relation else ["", number(value)])])
    return table(["goal", "wanted", "measured", ""], table_rows)


def behind(costs: Found, delays: Found, sharing: dict[str, Any], plan: Plan) -> str:
    """Say where somebody else is ahead, and where we fall short."""
    ours, lines = costs[MAIN]["us"], []
    for size in (1, work.BATCH):
        for name in PEERS:
            if "us" in costs[name] and (us := costs[name]["us"][1]) < ours[size]:
                lines.append(
                    f"Batches of {size}: {name} needs {us / ours[size]:.2g} of the CPU time of {MAIN}."
                )
    watched = {name: result["delays"] for name, result in delays.items() if result.get("limit") is not None}
    for change in work.CHANGES:
        days = {name: middle(each[change]) for name, each in watched.items()}
        for name in (name for name in watched if not work.is_peer(name)):
            sooner = [f"{other} ({days[other]:g} days)" for other in days if days[other] < days[name]]
            if missed := watched[name][change].count(None):
                lines.append(f"{change}: {name} misses {missed} of {plan.products} in {plan.days} days.")
            if sooner:
                lines.append(f"{change}: sooner than {name} is {', '.join(sooner)}.")
    lines.append(
        f"Two processes are {sharing['wall 1'] / sharing['wall 2']:.2f} times as fast as one, and need "
        f"{sharing['cpu 2'] / sharing['cpu 1']:.2f} times the CPU time."
    )
    return "\n".join(f"- {line}" for line in lines)


def plot(costs: Found) -> tuple[Any, str]:
    """Draw CPU time a row; return the figure and what it shows in words."""
    bars = [
        (us, f"{name}, {'row by row' if size == 1 else f'batches of {size}'}", name)
        for name, result in costs.items()
        for size, us in result.get("us", {}).items()
        if size != 32
    ]
    bars.sort()
    figure, ax = plt.subplots(figsize=(9, 0.28 * len(bars) + 1.2), layout="constrained")
    drawn = ax.barh([words for _, words, _ in bars], [us for us, *_ in bars], color="#0072b2")
    for bar, (*_, name) in zip(drawn, bars, strict=True):
        if name in PEERS:
            bar.set(facecolor="#d55e00", edgecolor="white", hatch="//")
        elif name == work.LIMIT:
            bar.set_facecolor("0.6")
    ax.bar_label(drawn, [number(us) for us, *_ in bars], padding=3, fontsize=8)
    ours = costs[MAIN]["us"][work.BATCH]
    ax.set_title(f"A row costs {MAIN} {number(ours)} µs in batches of {work.BATCH}", fontsize=10)
    ax.set(xscale="log", xlabel="CPU µs a row (log scale; hatched: peers)")
    ax.tick_params(axis="y", labelsize=8)
    ax.margins(x=0.1, y=0.01)
    (least, first, _), *_, (largest, last, _) = bars
    words = f"Bars: CPU time a row, from {number(least)} µs ({first}) to {number(largest)} µs ({last})."
    return figure, words


def page(
    plan: Plan, costs: Found, growth: Found, sharing: dict[str, Any], delays: Found, picture: str
) -> str:
    """Return all results as Markdown."""
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    chance = 1 - (1 - 1 / plan.budget) ** plan.days
    same = "has the same bits" if sharing["equal"] else "has OTHER BITS"
    return f"""# Streaming, measured side by side

{goals(costs, growth, sharing)}

Made by `python -m benchmarks.streaming` ({machine}).
Each implementation runs in its own process with one thread, in turns, on the same stream:
unit rows in float32, d = {work.DIM}. Times are CPU times, medians of {plan.rounds} rounds.

## Cost of a row

Ours have {work.FEATURES} features, samples of {work.SAMPLE:,} rows, {work.CLUSTERS} centres,
{work.PROJECTIONS} directions. Peers take one row at a time. River has one detector for each of
{work.PROJECTIONS} random projections, or for each column; Alibi Detect and Frouros compare
{work.WINDOW} rows with {work.REFERENCE:,}. "Times ours" is against {MAIN}: row by row, and in batches of
{work.BATCH} against the best that there is. The bare product is that of a batch by its frequencies,
{work.BATCH} x {work.DIM} by {work.DIM} x {work.FEATURES // 2} in float64.
Bytes are those of the saved state, peers pickled.

{cost_table(costs)}

![{picture}](streaming.svg)

## Memory and time while the stream grows

Batches of {work.BATCH}; memory is the peak of the process, above what it was before the first row.

{growth_table(growth)}

## Delay at the same rate of false alarms

{plan.products} synthetic products, d = 64, up to 400 rows a day, with wandering topics and weekends.
Limits are set on {plan.quiet_days} quiet days of each, for at most one false alarm in {plan.budget} days:
ADWIN by its delta, PageHinkley by its threshold, KSWIN by its alpha, the others by a limit on their score.
(Alibi Detect wants ten times as many bootstraps as rows between false alarms to set a limit of its own.)
River watches standardised principal components of the reference, and keeps its other defaults.
Days are medians over the products; in brackets, how many had an alarm in {plan.days} days. What rings by
chance, once in {plan.budget} days, would do so in {plan.days} days with a probability of {chance:.2f}.

{delay_table(delays, plan)}

## One process and two

{MAIN}, {plan.shared:,} rows in batches of {work.BATCH}, with saving, reading and merging:
one process {sharing["wall 1"]:.3g} s ({sharing["cpu 1"]:.3g} s of CPU time),
two {sharing["wall 2"]:.3g} s ({sharing["cpu 2"]:.3g} s). The merged state {same}.

## Where we are not ahead

{behind(costs, delays, sharing, plan)}
"""


def main() -> None:
    """Run the plan and write the results."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.streaming", description=__doc__)
    parser.add_argument("--peers", default=sys.executable, help="interpreter that has the peers")
    parser.add_argument("--small", action="store_true", help="try with tiny sizes, and print")
    options = parser.parse_args()
    plan = SMALL if options.small else Plan()
    costs = measure_costs(plan, options.peers)
    growth = measure_growth(plan)
    sharing = measure_sharing(plan)
    delays = measure_delays(plan, options.peers)
    figure, words = plot(costs)
    text = page(plan, costs, growth, sharing, delays, words)
    if options.small:
        print(text)
        return
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "streaming.md").write_text(text, encoding="utf-8")
    figure.savefig(RESULTS / "streaming.svg", metadata={"Date": None})


if __name__ == "__main__":
    main()
