"""What judges the exercises of notebook 00."""

from functools import cache, lru_cache
from typing import Any

from helpers.exercises.answers import Exercise, as_events, as_numbers, compare_choice
from helpers.log import Log
from helpers.synthetic import Event, Product


@cache
def _product() -> Product:
    return Product(seed=0)


@lru_cache(maxsize=8)  # each keeps a log
def _week_4(*events: Event) -> Log:
    return _product().run(days=7, start=28, events=events)


def _points_lost(log: Log, segment: str | None = None) -> float:
    quiet = _week_4()
    rows = quiet.outcomes["segment"] == segment if segment else slice(None)
    lost = quiet.outcomes["success"].astype(float) - log.outcomes["success"]
    return 100 * float(lost.loc[rows].mean())


def _partner(answer: Any) -> str | None:
    noisy = _week_4(Event("spread", start=28, size=0.35, segment="partner"))
    partner, everybody = _points_lost(noisy, "partner"), _points_lost(noisy)
    given = as_numbers(answer, 2)
    if abs(given - [partner, everybody]).max() <= 0.1:
        return None
    if abs(given + [partner, everybody]).max() <= 0.1:
        return "The sizes are right. What is lost counts as positive here."
    if abs(given - [everybody, partner]).max() <= 0.1:
        return "These are the two numbers, in the other order: the partner's comes first."
    if abs(abs(100 * given) - [partner, everybody]).max() <= 0.1:
        return "These are fractions. A point is a hundredth: 0.95 to 0.93 is two points."
    if abs(given - [partner, everybody]).max() <= 0.6:
        return "Close, but rounded too far: give a tenth of a point."
    if abs(given[0] - partner) <= 0.1:
        return (
            f"The partner's loss is right. {given[1]:.3g} for everybody is not: take the mean over all rows."
        )
    if abs(given[1] - everybody) <= 0.1:
        return f"The loss of everybody is right. {given[0]:.3g} for the partner is not: take its rows alone."
    return "Neither number fits. Compare the week with its quiet twin: same seed, same days, no event."


def _success_line(answer: Any) -> str | None:
    return compare_choice(
        answer,
        "b",
        {
            "a": "Search `_day` for a drift score: there is none to be found. What is compared with what?",
            "c": "That is how a click comes about, and it reads success. Where is success itself made?",
            "d": "An event edits the queries, the embedder or the index. The outcome follows from those.",
        },
    )


def _silent_break(answer: Any) -> str | None:
    events = as_events(answer)
    if any(event.kind == "remove_docs" and event.topic == 3 for event in events):
        return "Topic 3 is the one that section 2 has broken. Find another break."
    try:
        log = _week_4(*events)
    except ValueError as error:
        return f"The product refuses: {error}."
    if log.embeddings.shape != _week_4().embeddings.shape or (log.embeddings != _week_4().embeddings).any():
        return "This break shows: some queries differ from the quiet week's. Which events leave them alone?"
    lost = _points_lost(log)
    if lost < 3:
        return f"Nothing shows, but it costs {lost:.1f} points in week 4, and three are asked for."
    return None


EXERCISES = {
    "00-1": Exercise(
        judge=_partner,
        form="two numbers, (partner, everybody), in points of success lost",
        because="A small client can lose a lot while the average hardly moves. Look at segments first.",
        hints=(
            "Run the week twice, with the event and without, and subtract: that is section 3.",
            '`outcomes["segment"] == "partner"` marks its rows. They are the same rows in both runs.',
            '`100 * (quiet.outcomes["success"].astype(float) - noisy.outcomes["success"])[rows].mean()`, '
            "with these rows, then with all.",
        ),
    ),
    "00-2": Exercise(
        judge=_success_line,
        form="one letter, a to d, as text",
        because="Success is a fact about retrieval. Whatever drift says about harm, nobody put it there.",
        hints=(
            '`_day` ends with the columns of the log. Go up from "success" to what it is made of.',
            "`rank` is the place of the document that was asked for. What is it compared with?",
        ),
    ),
    "00-3": Exercise(
        judge=_silent_break,
        form="a list of `Event`s",
        because="No picture and no score of the queries shows this break. Outcomes do; so does the index.",
        hints=(
            "Which kinds of `Event` edit anything but the queries? `helpers.events.KINDS` lists all.",
            "Documents can go while everybody asks the same. One topic may not be enough for three points.",
        ),
    ),
}
