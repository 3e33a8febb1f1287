"""What only the environment's own Python can tell the doctor: `python -m tools.inside packages|kernel`."""

from __future__ import annotations

import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

LOCK = Path(__file__).resolve().parent.parent / "requirements.txt"


def packages() -> str:
    """Compare what is installed with the lock."""
    from packaging.requirements import Requirement

    locked = map(Requirement, LOCK.read_text(encoding="utf-8").splitlines())
    wanted = [package for package in locked if package.marker is None or package.marker.evaluate()]
    wrong = [package.name for package in wanted if installed(package.name) not in package.specifier]
    if wrong:
        sys.exit(
            f"{len(wrong)} of {len(wanted)} packages missing or of another version: {', '.join(wrong[:5])}"
        )
    return f"all {len(wanted)} installed"


def installed(name: str) -> str:
    """Return the version of a package; 0 if it is not there."""
    try:
        return version(name)
    except PackageNotFoundError:
        return "0"


def kernel() -> str:
    """Start a kernel and ask it a question."""
    from jupyter_client.manager import KernelManager

    manager = KernelManager(kernel_name="python3")
    manager.transport_encryption = "auto"
    manager.start_kernel()
    client = manager.blocking_client()
    try:
        client.start_channels()
        client.wait_for_ready(timeout=60)
        said: list[str] = []
        client.execute_interactive(
            "print(1 + 1)",
            timeout=20,
            output_hook=lambda heard: said.append(heard["content"].get("text", "")),
        )
        if "".join(said).split() != ["2"]:
            sys.exit(f"the kernel answered {''.join(said)!r} to 1 + 1")
        return "starts, and knows that 1 + 1 is 2"
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


if __name__ == "__main__":
    print({"packages": packages, "kernel": kernel}[sys.argv[1]]())
