"""Run notebooks as Colab does: each alone in an empty folder, with Colab's versions of the packages.

    python tests/launch/colab.py [NN ...] [--env FOLDER]

Run by the project's environment. Makes an environment from colab.txt beside this file, or uses FOLDER,
with Colab's Python 3.12 where that is at hand. The notebooks carry an address that does not exist; git is
told to find it in a repository made from this working tree. Exit code 0 means: every cell of every
notebook ran, and nothing that Colab has was replaced. Outputs are not compared: other versions may round
otherwise.
"""

import argparse
import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tools import links  # noqa: E402

HERE = Path(__file__).resolve().parent
ADDRESS = "some-body/playbook"
PIP = ["-m", "pip", "--disable-pip-version-check", "--no-input"]


def run(*command: str, cwd: Path | None = None) -> str:
    """Run a command and return what it printed; leave if it fails."""
    return subprocess.run(command, cwd=cwd, check=True, text=True, stdout=subprocess.PIPE).stdout


def python_like_colabs() -> str:
    """Return a Python 3.12 if there is one, else this one."""
    try:
        asked = ("python3.12", "-c", "import sys, ensurepip; print(sys.executable)")
        return subprocess.run(asked, check=True, text=True, capture_output=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return getattr(sys, "_base_executable", sys.executable)


def make_environment(folder: Path) -> str:
    """Return the Python of an environment with Colab's versions, made unless it is there."""
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not python.exists():
        run(python_like_colabs(), "-m", "venv", str(folder))
        run(str(python), *PIP, "install", "-q", "--no-compile", "-r", str(HERE / "colab.txt"))
    return str(python)


def packages_of(python: str) -> set[str]:
    """Return what is installed, as name==version."""
    return set(run(python, *PIP, "freeze", "--all").split("\n"))


def publish(folder: Path) -> Path:
    """Make a repository from the working tree, with the address set; return its place."""
    listed = run("git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", cwd=ROOT)
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    with contextlib.redirect_stdout(io.StringIO()):
        links.main([ADDRESS, "--ref", "main"], folder)
    git = ["git", "-c", "user.name=nobody", "-c", "user.email=nobody@example.org", "-c", "gc.auto=0"]
    run(*git, "init", "-q", "-b", "main", cwd=folder)
    run(*git, "add", "-A", cwd=folder)
    run(*git, "commit", "-q", "-m", "as published", cwd=folder)
    return folder


def write_kernel(folder: Path, python: str, repository: Path) -> None:
    """Describe a kernel that believes it is on Colab and finds the repository on this machine."""
    env = {
        "PYTHONPATH": str(HERE / "stub"),
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",  # else it warns at each start
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.{repository.as_uri()}.insteadOf",
        "GIT_CONFIG_VALUE_0": f"https://github.com/{ADDRESS}",
    }
    argv = [python, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    place = folder / "kernels" / "colab"
    place.mkdir(parents=True)
    (place / "kernel.json").write_text(
        json.dumps({"argv": argv, "display_name": "Colab", "language": "python", "env": env})
    )
    os.environ["JUPYTER_PATH"] = str(folder)


def failure_of(path: Path, folder: Path) -> str:
    """Run a notebook alone in an empty folder; say what failed, or nothing."""
    folder.mkdir()
    notebook = nbformat.read(path, as_version=4)
    place = {"metadata": {"path": str(folder)}}
    client = NotebookClient(notebook, timeout=300, kernel_name="colab", resources=place)
    client.create_kernel_manager().transport_encryption = "auto"
    try:
        client.execute()
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
        return str(error)
    return ""


def main() -> int:
    """Run the notebooks and report."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("notebook", nargs="*", help="numbers, such as 00 03 (default: all)")
    parser.add_argument("--env", type=Path, help="keep the environment in this folder")
    options = parser.parse_args()
    failures = 0
    with tempfile.TemporaryDirectory() as scratch:
        here = Path(scratch)
        python = make_environment((options.env or here / "venv").absolute())
        before = packages_of(python)
        repository = publish(here / "repository")
        write_kernel(here / "jupyter", python, repository)
        for path in sorted((repository / "notebooks").glob("??_*.ipynb")):
            if options.notebook and path.name[:2] not in options.notebook:
                continue
            began = time.monotonic()
            failure = failure_of(path, here / path.stem)
            failures += bool(failure)
            took = time.monotonic() - began
            print(f"{path.stem:<28} {took:5.0f} s   {failure or 'every cell ran'}", flush=True)
        after = packages_of(python)
    print(f"brought along: {', '.join(sorted(after - before)) or 'nothing'}")
    if replaced := before - after:
        print(f"replaced, which must not be: {', '.join(sorted(replaced))}")
    return 1 if failures or replaced else 0


if __name__ == "__main__":
    sys.exit(main())
