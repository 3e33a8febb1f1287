"""Time a newcomer's way from `git clone` to the first figure of notebook 00.

    python3 tests/launch/first_figure.py

Standard library only; needs what `playbook.py setup` needs. Prints the seconds of each step. The goal is two
minutes on two free cores with a warm package cache. Exit code 1 from four minutes on: a machine that is
busy with something else must not fail a build, a set-up that has become slow must.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GOAL, LIMIT = 120, 240  # seconds


def draw_first_figure() -> None:
    """Run notebook 00 in a fresh kernel up to its first figure; for the environment that was set up."""
    import nbformat
    from nbclient import NotebookClient

    path = next(Path("notebooks").glob("00_*.ipynb"))
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(notebook, kernel_name="python3", resources={"metadata": {"path": "notebooks"}})
    client.create_kernel_manager().transport_encryption = "auto"
    with client.setup_kernel():
        for index, cell in enumerate(notebook.cells):
            client.execute_cell(cell, index)
            if any("image/png" in output.get("data", {}) for output in cell.get("outputs", [])):
                return
    sys.exit("no figure")


def main() -> int:
    """Clone, set up, draw; print how long each took."""
    took = {}
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder, "playbook")
        python = clone / ".venv" / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
        steps = {
            "clone": ["git", "clone", "--quiet", ROOT.as_uri(), str(clone)],
            "set up": [sys.executable, str(clone / "playbook.py"), "setup"],
            "first figure": [str(python), str(Path(__file__).resolve()), "--draw"],
        }
        for name, command in steps.items():
            began = time.monotonic()
            subprocess.run(command, check=True, cwd=clone if clone.exists() else folder, env=env)
            took[name] = time.monotonic() - began
    total = sum(took.values())
    parts = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in took.items())
    print(f"From clone to first figure: {total:.0f} s ({parts}). The goal is {GOAL} s.")
    return 1 if total > LIMIT else 0


if __name__ == "__main__":
    if sys.argv[1:] == ["--draw"]:
        draw_first_figure()
    else:
        sys.exit(main())
