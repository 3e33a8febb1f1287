"""An incident to solve from what a team has at 2 a.m.: a page, the logs, frozen probes. The key is apart.

`incident(seed)` hands out nothing that a product could not write down. `investigate` is the procedure of
notebook 07 without a person. `answer_key` runs the same days again without each cause, one after another.

Two to four causes are drawn, at least one of them harmful, and consecutive seeds differ in their kinds. Two
pairs are not drawn, since their causes meet in the same queries, so that no log can share out what they did
together: a noisy client under an index left behind (each query is pushed out of place twice), and traffic
that moves away from a shelf whose documents are gone.
"""

from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import combinations
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from helpers.alignment import align, procrustes
from helpers.diagnosis import diagnose, probes
from helpers.events import Event
from helpers.log import Log
from helpers.outcomes import by_window
from helpers.synthetic import Product
from helpers.windows import whole

PAST, TODAY, WINDOW = 28, 35, 10  # quiet days before day 0; the day of the page; the days that it is about
AUDITED, PROBES_PER_SHELF = -35, 25  # the probes are chosen from the week that begins on this day
EFFECTS = ["success", "click", "no_answer", "escalation"]

KINDS = {
    "launch with documents": Event("new_topic", size=0.04, index_follows=True),
    "launch without documents": Event("new_topic", size=0.04),
    "upgrade, index rebuilt": Event("rotation", size=0.5, index_follows=True),
    "upgrade, index left behind": Event("rotation", size=0.3),
    "documents removed": Event("remove_docs", size=0.6),
    "new page": Event("ui", size=0.08),
    "noisy client": Event("spread", size=0.15),
    "fewer agents": Event("staffing", size=0.6),
    "more of one topic": Event("mix", size=1.0),
}
INNOCENT = {"launch with documents", "upgrade, index rebuilt", "fewer agents", "more of one topic"}
APART = [
    {"launch with documents", "launch without documents"},
    {"upgrade, index rebuilt", "upgrade, index left behind"},
    {"upgrade, index left behind", "noisy client"},
    {"documents removed", "more of one topic"},
]
CAPSTONE = 11  # the seed of the notebook's own incident, whose causes are not drawn
CAUSES = {
    "launch with documents": Event("new_topic", 18, size=0.04, index_follows=True),
    "upgrade, index rebuilt": Event("rotation", 20, size=0.5, index_follows=True),
    "documents removed": Event("remove_docs", 22, size=0.7, topic=5),
    "new page": Event("ui", 24, size=0.08),
}


class Probes(NamedTuple):
    """Frozen queries with known answers, asked each night from day 0 on.

    shelf : (n,) the shelf on which the answer stands.
    vectors : (days, n, d) the same texts as each day's embedder sees them.
    found : (days, n) whether that day's index returned the answer.
    """

    shelf: NDArray[np.intp]
    vectors: NDArray[np.float32]
    found: NDArray[np.bool_]


@dataclass(frozen=True)
class Incident:
    """What is on the table at 2 a.m. on day `TODAY`.

    page : the text of the page.
    log : `PAST` quiet days before day 0, then all days until last night. Without the topic and the rank;
        `escalation` only where the ticket has been booked by now. `success` is the audit's label.
    documents : how many documents the index held, by day.
    """

    seed: int
    queries_per_day: float
    page: str
    log: Log
    probes: Probes
    documents: pd.Series

    @property
    def past(self) -> Log:
        """The quiet days before day 0."""
        return self.log.days(-PAST, -1)


def incident(seed: int = 11, *, queries_per_day: float = 1200) -> Incident:
    """Draw the causes of a seed, run the product through them and hand out what a team would have.

    Fewer queries a day make every number that can be found rougher, and none of them looks it.

    Raises ValueError where the seed is no whole number or negative.

    >>> print(incident(11).page.splitlines()[0])
    PAGE, day 35, 02:00: click-through is off by more than its budget
    """
    product, events = _story(whole(seed, "seed", least=0), queries_per_day)
    log = product.run(PAST + TODAY, events.values(), start=-PAST)
    rows = log.outcomes.drop(columns=["topic", "rank"])
    rows["escalation"] &= rows["escalation_day"] < TODAY
    log = Log(log.embeddings, rows)
    days = [product.index(day, list(events.values())) for day in range(TODAY)]
    documents = pd.Series([len(index.documents) for index in days], name="documents").rename_axis("day")
    asked = _ask_probes(product, list(events.values()), days)
    return Incident(seed, queries_per_day, _page(log), log, asked, documents)


def answer_key(case: Incident) -> pd.DataFrame:
    """What each cause did, by leave-one-out counterfactual: the only door to the truth.

        effect = mean outcome with all causes - mean outcome of the same days without this one

    over the last `WINDOW` days, as fractions of all queries. One row a cause: `where` it shows in the table
    of `investigate`, the `day` it began, and its effects. Tickets count by query, booked or not.

    What it cannot tell you: shares of a loss that two causes made together. It belongs to both.
    """
    return _key(case.seed, case.queries_per_day).copy()


def investigate(case: Incident) -> pd.DataFrame:
    """Solve an incident by the procedure of notebook 07: align, ask the probes, diagnose the last days.

    Returns the effects on `success` and `click` by place: "newcomers", "shelf 5", "client mobile",
    "everywhere", "traffic", "behind the search" and "desk", where nothing touches success or clicks.

    What it cannot tell you: which of two causes in one place it was. The probes say whether the index was
    left behind, the newcomers' success whether they have documents.
    """
    log, shelf = case.log, broken_shelf(case.probes)
    day = new_embedder(case.probes)
    if day is not None:
        log = align(log, procrustes(case.probes.vectors[0], case.probes.vectors[day]), day)
    now = log.days(TODAY - WINDOW, TODAY - 1)
    effects = diagnose(case.past, now).effects[["success", "click"]]
    # An index left behind breaks clusters unevenly; only probes tell of a broken shelf.
    broken = "everywhere" if shelf is None else f"shelf {shelf}"
    place = np.where(effects.index.str.startswith("cluster"), broken, effects.index)
    effects = effects.groupby(place, sort=False).sum()
    effects.loc["desk"] = 0.0
    return effects


def new_embedder(asked: Probes) -> int | None:
    """First day on which the probes' texts have other vectors than the day before, if any."""
    moved = np.abs(np.diff(asked.vectors, axis=0)).max(axis=(1, 2)) > 1e-4
    return int(moved.argmax()) + 1 if moved.any() else None


def broken_shelf(asked: Probes) -> int | None:
    """Shelf with nine in ten of the probes, three or more, that began to fail on one day, if there is one.

    An index left behind begins to fail probes of many shelves on its day, so that it names none.
    """
    for began in asked.found[:-1] & ~asked.found[1:]:
        by_shelf = np.bincount(asked.shelf[began], minlength=1)
        if by_shelf.sum() >= 3 and by_shelf.max() >= 0.9 * by_shelf.sum():
            return int(by_shelf.argmax())
    return None


def at_equal_answers(log: Log, reference: Log, outcome: str) -> pd.Series:
    """By day: an outcome over what the same answers (success, failure, no answer) earned in the reference.

    1 is as ever; a change says that something behind the search changed, such as the page or the desk.
    """
    answer = ["success", "no_answer"]
    earned = reference.outcomes.groupby(answer)[outcome].mean()
    usual = earned.reindex(pd.MultiIndex.from_frame(log.outcomes[answer])).fillna(0.0).to_numpy()
    days = log.outcomes.assign(usual=usual).groupby("day")
    return days[outcome].mean() / days["usual"].mean()


def onset(daily: pd.Series, *, least: int = 3) -> int:
    """Day that splits a series best in two: the largest n m / (n + m) (mean before - mean after)^2.

    n, m : days before and after, each at least `least`.

    What it cannot tell you: whether anything happened. It names a day of a quiet series, too.

    Source: Hinkley, "Inference about the change-point in a sequence of random variables", Biometrika (1970).

    >>> onset(pd.Series([1.0, 1.2, 0.9, 1.1, 3.0, 3.2, 2.9], index=range(10, 17)))
    14
    """
    if whole(least, "least", least=1) * 2 > len(daily):
        raise ValueError(f"daily has {len(daily)} days: give at least {2 * least}")
    values, n = daily.to_numpy(dtype=float), np.arange(1, len(daily))
    gap = values.cumsum()[:-1] / n - (values.sum() - values.cumsum()[:-1]) / (len(daily) - n)
    split = (n * (len(daily) - n) * gap**2)[least - 1 : len(daily) - least]
    return int(daily.index[split.argmax() + least])


@lru_cache
def _menu() -> list[set[str]]:
    """All sets of two to four kinds that may be drawn, in random order."""
    sets = [set(kinds) for n in (2, 3, 4) for kinds in combinations(KINDS, n)]
    sets = [kinds for kinds in sets if kinds - INNOCENT and not any(pair <= kinds for pair in APART)]
    return [sets[place] for place in np.random.default_rng(9).permutation(len(sets))]


@lru_cache(maxsize=4)
def _story(seed: int, queries_per_day: float) -> tuple[Product, dict[str, Event]]:
    """Make the product of a seed and draw what happens to it."""
    product, rng = Product(seed, queries_per_day=queries_per_day), np.random.default_rng([seed, 2])
    if seed == CAPSTONE:
        return product, CAUSES
    kinds, events = _menu()[seed % len(_menu())], {}
    busy = product.run(7, start=AUDITED).outcomes["topic"].value_counts().index[:6]
    for name, day in zip(sorted(kinds), rng.permutation([16, 18, 20, 22, 24])[: len(kinds)], strict=True):
        event = replace(KINDS[name], start=int(day))
        if event.kind != "rotation":
            event = replace(event, size=event.size * float(rng.uniform(0.8, 1.25)))
        if event.kind in ("remove_docs", "mix"):
            event = replace(event, topic=int(rng.choice(busy)))
        if event.kind == "new_topic":
            event = replace(event, topic=int(rng.integers(2)))
        if event.kind == "spread":
            client = ("web", "mobile", "partner")[rng.integers(3)]
            event = replace(event, segment=client, size=event.size * (4 if client == "partner" else 1))
        events[name] = event
    return product, events


def _ask_probes(product: Product, events: list[Event], days: list) -> Probes:
    """Choose queries whose first answer was audited as right, as many for each shelf; ask them every day."""
    week, rng = product.run(7, start=AUDITED), np.random.default_rng([product.seed, 3])
    right = np.flatnonzero(week.outcomes["success"] & (week.outcomes["rank"] == 1))
    shelves = week.outcomes["answer_topic"].to_numpy()[right]
    by_shelf = [rng.permutation(right[shelves == shelf]) for shelf in range(product.n_topics)]
    texts = np.concatenate([rows[:PROBES_PER_SHELF] for rows in by_shelf])
    first = product.index(AUDITED)
    wanted = first.documents[(week.embeddings[texts] @ first.embeddings.T).argmax(axis=1)]
    upgrade = [event for event in events if event.kind == "rotation"]
    new = product.run(7, [replace(event, start=AUDITED) for event in upgrade], start=AUDITED)
    before, after = week.embeddings[texts], new.embeddings[texts]
    vectors = np.array([after if any(e.level(day) for e in upgrade) else before for day in range(TODAY)])
    found = [
        probes(vectors[day], wanted, index.embeddings, index.documents, threshold=product.threshold)
        for day, index in enumerate(days)
    ]
    return Probes(product.document_topic[wanted], vectors, np.array(found))


def _page(log: Log) -> str:
    """Write the page, about the outcome that moved most."""
    daily = by_window(log)[["queries", "click", "no_answer", "escalation"]]
    quiet, now = (
        100 * days.mul(days["queries"], axis=0).sum() / days["queries"].sum()
        for days in (daily.loc[14 - PAST : -1], daily.loc[TODAY - WINDOW :])
    )
    names = {"click": "click-through", "no_answer": "no answer", "escalation": "tickets booked"}
    worst = max(names, key=lambda name: abs(now[name] - quiet[name]))
    lines = [f"PAGE, day {TODAY}, 02:00: {names[worst]} is off by more than its budget"]
    lines += [f"  last {WINDOW} days against the last 14 quiet days, % of queries"]
    lines += [f"  {words:<15} {quiet[name]:5.1f} -> {now[name]:4.1f}" for name, words in names.items()]
    return "\n".join(lines)


@lru_cache(maxsize=32)
def _key(seed: int, queries_per_day: float) -> pd.DataFrame:
    product, events = _story(seed, queries_per_day)

    def means(happened: dict[str, Event]) -> pd.Series:
        log = product.run(WINDOW, happened.values(), start=TODAY - WINDOW)
        return log.outcomes[EFFECTS].mean()

    everything, rows = means(events), []
    for name, event in events.items():
        rest = {other: events[other] for other in events if other != name}
        effect = everything - means(rest)
        rows.append({"where": _place(event), "day": event.start, **effect})
    return pd.DataFrame(rows, index=list(events))


def _place(event: Event) -> str:
    """Name the row of `investigate` in which an event shows."""
    places = {"new_topic": "newcomers", "rotation": "everywhere", "remove_docs": f"shelf {event.topic}"}
    places |= {"ui": "behind the search", "staffing": "desk", "mix": "traffic"}
    return places.get(event.kind, f"client {event.segment}")
