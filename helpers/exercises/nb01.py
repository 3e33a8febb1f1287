"""What judges the exercises of notebook 01."""

from functools import cache, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA

from helpers.exercises.answers import Exercise, as_events, as_number, as_numbers, result_of
from helpers.log import Log
from helpers.metrics import centroid_distance
from helpers.synthetic import Event, Product

WEEKS = (34, 35, 36)
SPAN = (7 * WEEKS[0], 7 * WEEKS[-1] + 7)  # from the first day until the day after the last


@cache
def _product() -> Product:
    return Product(seed=0)


@cache
def _reference() -> NDArray[np.float64]:
    return _product().run(days=28, start=-28).embeddings.astype(float)


@cache
def _plane() -> PCA:
    return PCA(n_components=2).fit(_reference())


# --- 01-1: noise in the plane and in all dimensions ------------------------------------------


@cache
def _noisy_week() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    event = Event("spread", start=28, size=0.5)
    quiet, noisy = (_product().run(7, events, start=28).embeddings for events in ([], [event]))
    return quiet.astype(float), noisy.astype(float)


def _growth(power: float = 1.0) -> NDArray[np.float64]:
    """Growth, in %, of the standard deviation to a power: on PC1, and in all dimensions."""
    quiet, noisy = _noisy_week()
    on_pc1 = _plane().transform(noisy)[:, 0].std() / _plane().transform(quiet)[:, 0].std()
    in_all = np.sqrt(noisy.var(axis=0).sum() / quiet.var(axis=0).sum())
    return 100 * (np.array([on_pc1, in_all]) ** power - 1)


def _noisier(answer: Any) -> str | None:
    given, right, squared = as_numbers(answer, 2), _growth(), _growth(power=2)
    fits = abs(given - right) <= 0.5
    if fits.all():
        return None
    slips = [
        (right[::-1], 0.5, "These are the two numbers, in the other order: PC1 comes first."),
        (-right, 0.5, "The sizes are right. Growth counts as positive, and shrinking as negative."),
        (squared, 0.5, "These are changes of the variance. Its root is the standard deviation."),
        (np.array([right[0], squared[1]]), 0.5, "This is the growth of the total variance. Take its root."),
        (right / 100, 0.005, "These are fractions. Asked for are percent: 0.10 is 10 %."),
        (1 + right / 100, 0.005, "These are ratios. A ratio of 1.10 is a growth of 10 %."),
        (100 + right, 0.5, "These are ratios. A ratio of 110 % is a growth of 10 %."),
    ]
    for numbers, within, message in slips:
        if (abs(given - numbers) <= within).all():
            return message
    signless = abs(abs(given) - abs(right)) <= 0.5
    if signless.all():
        place = "in all dimensions" if fits[0] else "on PC1"
        return f"Right size, wrong sign {place}. Growth counts as positive, and shrinking as negative."
    if fits[1]:
        return f"The number for all dimensions is right. {given[0]:.3g} on PC1 is not: is your plane frozen?"
    if fits[0]:
        return f"The number on PC1 is right. {given[1]:.3g} is not: add up the variances of all 64 columns."
    return "Neither number fits. Compare the noisy week with `weeks[4]`: same days, same people, no event."


# --- 01-2: how much of a shift the plane hides ------------------------------------------------


@cache
def _moves() -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Pairs of windows, made for this check, whose centre moves off the plane, across it, and along it."""
    rng = np.random.default_rng(1)
    scale = np.array([3.0, 2.0, 1.0, 0.8, 0.6, 0.4])
    pairs = []
    for shift in ([0, 0, 0, 0, 0, 2], [1, 1, 1, 1, 1, 1], [2, 0, 0, 0.5, 0, 0]):
        centre = rng.normal(size=6)
        x, y = (centre + scale * rng.normal(size=(n, 6)) for n in (300, 200))
        pairs.append((x, y + shift))
    return pairs


def _hidden_share(answer: Any) -> str | None:
    for x, y in _moves():
        plane = PCA(n_components=2).fit(x)
        shown = centroid_distance(plane.transform(x), plane.transform(y)) / centroid_distance(x, y)
        fault = _hidden_fault(
            as_number(result_of(answer, plane, x, y)), shown, plane.explained_variance_ratio_.sum()
        )
        if fault:
            return fault
    return None


def _hidden_fault(given: float, shown: float, variance: float) -> str | None:
    right = 1 - shown**2
    if abs(given - right) <= 1e-3:
        return None
    slips = [
        (100 * right, "This is in percent. A share is a number from 0 to 1."),
        (shown**2, "This is the share that the plane shows. Asked for is the share that it hides."),
        (1 - shown, "Lengths do not add up. By Pythagoras, their squares do."),
        (shown, "This divides the two lengths. Which is hidden, and what adds up: lengths, or squares?"),
        (np.sqrt(right), "This is the hidden length over the whole. The share is of the squared shift."),
        (
            1 - variance,
            "This is the share of the variance off the plane. What about the shift of the centre?",
        ),
    ]
    for value, message in slips:
        if abs(given - value) <= 1e-3:
            return message
    return f"On windows of the check's own it gives {given:.3g}, and {right:.3g} of the shift is hidden."


# --- 01-3: an event that both lines overlook --------------------------------------------------


def _two_shifts(week: NDArray) -> tuple[float, float]:
    week, plane = week.astype(float), _plane()
    in_plane = centroid_distance(plane.transform(_reference()), plane.transform(week))
    return in_plane, centroid_distance(_reference(), week)


@cache
def _top_edges() -> NDArray[np.float64]:
    """Largest shift of the centre in 26 quiet weeks: in the plane, and in all dimensions."""
    quiet = _product().run(days=182)
    return np.max([_two_shifts(quiet.week(number).embeddings) for number in range(26)], axis=0)


@lru_cache(maxsize=8)  # each keeps a log
def _three_weeks(*events: Event) -> Log:
    return _product().run(days=21, start=7 * WEEKS[0], events=events)


def _seen(log: Log) -> str | None:
    for number in WEEKS:
        shifts = _two_shifts(log.week(number).embeddings)
        for name, shift, edge in zip(("the plane", "all dimensions"), shifts, _top_edges(), strict=True):
            if shift > edge:
                return (
                    f"Week {number} is seen in {name}: its shift is {shift:.3f}, the band ends at {edge:.3f}."
                )
    return None


def _overlooked(answer: Any) -> str | None:
    events = as_events(answer)
    for event in events:
        if event.kind == "spread":
            return "Section 10 shows already what `spread` can do. Find an event of another kind."
        if (event.start, event.end) != SPAN:
            return f"Each event needs start=238, end=259. This one has start={event.start}, end={event.end}."
    try:
        log, quiet = _three_weeks(*events), _three_weeks()
    except ValueError as error:
        return f"The product refuses: {error}."
    if log.embeddings.shape == quiet.embeddings.shape and (log.embeddings == quiet.embeddings).all():
        return "The queries of weeks 34 to 36 are those of a quiet history, bit for bit. They must change."
    seen = _seen(log)
    if seen:
        return seen
    kept = _three_weeks(*(event for event in events if event.kind != "remove_docs"))
    lost = 100 * (quiet.outcomes["success"].mean() - kept.outcomes["success"].mean())
    if lost < 5:
        if any(event.kind == "remove_docs" for event in events):
            return (
                f"Lost documents do not count: with all of them kept, it costs {lost:.1f} points, not five."
            )
        return f"Both lines stay below their edge, but it costs {lost:.1f} points, and five are asked for."
    return None


EXERCISES: dict[str, Exercise] = {
    "01-1": Exercise(
        judge=_noisier,
        form="two numbers, (on PC1, in all dimensions), in percent, growth as positive",
        because="Vectors keep length one, so noise in 64 directions takes length from the two that you "
        "see. The cloud in the plane shrinks a little, and most of this week's queries fail.",
        hints=(
            "Both windows go through the same frozen `plane`. Nothing is fitted on the noisy week.",
            "`plane.transform(week)[:, 0].std()` is the first; `np.sqrt(week.var(axis=0).sum())` the second.",
            "For each of them, `100 * (noisy / quiet - 1)`, with `weeks[4]` as the quiet week.",
        ),
    ),
    "01-2": Exercise(
        judge=_hidden_share,
        form="a function of (plane, reference, week) that returns one number from 0 to 1",
        because="The shift splits at a right angle into a part in the plane and a part off it. Print the "
        "share of the second under each picture. Even of `moved` a good part is hidden: it moved along the "
        "first axis of the text space, which is not quite PC1, and embeddings are normalised to length one.",
        hints=(
            "Section 4 has both lengths: the shift in all dimensions, and the shift in the plane.",
            "The part off the plane stands at a right angle to the plane. How do the three lengths relate?",
            "`1 - (in_plane / in_all) ** 2`, with `centroid_distance` for both.",
        ),
    ),
    "01-3": Exercise(
        judge=_overlooked,
        form="a list of `Event`s",
        because="Both lines follow the centre, and it stays where quiet weeks have it. A mean hardly moves "
        "when a few queries change a lot, or when changes cancel out.",
        hints=(
            "Both lines follow a mean. Which kinds of `Event` do not push all queries one way?",
            "A few queries that change a lot move a mean by little: `help(Event)`.",
            "Try `null_vectors` or `new_topic`. If it is too large, the mean follows; too small, "
            "and it costs little.",
        ),
    ),
}
