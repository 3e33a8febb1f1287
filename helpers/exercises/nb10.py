"""What judges the exercises of notebook 10."""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from helpers.exercises.answers import Exercise, UnfitError, as_number, result_of
from helpers.streaming import ClusterCounts, HashSample, RandomFeatureMean, RunningMoments

DIM = 1024  # of the vectors in 10-1
HASHES = 2**64


def _summary(dim: int, sample: int) -> Any:
    """An empty summary, as in section 6."""
    from helpers.scaleout import Summary  # needs Arrow, which the other notebooks do without

    centres = np.eye(dim)[: min(dim, 12)]
    parts = RandomFeatureMean(dim, gamma=1.0), RunningMoments(dim), ClusterCounts(centres, limit=1.0)
    return Summary(*parts, HashSample(sample))


# --- 10-1 -----------------------------------------------------------------------------------


@cache
def _size(dim: int) -> dict[str, int]:
    """Bytes of a summary of 300 vectors, of two of its states, and of an empty summary."""
    summary = _summary(dim, 250)
    empty = len(summary.to_bytes())
    summary.update(np.random.default_rng(0).normal(size=(300, dim)) / np.sqrt(dim), np.arange(300))
    sizes = {name: len(getattr(summary, name).to_bytes()) for name in ("features", "moments")}
    return sizes | {"all": len(summary.to_bytes()), "empty": empty}


def _rows(answer: Any) -> str | None:
    given, size, row = as_number(answer), _size(DIM), 4 * DIM
    slips = {
        100 * size["all"] / row: None,
        size["all"]
        / row: "With so many rows the summary weighs as much as the shard. It should be a hundredth.",
        100 * size["all"] / (2 * row): "Are the numbers in the shards not of 4 bytes, as in section 6?",
        100 * size["empty"] / row: "That is so for an empty summary. Has its sample been filled?",
        100 * size["features"] / row: "That is for the random features alone. A summary holds four states.",
        100
        * _size(384)["all"]
        / row: "The summary, too, is another one with 1024 numbers. Run its cell again.",
        100
        * _size(384)["all"]
        / (4 * 384): "That is so for vectors of 384 numbers. With 1024 both sizes change.",
        100 * size["all"] / DIM: "A row is given in bytes, too: 1024 numbers of 4 bytes each.",
    }
    for value, message in slips.items():
        if abs(given / value - 1) <= 0.05:
            return message
    if given <= 0:
        return "A shard has at least one row."
    share = 100 * size["all"] / (given * row)
    return f"Of a shard of {given:,.0f} rows the summary would be {share:,.2f} %."


# --- 10-2 -----------------------------------------------------------------------------------


def _sample(k: int, n: int, seed: int, times: int = 1) -> HashSample:
    """A sample of k rows, after n ids that came several times each."""
    ids = np.random.default_rng(seed).choice(2**40, n, replace=False)
    sample = HashSample(k)
    sample.update(np.zeros((n * times, 1)), np.repeat(ids, times))
    return sample


def _distinct(answer: Any) -> str | None:
    for k, n, times in ((2500, 40_000, 1), (400, 30_000, 2), (400, 5000, 1)):
        sample = _sample(k, n, seed=n, times=times)
        given = as_number(result_of(answer, sample))
        if abs(given / n - 1) <= 4 / np.sqrt(k):
            continue
        if abs(given - k) <= 1:
            return f"It says {given:.0f}: that is what a full sample keeps of any number of ids."
        if abs(given - n * times) <= 0.02 * n:
            return "It counts rows. An id counts once, however often it comes."
        return (
            f"Of {n:,} ids it says {given:,.6g}. Where does the largest of {k} hashes lie between 0 and 2^64?"
        )
    few = as_number(result_of(answer, _sample(400, 150, seed=1)))
    if few != 150:
        return f"In large crowds it is right. Of 150 ids in a sample of 400, it says {few:.4g}: count them."
    return None


# --- 10-3 -----------------------------------------------------------------------------------

EXPECTED = {"day-18-web": 900, "day-18-mobile": 600, "day-18-partner": 300}  # rows


@cache
def _shards() -> dict[str, bytes]:
    """Summaries of the day's three shards, and of four files that went wrong."""
    rng, dim = np.random.default_rng(10), 8
    rows = {name: rng.normal(size=(n, dim)) for name, n in EXPECTED.items()}
    ids = dict(zip(EXPECTED, np.split(rng.choice(2**40, 1800, replace=False), [900, 1500]), strict=True))
    web, mobile, partner = EXPECTED

    def state(*parts: tuple[str, int]) -> bytes:
        summary = _summary(dim, 1000)
        for name, n in parts:
            summary.update(rows[name][:n], ids[name][:n])
        return summary.to_bytes()

    shards = {name: state((name, n)) for name, n in EXPECTED.items()}
    shards["half of web"] = state((web, 450))
    shards["partner and mobile"] = state((partner, 300), (mobile, 600))
    return shards


@cache
def _total() -> bytes:
    from helpers.scaleout import merge_states

    return merge_states([_shards()[name] for name in EXPECTED])


def _days() -> dict[str, tuple[list[tuple[str, bytes]], bool]]:
    """What is delivered on a day, and whether it adds up to the total, by what is said of it."""
    web, mobile, partner = ((name, _shards()[name]) for name in EXPECTED)
    again, half = ("day-18-mobile-retry", mobile[1]), ("day-18-web-retry", _shards()["half of web"])
    mixed = (partner[0], _shards()["partner and mobile"])
    return {
        "All three shards came": ([web, mobile, partner], True),
        "All three shards came, in another order": ([partner, web, mobile], True),
        "The mobile shard is missing": ([web, partner], False),
        "The mobile shard came three times, under its own name": (
            [mobile, web, mobile, partner, mobile],
            True,
        ),
        "The mobile shard came again, under another name": ([web, mobile, partner, again], True),
        "Partner is missing, and mobile came twice": ([web, mobile, mobile], False),
        "Partner is missing, and mobile came again under another name": ([web, mobile, again], False),
        "The file of partner holds the rows of mobile, too": ([web, mobile, mixed], False),
        "Half of web's rows came again, under another name": ([web, mobile, partner, half], False),
        "Nothing came": ([], False),
    }


def _register(answer: Any) -> str | None:
    for what, (delivered, sound) in _days().items():
        given = result_of(answer, list(delivered), list(EXPECTED))
        given = _as_bytes(given)
        if given is None and sound:
            return f"{what}: it returns None. Each row can be counted once, so there is a total."
        if given is not None and not sound:
            return f"{what}: it returns a total. Nobody would notice."
        if given is not None and given != _total():
            return (
                f"{what}: its total has {_n_rows(given)} rows, and the three shards have {_n_rows(_total())}."
            )
    return None


def _as_bytes(given: Any) -> bytes | None:
    to_bytes: Callable[[], Any] | None = getattr(given, "to_bytes", None)
    if to_bytes and not isinstance(given, int):
        given = to_bytes()
    if given is not None and not isinstance(given, (bytes, bytearray)):
        raise UnfitError("It returns neither the bytes of a summary nor None.")
    return None if given is None else bytes(given)


def _n_rows(state: bytes) -> int:
    from helpers.scaleout import Summary

    return Summary.from_bytes(state).features.rows


EXERCISES = {
    "10-1": Exercise(
        judge=_rows,
        form="one number of rows",
        because="The covariance grows with the square of the dimension. Wide vectors want larger shards.",
        hints=(
            "The size of a summary depends on `DIM` alone, the size of a shard on `DIM` and its rows.",
            "Section 6 makes such a summary, fills it, and measures it. What in its two cells knows of 384?",
            "`100 * state / (4 * DIM)` rows weigh a hundred times as much as `state` bytes.",
        ),
    ),
    "10-2": Exercise(
        judge=_distinct,
        form="a function of a `HashSample` that returns one number",
        because="The k smallest hashes say how crowded the line is: no list of ids is needed.",
        hints=(
            "The hashes of n ids are like n darts, thrown evenly on a line from 0 to 2^64.",
            "k darts lie between 0 and the largest kept hash. How many are on the whole line, then?",
            "`(k - 1) * 2**64 / int(sample.hashes[-1])`, if the sample is full. Else no id was left out.",
        ),
    ),
    "10-3": Exercise(
        judge=_register,
        form="a function of (delivered, expected) that returns bytes or None",
        because="Exact sums tell a repeated shard from a new one, names a missing one, ids a mixed one.",
        hints=(
            "Did every name come? Did the same rows come twice? Are there more rows than ids?",
            "Equal rows give equal bytes, in any order: a set of summaries has each once.",
            "Of the merged summary, `features.rows` counts rows, and `n_ids` of its `sample` the ids.",
        ),
    ),
}
