"""What learners answer to the exercises of notebook 10: rightly in other forms, and wrongly as many do."""

import numpy as np

from helpers.exercises.nb10 import _size
from helpers.scaleout import Summary, merge_states

ROWS = 100 * _size(1024)["all"] / 4096


def n_ids(sample):
    k = len(sample.hashes)
    return k if k < sample.size else (k - 1) * 2**64 / int(sample.hashes[-1])


def n_ids_by_slope(sample):
    """Least squares through 0: the i-th smallest hash lies at i / n."""
    place, hashes = np.arange(1, len(sample.rows) + 1), sample.hashes / 2.0**64
    return np.int64(len(sample.rows) if len(place) < sample.size else place @ hashes / (hashes @ hashes))


def register(delivered, expected, most=1.1, total=merge_states):
    if set(expected) - {name for name, _ in delivered}:
        return None
    merged = total(list({state for _, state in delivered}))
    summary = Summary.from_bytes(merged)
    return merged if summary.features.rows < most * n_ids(summary.sample) else None


def as_summary(delivered, expected):
    """Each expected name once; a further name may only bring what is there already."""
    states = dict(delivered)
    new = {states[name] for name in states if name in expected}
    if not all(name in states for name in expected) or not set(states.values()) <= new:
        return None
    first, *rest = (Summary.from_bytes(state) for state in new)
    for other in rest:
        first = first.merge(other)
    return None if first.features.rows / n_ids_by_slope(first.sample) > 1.15 else first


def by_count(delivered, expected):
    return merge_states([state for _, state in delivered]) if len(delivered) == len(expected) else None


def everything(delivered, expected):
    return merge_states([state for _, state in delivered]) if delivered else None


def by_name(delivered, expected):
    states = dict(delivered)
    return merge_states(list(states.values())) if set(expected) <= set(states) else None


def without_repeats(delivered, expected):
    return register(delivered, expected, most=99)


def strict(delivered, expected):
    return register(delivered, expected) if len(delivered) == len(expected) else None


ANSWERS = {
    "10-1": {
        "correct": [ROWS, int(ROWS), np.float32(1.04 * ROWS), f"{ROWS:.0f}", [round(ROWS, -3)]],
        "wrong": [
            (ROWS / 100, "as much as the shard"),
            (ROWS / 2, "not of 4 bytes"),
            (4 * ROWS, "given in bytes"),
            (100 * _size(384)["all"] / 4096, "The summary, too"),
            (100 * _size(384)["all"] / 1536, "384"),
            (100 * _size(1024)["features"] / 4096, "random features alone"),
            (1_000_000, "the summary would be"),
            (100 * _size(1024)["empty"] / 4096, "Has its sample been filled?"),
            (-1, "at least one row"),
        ],
    },
    "10-2": {
        "correct": [n_ids, n_ids_by_slope],
        "wrong": [
            (lambda sample: len(sample.rows), "what a full sample keeps"),
            (lambda sample: 2.0**63 / sample.hashes[-1] * sample.size, "between 0 and 2^64"),
            (lambda sample: (sample.size - 1) * 2**64 / int(sample.hashes[-1]), "Of 150 ids"),
            (lambda sample: sample.rows[sample.size], "raised IndexError"),
            (lambda sample: "many", "not a number"),
            (250, "not a function"),
        ],
    },
    "10-3": {
        "correct": [register, as_summary],
        "wrong": [
            (by_count, "came three times, under its own name: it returns None"),
            (everything, "missing: it returns a total"),
            (by_name, "under another name: its total has 2400 rows, and the three shards have 1800"),
            (without_repeats, "holds the rows of mobile, too: it returns a total"),
            (strict, "three times, under its own name: it returns None"),
            (lambda delivered, expected: None, "All three shards came: it returns None"),
            (lambda delivered, expected: len(delivered), "neither the bytes"),
            (None, "not a function"),
        ],
    },
}
