"""What can happen to the synthetic product: ten kinds of events, each an edit of a cause."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

SEGMENTS = {"web": (0.55, 1.00), "mobile": (0.33, 1.15), "partner": (0.12, 0.85)}  # share, noise

KINDS = {
    "mean_shift": "every query moves by `size` along `direction`",
    "spread": "query noise is multiplied by 1 + size",
    "new_topic": "a share `size` of the queries asks about a topic that was not there before",
    "mix": "the log-odds of `topic` rise by `size`",
    "rotation": "a new embedder rotates the space by `size` radians at most",
    "truncate": "queries lose a share `size` of what sets them apart from the average text",
    "null_vectors": "a share `size` of the queries arrives as one and the same vector",
    "remove_docs": "a share `size` of the documents of `topic` leaves the index",
    "ui": "clicks fall by a share `size`, whatever is shown",
    "staffing": "escalations rise by a share `size`, whatever is answered",
}
QUERY_SIDE = ("mean_shift", "spread", "new_topic", "mix", "rotation", "truncate", "null_vectors")
SHARES = ("new_topic", "truncate", "null_vectors", "remove_docs", "ui")
SHAPES = ("sudden", "ramp", "weekly", "recurring")
DIRECTIONS = ("pc1", "random", "tail")


@dataclass(frozen=True)
class Event:
    """Something that happens to the product from day `start` until the day before `end`.

    Parameters
    ----------
    kind : one of `KINDS`, where the meaning of `size` stands beside each.
    start, end : days; `end=None` means it never ends.
    size : how large, at full strength.
    shape : "sudden"; "ramp" (grows over 28 days); "weekly" (weekends only); "recurring" (28 days on, 28 off).
    topic : for `mix` and `remove_docs` a topic, for `new_topic` 0 or 1.
    segment : restricts an event on the query side to "web", "mobile" or "partner".
    direction : of a `mean_shift`: the first axis of the latent space ("pc1"), a random
        direction ("random") or the last axis ("tail").
    index_follows : for `rotation`: the index was rebuilt with the new embedder; for `new_topic`: its
        documents are in the index. The queries are the same either way, bit for bit.

    Examples
    --------
    >>> Event("rotation", start=28, size=0.5, index_follows=True).level(30)
    0.5
    """

    kind: str
    start: int = 0
    end: int | None = None
    size: float = 1.0
    shape: str = "sudden"
    topic: int = 0
    segment: str | None = None
    direction: str = "random"
    index_follows: bool = False

    def __post_init__(self) -> None:
        for name, value, known in [
            ("kind", self.kind, tuple(KINDS)),
            ("shape", self.shape, SHAPES),
            ("direction", self.direction, DIRECTIONS),
            ("segment", self.segment, (None, *SEGMENTS)),
        ]:
            if value not in known:
                raise ValueError(f"{name}={value!r} is not known; choose one of {', '.join(map(str, known))}")
        if not isinstance(self.size, int | float | np.number) or not np.isfinite(self.size):
            raise ValueError(f"size={self.size!r} must be a finite number")
        if self.segment is not None and self.kind not in QUERY_SIDE:
            raise ValueError(f"segment={self.segment!r}: a {self.kind} event hits every segment alike")
        if self.kind in SHARES and not 0 <= self.size <= 1:
            raise ValueError(
                f"size={self.size!r} of a {self.kind} event is a share: give a number from 0 to 1"
            )
        if self.kind in ("spread", "staffing") and self.size <= -1:
            raise ValueError(f"size={self.size!r} of a {self.kind} event must be above -1")
        if self.end is not None and self.end <= self.start:
            raise ValueError(f"end={self.end} must be after start={self.start}")

    def level(self, day: int) -> float:
        """Strength of the event on `day`: between 0 and `size`."""
        if day < self.start or (self.end is not None and day >= self.end):
            return 0.0
        age = day - self.start
        fraction = {
            "sudden": 1.0,
            "ramp": min(1.0, (age + 1) / 28),
            "weekly": float(is_weekend(day)),
            "recurring": float((age // 28) % 2 == 0),
        }
        return self.size * fraction[self.shape]


def is_weekend(day: Any) -> Any:
    """Tell of a day, or of each day of an array, whether it is a Saturday or Sunday; day 0 is a Monday."""
    return day % 7 >= 5


def active_events(events: Iterable[Event], day: int) -> list[tuple[Event, float]]:
    """Return the events that act on `day`, each with its level."""
    return [(event, event.level(day)) for event in events if event.level(day) != 0]


def applies_to(event: Event, segment: NDArray) -> NDArray[np.bool_]:
    """Tell for each query, given its segment's number, whether the event concerns it."""
    if event.segment is None:
        return np.ones(len(segment), bool)
    return segment == list(SEGMENTS).index(event.segment)
