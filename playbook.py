#!/usr/bin/env python3
"""The one entrance to the playbook: set it up, open it, run it, test it.

Needs Python 3.11 or newer and nothing else. The first job you run makes `.venv` beside this file and
installs the exact versions of requirements.txt in it. `test` adds two tools when it runs first; `site`
and `slides` make `.venv-site`. But for that and `lock`, no job uses the network; after `setup --all`,
only `lock` does.
"""

from __future__ import annotations

import sys

if sys.version_info < (3, 11):
    sys.exit(
        "The playbook needs Python 3.11 or newer; this is Python "
        + ".".join(map(str, sys.version_info[:3]))
        + ".\nInstall a newer one and name it: python3.11 playbook.py"
    )

import argparse
import os
import signal
from pathlib import Path

from tools import doctor, links, lock
from tools.environments import Environment, call, set_up, stop

ROOT = Path(__file__).resolve().parent
HOME = Environment(ROOT / ".venv", (ROOT / "requirements.txt",))
WITH_TOOLS = Environment(HOME.folder, (*HOME.locks, ROOT / "tools" / "requirements.txt"))
SITE = Environment(ROOT / ".venv-site", (ROOT / "site" / "requirements.txt",))


def work(
    environment: Environment,
    arguments: list[str],
    variables: dict[str, str] | None = None,
    cwd: Path | None = ROOT,
    patient: bool = False,
) -> int:
    """Run an environment's Python, made first if need be, and return its exit code."""
    set_up(environment)
    return call([environment.python, *arguments], variables, cwd, patient)


def one_thread() -> dict[str, str]:
    """Return the variables that give BLAS one thread: more of them burn time on many small products."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    return {name: os.environ.get(name, "1") for name in names}


def steady() -> dict[str, str]:
    """Return the variables that make outputs the same on every machine, where you set none."""
    ours = {"PYTHONHASHSEED": "0", "IPYTHONDIR": str(HOME.folder / "ipython")}
    return one_thread() | {name: os.environ.get(name, value) for name, value in ours.items()}


def open_notebook(args: list[str]) -> int:
    """Open JupyterLab on a notebook."""
    parser = parser_of("open")
    parser.add_argument("notebook", nargs="?", default="00", help="its number (default: 00)")
    parser.add_argument("--port", type=int, default=8888, help="first port to try (default: 8888)")
    parser.add_argument("--no-browser", action="store_true", help="only print the link")
    options = parser.parse_args(args)
    found = sorted((ROOT / "notebooks").glob(f"{options.notebook}_*.ipynb"))
    if not found:
        numbers = sorted(path.name[:2] for path in (ROOT / "notebooks").glob("??_*.ipynb"))
        parser.error(f"no notebook {options.notebook!r} (there are: {', '.join(numbers)})")
    command = ["-m", "jupyterlab", "--ServerApp.ip=127.0.0.1", f"--port={options.port}"]
    command += [f"--ServerApp.root_dir={ROOT}", "--ServerApp.log_level=WARN"]
    command += [f"--LabApp.default_url=/lab/tree/notebooks/{found[0].name}"]
    command += ["--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"]
    command += ["--LabApp.news_url=None", "--LabApp.extension_manager=readonly"]
    command += ["--KernelManager.transport_encryption=auto"]  # without, each kernel warns
    if getattr(os, "geteuid", lambda: 1)() == 0:
        command.append("--allow-root")
    if options.no_browser or not doctor.has_browser():
        command.append("--no-browser")
    set_up(HOME)
    print(f"Opening notebooks/{found[0].name} in JupyterLab. Ctrl-C stops it.", flush=True)
    return work(HOME, command, one_thread(), patient=True)


def setup(args: list[str]) -> int:
    """Set up what the jobs need and stop there: before a workshop, or a journey without a network."""
    parser = parser_of("setup")
    parser.add_argument("--all", action="store_true", help="also for test, site and slides")
    every = parser.parse_args(args).all
    for environment in (WITH_TOOLS, SITE) if every else (HOME,):
        set_up(environment)
    print("Everything is there.")
    return 0


def run(args: list[str]) -> int:
    """Execute the notebooks' sources and write the notebooks."""
    parser = parser_of("run")
    parser.add_argument("notebook", nargs="*", help="numbers, such as 00 03 (default: all)")
    parser.add_argument("--measure", action="store_true", help="state the time and memory they take")
    options = parser.parse_args(args)
    measure = ["--measure"] if options.measure else []
    return work(HOME, ["-m", "tools.build", *measure, *options.notebook], steady())


def test(args: list[str]) -> int:
    """Run every test, and every notebook against its committed outputs."""
    return work(WITH_TOOLS, ["-m", "pytest", "-n", "2", "--dist", "loadscope", *args], steady())


def figures(args: list[str]) -> int:
    """Redraw the three figures of the idea as SVG."""
    return work(HOME, ["-m", "tools.quietly", "tools.figures", *args], steady())


def report(args: list[str]) -> int:
    """Compare two files of your own embeddings and write an HTML report."""
    # Your current directory is kept, for your relative paths; -P keeps its modules out.
    here = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return work(HOME, ["-P", "-m", "tools.quietly", "report", *args], {"PYTHONPATH": here}, cwd=None)


def site(args: list[str]) -> int:
    """Build the site from the committed notebooks."""
    return work(SITE, ["-m", "tools.quietly", "tools.site", *args], steady())


def slides(args: list[str]) -> int:
    """Make slides from the committed notebooks."""
    return work(SITE, ["-m", "tools.quietly", "tools.slides", *args], steady())


def examine(args: list[str]) -> int:
    """Check that this machine can run the series, and say what to do if not."""
    parser_of("doctor").parse_args(args)
    return doctor.main(HOME)


JOBS = {
    "open": open_notebook,
    "setup": setup,
    "run": run,
    "test": test,
    "figures": figures,
    "report": report,
    "site": site,
    "slides": slides,
    "doctor": examine,
    "links": links.main,
    "lock": lock.main,
}
PASSED_ON = {
    "test": (WITH_TOOLS, "pytest"),
    "figures": (HOME, "tools/figures.py"),
    "report": (HOME, "report"),
    "site": (SITE, "tools/site.py"),
    "slides": (SITE, "tools/slides.py"),
}


def parser_of(job: str) -> argparse.ArgumentParser:
    """Return a parser that introduces one job."""
    return argparse.ArgumentParser(prog=f"playbook.py {job}", description=JOBS[job].__doc__)


def main(argv: list[str]) -> int:
    """Do the job that the command line names; `open` when it names none."""
    jobs = "\n".join(f"  {name:<9}{job.__doc__}" for name, job in JOBS.items())
    parser = argparse.ArgumentParser(
        prog="playbook.py",
        description="The Embedding Drift Playbook. Jobs:\n\n" + jobs,
        epilog="'playbook.py JOB --help' tells what a job takes. First use sets up .venv.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("job", nargs="?", default="open", choices=JOBS, help="default: open")
    job, rest = parser.parse_args(argv[:1]).job, argv[1:]
    if job in PASSED_ON and rest[:1] in (["-h"], ["--help"]):
        print(f"usage: playbook.py {job} ...\n\n{JOBS[job].__doc__}")
        environment, whom = PASSED_ON[job]
        print(f"What you add is passed on to {whom}.", flush=True)
        if environment.missing() or job == "test":
            return 0
    return JOBS[job](rest)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        stop("\nStopped.", 130)
