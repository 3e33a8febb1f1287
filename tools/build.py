"""Execute notebooks/source/*.py and write notebooks/*.ipynb, the same bytes every time.

Cell ids, metadata and the cutting of printed text are fixed here, so that a notebook changes
only when its source, a helper or a number changes.
"""

from __future__ import annotations

import os
import re
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil


def stop_at_once(*_: object) -> None:
    """End on Ctrl-C: no kernel stays behind, and a notebook is whole, old or new."""
    for child in psutil.Process().children(recursive=True):
        child.kill()
    print("\nStopped. The notebook at work is left as it was.", file=sys.stderr, flush=True)
    os._exit(130)


if __name__ == "__main__":
    # The imports below take a second or two, and Ctrl-C may come while they last.
    signal.signal(signal.SIGINT, stop_at_once)

import jupytext
import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode

from tools import files, measure
from tools.progress import Progress

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"
SOURCES = NOTEBOOKS / "source"
METADATA = {
    "kernelspec": {
        "display_name": "Python 3 (ipykernel)",
        "language": "python",
        "name": "python3",
    },
    "language_info": {"name": "python"},
}
# A solution is folded away in JupyterLab, on Colab and on the site.
FOLDED = {
    "tags": ["solution", "hide-cell"],
    "jupyter": {"source_hidden": True, "outputs_hidden": True},
    "cellView": "form",
}


class CellError(Exception):
    """A cell raised an error, ran too long, or took its kernel down."""


def read_source(source: Path) -> NotebookNode:
    """Return the notebook that a text source describes: fixed ids and metadata, no outputs."""
    notebook = jupytext.read(source, fmt="py:percent")
    notebook.metadata = nbformat.from_dict(METADATA)
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    for place, cell in enumerate(notebook.cells, 1):
        cell.id = f"{source.stem.split('_')[0]}-{place:03d}"
        tags = cell.metadata.get("tags")
        cell.metadata = nbformat.from_dict({"tags": tags} if tags else {})
        if "solution" in (tags or []):
            cell.metadata.update(nbformat.from_dict(FOLDED))
    return notebook


def execute(notebook: NotebookNode, name: str, bar: Progress) -> measure.Usage:
    """Run every cell in a fresh kernel; return what it took, the kernel's children included."""
    client = NotebookClient(
        notebook,
        timeout=600,
        kernel_name="python3",
        record_timing=False,
        resources={"metadata": {"path": str(NOTEBOOKS)}},
    )
    client.reset_execution_trackers()
    client.create_kernel_manager().transport_encryption = "auto"
    cells = len(notebook.cells)
    bar.show(f"{name}: starting the kernel", 0, cells)
    with client.setup_kernel(), watched(client) as kernel:
        for index, cell in enumerate(notebook.cells):
            bar.show(f"{name}: cell {index + 1}", index, cells)
            try:
                client.execute_cell(cell, index, execution_count=client.code_cells_executed + 1)
            except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
                message = f"{name}, cell {index + 1} of {cells} ({cell.id}) failed:\n\n{error}"
                raise CellError(message) from error
            if cell.cell_type == "code":
                cell.outputs = join_streams(cell.outputs)
                cell.metadata.pop("execution", None)
        return kernel.usage()


def join_streams(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """Join neighbouring pieces of printed text: where the kernel cuts them is chance."""
    joined: list[NotebookNode] = []
    for output in outputs:
        last = joined[-1] if joined else {}
        if output.output_type == "stream" and last.get("name") == output.name:
            last["text"] += output.text
        else:
            joined.append(output)
    return joined


class Watched:
    """A kernel and its children, looked at four times a second."""

    def __init__(self, pid: int | None) -> None:
        self.process = psutil.Process(pid)
        self.most_bytes = 0
        self.ended = threading.Event()

    def watch(self) -> None:
        """Keep the most memory that all of them held at one time."""
        while not self.ended.wait(0.25):
            self.most_bytes = max(self.most_bytes, sum(map(resident, self.family())))

    def family(self) -> list[psutil.Process]:
        """Return the kernel's process and its children's."""
        return [self.process, *self.process.children(recursive=True)]

    def usage(self) -> measure.Usage:
        """Return what they used so far."""
        spent = [process.cpu_times() for process in self.family()]
        # On Linux and macOS a process also counts what its children used that have ended.
        ended = sum(getattr(self.process.cpu_times(), f"children_{kind}", 0) for kind in ("user", "system"))
        cpu = sum(times.user + times.system for times in spent) + ended
        return measure.Usage(cpu, max(self.most_bytes, self.peak()) / 1e6)

    def peak(self) -> int:
        """Return the most bytes that the kernel alone has held, where the system keeps count."""
        status = Path(f"/proc/{self.process.pid}/status")
        found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text()) if status.exists() else None
        return int(found[1]) * 1024 if found else getattr(self.process.memory_info(), "peak_wset", 0)


def resident(process: psutil.Process) -> int:
    """Return the bytes of memory a process holds; 0 if it has just ended."""
    try:
        return process.memory_info().rss
    except psutil.Error:
        return 0


@contextmanager
def watched(client: NotebookClient) -> Iterator[Watched]:
    """Watch the client's kernel while it works."""
    kernel = Watched(getattr(getattr(client.km, "provisioner", None), "pid", None))
    watcher = threading.Thread(target=kernel.watch, daemon=True)
    watcher.start()
    try:
        yield kernel
    finally:
        kernel.ended.set()
        watcher.join()


def write(notebook: NotebookNode, target: Path) -> bool:
    """Put the notebook in place in one step; return whether it differs from what was there."""
    nbformat.validate(notebook)
    text = nbformat.writes(notebook).rstrip("\n") + "\n"
    if target.exists() and target.read_bytes() == text.encode():
        return False
    files.write(target, text)
    return True


def chosen(numbers: list[str]) -> list[Path]:
    """Return the sources whose numbers are given, or all of them."""
    everything = sorted(SOURCES.glob("??_*.py"))
    there = {path.stem.split("_")[0]: path for path in everything}
    unknown = [number for number in numbers if number not in there]
    if unknown:
        print(f"No notebook {', '.join(unknown)}. There are: {', '.join(there)}", file=sys.stderr)
        sys.exit(2)
    return [there[number] for number in numbers] if numbers else everything


def build(source: Path, measuring: bool, bar: Progress) -> tuple[measure.Usage, bool]:
    """Execute one source and write its notebook; return what it took, and whether it differs now."""
    notebook = read_source(source)
    used = execute(notebook, source.stem, bar)
    if measuring:
        title = notebook.cells[0]
        title.source = measure.with_row(title.source, measure.record(source, used))
    elif problem := measure.excess(source.stem[:2], used):
        raise CellError(problem)
    return used, write(notebook, NOTEBOOKS / f"{source.stem}.ipynb")


def main(args: list[str]) -> int:
    """Build the chosen notebooks, one after the other; stop at the first that fails."""
    for source in chosen([number for number in args if number != "--measure"]):
        began = time.monotonic()
        try:
            with Progress() as bar:
                used, changed = build(source, "--measure" in args, bar)
        except CellError as failure:
            text = str(failure) if sys.stderr.isatty() else re.sub(r"\x1b\[[\d;]*m", "", str(failure))
            print(f"{text}\nThe notebook is left as it was.", file=sys.stderr)
            return 1
        took = time.monotonic() - began
        news = "written" if changed else "unchanged"
        print(f"{source.stem:<28} {took:5.1f} s   {used}   {news}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
