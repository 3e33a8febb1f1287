"""The streaming states: exact merges, saved bytes and their enemies, accuracy, samples, time, bad input."""

import hashlib
import itertools
import json
import math
import re
import struct
import sys
import tracemalloc
from collections import Counter
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats
from threadpoolctl import threadpool_info, threadpool_limits

from helpers import features, rounding, streaming
from helpers.metrics import median_gamma, mmd2
from helpers.sketches import check_kll
from helpers.states import DTYPES, MAGIC, START, VERSION, pack, unpack
from helpers.streaming import (
    ClusterCounts,
    DecayedReservoir,
    HashSample,
    ProjectionSketch,
    RandomFeatureMean,
    Reservoir,
    RunningMoments,
    TwoRateMean,
)
from helpers.synthetic import Event, Product

# Each kind in a small size, for rows of three columns.
MAKE = {
    "RandomFeatureMean": lambda seed=0: RandomFeatureMean(3, 8, gamma=0.5),
    "RandomFeatureMean, half-life": lambda seed=0: RandomFeatureMean(
        3, 8, gamma=0.5, half_life=2.0, memory=6.0
    ),
    "TwoRateMean": lambda seed=0: TwoRateMean(3, 4, gamma=0.5, fast=2.0, slow=2.5),
    "RunningMoments": lambda seed=0: RunningMoments(3),
    "ClusterCounts": lambda seed=0: ClusterCounts(np.eye(3), limit=0.75),
    "HashSample": lambda seed=0: HashSample(6),
    "Reservoir": lambda seed=0: Reservoir(6, seed=seed),
    "DecayedReservoir": lambda seed=0: DecayedReservoir(6, half_life=2.0, seed=seed),
    "ProjectionSketch": lambda seed=0: ProjectionSketch(np.eye(3)[:, :2], size=8),
}
EXACT = [
    name for name in MAKE if name.split(",")[0] not in ("Reservoir", "DecayedReservoir", "ProjectionSketch")
]
TIMED = ["RandomFeatureMean, half-life", "TwoRateMean", "DecayedReservoir"]
ADVICE = ("give", "remove", "rescale", "count from", "needs")


def stream(n, seed=0):
    """Rows that often tie, timestamps of which many are late, ids that come back with other rows."""
    rng = np.random.default_rng(seed)
    rows = rng.integers(-8, 9, (n, 3)) / 8
    return rows, rng.integers(0, 60, n) / 4, rng.integers(0, max(1, n // 2), n)


def feed(state, rows, times, ids):
    state.update(rows, timestamp=times, **({"ids": ids} if isinstance(state, HashSample) else {}))


def fed(name, n=40, seed=0):
    state = MAKE[name](seed=seed)
    feed(state, *stream(n, seed))
    return state


def refused(call, *names):
    """Check that a call raises a ValueError or TypeError that has one of these words."""
    with pytest.raises((ValueError, TypeError)) as error:
        call()
    text = str(error.value)
    assert any(name in text for name in names), text
    return text


@contextmanager
def little_memory(most=10e6):
    """Check that never more than so many bytes are allocated at a time."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < most
    finally:
        tracemalloc.stop()


# Merging.


def tree(name, rows, times, ids, n_shards, rng):
    """State of the rows dealt out to shards, cut into batches, and merged in some order."""
    states = []
    for own in np.split(rng.permutation(len(rows)), np.sort(rng.integers(0, len(rows) + 1, n_shards - 1))):
        state = MAKE[name]()
        for cut in np.split(own, np.sort(rng.integers(0, len(own) + 1, rng.integers(0, 6)))):
            feed(state, rows[cut], times[cut], ids[cut])
        states.append(state)
    while len(states) > 1:
        one, two = (states.pop(rng.integers(len(states))) for _ in range(2))
        states.append(one.merge(two))
    return states[0]


@pytest.mark.parametrize("name", EXACT)
@settings(max_examples=180, deadline=None, derandomize=True, database=None)  # 1,080 trees in all
@given(n=st.integers(0, 60) | st.just(700), n_shards=st.integers(1, 9), seed=st.integers(0, 2**32 - 1))
def test_any_tree_of_merges_has_the_bits_of_the_single_pass(name, n, n_shards, seed):
    rows, times, ids = stream(n, seed)
    once = MAKE[name]()
    feed(once, rows, times, ids)
    merged = tree(name, rows, times, ids, n_shards, np.random.default_rng(seed))
    assert merged.to_bytes() == once.to_bytes()


@pytest.mark.parametrize("name", EXACT)
def test_other_rows_have_other_bits(name):
    assert fed(name, seed=1) == fed(name, seed=1) != fed(name, seed=2)


@pytest.mark.parametrize("size, half_life", [(6, 2.0), (500, 4e-12)], ids=["keys differ", "keys tie"])
def test_merges_of_decayed_reservoirs_are_associative_and_commutative_in_bits(size, half_life):
    for trial in range(8):
        states = [DecayedReservoir(size, half_life, seed=worker) for worker in range(3)]
        for state in states:
            rows, times, _ = stream(size, trial)  # the same rows for all
            state.update(rows, times if half_life > 1 else 2.0)
        if half_life < 1:  # too far from 0 for the keys to differ
            keys = np.concatenate([state._keys for state in states])
            assert len(set(keys)) < len(keys)
        results = {
            state.to_bytes()
            for a, b, c in itertools.permutations(states)
            for state in (a.merge(b).merge(c), a.merge(b.merge(c)))
        }
        assert len(results) == 1


def test_a_tie_for_the_last_place_of_a_decayed_reservoir_is_not_decided_by_who_came_first():
    states = []
    for worker, keys in enumerate(([1.0, 5.0], [5.0, 7.0], [5.0, 9.0])):
        state = DecayedReservoir(2, 1.0, seed=worker)
        state.update([[3.0 - worker], [3.0 - worker]], 0.0)
        fields, arrays = unpack(state.to_bytes(), "DecayedReservoir")
        data = pack("DecayedReservoir", fields, arrays | {"keys": np.array(keys)})
        states.append(DecayedReservoir.from_bytes(data))
    results = {a.merge(b).merge(c).to_bytes() for a, b, c in itertools.permutations(states)}
    assert len(results) == 1
    assert DecayedReservoir.from_bytes(results.pop())._keys.tolist() == [1.0, 5.0]


@pytest.mark.parametrize("n", [0, 3, 40])
def test_merges_of_reservoirs_are_commutative_in_bits(n):
    one, two = fed("Reservoir", n, seed=1), fed("Reservoir", 20, seed=2)
    assert one.merge(two) == two.merge(one)


@pytest.mark.parametrize("name", MAKE)
def test_a_merge_changes_neither_state_and_is_not_changed_with_them(name):
    one, two = fed(name, seed=1), fed(name, seed=2)
    before = one.to_bytes(), two.to_bytes()
    merged = one.merge(two)
    assert (one.to_bytes(), two.to_bytes()) == before
    saved = merged.to_bytes()
    feed(one, *stream(50, 3))
    assert merged.to_bytes() == saved


@pytest.mark.parametrize("name", MAKE)
def test_merging_with_an_empty_state_keeps_the_rows(name):
    state = fed(name, 5, seed=1)
    merged = state.merge(MAKE[name](seed=2))
    if name in EXACT or name == "ProjectionSketch":
        assert merged == state
    else:
        assert np.array_equal(merged.rows, state.rows) and merged.seen == 5


@pytest.mark.parametrize("name", ["Reservoir", "DecayedReservoir"])
def test_cuts_into_batches_do_not_change_a_reservoir(name):
    rows, times, ids = stream(400)
    once, cut = MAKE[name](), MAKE[name]()
    feed(once, rows, times, ids)
    for start, end in itertools.pairwise([0, 0, 1, 2, 5, 6, 7, 40, 41, 297, 400]):
        feed(cut, rows[start:end], times[start:end], ids[start:end])
    assert cut == once


def test_reservoirs_that_threw_the_same_dice_are_refused():
    for name in ("Reservoir", "DecayedReservoir"):
        one, two, three = fed(name, seed=7), fed(name, seed=8), fed(name, seed=7)
        refused(lambda a=one, b=three: a.merge(b), "seed 7: give each worker its own")
        merged = one.merge(two)
        refused(lambda a=merged, b=three: a.merge(b), "seed 7")
        refused(lambda a=two, b=merged: a.merge(b), "seed 8")
        assert merged.seeds == [7, 8]


@pytest.mark.parametrize("name", MAKE)
def test_states_that_do_not_belong_together_are_not_merged(name):
    state, other = fed(name), fed(name, seed=1)
    for stranger in (None, 3, state.to_bytes(), fed("ClusterCounts" if "Mean" in name else "TwoRateMean")):
        with pytest.raises(TypeError, match="^other is a .*: give a"):
            state.merge(stranger)
    assert state != 3 and state != other and not state == None  # noqa: E711
    with pytest.raises(TypeError, match="unhashable"):
        hash(state)


OTHERS = [
    ("RandomFeatureMean", "dim", lambda: RandomFeatureMean(2, 8, gamma=0.5)),
    ("RandomFeatureMean", "n_features", lambda: RandomFeatureMean(3, 6, gamma=0.5)),
    ("RandomFeatureMean", "gamma", lambda: RandomFeatureMean(3, 8, gamma=0.25)),
    ("RandomFeatureMean", "seed", lambda: RandomFeatureMean(3, 8, gamma=0.5, seed=1)),
    ("RandomFeatureMean", "half_life", lambda: RandomFeatureMean(3, 8, gamma=0.5, half_life=2.0)),
    (
        "RandomFeatureMean, half-life",
        "memory",
        lambda: RandomFeatureMean(3, 8, gamma=0.5, half_life=2.0, memory=7.0),
    ),
    ("TwoRateMean", "fast", lambda: TwoRateMean(3, 4, gamma=0.5, fast=1.0, slow=2.5)),
    ("TwoRateMean", "slow", lambda: TwoRateMean(3, 4, gamma=0.5, fast=2.0, slow=3.5)),
    ("TwoRateMean", "gamma", lambda: TwoRateMean(3, 4, gamma=0.25, fast=2.0, slow=2.5)),
    ("RunningMoments", "dim", lambda: RunningMoments(2)),
    ("RunningMoments", "scale", lambda: RunningMoments(3, scale=2.0)),
    ("ClusterCounts", "centres", lambda: ClusterCounts(2 * np.eye(3), limit=0.75)),
    ("ClusterCounts", "centres", lambda: ClusterCounts(np.eye(2), limit=0.75)),
    ("ClusterCounts", "limit", lambda: ClusterCounts(np.eye(3), limit=0.5)),
    ("HashSample", "size", lambda: HashSample(7)),
    ("Reservoir", "size", lambda: Reservoir(7, seed=1)),
    ("DecayedReservoir", "size", lambda: DecayedReservoir(7, half_life=2.0, seed=1)),
    ("DecayedReservoir", "half_life", lambda: DecayedReservoir(6, half_life=1.0, seed=1)),
    ("ProjectionSketch", "size", lambda: ProjectionSketch(np.eye(3)[:, :2], size=9)),
    ("ProjectionSketch", "directions", lambda: ProjectionSketch(np.eye(3)[:, 1:], size=8)),
]


@pytest.mark.parametrize("name, setting, other", OTHERS, ids=[f"{name}-{what}" for name, what, _ in OTHERS])
def test_a_merge_of_other_settings_names_the_setting(name, setting, other):
    for one, two in ((fed(name), other()), (other(), fed(name))):
        with pytest.raises(ValueError, match=f"^other has another {setting}: only states made with the same"):
            one.merge(two)


@pytest.mark.parametrize("name", ["HashSample", "Reservoir", "DecayedReservoir"])
def test_samples_of_other_widths_are_refused(name):
    state, other = fed(name), MAKE[name](seed=1)
    feed(other, np.ones((3, 2)), np.arange(3), np.arange(3))
    refused(lambda: state.merge(other), "other has rows of 2 columns and not 3: use one model")
    refused(lambda: feed(state, np.ones((3, 2)), np.arange(3), np.arange(3)), "batch has shape (3, 2)")


# Saving.


@pytest.mark.parametrize("name", MAKE)
@pytest.mark.parametrize("n", [0, 1, 2, 5, 40, 700])
def test_a_state_comes_back_bit_for_bit(name, n):
    state = fed(name, n)
    again = type(state).from_bytes(state.to_bytes())
    assert again == state and type(again) is type(state) and again.nbytes == state.nbytes
    assert type(state).from_bytes(bytearray(state.to_bytes())) == state
    assert type(state).from_bytes(memoryview(state.to_bytes())) == state


@pytest.mark.parametrize("name", sorted(MAKE.keys() - {"ProjectionSketch"}))
@pytest.mark.parametrize("n", [0, 1, 5, 40, 700])
@pytest.mark.parametrize("merged", [False, True], ids=["one stream", "after a merge"])
def test_a_state_that_came_back_goes_on_as_if_never_saved(name, n, merged):
    state = fed(name, n, seed=1)
    if merged:
        state = state.merge(fed(name, 9, seed=2))
    again = type(state).from_bytes(state.to_bytes())
    for each in (state, again):
        for more in (1, 0, 300):
            feed(each, *stream(more, seed=3))
    assert again == state


def test_reading_a_state_does_not_change_its_bytes():
    reads = {
        "RandomFeatureMean, half-life": lambda state: (state.mean, state.mmd2(state), state.rows),
        "TwoRateMean": lambda state: state.score(),
        "RunningMoments": lambda state: (state.mean, state.covariance),
        "ClusterCounts": lambda state: (state.shares, state.assign(np.eye(3))),
        "ProjectionSketch": lambda state: (state.quantiles([0, 0.3, 1]), state.wasserstein(state)),
    }
    for name, read in reads.items():
        state, untouched = fed(name), fed(name)
        if name == "ProjectionSketch":
            untouched = ProjectionSketch.from_bytes(state.to_bytes())
        read(state)
        assert state == untouched


def test_a_sketch_throws_no_dice_until_it_is_full_and_then_some_that_cannot_be_seeded():
    rows = np.random.default_rng(0).normal(size=(3000, 3))
    for n, same in ((7, True), (8, True), (3000, False)):
        states = [MAKE["ProjectionSketch"]() for _ in range(3)]
        states[0].update(rows[:n])
        states[1].update(rows[:5])
        states[1] = ProjectionSketch.from_bytes(states[1].to_bytes())
        states[1].update(rows[5:n])
        states[2].update(rows[:n][::-1])
        assert all((state == states[0]) is same for state in states[1:])


def test_a_sketch_that_came_back_goes_on_within_its_rank_error():
    line = np.random.default_rng(0).permutation(20_000) / 20_000
    state = ProjectionSketch([[1.0]])
    state.update(line[:15_000, None])
    state = ProjectionSketch.from_bytes(state.to_bytes())
    state.update(line[15_000:, None])
    q = np.linspace(0, 1, 101)
    assert state.seen == 20_000
    assert np.abs(state.quantiles(q)[:, 0] - q).max() < 1.5 * state.rank_error


# Bytes that are no state.


def signed(header, body=b"", version=VERSION):
    """Bytes with the right checksum whatever they hold."""
    text = header
    if not isinstance(header, bytes):
        text = json.dumps(header, sort_keys=True, separators=(",", ":")).encode()
    data = START.pack(MAGIC, version, len(text)) + text + body
    return data + hashlib.sha256(data).digest()


def header_and_body(data):
    length = START.unpack_from(data)[2]
    return json.loads(data[START.size : START.size + length]), data[START.size + length : -32]


def test_bytes_that_are_signed_anew_are_the_same_bytes():
    data = fed("RandomFeatureMean, half-life").to_bytes()
    assert signed(*header_and_body(data)) == data


@pytest.mark.parametrize("name", MAKE)
def test_every_flipped_byte_is_noticed(name):
    state = fed(name)
    data = bytearray(state.to_bytes())
    for place in range(len(data)):
        data[place] ^= 1 << place % 8
        what = "is no saved state: give" if place < 4 else "is cut or damaged .*: read it again"
        with pytest.raises(ValueError, match=what):
            type(state).from_bytes(data)
        data[place] ^= 1 << place % 8
    assert type(state).from_bytes(data) == state


@pytest.mark.parametrize("name", MAKE)
def test_every_cut_and_every_tail_is_noticed(name):
    state = fed(name)
    data = state.to_bytes()
    wrong = [data[:length] for length in range(len(data))]
    wrong += [
        MAGIC + hashlib.sha256(MAGIC).digest(),
        data + b"\0",
        data + data,
        data[:-32] + b"\0" + data[-32:],
        b"\0" + data,
        data[1:],
    ]
    for each in wrong:
        with pytest.raises(ValueError, match=r"^data is (no saved state|cut or damaged .*): (give|read)"):
            type(state).from_bytes(each)


@pytest.mark.parametrize("data", [None, "EDPS", 3, [1, 2], np.arange(3.0), {}], ids=repr)
def test_what_is_not_bytes_is_a_type_error(data):
    for name in MAKE:
        with pytest.raises(TypeError, match="^data is a .*: give the bytes"):
            type(MAKE[name]()).from_bytes(data)


def test_a_state_of_another_kind_says_what_it_is():
    for one, two in itertools.permutations({type(MAKE[name]()): MAKE[name]() for name in MAKE}.values(), 2):
        found = type(two).__name__
        with pytest.raises(ValueError, match=f"a saved {found}, not a .*: read it with {found}.from_bytes"):
            type(one).from_bytes(two.to_bytes())


def test_frequencies_that_another_library_drew_are_not_taken_for_ours():
    state = fed("RandomFeatureMean")
    fields, arrays = unpack(state.to_bytes(), "RandomFeatureMean")
    with pytest.raises(
        ValueError, match="its frequencies were drawn by another NumPy.*: make the state anew"
    ):
        RandomFeatureMean.from_bytes(pack("RandomFeatureMean", fields | {"drawn": "0" * 16}, arrays))


def test_another_version_of_the_layout_is_refused():
    header, body = header_and_body(fed("RunningMoments").to_bytes())
    with pytest.raises(ValueError, match="layout 2, this code reads 1: make the state anew"):
        RunningMoments.from_bytes(signed(header, body, version=2))


DEEP = b"[" * 100_000
HEADERS = {
    "no header": b"",
    "no JSON": b"{",
    "no text": b"\xff\xfe",
    "a list": [],
    "a number": 3,
    "null": None,
    "nothing": {},
    "too deep": DEEP,
    "long number": b'{"arrays":[],"fields":{"size":' + b"9" * 5000 + b'},"kind":"HashSample"}',
    "NaN": {"arrays": [], "fields": {"size": float("nan")}, "kind": "HashSample"},
    "blanks": b'{"arrays": [], "fields": {"size": 3}, "kind": "HashSample"}',
    "another order": b'{"kind":"HashSample","fields":{"size":3},"arrays":[]}',
    "a key twice": b'{"arrays":[],"fields":{"size":3,"size":4},"kind":"HashSample"}',
    "a stranger": {"arrays": [], "fields": {"size": 3}, "kind": "HashSample", "more": 1},
    "fields in a list": {"arrays": [], "fields": [["size", 3]], "kind": "HashSample"},
    "fields of one": {"arrays": [], "fields": 3, "kind": "HashSample"},
    "arrays of one": {"arrays": 3, "fields": {"size": 3}, "kind": "HashSample"},
    "kind of list": {"arrays": [], "fields": {"size": 3}, "kind": ["HashSample"]},
}
ARRAYS = {
    "short": ["rows", "<f4"],
    "object": ["rows", "|O", [1]],
    "a structure": ["rows", [["a", "<f4"]], [1]],
    "big-endian": ["rows", ">f4", [2, 1]],
    "text for a length": ["rows", "<f4", ["2", 1]],
    "fraction": ["rows", "<f4", [2.0, 1]],
    "truth": ["rows", "<f4", [2, True]],
    "negative": ["rows", "<f4", [-2, -1]],
    "missing": ["rows", "<f4", None],
    "too large": ["rows", "<f4", [10**9, 10**9]],
    "too large to say": ["rows", "<f4", [10**400]],
    "nothing of too much": ["rows", "<f4", [0, 10**30]],
    "too many axes": ["rows", "<f4", [1] * 99 + [2]],
    "shorter than the bytes": ["rows", "<f4", [1, 1]],
    "name of list": [["rows"], "<f4", [2, 1]],
}


@pytest.mark.parametrize("wrong", [*HEADERS, *ARRAYS])
def test_a_header_that_no_state_has_is_refused(wrong):
    arrays = [["hashes", "<u8", [2]], ARRAYS.get(wrong)]
    header = HEADERS.get(wrong, {"arrays": arrays, "fields": {"size": 3}, "kind": "HashSample"})
    body = bytes(range(16)) + np.ones(2, np.float32).tobytes() if wrong in ARRAYS else b""
    for read in (HashSample.from_bytes, lambda data: unpack(data, "HashSample")):
        with little_memory(), pytest.raises(ValueError, match="^data .*: (make the state anew|read it with)"):
            read(signed(header, body))


def test_a_header_that_states_have_is_read():
    arrays = [["hashes", "<u8", [2]], ["rows", "<f4", [2, 1]]]
    header = {"arrays": arrays, "fields": {"size": 3}, "kind": "HashSample"}
    body = np.array([3, 5], "<u8").tobytes() + np.ones(2, "<f4").tobytes()
    assert len(HashSample.from_bytes(signed(header, body)).rows) == 2
    with pytest.raises(TypeError, match="dtypes that no state has: give one of"):
        pack("Count", {}, {"rows": np.zeros(3, complex)})


NAN, INFINITY = float("nan"), float("inf")
ODD = [None, "1", "", [], [1], [[1]], {}, {"a": 1}, True, -1, 0, 0.5, 1.5, -0.0, 2**31, 2**63, 2**64, 10**9]
ODD += [10**40, NAN, INFINITY, -INFINITY, 1e-300, 1e300]


def still_works(state, data):
    """What was believed must be a state of exactly these bytes, which goes on without a warning."""
    assert state.to_bytes() == data
    width = 3
    if isinstance(state, ClusterCounts):
        width = state.centres.shape[1]
    elif isinstance(state, ProjectionSketch):
        width = len(state.directions)
    elif isinstance(state, HashSample | Reservoir | DecayedReservoir):
        width = state.rows.shape[1] or 3
    rows, times, ids = stream(3)
    feed(state, np.resize(rows, (3, width)), times, ids)
    assert type(state).from_bytes(state.to_bytes()) == state


@pytest.mark.parametrize("name", MAKE)
def test_forged_fields_are_refused_or_make_a_state_that_works(name):
    """With a right checksum: each field missing, or of another type, sign or size."""
    kind = type(MAKE[name]())
    header, body = header_and_body(fed(name).to_bytes())
    refusals = 0

    def attempt(fields):
        nonlocal refusals
        data = signed(header | {"fields": fields}, body)
        try:
            state = kind.from_bytes(data)
        except ValueError as error:
            assert str(error).startswith("data ") and str(error).endswith("make the state anew"), error
            refusals += 1
        else:
            still_works(state, data)

    with little_memory():  # a dimension of 10^9 is refused before there is room for it
        for field, value in header["fields"].items():
            attempt({key: each for key, each in header["fields"].items() if key != field})
            for odd in ODD:
                attempt(header["fields"] | {field: odd})
            for part in value if isinstance(value, dict) else []:  # the dice
                for odd in ODD:
                    attempt(header["fields"] | {field: value | {part: odd}})
        attempt(header["fields"] | {"more": 1})
    assert refusals > len(ODD) / 2 * len(header["fields"])


def distorted(array):
    """Arrays of another dtype, shape or content."""
    yield from (array.astype(dtype) for dtype in DTYPES if np.dtype(dtype) != array.dtype)
    yield from (array[None], array.ravel(), array.T.copy(), array[:0], array[:-1], array[..., :-1], array[0])
    yield from (np.concatenate([array, array]), np.concatenate([array, array], axis=-1), array[::-1].copy())
    yield from (np.array(3, array.dtype), np.zeros((0, 5), array.dtype), np.zeros((5, 0), array.dtype))
    yield from (np.zeros_like(array), np.zeros((len(array), 0), array.dtype))
    if array.dtype.kind == "f":
        extremes = [np.nan, np.inf, -np.inf, np.finfo(array.dtype).max, -np.finfo(array.dtype).max]
    else:
        extremes = [np.iinfo(array.dtype).max, np.iinfo(array.dtype).min]
    for extreme in [*extremes, 1]:
        spoiled = array.copy()
        spoiled.flat[-1] = extreme
        yield spoiled
        yield np.full_like(array, extreme)


@pytest.mark.parametrize("name", MAKE)
def test_forged_arrays_are_refused_or_make_a_state_that_works(name):
    state = fed(name)
    kind = type(state)
    fields, arrays = unpack(state.to_bytes(), kind.__name__)
    refusals = attempts = 0
    for place in arrays:
        forgeries = [{key: each for key, each in arrays.items() if key != place}]
        forgeries += [arrays | {place: wrong} for wrong in distorted(arrays[place])]
        for forged in [*forgeries, arrays | {"more": np.ones(3)}]:
            data, attempts = pack(kind.__name__, fields, forged), attempts + 1
            try:
                believed = kind.from_bytes(data)
            except ValueError as error:
                assert str(error).startswith("data ") and str(error).endswith("make the state anew"), error
                refusals += 1
            else:
                still_works(believed, data)
    assert refusals > attempts / 2


IMPOSSIBLE = [
    ("RandomFeatureMean", {"dim": 10**9}, {}),
    ("RandomFeatureMean", {"n_features": 10**9}, {}),
    ("RandomFeatureMean", {"seed": 1}, {}),
    ("RandomFeatureMean", {"gamma": 0.25}, {}),
    ("RandomFeatureMean", {"seen": 41}, {}),
    ("RandomFeatureMean", {"memory": 3.0}, {}),
    ("RandomFeatureMean", {}, {"pane": [5]}),
    ("RandomFeatureMean", {"seen": 0}, {"rows": [0], "sums": np.zeros((1, 8), int)}),
    ("RandomFeatureMean", {}, {"rows": [39]}),
    ("RandomFeatureMean", {}, {"rows": [-40]}),
    ("RandomFeatureMean", {"seen": 2**62}, {"rows": [2**62]}),
    ("RandomFeatureMean", {}, {"sums": np.full((1, 8), -(2**63))}),
    ("RandomFeatureMean", {}, {"sums": np.full((1, 8), 41 * features.ONE)}),
    ("RandomFeatureMean, half-life", {"seen": 1}, {}),
    ("RandomFeatureMean, half-life", {"half_life": None, "memory": None}, {}),
    ("RandomFeatureMean, half-life", {"memory": 1.0}, {}),
    ("TwoRateMean", {"fast": 1.0}, {}),
    ("TwoRateMean", {"slow": 2.0}, {}),
    ("TwoRateMean", {}, {"features": np.arange(200, dtype=np.uint8)}),
    ("RunningMoments", {"dim": 10**9}, {}),
    ("RunningMoments", {"rows": 0}, {}),
    ("RunningMoments", {"rows": 2**31}, {}),
    ("RunningMoments", {}, {"sum": [2**40, 0, 0]}),
    ("RunningMoments", {}, {"sum": [-(2**63), 0, 0]}),
    ("RunningMoments", {}, {"products": -np.eye(3, dtype=int)}),
    ("RunningMoments", {}, {"products": 2**36 * np.eye(3, dtype=int) + np.eye(3, k=1, dtype=int)}),
    ("RunningMoments", {}, {"products": np.zeros((3, 3), int)}),
    ("RunningMoments", {}, {"products": 2**40 * np.ones((3, 3), int)}),
    ("ClusterCounts", {}, {"counts": [1, 2, 3, -1]}),
    ("ClusterCounts", {}, {"counts": [1, 2, 3]}),
    ("ClusterCounts", {}, {"centres": np.full((3, 3), np.nan)}),
    ("ClusterCounts", {"limit": 0.0}, {}),
    ("HashSample", {"size": 5}, {}),
    ("HashSample", {}, {"hashes": np.array([1, 2, 3, 4, 6, 5], np.uint64)}),
    ("HashSample", {}, {"hashes": np.array([1, 2, 3, 4, 5, 5], np.uint64)}),
    ("HashSample", {}, {"rows": np.full((6, 3), np.nan, np.float32)}),
    ("HashSample", {}, {"rows": np.zeros((6, 0), np.float32)}),
    ("HashSample", {}, {"rows": np.zeros((0, 5), np.float32), "hashes": np.zeros(0, np.uint64)}),
    ("Reservoir", {"seen": 5}, {}),
    ("Reservoir", {"next": 39}, {}),
    ("Reservoir", {"log_w": 0.1}, {}),
    ("Reservoir", {"seeds": []}, {}),
    ("Reservoir", {"seeds": [3, 2]}, {}),
    ("Reservoir", {"seeds": [2, 2]}, {}),
    ("Reservoir", {"dice": None}, {}),
    ("Reservoir", {"dice": {"bit_generator": "MT19937"}}, {}),
    ("Reservoir", {"size": 7}, {}),
    ("DecayedReservoir", {"seen": 5}, {}),
    ("DecayedReservoir", {"size": 7}, {}),
    ("DecayedReservoir", {}, {"keys": np.array([1.0, 2, 3, 4, 6, 5])}),
    ("DecayedReservoir", {}, {"keys": np.full(6, np.inf)}),
    ("DecayedReservoir", {}, {"timestamps": np.full(6, 1e18)}),
    ("ProjectionSketch", {"size": 9}, {}),
    ("ProjectionSketch", {"size": 7}, {}),
    ("ProjectionSketch", {"lengths": [8]}, {}),
    ("ProjectionSketch", {"lengths": []}, {}),
    ("ProjectionSketch", {"lengths": 3}, {}),
]


@pytest.mark.parametrize("name, fields, arrays", IMPOSSIBLE)
def test_well_formed_bytes_of_an_impossible_state_are_refused(name, fields, arrays):
    state = fed(name)
    kind = type(state)
    good_fields, good_arrays = unpack(state.to_bytes(), kind.__name__)
    arrays = {key: np.asarray(value) for key, value in arrays.items()}
    data = pack(kind.__name__, good_fields | fields, good_arrays | arrays)
    what = f"^data is no sound {kind.__name__} .*: make the state anew$"
    with little_memory(), pytest.raises(ValueError, match=what):
        kind.from_bytes(data)


@pytest.mark.parametrize("forged", [{"next": 3}, {"next": 9}, {"log_w": -1.0}], ids=str)
def test_a_reservoir_that_is_not_full_awaits_no_row(forged):
    fields, arrays = unpack(fed("Reservoir", 3).to_bytes(), "Reservoir")
    with pytest.raises(ValueError, match="a next row that is past"):
        Reservoir.from_bytes(pack("Reservoir", fields | forged, arrays))


def test_forged_sketches_never_reach_the_library():
    """On many of these bytes the library itself crashes the interpreter or never comes back."""
    rng, tried = np.random.default_rng(0), Counter()
    for n in (0, 1, 2, 9, 300):
        state = ProjectionSketch([[1.0]], size=8)
        state.update(rng.normal(size=(n, 1)))
        fields, arrays = unpack(state.to_bytes(), "ProjectionSketch")
        good = arrays["sketches"]
        wrong = [np.delete(good, place) for place in range(len(good))]
        wrong += [good[:length] for length in range(len(good))]
        for place, bit in itertools.product(range(min(len(good), 60)), range(8)):
            flipped = good.copy()
            flipped[place] ^= 1 << bit
            wrong.append(flipped)
        for _ in range(300):
            noisy = good.copy()
            noisy[rng.integers(len(good), size=3)] = rng.integers(256, size=3)
            wrong.append(noisy)
        for sketch in wrong:
            data = pack(
                "ProjectionSketch", fields | {"lengths": [len(sketch)]}, arrays | {"sketches": sketch}
            )
            try:
                believed = ProjectionSketch.from_bytes(data)
            except ValueError as error:
                assert str(error).endswith("make the state anew")
                tried["refused"] += 1
            else:  # another item at the same place in the order is another sketch, but a sound one
                assert believed.to_bytes() == data and believed.seen == n
                assert n == 0 or np.isfinite(believed.quantiles([0, 0.5, 1])).all()
                believed.update(rng.normal(size=(50, 1)))
                tried["believed"] += 1
    assert tried["refused"] > 2500 and tried["believed"] > 50


def spoil(layout, place, *values):
    return lambda part: struct.pack_into(layout, part, place, *values)


def swap(one, two):
    def swapped(part):
        items = np.frombuffer(part, "<f8", offset=44)
        items[[one, two]] = items[[two, one]]

    return swapped


def copied(one, two):
    def copy(part):
        part[two : two + 8] = part[one : one + 8]

    return copy


def of_six_rows(part):
    """Eight items and minus one that counts twice: 6 rows in 7 items."""
    struct.pack_into("<Q", part, 8, 6)
    struct.pack_into("<I", part, 24, 17)
    np.frombuffer(part, "<f8", offset=44).sort()


# 11 rows in a sketch of size 8: begins of two levels at 20, the range at 28, 3 and 4 items from 44 on.
SKETCHES = {
    "another size of one it was merged with": spoil("<H", 16, 9),
    "a byte that means nothing": spoil("<B", 19, 1),
    "flags of an unsorted one": spoil("<B", 3, 0),
    "no levels": spoil("<B", 18, 0),
    "too many levels": spoil("<B", 18, 255),
    "a level that ends before it begins": spoil("<I", 24, 3),
    "a level of one less": spoil("<I", 24, 13),
    "a level of less than none": of_six_rows,
    "one row more": spoil("<Q", 8, 12),
    "out of order below": swap(0, 1),
    "out of order above": swap(-2, -1),
    "an item below the smallest": copied(36, 28),
    "an item above the largest": copied(28, 36),
    "a smallest item that is none": spoil("<d", 28, -np.inf),
}


@pytest.mark.parametrize("forged", SKETCHES)
def test_a_sketch_with_one_thing_wrong_is_refused_before_the_library_has_it(forged):
    state = ProjectionSketch([[1.0]], size=8)
    state.update(np.random.default_rng(0).normal(size=(11, 1)))
    fields, arrays = unpack(state.to_bytes(), "ProjectionSketch")
    part = bytearray(arrays["sketches"].tobytes())
    check_kll(bytes(part), 8)
    SKETCHES[forged](part)
    with pytest.raises(ValueError):
        check_kll(bytes(part), 8)
    data = pack("ProjectionSketch", fields, arrays | {"sketches": np.frombuffer(part, np.uint8)})
    with pytest.raises(ValueError, match=r"^data is no sound ProjectionSketch \(.*\): make the state anew"):
        ProjectionSketch.from_bytes(data)


def test_sketches_of_unequal_streams_are_no_state():
    one, two = (ProjectionSketch([[1.0]], size=8) for _ in range(2))
    one.update(np.zeros((3, 1)))
    two.update(np.zeros((4, 1)))
    parts = [*one._saved(), *two._saved()]
    sketches = np.frombuffer(b"".join(parts), np.uint8)
    fields = {"size": 8, "lengths": [len(part) for part in parts]}
    data = pack("ProjectionSketch", fields, {"directions": np.eye(2), "sketches": sketches})
    with pytest.raises(ValueError, match="not one sketch a direction.*: make the state anew"):
        ProjectionSketch.from_bytes(data)


@pytest.mark.parametrize("size", [8, 50, 200, 65535])
def test_sketches_of_the_library_are_taken_for_sound(size):
    rng = np.random.default_rng(size)
    for n in (0, 1, 2, size - 1, size, size + 1, 10 * size, 100_000):
        one, two = (ProjectionSketch([[1.0]], size=size) for _ in range(2))
        one.update(rng.normal(size=(n, 1)))
        two.update(rng.integers(0, 3, (7 * n // 3, 1)))
        for state in (one, two, one.merge(two), two.merge(one).merge(one)):
            for saved in state._saved():
                check_kll(saved, size)
                assert int.from_bytes(saved[8:16], "little") == state.seen or state.seen < 2


# Exactness.


def test_the_table_of_cosines_is_the_same_on_every_machine():
    digest = hashlib.sha256(features.COSINES.astype("<i8").tobytes()).hexdigest()
    assert digest == "2f71e88419e42a7a6362fcb7cd783891af27bbaa11adb0078ef0759bb58adc06"
    exact = np.cos(2 * np.pi * np.arange(4096) / 4096) * features.ONE
    # No cosine is so near to a half that another library could round it the other way.
    assert np.abs(np.abs(exact - np.floor(exact)) - 0.5).min() > 1e-6
    both = features.PAIRS
    assert np.array_equal(both.astype(np.int32), np.roll(features.COSINES, 1024))
    assert np.array_equal((both - both.astype(np.int32)) >> 32, features.COSINES)
    assert features.ONE * streaming.MOST < 2**63 and features.ONE * rounding.BLOCK < 2**31


def exact_features(rows, draw):
    """Sums of the cosines and sines of whole-number rows, in integers of any length."""
    drawn = [
        [int(w) for w in column] for column in draw.frequencies.T * 2 ** (features.PHASE - features.TURN)
    ]
    sums = [0] * (2 * len(drawn))
    for row in rows:
        for k, column in enumerate(drawn):
            phase = sum(x * w for x, w in zip(row, column, strict=True))
            turn = round(Fraction(phase, 2 ** (features.PHASE - features.TURN)))  # ties to even
            sums[k] += int(features.COSINES[turn % 4096])
            sums[len(drawn) + k] += int(features.COSINES[(turn - 1024) % 4096])
    return sums


@pytest.mark.parametrize("gamma", [1e-9, 0.3, 0.5, 77.0])
@pytest.mark.parametrize("dim", [1, 3, 384])
def test_feature_sums_are_exact_up_to_the_largest_row_and_no_further(dim, gamma):
    state = RandomFeatureMean(dim, 6, gamma=gamma)
    draw, rng = state._draw, np.random.default_rng(dim)
    limit = math.floor(draw.largest)
    worst = np.abs(draw.frequencies).sum(axis=0).argmax()
    signs = np.sign(draw.frequencies[:, worst]).astype(int)
    rows = [[limit * int(sign) for sign in signs], [-limit * int(sign) for sign in signs]]
    rows += [[int(x) for x in rng.integers(-limit, limit, dim, endpoint=True)] for _ in range(5)]
    products = [
        sum(abs(x) * abs(int(w)) for x, w in zip(row, column, strict=True))
        for row in rows
        for column in draw.frequencies.T * 2 ** (features.PHASE - features.TURN)
    ]
    assert 2**52 - 2 ** (features.PHASE + 10) < max(products) <= 2**52
    state.update(np.array(rows, float) / draw.factor)
    assert state._panes[0][0].tolist() == exact_features(rows, draw)
    saved = state.to_bytes()
    beyond = np.zeros((300, dim))
    beyond[299, dim - 1] = -(limit + 1) / draw.factor
    with pytest.raises(
        ValueError, match=re.escape(f"batch has values beyond {state.largest:.3g}: give a smaller gamma")
    ):
        state.update(beyond)
    assert state.to_bytes() == saved and limit / draw.factor <= state.largest < (limit + 1) / draw.factor


@pytest.mark.parametrize("dim", [1, 3, 384])
@pytest.mark.parametrize("scale, power", [(1.0, 1), (0.7, 1), (3, 4), (2.0**-20, 2.0**-20)])
def test_moments_are_exact_up_to_the_largest_row_and_no_further(dim, scale, power):
    state = RunningMoments(dim, scale=scale)
    whole = np.random.default_rng(dim).integers(-(2**16), 2**16, (300, dim), endpoint=True)
    whole[:3] = [[2**16], [-(2**16)], [2**16]]
    state.update(whole * power / 2**14)
    state._settle()
    whole = whole.astype(object)
    assert state._sum.tolist() == whole.sum(axis=0).tolist()
    assert (state._products[:2, :2] == (whole[:, :2].T @ whole[:, :2])).all()
    assert (state._products[-1] == whole[:, -1] @ whole).all()
    saved, beyond = state.to_bytes(), np.zeros((300, dim))
    beyond[299, 0] = 4 * power + power / 2**14
    with pytest.raises(
        ValueError, match=re.escape(f"batch has values beyond {4 * power:.3g}: give a larger scale")
    ):
        state.update(beyond)
    assert state.to_bytes() == saved
    state.update(beyond - beyond.clip(0, power / 2**14))


def test_moments_are_those_of_the_rows():
    rows = np.random.default_rng(0).normal(5, 0.3, (2000, 4))
    state = RunningMoments(4, scale=8)
    for batch in np.split(rows, [1, 2, 700, 900]):
        state.update(batch)
    np.testing.assert_allclose(state.mean, rows.mean(axis=0), atol=8 / 2**15)
    np.testing.assert_allclose(state.covariance, np.cov(rows.T), atol=1e-4)
    assert state.rows == 2000
    state = RunningMoments(4, scale=8)
    state.update(rows[:3])
    np.testing.assert_allclose(state.covariance, np.cov(rows[:3].T), atol=1e-3)


@pytest.mark.parametrize("dim", [1, 3, 384])
def test_counts_are_those_of_exact_distances_however_far_the_rows_and_whatever_the_scale(dim):
    rng = np.random.default_rng(dim)
    for scale in (1e-20, 1.0, 2.0**40):
        state = ClusterCounts(scale * rng.integers(-8, 9, (6, dim)) / 8, limit=scale)
        rows = scale * rng.integers(-12, 13, (30, dim)) / 8
        rows[:10] = state.centres[rng.integers(6, size=10)]
        rows[:10, 0] += scale * rng.integers(-10, 11, 10) / 8
        rows[10:20, 0] = scale * np.array([1e3, -1e3, 1e9, -1e9, 1e20, -1e40, 1e100, 1.0, 2.0, -2.0])
        nearest = []
        for row in rows:
            offsets = [
                [Fraction(x) - Fraction(c) for x, c in zip(row, c, strict=True)] for c in state.centres
            ]
            squares = [sum(offset * offset for offset in each) for each in offsets]
            nearest.append(6 if min(squares) > Fraction(scale) ** 2 else squares.index(min(squares)))
        assert len(set(nearest)) > 2
        if scale != 1e-20:  # no rounding at the door, then, and ties are ties
            assert state.assign(rows).tolist() == nearest
        assert (state.assign(rows)[10:17] == 6).all()
        most = int(state._most)  # of a row, and half of it of a centre
        assert dim * (most + most // 2) ** 2 < 2**53 and np.abs(state._whole).max() <= most / 2


def test_a_row_in_the_middle_belongs_to_the_first_centre_in_any_batch():
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(2, 384))
    state = ClusterCounts(centres, limit=100.0)
    middle = np.repeat(centres.mean(axis=0, keepdims=True), 300, axis=0)
    mixed = np.concatenate([rng.normal(size=(100, 384)), middle])
    alone = {state.assign(middle[:k])[0] for k in (1, 2, 7, 33)} | set(state.assign(middle))
    assert alone == set(state.assign(mixed)[100:]) and len(alone) == 1


def test_no_row_is_too_novel_to_be_counted():
    state = ClusterCounts([[0.01, 0.0]], limit=1.0)
    state.update([[0.5, 0.0], [9.0, 0.0], [1e300, -1e300], [-state.largest, state.largest]])
    assert state.counts.tolist() == [1, 3] and state.shares.tolist() == [0.25, 0.75] and state.rows == 4


FORMS = {
    "float64": lambda rows: rows,
    "float32": lambda rows: rows.astype(np.float32),
    "float16": lambda rows: rows.astype(np.float16),
    "long double": lambda rows: rows.astype(np.longdouble),
    "big-endian": lambda rows: rows.astype(">f8"),
    "Fortran order": np.asfortranarray,
    "strided": lambda rows: np.repeat(np.repeat(rows, 2, axis=0), 3, axis=1)[::2, ::3],
    "backwards": lambda rows: rows[::-1].copy()[::-1],
    "read-only": lambda rows: np.frombuffer(rows.tobytes()).reshape(rows.shape),
    "lists": lambda rows: rows.tolist(),
    "a table": pd.DataFrame,
    "masked without a mask": np.ma.masked_array,
}


@pytest.mark.parametrize("name", sorted(MAKE.keys() - {"ProjectionSketch"}))
@pytest.mark.parametrize("form", FORMS)
def test_the_same_values_give_the_same_bits_in_any_form(name, form):
    rows, times, ids = stream(300)
    expected, state = MAKE[name](), MAKE[name]()
    feed(expected, rows, times, ids)
    feed(state, FORMS[form](rows), times, ids)
    assert state == expected


@pytest.mark.parametrize("name", sorted(MAKE.keys() - {"ProjectionSketch"}))
@pytest.mark.parametrize("dtype", ["i1", "i2", "i4", "i8", "u1", "u8"])
def test_whole_numbers_give_the_bits_of_their_floats(name, dtype):
    rows, times, ids = stream(50)
    rows = np.abs(rows).round().astype(dtype)
    one, two = MAKE[name](), MAKE[name]()
    feed(one, rows, times.astype(int), ids.astype("u4"))
    feed(two, rows.astype(float), np.floor(times), ids)
    assert one == two


@pytest.mark.parametrize("gamma", [1e-50, 1e-30, 1e30, 1e50])
def test_float32_rows_give_the_bits_of_float64_at_any_bandwidth(gamma):
    rows = (np.random.default_rng(0).normal(size=(50, 3)) * min(1, 1 / np.sqrt(gamma))).astype(np.float32)
    states = [RandomFeatureMean(3, 8, gamma=gamma) for _ in range(2)]
    for state, each in zip(states, (rows, rows.astype(float)), strict=True):
        state.update(each)
    assert states[0] == states[1] and states[0].rows == 50


def test_bits_do_not_depend_on_threads_nor_on_the_order_of_rows():
    rng = np.random.default_rng(0)
    rows, times, ids = rng.normal(size=(3000, 256)), rng.exponential(9, 3000), rng.permutation(3000)
    make = [
        lambda: RandomFeatureMean(256, 512, gamma=0.01),
        lambda: TwoRateMean(256, 64, gamma=0.01, fast=1, slow=5),
        lambda: RunningMoments(256, scale=4),
        lambda: ClusterCounts(rows[:40], limit=20.0),
        lambda: HashSample(100),
    ]
    saved = []
    for threads in (1, 2):
        with threadpool_limits(threads, user_api="blas"):
            assert {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"} == {
                threads
            }
            order = slice(None) if threads == 1 else rng.permutation(3000)
            states = [each() for each in make]
            for state in states:
                feed(state, rows[order], times[order], ids[order])
            saved.append([state.to_bytes() for state in states])
    assert saved[0] == saved[1]


def test_moments_overflow_with_an_error_before_anything_is_wrong():
    state = RunningMoments(1)
    state.update([[4.0]])
    doubled = [state]
    while doubled[-1].rows < 2**30:
        doubled.append(doubled[-1].merge(doubled[-1]))
    full = doubled[0]
    for each in doubled[1:]:
        full = full.merge(each)
    assert full.rows == RunningMoments.MOST == 2**31 - 1
    assert full._products.tolist() == [[(2**31 - 1) * 2**32]]  # no bit lost at the very limit
    assert RunningMoments.from_bytes(full.to_bytes()) == full
    assert full.mean == 4 and full.covariance == 0
    saved = full.to_bytes()
    for call in (lambda: full.update([[1.0]]), lambda: full.merge(state), lambda: state.merge(full)):
        with pytest.raises(OverflowError, match="more than 2147483647 rows: begin a new state"):
            call()
    full.update(np.empty((0, 1)))
    assert full.to_bytes() == saved and state == doubled[0]


@pytest.mark.parametrize("name", ["RandomFeatureMean", "TwoRateMean", "ClusterCounts"])
def test_doubling_ends_in_an_error_and_not_in_a_wrong_state(name):
    state = MAKE[name]()
    feed(state, np.zeros((1, 3)), 0.0, [1])
    start = state.features.mean if name == "TwoRateMean" else getattr(state, "mean", None)
    with pytest.raises(OverflowError, match="begin a new state"):
        for _ in range(64):
            saved = state.to_bytes()
            state = state.merge(state)
    assert state.to_bytes() == saved and type(state).from_bytes(saved) == state
    assert state.rows == (2**62 if name == "ClusterCounts" else streaming.MOST)
    with pytest.raises(OverflowError, match="begin a new state"):
        feed(state, np.zeros((1, 3)), 0.0, [1])
    assert state.to_bytes() == saved
    if start is not None:
        assert np.array_equal(state.features.mean if name == "TwoRateMean" else state.mean, start)


# What the numbers mean.


@pytest.fixture(scope="module")
def incidents():
    """A reference, its bandwidth, and a week each of calm, of a new topic, of a shift and of a rotation."""
    product = Product(seed=0)
    usual = product.run(28, start=-28).embeddings
    reference = usual[np.random.default_rng(0).choice(len(usual), 4000, replace=False)]
    kinds = {"calm": None, "new_topic": 0.04, "mean_shift": 0.08, "rotation": 0.25}
    weeks = {
        kind: product.run(7, [Event(kind, 0, size=size)] if size else []).embeddings[:2000]
        for kind, size in kinds.items()
    }
    return reference, median_gamma(reference), weeks


# Relative spread over 20 draws of 256 frequencies, from the table of the literature study.
SPREAD = {"calm": 0.45 / 4.06, "new_topic": 0.79 / 7.83, "mean_shift": 1.5 / 19.7, "rotation": 2.3 / 40.2}


@pytest.mark.parametrize("kind", SPREAD)
def test_mmd2_is_that_of_the_rows_within_the_spread_of_the_draw(kind, incidents):
    reference, gamma, weeks = incidents
    exact = mmd2(reference, weeks[kind], gamma=gamma)
    scores = []
    for seed in range(20):
        x, y = (RandomFeatureMean(64, 512, gamma=gamma, seed=seed) for _ in range(2))
        x.update(reference)
        y.update(weeks[kind])
        scores.append(x.mmd2(y))
        assert y.mmd2(x) == pytest.approx(scores[-1], abs=1e-15)
    spread = SPREAD[kind] * exact
    assert abs(np.mean(scores) - exact) < 3 * spread / math.sqrt(20)
    assert 0.6 * spread < np.std(scores) < 1.5 * spread  # 20 draws tell it within a third


def float_features(state, rows):
    """Random features as the formula has them, from the state's own frequencies."""
    draw = state._draw
    phases = 2 * np.pi * (rows * draw.factor) @ draw.frequencies / 4096
    return np.sqrt(2 / state.n_features) * np.hstack([np.cos(phases), np.sin(phases)])


def test_the_mean_is_that_of_the_features_and_the_features_are_those_of_the_kernel():
    rows = np.random.default_rng(0).normal(size=(400, 5))
    state = RandomFeatureMean(5, 8192, gamma=0.1)
    state.update(rows)
    phi = float_features(state, rows)
    # A phase is off by 1/8192 of a turn at most, a mean of 400 by far less.
    np.testing.assert_allclose(state.mean, phi.mean(axis=0), atol=np.sqrt(2 / 8192) * 2e-4)
    kernel = np.exp(-0.1 * ((rows[:30, None] - rows[None, :30]) ** 2).sum(axis=-1))
    assert np.abs(phi[:30] @ phi[:30].T - kernel).max() < 6 / np.sqrt(8192)


def test_mmd2_of_a_state_with_itself_is_that_of_its_rows_with_themselves():
    rows = np.random.default_rng(1).normal(size=(50, 3))
    state = RandomFeatureMean(3, 4096, gamma=0.2)
    state.update(rows)
    size = float(state.mean @ state.mean)
    assert state.mmd2(state) == pytest.approx(-2 * (1 - size) / 49, rel=1e-9)
    assert state.mmd2(state) == pytest.approx(mmd2(rows, rows, gamma=0.2), rel=0.05)


def test_mmd2_without_drift_is_zero_on_average_and_below_it_half_of_the_time():
    rng, scores = np.random.default_rng(2), []
    for _ in range(1500):
        x, y = RandomFeatureMean(3, 64, gamma=0.3), RandomFeatureMean(3, 64, gamma=0.3)
        x.update(rng.normal(size=(12, 3)))
        y.update(rng.normal(size=(7, 3)))
        scores.append(x.mmd2(y))
    assert abs(np.mean(scores)) < 3 * np.std(scores) / np.sqrt(1500)
    assert 0.4 < np.mean(np.array(scores) < 0) < 0.75


def test_decayed_weights_are_those_of_a_direct_computation():
    rng = np.random.default_rng(3)
    rows, times = rng.normal(size=(600, 3)), rng.uniform(0, 40, 600)
    rows[times > 30] += 1
    state = RandomFeatureMean(3, 256, gamma=0.2, half_life=3.0)
    fixed = RandomFeatureMean(3, 256, gamma=0.2)
    state.update(rows, times)
    fixed.update(rows[:100])
    pane = np.floor(times / 0.75)
    weight = 0.5 ** ((pane.max() - pane) * 0.75 / 3) * (pane > pane.max() - 41)
    assert state.rows == (weight > 0).sum() < 600 and state.dropped == (weight == 0).sum()
    phi, other = float_features(state, rows), float_features(fixed, rows[:100])
    mean = weight @ phi / weight.sum()
    np.testing.assert_allclose(state.mean, mean, atol=1e-5)
    kernel, between = phi @ phi.T, other @ other.T
    pairs = np.outer(weight, weight)
    expected = ((pairs * kernel).sum() - np.trace(pairs * kernel)) / (pairs.sum() - np.trace(pairs))
    expected += (between.sum() - 100) / 9900 - 2 * mean @ other.mean(axis=0)
    assert state.mmd2(fixed) == pytest.approx(expected, abs=2e-5)
    # The weight of a pane is that of its rows within a quarter of a half-life.
    age = times.max() - times
    ratio = (weight / 0.5 ** (age / 3))[weight > 0]
    assert 2**-0.25 < ratio.min() and ratio.max() < 2**0.25


def test_a_two_rate_score_is_the_distance_of_two_weighted_means():
    rng = np.random.default_rng(6)
    rows, times = rng.normal(size=(2000, 3)), rng.uniform(0, 100, 2000)
    state = TwoRateMean(3, 64, gamma=0.2, fast=2.0, slow=9.0)
    state.update(rows, times)
    pane = np.floor(times / 0.5)
    kept = pane > pane.max() - (7 * 9.0 / 0.5 + 1)
    assert state.rows == kept.sum() < 2000
    means = []
    for half_life in (2.0, 9.0):
        weight = 0.5 ** ((pane.max() - pane) * 0.5 / half_life) * kept
        means.append(weight @ float_features(state.features, rows) / weight.sum())
    assert state.score() == pytest.approx(((means[0] - means[1]) ** 2).sum(), rel=1e-4)


def test_late_rows_count_until_they_are_too_old_and_in_any_order():
    rows, times, _ = stream(300)
    orders = [np.argsort(times), np.argsort(-times), np.arange(300)]
    for name in ("RandomFeatureMean, half-life", "TwoRateMean"):
        states = []
        for order in orders:
            state = MAKE[name]()
            for k in order:
                state.update(rows[k : k + 1], times[k])
            states.append(state)
        assert states[0] == states[1] == states[2]
    state = MAKE["RandomFeatureMean, half-life"]()
    state.update(rows[:1], 100.0)
    for age, counted in ((0.0, 2), (6.0, 3), (6.01, 3), (1e6, 3)):  # its memory is 6
        state.update(rows[:1], 100.0 - age)
        assert state.rows == counted
    assert state.dropped == 2
    state.update(rows[:1], 106.6)  # lets go of the first three, but not of its own
    assert state.rows == 1 and state.dropped == 5


def test_one_time_for_all_is_that_time_for_each():
    rows, _, _ = stream(20)
    for name in TIMED:
        one, each = MAKE[name](), MAKE[name]()
        one.update(rows, 7)
        each.update(rows, np.full(20, 7.0))
        assert one == each


def test_two_rates_see_a_change_and_forget_it_while_a_reference_does_not():
    rng = np.random.default_rng(4)
    usual = rng.normal(size=(3000, 4))
    reference = RandomFeatureMean(4, 256, gamma=0.1)
    reference.update(usual)
    recent = RandomFeatureMean(4, 256, gamma=0.1, half_life=1.0)
    state = TwoRateMean(4, 256, gamma=0.1, fast=1.0, slow=7.0)
    two, against = [], []
    for day in range(120):
        rows = rng.normal(size=(100, 4)) + (day >= 60)
        for each in (recent, state):
            each.update(rows, day + rng.random(100))
        two.append(state.score())
        against.append(recent.mmd2(reference))
    quiet, quiet_against = max(two[30:60]), max(against[30:60])
    assert max(two[61:66]) > 4 * quiet and max(two[110:]) < 1.5 * quiet
    assert min(against[63:]) > 20 * quiet_against
    assert min(two) >= 0 and two[0] < 1e-3


# Samples.


def uniform_pvalue(counts, trials, size):
    """Chi-square test that `size` of len(counts) rows were drawn without replacement, `trials` times."""
    n, p = len(counts), size / len(counts)
    statistic = ((counts - trials * p) ** 2).sum() / (trials * p * (1 - p)) * (n - 1) / n
    return stats.chi2.sf(statistic, n - 1)


def number_rows(start, end):
    return np.arange(float(start), end)[:, None]


def test_a_reservoir_keeps_every_row_with_the_same_chance():
    counts = np.zeros(40)
    for seed in range(3000):
        state = Reservoir(5, seed=seed)
        state.update(number_rows(0, 40))
        assert len(set(state.rows.ravel())) == 5
        counts[state.rows.ravel().astype(int)] += 1
    assert uniform_pvalue(counts, 3000, 5) > 0.001


def test_a_reservoir_of_a_long_stream_prefers_no_part_of_it():
    counts = np.zeros(50)
    for seed in range(300):
        state = Reservoir(20, seed=seed)
        for start in range(0, 20_000, 5000):
            state.update(number_rows(start, start + 5000))
        counts += np.bincount((state.rows.ravel() // 400).astype(int), minlength=50)
    assert stats.chisquare(counts).pvalue > 0.001 and state.seen == 20_000


def test_merged_reservoirs_of_unequal_streams_keep_every_row_with_the_same_chance_and_go_on_so():
    counts, from_first = np.zeros(60), np.zeros(6, int)
    for seed in range(3000):
        one, two, three = (Reservoir(5, seed=3 * seed + k) for k in range(3))
        one.update(number_rows(0, 7))
        two.update(number_rows(7, 40))
        three.update(number_rows(40, 43))  # not even full
        merged = one.merge(two)
        from_first[(merged.rows < 7).sum()] += 1
        merged = three.merge(merged)
        merged.update(number_rows(43, 60))
        assert merged.seen == 60 and len(set(merged.rows.ravel())) == 5
        counts[merged.rows.ravel().astype(int)] += 1
    assert uniform_pvalue(counts, 3000, 5) > 0.001
    expected = 3000 * stats.hypergeom(40, 7, 5).pmf(np.arange(6))
    assert (
        stats.chisquare([*from_first[:3], from_first[3:].sum()], [*expected[:3], expected[3:].sum()]).pvalue
        > 0.001
    )


def test_small_reservoirs_that_merge_are_filled_up_before_rows_are_passed_over():
    one, two = Reservoir(10, seed=1), Reservoir(10, seed=2)
    one.update(number_rows(0, 3))
    two.update(number_rows(3, 6))
    merged = one.merge(two)
    merged.update(number_rows(6, 10))
    assert sorted(merged.rows.ravel()) == list(range(10))


@pytest.mark.parametrize("start", [0.0, 1.7e9], ids=["near 0", "seconds since 1970"])
@pytest.mark.parametrize("merged", [False, True], ids=["one stream", "after a merge"])
def test_a_decayed_reservoir_keeps_a_row_with_the_chance_of_its_weight(start, merged):
    times, counts = np.arange(30.0), np.zeros(30)
    for seed in range(2500):
        state, other = DecayedReservoir(1, 8.0, seed=2 * seed), DecayedReservoir(1, 8.0, seed=2 * seed + 1)
        part = 11 if merged else 30
        state.update(number_rows(0, part), start + times[:part])
        if merged:
            other.update(number_rows(11, 30)[::-1], start + times[11:][::-1])
            state = other.merge(state)
        counts[int(state.rows[0, 0])] += 1
    weight = 0.5 ** ((29 - times) / 8)
    assert stats.chisquare(counts, 2500 * weight / weight.sum()).pvalue > 0.001


def test_ages_of_a_decayed_reservoir_are_those_of_the_theory():
    state = DecayedReservoir(400, half_life=1000.0)
    state.update(number_rows(0, 200_000), np.arange(200_000.0))
    age = 200_000 - state.timestamps
    # Row t stays with chance 1 - exp(-c weight), where c makes them 400.
    weight = 0.5 ** (np.arange(200_000) / 1000)
    c = optimize.brentq(lambda c: -np.expm1(-c * weight).sum() - 400, 1e-3, 10)
    edges = [0, 300, 700, 1200, 2000, 3500, 200_001]
    chance = -np.expm1(-c * weight)
    expected = np.add.reduceat(chance, edges[:-1])
    assert stats.chisquare(np.histogram(age, edges)[0], expected).pvalue > 0.001
    assert np.array_equal(state.rows.ravel().astype(float), state.timestamps.astype(np.float32))


def test_no_age_overflows():
    state = DecayedReservoir(3, half_life=60.0)
    for time in (1.7e9 - 6e7, 1.7e9, -1.7e9, 2.0**45):  # a million half-lives, and many more
        state.update(number_rows(0, 5), time)
        assert np.isfinite(state._keys).all() and len(state.rows) == 3
    assert set(state.timestamps) == {2.0**45}
    assert DecayedReservoir.from_bytes(state.to_bytes()) == state
    with pytest.raises(
        ValueError, match="timestamp is too far from 0 for half_life=1e-09: count from a later"
    ):
        DecayedReservoir(3, half_life=1e-9).update(number_rows(0, 5), 1.7e9)
    with pytest.raises(
        ValueError, match="timestamp is too far from 0 for half_life=1e-09: count from a later"
    ):
        RandomFeatureMean(1, 2, gamma=1, half_life=1e-9).update(number_rows(0, 5), 1e9)


def test_a_sample_by_hash_keeps_every_id_with_the_same_chance_and_once():
    counts = np.zeros(40)
    for trial in range(1500):
        ids = np.arange(40) * 1009 + trial * 1_000_003
        state = HashSample(5)
        state.update(number_rows(0, 40), ids=ids)
        state.update(number_rows(0, 40)[::-1], ids=ids[::-1])
        assert len(set(state.rows.ravel())) == 5
        counts[state.rows.ravel().astype(int)] += 1
    assert uniform_pvalue(counts, 1500, 5) > 0.001


def test_no_whole_number_is_always_in_the_sample_by_hash():
    ids = np.arange(-1000, 1000)
    state = HashSample(20)
    state.update(ids[:, None], ids=ids)
    assert not {0, 1, -1} & set(state.rows.ravel())


def test_words_and_numbers_are_ids_in_any_form():
    rows = number_rows(0, 4)
    for forms in (
        [[3, 1, 2, 9], np.array([3, 1, 2, 9], np.uint8), pd.Series([3, 1, 2, 9]), (3, 1, 2, 9)],
        [list("dacb"), np.array(list("dacb")), np.array(list("dacb"), object), pd.Series(list("dacb"))],
        [["é", "", "a b", "日本"], np.array(["é", "", "a b", "日本"])],
    ):
        states = []
        for ids in forms:
            state = HashSample(3)
            state.update(rows, ids=ids)
            states.append(state.to_bytes())
        assert len(set(states)) == 1
    hashes = []
    for ids in ([1], ["1"], ["1 "]):
        state = HashSample(3)
        state.update(rows[:1], ids=ids)
        hashes.append(int(state.hashes[0]))
    assert len(set(hashes)) == 3


def test_the_hashes_are_the_same_on_every_machine():
    state = HashSample(4)
    state.update(number_rows(0, 2), ids=[0, -(2**63)])
    state.update(number_rows(0, 2), ids=["a", "query 17"])
    expected = [3476282652320530795, 5196802822362493915, 13950350942979735504, 16294208416658607535]
    assert state.hashes.tolist() == expected


def test_quantiles_are_within_the_rank_error_and_wasserstein_near_the_distance():
    rng = np.random.default_rng(5)
    rows = rng.normal(size=(20_000, 3))
    directions = np.array([[1.0, 0], [0, 1], [0, 1]])
    one, two = ProjectionSketch(directions), ProjectionSketch(directions)
    one.update(rows[:8000])
    two.update(rows[8000:])
    merged, q = one.merge(two), np.linspace(0.05, 0.95, 19)
    lines = rows @ directions
    assert merged.seen == 20_000 and merged.rank_error == pytest.approx(0.0133, abs=1e-4)
    for column in range(2):
        ranks = (lines[:, column, None] <= merged.quantiles(q)[:, column]).mean(axis=0)
        assert np.abs(ranks - q).max() < 1.5 * merged.rank_error
    moved = ProjectionSketch(directions)
    moved.update(rows + 0.5)
    assert moved.wasserstein(merged) == pytest.approx(0.75, abs=0.1)


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasketches", None)
    with pytest.raises(ImportError, match="ProjectionSketch needs the package datasketches: pip install"):
        ProjectionSketch([[1.0]])


# Memory.


@pytest.mark.parametrize("name", MAKE)
def test_memory_stays_the_same_over_thousands_of_updates(name):
    state, sizes, (rows, _, _) = MAKE[name](), [], stream(20)
    for k in range(2000):
        feed(state, rows, k / 10 + np.arange(20) / 200, np.arange(20 * k, 20 * k + 20))
        if k >= 200 and k % 20 == 0:
            sizes.append((state.nbytes, len(state.to_bytes())))
    assert 0 < max(sizes)[0] < 2600 + 8 * 256 * 3 and max(sizes)[1] < 3000
    if name == "ProjectionSketch":  # a level more for each doubling of the rows
        assert sizes[-1][0] < 2 * sizes[0][0]
    elif name in TIMED[:2]:  # one pane less, for a moment, where the newest has no rows yet
        assert max(sizes)[0] - min(sizes)[0] <= (sizes[0][0] // 13)
    else:
        assert len({size for size, _ in sizes}) == 1


def test_a_batch_of_a_hundred_thousand_panes_takes_the_memory_of_those_that_are_kept():
    state = RandomFeatureMean(2, 64, gamma=0.5, half_life=1.0)
    with little_memory():
        state.update(np.zeros((100_000, 2), np.float32), np.arange(100_000.0))
    assert state.rows == 11 and state.dropped == 99_989


def test_a_first_large_batch_is_not_kept_alive_by_a_sample():
    for name in ("HashSample", "Reservoir", "DecayedReservoir"):
        for seed in range(40):  # most reservoirs copy their rows to replace one, but not all
            state = fed(name, 7, seed)
            assert state.rows.base is None or len(state.rows.base) == len(state.rows)


def test_rows_that_were_handed_out_stay_as_they_are():
    for name in ("HashSample", "Reservoir", "DecayedReservoir"):
        state = fed(name)
        rows = state.rows
        before = rows.copy()
        feed(state, stream(500)[0] + 1, 100.0 + np.arange(500), np.arange(500))
        assert np.array_equal(rows, before) and not np.array_equal(state.rows, before)
    counts = (state := fed("ClusterCounts")).counts
    before = counts.copy()
    feed(state, *stream(50))
    assert np.array_equal(counts, before)


# Bad input.


class Hostile:
    def __array__(self, dtype=None, copy=None):
        raise TypeError("no table")


def last_value(rows, value):
    spoiled = rows.astype(np.result_type(rows, np.asarray(value).dtype))
    spoiled[-1, -1] = value
    return spoiled


BATCHES = {
    "NaN": lambda rows: last_value(rows, np.nan),
    "infinity": lambda rows: last_value(rows, np.inf),
    "minus infinity in float32": lambda rows: last_value(rows, -np.inf).astype(np.float32),
    "NaN in float16": lambda rows: last_value(rows, np.nan).astype(np.float16),
    "one row": lambda rows: rows[0],
    "three dimensions": lambda rows: rows[None],
    "no dimension": lambda rows: 3.0,
    "empty list": lambda rows: [],
    "no columns": lambda rows: rows[:, :0],
    "too few columns": lambda rows: rows[:, :2],
    "too many columns": lambda rows: np.hstack([rows, rows]),
    "strings": lambda rows: rows.astype(str),
    "words": lambda rows: [["a", "b", "c"]] * len(rows),
    "objects": lambda rows: rows.astype(object),
    "None": lambda rows: None,
    "complex": lambda rows: rows + 1j,
    "booleans": lambda rows: rows > 0,
    "dates": lambda rows: rows.astype("datetime64[s]"),
    "ragged": lambda rows: [[1.0, 2.0, 3.0], [3.0]],
    "integers beyond 64 bits": lambda rows: [[10**30] * 3] * len(rows),
    "integers beyond all floats": lambda rows: [[0.5] * 3, [10**400] * 3],
    "masked": lambda rows: np.ma.masked_array(rows, mask=rows > 0),
    "missing": lambda rows: pd.DataFrame(rows).astype("Float64").mask(rows > 0.9),
    "hostile": lambda rows: Hostile(),
    "a set": lambda rows: {1, 2, 3},
    "bytes": lambda rows: b"rows",
}


@pytest.mark.parametrize("name", MAKE)
@pytest.mark.parametrize("bad", BATCHES)
def test_bad_batches_are_refused_by_name_and_change_nothing(name, bad):
    rows, times, ids = stream(600)
    state = fed(name)
    saved = state.to_bytes()
    text = refused(lambda: feed(state, BATCHES[bad](rows), times, ids), "batch")
    assert text.startswith("batch ") and any(word in text for word in ADVICE), text
    assert state.to_bytes() == saved


@pytest.mark.parametrize("name", MAKE)
def test_all_bad_rows_of_a_batch_are_counted(name):
    rows, times, ids = stream(600)
    rows[[3, 300, 599], [0, 1, 2]] = np.nan, np.inf, -np.inf
    refused(lambda: feed(fed(name), rows, times, ids), "in 3 row(s)")


@pytest.mark.parametrize("name", ["RandomFeatureMean", "RunningMoments", "HashSample", "Reservoir"])
def test_values_that_are_too_large_are_refused_and_change_nothing(name):
    rows, times, ids = stream(600)
    for value in (1e300, -1e300, 1e60):
        state = fed(name)
        saved = state.to_bytes()
        refused(lambda s=state, v=value: feed(s, last_value(rows, v), times, ids), "batch has")
        assert state.to_bytes() == saved


TIMES = {
    "missing": None,
    "NaN": np.nan,
    "one NaN": np.append(np.zeros(599), np.nan),
    "infinity": np.inf,
    "beyond 2^50": 2.0**50,
    "too few": np.zeros(599),
    "too many": np.zeros(601),
    "a column": np.zeros((600, 1)),
    "a word": "today",
    "words": ["today"] * 600,
    "booleans": np.zeros(600, bool),
    "truth": True,
    "complex": 1j,
    "dates": np.zeros(600, "datetime64[s]"),
    "a date": pd.Timestamp("2026-01-01"),
    "objects": np.zeros(600, object),
    "masked": np.ma.masked_array(np.zeros(600), mask=np.arange(600) == 5),
    "ragged": [[1.0], [1.0, 2.0]],
    "integers beyond all floats": [10**400] * 600,
    "not there": pd.array([1.0] * 599 + [None], "Float64"),
}


@pytest.mark.parametrize("name", TIMED)
@pytest.mark.parametrize("bad", TIMES)
def test_bad_timestamps_are_refused_by_name_and_change_nothing(name, bad):
    state = fed(name)
    saved = state.to_bytes()
    text = refused(lambda: state.update(stream(600)[0], TIMES[bad]), "timestamp")
    assert text.startswith("timestamp ") and any(word in text for word in ADVICE), text
    assert state.to_bytes() == saved


IDS = {
    "None": None,
    "too few": np.arange(599),
    "too many": np.arange(601),
    "one": 5,
    "a word": "abc",
    "a column": np.arange(600)[:, None],
    "fractions": np.arange(600) / 2,
    "booleans": np.zeros(600, bool),
    "complex": np.zeros(600, complex),
    "dates": np.zeros(600, "datetime64[s]"),
    "bytes": np.full(600, b"a"),
    "a missing one": [None] + ["a"] * 599,
    "NaN": [np.nan] + list(range(599)),
    "NaN among words": [np.nan] + ["a"] * 599,
    "words and numbers": [1] + ["a"] * 599,
    "beyond 64 bits": [2**70] * 600,
    "half a letter": ["\ud800"] * 600,
    "masked": np.ma.masked_array(np.arange(600), mask=np.arange(600) == 5),
    "ragged": [[1], [1, 2]],
    "not there": pd.array([1] * 599 + [None], "Int64"),
}


@pytest.mark.parametrize("bad", IDS)
def test_bad_ids_are_refused_by_name_and_change_nothing(bad):
    state = fed("HashSample")
    saved = state.to_bytes()
    text = refused(lambda: state.update(stream(600)[0], ids=IDS[bad]), "ids")
    assert text.startswith("ids ") and "give 600, one a row" in text, text
    assert state.to_bytes() == saved


@pytest.mark.parametrize("name", MAKE)
def test_an_empty_batch_changes_nothing(name):
    for n in (0, 5, 40):
        state = fed(name, n)
        saved = state.to_bytes()
        for empty in (np.empty((0, 3)), np.empty((0, 3), np.float32), np.empty((0, 3), int)):
            feed(state, empty, np.empty(0), [])
            feed(state, empty, np.empty(0), np.empty(0, int))
            if name in TIMED:
                state.update(empty, 1e9)
        assert state.to_bytes() == saved


NUMBERS = [0, -1, np.nan, np.inf, "1", None, True, 1j, [1.0], 1e-60, 1e60]
WHOLES = [0, -1, 1.5, 2.0, "3", None, True, np.nan, [2]]
FEATURES = {"dim": 3, "gamma": 0.5}
TWO = FEATURES | {"fast": 1.0, "slow": 2.0}
PARAMETERS = [
    (kind, usual, name, value)
    for kind, usual, name, values in [
        (RandomFeatureMean, FEATURES, "dim", [*WHOLES, 10**9]),
        (RandomFeatureMean, FEATURES, "n_features", [*WHOLES, 1, 7, 10**9]),
        (RandomFeatureMean, FEATURES, "gamma", NUMBERS),
        (RandomFeatureMean, FEATURES, "seed", [-1, 1.5, "0", None, True]),
        (RandomFeatureMean, FEATURES, "half_life", [x for x in NUMBERS if x is not None]),
        (
            RandomFeatureMean,
            FEATURES | {"half_life": 1.0},
            "memory",
            [*(x for x in NUMBERS if x is not None), 10_001],
        ),
        (RandomFeatureMean, FEATURES, "memory", [5.0]),
        (TwoRateMean, TWO, "dim", WHOLES),
        (TwoRateMean, TWO, "n_features", [*WHOLES, 3]),
        (TwoRateMean, TWO, "gamma", NUMBERS),
        (TwoRateMean, TWO, "fast", [*NUMBERS, 2.0, 3.0]),
        (TwoRateMean, TWO, "slow", [*NUMBERS, 1.0, 0.5, 1001.0]),
        (TwoRateMean, TWO, "seed", [-1, 1.5, "0", None, True]),
        (RunningMoments, {"dim": 3}, "dim", WHOLES),
        (RunningMoments, {"dim": 3}, "scale", NUMBERS),
        (ClusterCounts, {"centres": np.eye(3), "limit": 1.0}, "limit", NUMBERS),
        (
            ClusterCounts,
            {"centres": np.eye(3), "limit": 1.0},
            "centres",
            [
                None,
                "a",
                3.0,
                [1.0],
                [[]],
                np.empty((0, 3)),
                [[np.nan]],
                [[np.inf]],
                [[1e60]],
                [["a"]],
                [[1j]],
                [[True]],
                np.eye(3)[None],
            ],
        ),
        (HashSample, {"size": 3}, "size", WHOLES),
        (Reservoir, {"size": 3}, "size", WHOLES),
        (Reservoir, {"size": 3}, "seed", [-1, 1.5, "0", None, True]),
        (DecayedReservoir, {"size": 3, "half_life": 1.0}, "size", WHOLES),
        (DecayedReservoir, {"size": 3, "half_life": 1.0}, "half_life", NUMBERS),
        (DecayedReservoir, {"size": 3, "half_life": 1.0}, "seed", [-1, 1.5, "0", None, True]),
        (ProjectionSketch, {"directions": np.eye(3)}, "size", [*WHOLES, 7, 65536]),
        (
            ProjectionSketch,
            {"directions": np.eye(3)},
            "directions",
            [None, "a", 3.0, [1.0], [[np.nan]], np.empty((0, 3))],
        ),
    ]
    for value in values
]


@pytest.mark.parametrize(
    "kind, usual, name, value", PARAMETERS, ids=[f"{k.__name__}-{n}-{v!r}"[:60] for k, _, n, v in PARAMETERS]
)
def test_impossible_parameters_are_refused_by_name(kind, usual, name, value):
    kind(**usual)
    text = refused(lambda: kind(**usual | {name: value}), name)
    assert any(word in text for word in ("must", "give", "rescale", "remove", "needs")), text


@pytest.mark.parametrize(
    "read, name",
    [
        (lambda: MAKE["RandomFeatureMean"]().mean, "no rows: update it"),
        (lambda: MAKE["RandomFeatureMean"]().mmd2(fed("RandomFeatureMean")), "no rows: update it"),
        (lambda: fed("RandomFeatureMean", 1).mmd2(fed("RandomFeatureMean")), "a single row: it needs two"),
        (lambda: fed("RandomFeatureMean").mmd2(fed("RandomFeatureMean", 1)), "a single row: it needs two"),
        (
            lambda: fed("RandomFeatureMean").mmd2(RandomFeatureMean(3, 8, gamma=0.25)),
            "other has another gamma",
        ),
        (lambda: fed("RandomFeatureMean").mmd2(None), "give a RandomFeatureMean"),
        (lambda: MAKE["TwoRateMean"]().score(), "no rows: update it"),
        (lambda: RunningMoments(3).mean, "no rows: update it"),
        (lambda: fed("RunningMoments", 1).covariance, "1 row(s): a covariance needs two"),
        (lambda: MAKE["ClusterCounts"]().shares, "no rows: update it"),
        (lambda: MAKE["ProjectionSketch"]().quantiles([0.5]), "no rows: update it"),
        (lambda: fed("ProjectionSketch").quantiles(0.5), "q has shape"),
        (lambda: fed("ProjectionSketch").quantiles([]), "q has"),
        (lambda: fed("ProjectionSketch").quantiles(["a"]), "q has dtype"),
        (lambda: fed("ProjectionSketch").quantiles([0.5, 1.01]), "q has numbers beyond 0 and 1"),
        (lambda: fed("ProjectionSketch").quantiles([-0.1]), "q has numbers beyond 0 and 1"),
        (lambda: fed("ProjectionSketch").quantiles([np.nan]), "q has NaN"),
        (lambda: fed("ProjectionSketch").wasserstein(3), "give a ProjectionSketch"),
    ],
)
def test_readings_that_cannot_be_are_refused(read, name):
    refused(read, name)


def test_states_of_other_half_lives_can_be_compared():
    with_half_life, without = fed("RandomFeatureMean, half-life"), fed("RandomFeatureMean")
    assert math.isfinite(with_half_life.mmd2(without)) and math.isfinite(without.mmd2(with_half_life))


def test_the_modules_stay_short():
    folder = Path(streaming.__file__).parent
    for name in ("streaming", "features", "rounding", "sums", "samples", "reservoirs", "sketches", "states"):
        lines = len((folder / f"{name}.py").read_text(encoding="utf-8").splitlines())
        assert lines < (350 if name == "streaming" else 250), name
