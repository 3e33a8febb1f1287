"""State in each notebook's title what it takes to run: as measured, rounded up. Standard library only."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass
from math import ceil
from pathlib import Path

from tools.files import write

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"
MEASURED = NOTEBOOKS / "measured.json"
HEADROOM = 1.05  # two runs differ a little
SLACK = 1.1  # and two machines a little more: what a build may hold above what is stated
ROW = re.compile(
    r"(\| To read \| To practise \| To run \| Memory \|\n(?:# )?\|(?:---\|){4}\n(?:# )?(?:\|[^|\n]+){2}\|).*"
)


@dataclass(frozen=True)
class Usage:
    """What a notebook took: seconds of CPU, and the most megabytes that it held at once."""

    cpu_seconds: float
    peak_mb: float

    def rounded_up(self) -> Usage:
        """Return what is stated: to ten seconds and fifty megabytes, with headroom."""
        return Usage(up(HEADROOM * self.cpu_seconds, 10), up(HEADROOM * self.peak_mb, 50))

    def __str__(self) -> str:
        return f"CPU {self.cpu_seconds:5.1f} s   peak memory {self.peak_mb:4.0f} MB"


def up(value: float, step: int) -> int:
    """Round up to a multiple of `step`."""
    return step * ceil(value / step)


def stated() -> dict[str, Usage]:
    """Return what is stated of each notebook, by its number."""
    if not MEASURED.exists():
        return {}
    return {number: Usage(**usage) for number, usage in json.loads(MEASURED.read_text("utf-8")).items()}


def with_row(text: str, usage: Usage) -> str:
    """Return a title, or a source that starts with one, whose table states the usage."""
    row = rf"\g<1> {usage.cpu_seconds:.0f} seconds | {usage.peak_mb:.0f} MB |"
    text, n = ROW.subn(row, text)
    if n != 1:
        raise ValueError(f"{n} tables of reading, practice, running and memory, where one is wanted")
    return text


def record(source: Path, used: Usage) -> Usage:
    """Put what a notebook took into measured.json and into its source; return what is stated now."""
    number, usage = source.stem[:2], used.rounded_up()
    table = {name: vars(entry) for name, entry in sorted({**stated(), number: usage}.items())}
    write(MEASURED, json.dumps(table, indent=1) + "\n")
    write(source, with_row(source.read_text(encoding="utf-8"), usage))
    return usage


def excess(number: str, used: Usage) -> str:
    """Say by how much a notebook exceeds the memory that it states, or nothing."""
    usage = stated().get(number)
    measured_here = sys.platform == "linux"  # other systems count memory in other ways
    if usage is None or used.peak_mb <= SLACK * usage.peak_mb or not measured_here:
        return ""
    return (
        f"Notebook {number} held {used.peak_mb:.0f} MB; its title says {usage.peak_mb:.0f}. "
        f"If that is how it should be: playbook.py run {number} --measure"
    )
