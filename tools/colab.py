"""Install what Colab lacks, and nothing over what it has: the set-up cell of a notebook runs this there.

`--no-deps` keeps Colab's own NumPy stack as it is, since its packages are built for one another.
"""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

LOCK = Path(__file__).resolve().parent.parent / "requirements.txt"
WANTED = ("datasketches", "distributed", "sortedcontainers", "tblib", "zict")


def missing() -> list[str]:
    """Return the packages to install, each with the version that fits."""
    locked = dict(re.findall(r"^([\w-]+)==([\w.]+)", LOCK.read_text(encoding="utf-8"), re.MULTILINE))
    if importlib.util.find_spec("dask"):
        locked["distributed"] = version("dask")  # the two are released together and must match
    return [f"{name}=={locked[name]}" for name in WANTED if importlib.util.find_spec(name) is None]


if __name__ == "__main__":
    if packages := missing():
        pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--disable-pip-version-check"]
        sys.exit(subprocess.run([*pip, *packages]).returncode)
