"""Give a Prometheus twelve weeks that it has not seen: samples, and what its rules would have made of them.

The samples become blocks of its database by `promtool`. The rules are asked of a server that holds these
blocks: first those that use samples only, then those that use their results, and so on, with the results
written into blocks in between. (`promtool` can evaluate rules into blocks, too; here it would need hours, and
it does not see rules that use rules.)
"""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from dashboard.servers import UNITS, ask, find, free_port, prometheus
from helpers.promql import Series, hold


def write_blocks(data: Path, t: NDArray, series: dict[Series, NDArray], **labels: str) -> None:
    """Add series to a Prometheus database that no server has open; `labels` are added to each."""
    text = data.with_suffix(".txt")
    with text.open("w", encoding="utf-8") as file:
        for (name, own), values in series.items():
            pairs = ",".join(f'{key}="{value}"' for key, value in {**labels, **dict(own)}.items())
            there = np.isfinite(values)
            for now, value in zip(t[there].tolist(), values[there].tolist(), strict=True):
                file.write(f"{name}{{{pairs}}} {value!r} {now!r}\n")
        file.write("# EOF\n")
    command = [find("promtool"), "tsdb", "create-blocks-from", "--max-block-duration=4374h", "openmetrics"]
    done = subprocess.run([*command, str(text), str(data)], capture_output=True, text=True)
    text.unlink()
    if done.returncode:
        raise ChildProcessError(f"promtool made no blocks: {done.stderr}")


def rules_of(folder: Path) -> list[dict[str, Any]]:
    """Return the rules of all files in a folder."""
    files = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.yml"))]
    return [rule for file in files for group in file["groups"] for rule in group["rules"]]


def levels(rules: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Yield the rules in turns, each rule after all those whose results it uses."""
    while rules:
        names = {rule["record"] for rule in rules if "record" in rule}
        used = {id(rule): names & set(re.findall(r"[\w:]+", rule["expr"])) for rule in rules}
        yield [rule for rule in rules if not used[id(rule)]]
        rules = [rule for rule in rules if used[id(rule)]]


def evaluate(url: str, rule: dict[str, Any], t: NDArray) -> dict[Series, NDArray]:
    """Return what a rule would have recorded at the times t, or when its alert would have fired."""
    step = t[1] - t[0]
    made: dict[Series, NDArray] = {}
    for result in ask(url, rule["expr"], start=t[0], end=t[-1], step=step):
        values = np.full(len(t), np.nan)
        time, value = np.array(result["values"], float).T
        values[np.rint((time - t[0]) / step).astype(int)] = value
        labels = {**result["metric"], **rule.get("labels", {})}
        labels.pop("__name__", None)
        if "alert" in rule:
            made |= _alert(rule, labels, t, np.isfinite(values))
        else:
            made[rule["record"], tuple(sorted(labels.items()))] = values
    return made


def _alert(rule: dict[str, Any], labels: dict[str, str], t: NDArray, true: NDArray) -> dict[Series, NDArray]:
    """Return when an alert fires; and since when its condition is true, for the server that starts later."""
    labels = {**labels, "alertname": rule["alert"]}
    firing = hold(t, true, *(_seconds(rule.get(key, "0s")) for key in ("for", "keep_firing_for")))
    begins = true & ~np.r_[False, true[:-1]]
    since = np.maximum.accumulate(np.where(begins, t, -np.inf))
    return {
        ("ALERTS", tuple(sorted({**labels, "alertstate": "firing"}.items()))): np.where(firing, 1, np.nan),
        ("ALERTS_FOR_STATE", tuple(sorted(labels.items()))): np.where(true, since, np.nan),
    }


def _seconds(duration: str) -> float:
    return sum(int(n) * UNITS[unit] for n, unit in re.findall(r"(\d+)(ms|[smhdw])", duration))


def backfill(
    data: Path, rules: Path, t: NDArray, series: dict[Series, NDArray], **labels: str
) -> dict[Series, NDArray]:
    """Fill the database `data` with exported series and with what the rules in a folder make of them.

    t (n,) : evenly spaced, at most 11,000 times. labels : `job` and `instance` of the exporter, the same that
    the server will give it, or the lines break where the past ends. Returns what the rules made.
    """
    write_blocks(data, t, series, **labels)
    config = data.with_suffix(".yml")
    config.write_text("")
    made: dict[Series, NDArray] = {}
    for level in levels(rules_of(rules)):
        server = prometheus(config, data, free_port())
        try:
            server.start()
            new = {key: values for rule in level for key, values in evaluate(server.url, rule, t).items()}
        finally:
            server.stop()
        write_blocks(data, t, new)
        made |= new
    return made
