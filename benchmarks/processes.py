"""One implementation in one process: start it, hand it jobs as lines of JSON, and answer them there."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")

Job = dict[str, Any]


class Worker:
    """A process that answers jobs by running `module`; `threads` are variables of its environment."""

    def __init__(self, name: str, python: str, module: str, threads: dict[str, str]) -> None:
        command, pipe = [python, "-W", "ignore", "-m", module], subprocess.PIPE
        environment = {**os.environ, **threads}
        self.name = name
        self.process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True
        )

    def send(self, job: Job) -> None:
        """Send a job."""
        assert self.process.stdin
        self.process.stdin.write(json.dumps(job) + "\n")
        self.process.stdin.flush()

    def receive(self) -> dict[str, Any]:
        """Wait for the answer."""
        assert self.process.stdout
        line = self.process.stdout.readline()
        return json.loads(line) if line else {"failed": "the process ended"}

    def end(self) -> None:
        """Close the process."""
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait()


def attempt(run: Callable[[], dict[str, Any]], package: str) -> dict[str, Any]:
    """Run, and add the version of the package; or say what is missing or what failed: a result, too."""
    try:
        return run() | {"version": version(package)}
    except (ImportError, PackageNotFoundError) as error:
        return {"missing": str(error)}
    except Exception as error:
        return {"failed": f"{type(error).__name__}: {error}"[:200]}


def serve(answer: Callable[[Job], dict[str, Any]]) -> None:
    """Answer each line of standard input."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a peer prints must not look like an answer
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), file=answers, flush=True)
