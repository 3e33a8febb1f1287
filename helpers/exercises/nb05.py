"""What judges the exercises of notebook 05."""

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from helpers import metrics
from helpers.exercises.answers import Exercise, UnfitError, as_number, compare_number, result_of
from helpers.log import Log
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

KEPT = 0.8  # of the score
BYTES, ROWS = 50_000, 60
FEATURES = (RandomFeatureMean, TwoRateMean)
SAMPLES = (Reservoir, DecayedReservoir, HashSample)
STATES = (*FEATURES, *SAMPLES, ClusterCounts, ProjectionSketch, RunningMoments)


# --- 05-1 -----------------------------------------------------------------------------------


def _share(half_life: float) -> float:
    """Share of a decayed sample that is at most a week old."""
    return float(1 - 0.5 ** (7 / half_life))


def _half_life(share: float) -> float:
    return float(7 / -np.log2(1 - share))


def _longest(answer: Any) -> str | None:
    given, right, close = as_number(answer), _half_life(KEPT**0.5), 0.25
    slips = [
        (_half_life(KEPT), "With this one, 80 % of the rows are from that week. And of its score?"),
        (right / 7, "The size is right in weeks; the exercise asks for days."),
    ]
    if given <= 0 or any(abs(given - value) <= close for value in (right, *dict(slips))):
        return compare_number(given, right, close, slips)
    kept, towards = 100 * _share(given) ** 2, "longer" if given < right else "shorter"
    return f"With {given:.3g} days, {kept:.0f} % of the score is kept: try a {towards} one."


# --- 05-2 -----------------------------------------------------------------------------------


def _weighted(values: NDArray, age: NDArray, fall: float = 0.5) -> float:
    weight = fall**age
    return float(weight @ values / weight.sum())


def _call(function: Any, values: NDArray, times: NDArray, half_life: float) -> float:
    """Call a learner's function; a number that is not finite stays one, and a list of one number counts."""
    with np.errstate(all="ignore"):
        result = result_of(function, values.copy(), times.copy(), half_life)
        try:
            array = np.asarray(result, dtype=float)
        except (TypeError, ValueError):
            return as_number(result)
    return float(array.item()) if array.size == 1 else as_number(array)


def _slip_of_mean(given: float, values: NDArray, times: NDArray, half_life: float) -> str:
    """Say what a wrong mean of rows in order of time may have done."""
    age = (times.max() - times) / half_life
    slips = {
        "Every row counts alike: nothing is forgotten.": values.mean(),
        "The oldest rows count most. Age counts back from the newest.": _weighted(values, -age),
        "A weight falls to 1/e in a half-life. It should halve.": _weighted(values, age, np.exp(-1)),
        "This is the weighted sum. Divide it by the sum of the weights.": 0.5**age @ values,
        "Weights halve with every row that arrives. They should halve with time.": _weighted(
            values, np.arange(len(values))[::-1] / half_life
        ),
    }
    found = [message for message, value in slips.items() if np.isclose(given, value, rtol=1e-6, atol=0)]
    right = _weighted(values, age)
    return found[0] if found else f"In order of time it says {given:.4g}, and the mean is {right:.4g}."


def _recent_mean(answer: Any) -> str | None:
    rng = np.random.default_rng(5)
    times = np.sort(rng.uniform(0, 30, 400) ** 1.2)
    values = rng.normal(0.7, 0.1, 400) - 0.01 * times
    right = _weighted(values, (times.max() - times) / 3)
    given = _call(answer, values, times, 3.0)
    if not np.isclose(given, right, rtol=1e-5, atol=0):
        return _slip_of_mean(given, values, times, 3.0)
    mixed = rng.permutation(len(times))
    shuffled = _call(answer, values[mixed], times[mixed], 3.0)
    if not np.isclose(shuffled, right, rtol=1e-5, atol=0):
        return f"Right in order of time: {right:.4g}. With the same rows shuffled it says {shuffled:.4g}."
    for unit, scale in {"days": 1, "seconds": 86_400}.items():
        since_1970 = _call(answer, values, (times + 20_000) * scale, 3.0 * scale)
        if not np.isclose(since_1970, right, rtol=1e-4, atol=0):
            says = f"With a clock that counts {unit} since 1970 it says {since_1970:.4g}."
            return f"{says} What stands in the exponent?"
    return _slip_of_long_history(answer)


def _slip_of_long_history(answer: Any) -> str | None:
    """Feed more half-lives than an exponent can hold; neither the first nor the last row is a late one."""
    rng = np.random.default_rng(6)
    times = np.r_[0.0, rng.permutation(np.linspace(2, 1200, 399)), 1.0]
    values = rng.normal(0.7, 0.1, len(times))
    right, given = _weighted(values, times.max() - times), _call(answer, values, times, 1.0)
    if np.isclose(given, right, rtol=1e-5, atol=0):
        return None
    says = f"Of 1,200 half-lives, in no order, it says {given:.4g}, and the mean is {right:.4g}."
    return f"{says} From which time do you count the age?"


# --- 05-3 -----------------------------------------------------------------------------------


@cache
def _stream() -> tuple[Log, NDArray, NDArray, float, float]:
    """The stream of section 3, the time of its queries, the rows before it, gamma, the last week's score."""
    gamma = metrics.median_gamma(Product(seed=0).run(days=28, start=-28).embeddings[::2])
    steady = Product(seed=0, weekend=0, wander=0)
    before = steady.run(days=28, start=-56).embeddings[::4]
    stream = steady.run(days=35, start=-28, events=[Event("rotation", size=0.25)])
    day = stream.outcomes.groupby("day")["day"]
    asked = (stream.outcomes["day"] + day.cumcount() / day.transform("size")).to_numpy()
    return stream, asked, before, gamma, metrics.mmd2(before, stream.embeddings[asked >= 0], gamma=gamma)


def _fed(function: Any, machine: int) -> list[Any]:
    """A learner's states for a machine, after every second row of the stream."""
    made = result_of(function, machine)
    if not isinstance(made, (list, tuple)) or not all(isinstance(state, STATES) for state in made):
        raise UnfitError("Your function does not return a list of states of `helpers.streaming`.")
    stream, asked, *_ = _stream()
    rows, times = stream.embeddings[machine::2], asked[machine::2]
    try:
        for state in made:
            if isinstance(state, HashSample):
                state.update(rows, np.arange(len(stream))[machine::2])
            else:
                state.update(rows, times)
    except ValueError as error:
        raise UnfitError(f"A state refuses the rows: {error}.") from None
    return list(made)


def _budget(answer: Any) -> str | None:
    one, two = _fed(answer, 0), _fed(answer, 1)
    if any(first is second for first in one for second in two):
        return "Both machines write into the same states. Make new ones at each call."
    try:
        merged = [first.merge(second) for first, second in zip(one, two, strict=True)]
    except (ValueError, TypeError) as error:
        return f"The machines' states do not merge: {error}."
    size = sum(state.nbytes for state in merged)
    if size > BYTES:
        parts = ", ".join(f"{type(state).__name__} {state.nbytes:,}" for state in merged)
        return f"They hold {size:,} bytes, {BYTES:,} are allowed: {parts}."
    return _seen_by(merged) or _shown_by(merged)


def _seen_by(states: list[Any]) -> str | None:
    """Say what is wrong with the score of the recent past, if no state has it."""
    *_, before, gamma, whole = _stream()
    faults = ["None of these states is a mean of random features: no score says that the queries moved."]
    for state in states:
        if not isinstance(state, FEATURES):
            continue
        mean = state.features if isinstance(state, TwoRateMean) else state
        if abs(mean.gamma / gamma - 1) > 0.1:
            faults.append(f"gamma={mean.gamma:.3g} is not the reference's, {gamma:.3g}.")
            continue
        usual = RandomFeatureMean(mean.dim, mean.n_features, gamma=mean.gamma, seed=mean.seed)
        usual.update(before)
        share = mean.mmd2(usual) / whole
        if 0.5 <= share <= 1.5:
            return None
        why = "how much of the past is still in it?" if share < 0.5 else "how many features has it?"
        faults.append(f"The mean's score is {share:.2f} of the drifted week's: {why}")
    return faults[-1]


def _shown_by(states: list[Any]) -> str | None:
    """Say what is wrong with the rows that are kept, if no state has enough of the last week's."""
    stream, asked, *_ = _stream()
    recent = {row.tobytes() for row in stream.embeddings[asked >= 0].astype(np.float32)}
    faults = ["No state keeps rows: there is no query to show."]
    for state in states:
        if not isinstance(state, SAMPLES):
            continue
        share = np.mean([row.tobytes() in recent for row in state.rows])
        if len(state.rows) < ROWS:
            faults.append(f"The sample keeps {len(state.rows)} rows, and {ROWS} are asked for.")
        elif share < 0.5:
            faults.append(f"Only {100 * share:.0f} % of the sample's rows are from the drifted week.")
        else:
            return None
    return faults[-1]


EXERCISES = {
    "05-1": Exercise(
        judge=_longest,
        form="one number, in days",
        because="80 % of the score need 89 % of the rows: the score falls with the square of the share.",
        hints=(
            "Two steps: which share of the rows must be from that week, and which half-life gives it?",
            "The score keeps the square of the share. Older rows halve with every half-life.",
            "`(1 - 0.5 ** (7 / half_life)) ** 2` is the part of the score that is kept.",
        ),
    ),
    "05-2": Exercise(
        judge=_recent_mean,
        form="a function of (values, times, half_life) that returns one number",
        because="It reads the times alone, so no delivery can change it, and no clock can make it overflow.",
        hints=(
            "A row's weight may depend on its own time and on the newest one, on nothing else.",
            "Subtract before you raise to a power: an age is small, whatever the clock counts from.",
            "`weight = 0.5 ** ((times.max() - times) / half_life)`, and then the weighted mean.",
        ),
    ),
    "05-3": Exercise(
        judge=_budget,
        form="a function of a machine's number that returns a list of states",
        because="One state says that the queries moved, another shows which ones, on both machines.",
        hints=(
            "One state for the score, one for the rows. Section 9 has a mean of 2 kB: does it forget?",
            "A mean that forgets keeps `n_features` numbers for each quarter of a half-life in `memory`.",
            "For example `n_features=128, half_life=2, memory=10`, and for each machine its own `seed`.",
        ),
    ),
}
