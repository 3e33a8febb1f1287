"""Put a file in place whole: nobody ever sees half of it. Standard library only."""

from __future__ import annotations

import os
from pathlib import Path


def write(path: Path, text: str) -> None:
    """Write a text as UTF-8, its line ends as they are, in one step."""
    fresh = path.with_name(path.name + ".tmp")
    try:
        fresh.write_bytes(text.encode("utf-8"))
        os.replace(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)
