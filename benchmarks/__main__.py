"""Measure the helpers against peers and the machine: `python -m benchmarks --peers PYTHON`.

PYTHON is the interpreter of an environment with benchmarks/requirements.txt; by default the one at work.
Writes results/table.md and results/ratios.svg, about ten minutes on two quiet cores.
"""

import argparse
import os
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt

from benchmarks.processes import ROOT, Worker

RESULTS = ROOT / "benchmarks" / "results"
OURS, LIMIT = "ours", "machine's limit"
ENOUGH = 10  # seconds of one case for one implementation


class Case(NamedTuple):
    """One row of the plan: a task, sizes, and who takes part with how many permutations.

    A pair of numbers for a peer means: measured with so many permutations each, and extended in a straight
    line to `permutations`.
    """

    task: str
    n: int
    m: int
    d: int
    permutations: int
    peers: dict[str, int | tuple[int, int]]
    rounds: int = 5

    def title(self) -> str:
        """Words for the table."""
        resamples = f", {self.permutations} permutations" if self.permutations else ""
        return f"{self.task}, n = {self.n:,}, m = {self.m:,}, d = {self.d}{resamples}"


TORCH: dict[str, int | tuple[int, int]] = {"Alibi Detect": 500, "TorchDrift": 500}
PLAN = [
    Case("mmd", 500, 500, 384, 500, {LIMIT: 500, **TORCH, "Frouros": (4, 12), "hyppo": (4, 12)}),
    Case("mmd", 2000, 2000, 384, 500, {LIMIT: 500, **TORCH, "Frouros": (2, 6), "hyppo": (2, 6)}),
    Case("mmd", 2000, 1000, 384, 500, {LIMIT: 500}),
    Case("mmd", 5000, 5000, 384, 500, {LIMIT: 500, "Alibi Detect": (4, 12), "TorchDrift": (4, 12)}),
    Case("energy", 1000, 1000, 384, 500, {LIMIT: 500, "hyppo": (2, 6)}),
    Case("energy", 2000, 2000, 384, 500, {LIMIT: 500, "hyppo": (2, 6)}),
    Case("classifier", 1000, 1000, 384, 500, {"scikit-learn": (4, 12)}),
    Case("wasserstein 1-D", 2000, 2000, 1, 500, {"SciPy": 500, "Frouros": 500}),
    Case("energy 1-D", 2000, 2000, 1, 500, {"SciPy": 500}),
    Case("sliced wasserstein", 2000, 2000, 384, 0, {"POT": 0}),
    Case("mmd statistic", 1000, 1000, 384, 0, {"GeomLoss": 0, "Frouros": 0}),
    Case("energy statistic", 1000, 1000, 384, 0, {"GeomLoss": 0}),
    Case("wasserstein 1-D statistic", 2000, 2000, 1, 0, {"SciPy": 0, "POT": 0, "Frouros": 0}),
    Case("mmd statistic", 50_000, 50_000, 384, 0, {}, rounds=1),
]

Results = dict[str, dict[str, Any]]  # of one case, by name


class Goal(NamedTuple):
    """A number that a case must reach."""

    words: str
    case: str  # what its title starts with
    measured: Callable[[Results], float]
    relation: str
    wanted: float


def ahead(*names: str) -> Callable[[Results], float]:
    """How many times our CPU time the fastest of these needs."""
    return lambda results: min(results[name]["cpu"] for name in names) / results[OURS]["cpu"]


def of_limit(results: Results) -> float:
    """How many times the limit's CPU time we need."""
    return results[OURS]["cpu"] / results[LIMIT]["cpu"]


def megabytes(field: str) -> Callable[[Results], float]:
    """How much memory we need, in MB."""
    return lambda results: results[OURS][field] / 1e6


MMD, UNEQUAL = "mmd, n = 2,000, m = 2,000", "mmd, n = 2,000, m = 1,000"
AT_LEAST, AT_MOST = "at least", "at most"
GOALS = [
    Goal("MMD test, times ahead of Alibi Detect and TorchDrift", MMD, ahead(*TORCH), AT_LEAST, 100),
    Goal("MMD test, times ahead of Frouros and hyppo", MMD, ahead("Frouros", "hyppo"), AT_LEAST, 1000),
    Goal("MMD test, n = m = 2,000, times the machine's limit", MMD, of_limit, AT_MOST, 1.3),
    Goal("MMD test, n = m = 5,000, times the machine's limit", "mmd, n = 5,000", of_limit, AT_MOST, 1.1),
    Goal("MMD test, unequal sizes, times the machine's limit", UNEQUAL, of_limit, AT_MOST, 2.5),
    Goal("MMD test, n = m = 5,000, MB above the inputs", "mmd, n = 5,000", megabytes("peak"), AT_MOST, 100),
    Goal(
        "MMD alone, n = m = 50,000, MB with inputs and Python",
        "mmd statistic, n = 50,000",
        megabytes("all"),
        AT_MOST,
        1000,
    ),
    Goal("energy test, times ahead of hyppo", "energy, n = 2,000", ahead("hyppo"), AT_LEAST, 500),
    Goal("1-D Wasserstein test, times ahead of SciPy", "wasserstein 1-D, n", ahead("SciPy"), AT_LEAST, 10),
    Goal("1-D energy test, times ahead of SciPy", "energy 1-D, n", ahead("SciPy"), AT_LEAST, 10),
    Goal("classifier test, times ahead of scikit-learn", "classifier", ahead("scikit-learn"), AT_LEAST, 200),
    Goal("sliced Wasserstein, times ahead of POT", "sliced wasserstein", ahead("POT"), AT_LEAST, 4),
]


def measured_by(worker: Worker, case: Case, permutations: int) -> dict[str, Any]:
    """Send a case to a worker and wait for its answer."""
    job = case._asdict() | {"implementation": worker.name, "permutations": permutations, "peers": None}
    worker.send(job)
    return worker.receive()


def started(name: str, python: str) -> Worker:
    """Start an implementation; PyTorch gets one thread, since two are far slower on a busy machine."""
    threads = {} if name == OURS else {"OMP_NUM_THREADS": "1"}
    return Worker(name, python, "benchmarks.worker", threads)


def extended(low: dict, high: dict, at: tuple[int, int], to: int) -> dict[str, Any]:
    """Extend two measurements with few permutations in a straight line to many."""
    share = (to - at[0]) / (at[1] - at[0])
    times = {key: low[key] + share * max(0.0, high[key] - low[key]) for key in ("wall", "cpu")}
    return high | times | {"extended": True}


def run_case(case: Case, peers: str) -> Results:
    """Measure all who take part, in turns; return medians by name."""
    workers = [started(OURS, sys.executable)]
    workers += [started(name, sys.executable if name == LIMIT else peers) for name in case.peers]
    answers: dict[str, list[dict]] = {worker.name: [] for worker in workers}
    spent = dict.fromkeys(answers, 0.0)
    for _ in range(case.rounds):
        for worker in workers:
            earlier, start = answers[worker.name], time.monotonic()
            if earlier and ("cpu" not in earlier[-1] or spent[worker.name] > ENOUGH):
                continue  # it is missing, or slow, and then so often is enough
            at = case.peers.get(worker.name, case.permutations)
            if isinstance(at, tuple):
                low = measured_by(worker, case, at[0])
                high = measured_by(worker, case, at[1]) if "cpu" in low else low
                result = extended(low, high, at, case.permutations) if "cpu" in high else high
            else:
                result = measured_by(worker, case, at)
            earlier.append(result)
            spent[worker.name] += time.monotonic() - start
    for worker in workers:
        worker.end()
    return {name: summary(results) for name, results in answers.items()}


def summary(results: list[dict[str, Any]]) -> dict[str, Any]:
    """Return medians of the times, and the largest peak."""
    if "cpu" not in results[0]:
        return results[0]
    results = [each for each in results if "cpu" in each]
    times = {key: median(each[key] for each in results) for key in ("wall", "cpu")}
    return results[0] | times | {key: max(each[key] for each in results) for key in ("peak", "all")}


def short(value: float) -> str:
    """Write a number with three digits, or all digits before the point."""
    return f"{value:.3g}" if value < 100 else f"{value:,.0f}"


def table(measured: list[tuple[Case, Results]]) -> str:
    """Return the results as Markdown."""
    head = ["task", "who", "CPU s", "CPU, ours = 1", "wall s", "peak MB above the inputs"]
    lines = ["| " + " | ".join(head) + " |", "|---|---|--:|--:|--:|--:|"]
    for case, results in measured:
        unit = results[OURS].get("cpu")
        for name, result in results.items():
            who = f"**{name}**" if name == OURS else f"{name} {result.get('version', '')}".strip()
            who = name if name == LIMIT else who
            if "cpu" not in result:
                reason = "missing" if "missing" in result else "failed"
                lines.append(f"| {case.title()} | {who} | {reason} | | | |")
                continue
            mark = "\\*" if result.get("extended") else ""
            ratio = short(result["cpu"] / unit) if unit else ""
            peak = "" if result.get("extended") else f"{result['peak'] / 1e6:.0f}"
            cells = [
                case.title(),
                who,
                f"{result['cpu']:.3g}{mark}",
                ratio,
                f"{result['wall']:.3g}{mark}",
                peak,
            ]
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def goals(measured: list[tuple[Case, Results]]) -> str:
    """Return the goals of these cases as Markdown: wanted, measured, and whether that is reached."""
    lines = ["| goal | wanted | measured | |", "|---|--:|--:|---|"]
    for goal in GOALS:
        for results in [results for case, results in measured if case.title().startswith(goal.case)]:
            try:
                value = goal.measured(results)
            except KeyError:  # somebody is missing or has failed
                value = 0
            reached = value >= goal.wanted if goal.relation == AT_LEAST else value <= goal.wanted
            verdict = ("reached" if reached else "missed") if value else "not measured"
            lines.append(f"| {goal.words} | {goal.relation} {goal.wanted:,} | {short(value)} | {verdict} |")
    return "\n".join(lines)


def behind(measured: list[tuple[Case, Results]]) -> str:
    """Say where somebody else needs less CPU time."""
    lines = [
        f"- {case.title()}: {name} needs {result['cpu'] / results[OURS]['cpu']:.2g} of our CPU time"
        for case, results in measured
        for name, result in results.items()
        if "cpu" in result and "cpu" in results[OURS] and result["cpu"] < results[OURS]["cpu"]
    ]
    return "\n".join(lines) or "- nowhere in this run"


def plot(measured: list[tuple[Case, Results]], path: Path) -> None:
    """Draw how many times our CPU time the others need."""
    bars = [
        (f"{name}: {case.title()}", result["cpu"] / results[OURS]["cpu"], bool(result.get("extended")))
        for case, results in measured
        for name, result in results.items()
        if name != OURS and "cpu" in result and "cpu" in results[OURS]
    ]
    bars.sort(key=lambda bar: bar[1])
    figure, ax = plt.subplots(figsize=(10, 0.28 * len(bars) + 1.2), layout="constrained")
    colours = ["0.6" if LIMIT in label else "#0072b2" for label, _, _ in bars]
    hatches = ["//" if is_extended else "" for _, _, is_extended in bars]
    drawn = ax.barh([label for label, _, _ in bars], [ratio for _, ratio, _ in bars], color=colours)
    for bar, hatch in zip(drawn, hatches, strict=True):
        bar.set_hatch(hatch)
    ax.bar_label(drawn, [f"{ratio:.3g}" for _, ratio, _ in bars], padding=3, fontsize=8)
    ax.axvline(1, color="black", linewidth=1)
    ax.set(xscale="log", xlabel="CPU time, ours = 1 (log scale; hatched: extended from fewer permutations)")
    ax.tick_params(axis="y", labelsize=8)
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    """Run the plan and write the results."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--peers", default=sys.executable, help="interpreter that has the peers")
    parser.add_argument("--only", default="", help="run the cases whose title contains this, and print them")
    options = parser.parse_args()
    measured = []
    for case in PLAN:
        if options.only in case.title():
            print(case.title(), file=sys.stderr, flush=True)
            measured.append((case, run_case(case, options.peers)))
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    text = f"""# Speed and memory, measured side by side

{goals(measured)}

Made by `python -m benchmarks` ({machine}).
Each implementation runs in its own process, in turns, on the same windows with the same bandwidth; medians.
Compare CPU seconds: the machine may be shared. Peers have one thread, the helpers as many as there are cores.
\\* extended in a straight line from fewer permutations. The machine's limit is half of the product of the
pooled matrix with itself and with the permutations, in float32, and nothing else; the helpers can need less,
because from 2,048 rows on they permute bins of rows.

{table(measured)}

Where the helpers are not ahead:

{behind(measured)}
"""
    if options.only:
        print(text)
        return
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "table.md").write_text(text, encoding="utf-8")
    plot(measured, RESULTS / "ratios.svg")


if __name__ == "__main__":
    main()
