"""A progress line for jobs that take a while. Standard library only: the entrance needs it."""

from __future__ import annotations

import shutil
import sys
import threading
import time
from collections.abc import Callable
from types import TracebackType


class Progress:
    """One line that says what is at work, how far it is and how long it has taken.

    In a terminal the line redraws itself. Elsewhere it is printed at most every ten seconds.
    """

    def __init__(self) -> None:
        self.label, self.done, self.total = "", 0, 0
        self.measure: Callable[[], int] | None = None
        self.started, self.printed = time.monotonic(), time.monotonic()
        self.live = sys.stderr.isatty()
        self._stop = threading.Event()
        self._ticker = threading.Thread(target=self._tick, daemon=True)

    def __enter__(self) -> Progress:
        self._ticker.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._ticker.join()
        self.clear()

    def show(self, label: str, done: int = 0, total: int = 0) -> None:
        """Set what is at work: `done` of `total` steps, or no bar when `total` is 0."""
        self.label, self.done, self.total = label, done, total
        if self.live:
            self._draw()

    def clear(self) -> None:
        """Take the line away, so that something else can be printed."""
        if self.live:
            print("\r\033[K", end="", file=sys.stderr, flush=True)

    def _tick(self) -> None:
        while not self._stop.wait(0.25):
            if self.measure:
                self.done = min(self.measure(), self.total)
            if self.live or time.monotonic() - self.printed > 10:
                self._draw()

    def _draw(self) -> None:
        took = time.monotonic() - self.started
        text = f"{int(took // 60)}:{int(took % 60):02d}  {self.label}"
        if self.total:
            filled = 24 * self.done // self.total
            text = f"[{'#' * filled:.<24}] {self.done:3}/{self.total}  {text}"
        self.printed = time.monotonic()
        if self.live:
            text = "\r" + text[: shutil.get_terminal_size().columns - 1] + "\033[K"
        print(text, end="" if self.live else "\n", file=sys.stderr, flush=True)
