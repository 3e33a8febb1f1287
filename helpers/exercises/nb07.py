"""What judges the exercises of notebook 07."""

from functools import cache
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import hypergeom

from helpers.exercises.answers import (
    Exercise,
    UnfitError,
    as_numbers,
    attempted,
    result_of,
)
from helpers.log import Log
from helpers.outcomes import decompose
from helpers.synthetic import Event, Product

BUDGET, LOST, CAUGHT = 120, 5, 0.58  # probes; documents that a job deletes; share of jobs to be caught


@cache
def _product() -> Product:
    return Product(seed=0)


@cache
def _tickets() -> dict[str, tuple[float, float]]:
    """Change of tickets and of clicks, in points: (search, behind it)."""
    events = [Event("remove_docs", size=0.6, topic=3), Event("staffing", size=0.6)]
    sides = [_product().run(28, start=-28).outcomes, _product().run(28, events).outcomes]
    shown = [side["success"] + 2 * side["no_answer"] for side in sides]
    parts = {}
    for outcome in ("escalation", "click"):
        table = decompose(shown[0], sides[0][outcome], shown[1], sides[1][outcome])
        parts[outcome] = (100 * float(table["mix"].sum()), 100 * float(table["rate"].sum()))
    return parts


def _desk(answer: Any) -> str | None:
    given, right = as_numbers(answer, 2), np.array(_tickets()["escalation"])
    if abs(given - right).max() <= 0.06:
        return None
    if abs(given + right).max() <= 0.06:
        return "The sizes are right. More tickets count as positive here."
    if abs(given - right[::-1]).max() <= 0.06:
        return "These are the two numbers, in the other order: what the search did comes first."
    if abs(100 * given - right).max() <= 0.06:
        return "These are fractions. A point is a hundredth: 0.03 to 0.05 is two points."
    if abs(given - _tickets()["click"]).max() <= 0.06:
        return "This is the change of the clicks. The question is about the tickets, `escalation`."
    if abs(given.sum() - right.sum()) <= 0.06:
        return "The sum is right: it is the whole change. Which part is mix, and which is rate?"
    return "Neither part is right, nor the sum. Compare the 28 days with `reference`, by what was shown."


class Weeks(NamedTuple):
    """Embeddings of a reference, of a quiet week, of another one, and of one with newcomers."""

    reference: NDArray[np.float32]
    quiet: NDArray[np.float32]
    calm: NDArray[np.float32]
    launch: NDArray[np.float32]
    is_new: NDArray[np.bool_]


@cache
def _weeks() -> Weeks:
    product = Product(70, queries_per_day=300)
    reference, quiet, calm = (product.run(7, start=start).embeddings for start in (-21, -7, 0))
    launch = product.run(7, [Event("new_topic", size=0.05)])
    is_new = (launch.outcomes["topic"] >= product.n_topics).to_numpy()
    return Weeks(reference, quiet, calm, launch.embeddings, is_new)


def _marked(function: Any, current: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Call a learner's function and mark the rows that it names, by number or by a mask."""
    weeks = _weeks()
    result = result_of(function, weeks.reference.copy(), weeks.quiet.copy(), current.copy())
    return _rows(result, len(current), "current")


def _rows(answer: Any, n: int, what: str) -> NDArray[np.bool_]:
    """Read row numbers, or a mask of n booleans, as a mask."""
    if isinstance(answer, (list, tuple, set, range, pd.Series, pd.Index)):
        answer = np.asarray(list(answer))
    if not isinstance(answer, np.ndarray) or answer.ndim != 1:
        raise UnfitError("These are not row numbers.")
    if answer.dtype == bool:
        if len(answer) != n:
            raise UnfitError(f"This mask has {len(answer)} entries, and `{what}` has {n} rows.")
        return answer
    numbers = as_numbers(answer)
    if (numbers != np.round(numbers)).any() or (len(numbers) and not 0 <= numbers.min() <= numbers.max() < n):
        raise UnfitError(f"Row numbers of `{what}` are whole, from 0 to {n - 1}.")
    marked = np.zeros(n, bool)
    marked[numbers.astype(int)] = True
    return marked


def _newcomers(answer: Any) -> str | None:
    weeks = _weeks()
    launch, calm = _marked(answer, weeks.launch), _marked(answer, weeks.calm)
    found, new = int(launch[weeks.is_new].sum()), int(weeks.is_new.sum())
    if calm.mean() > 0.5:
        return f"It names {calm.mean():.0%} of another quiet week. Where does the limit come from?"
    if found < 0.1 * new and launch.any():
        return f"Of {new} newcomers it names {found}, and others in their place. Is a newcomer far or near?"
    if calm.mean() > 0.03:
        said = f"It finds {found} of {new} newcomers, but in another quiet week, without any, it names"
        said = f"{said} {calm.sum()} of {len(calm)} queries, more than 3 in 100."
        if calm.mean() > 0.04:
            return f"{said} Take the limit from `quiet`."
        return f"{said} A limit that just fits one quiet week is too low for the next: leave room."
    if found < 0.8 * new:
        return f"It names few in a quiet week, as it should, but finds only {found} of {new} newcomers."
    if found < 0.5 * launch.sum():
        return f"It names {launch.sum()} rows of the week with newcomers, and {found} of them are new."
    return None


@cache
def _checked() -> tuple[Log, NDArray[np.bool_], NDArray[np.intp]]:
    """The audited week, which of its queries may be probes, and each one's first answer."""
    week, index = _product().run(7, start=-7), _product().index(-1)
    first = index.documents[(week.embeddings @ index.embeddings.T).argmax(axis=1)]
    confirmed = (week.outcomes["success"] & (week.outcomes["rank"] == 1)).to_numpy()
    return week, confirmed, first


def _probes(answer: Any) -> str | None:
    week, confirmed, first = _checked()
    answer = attempted(answer)
    chosen = np.flatnonzero(_rows(answer, len(week), "checked"))
    if len(chosen) > BUDGET:
        return f"These are {len(chosen)} probes, and you can afford {BUDGET}."
    if not confirmed[chosen].all():
        wrong = chosen[~confirmed[chosen]]
        return f"{len(wrong)} of the rows have no confirmed first answer, such as row {wrong[0]}."
    documents = np.unique(first[chosen])
    on_shelf = np.bincount(_product().document_topic[documents], minlength=_product().n_topics)
    caught = 1 - hypergeom.pmf(0, _product().docs_per_topic, on_shelf, LOST).mean()
    if caught >= CAUGHT:
        return None
    said = (
        f"{100 * caught:.2f} % of the jobs are caught. {len(chosen)} probes know {len(documents)} documents"
    )
    return f"{said}, from {on_shelf.min()} on the shelf with the fewest to {on_shelf.max()}."


EXERCISES = {
    "07-1": Exercise(
        judge=_desk,
        form="two numbers, (search, desk), in points of tickets",
        because="Both are at fault. To bring the documents back would mend the smaller part.",
        hints=(
            "`by_answer` of section 4 says in one place that it is about clicks. Tickets are `escalation`.",
            "Mix is what the search did: other answers were shown. Rate is what became of the same answers.",
            'Give `by_answer` a second argument, `outcome`, in place of "click", and sum both columns.',
        ),
    ),
    "07-2": Exercise(
        judge=_newcomers,
        form="a function of (reference, quiet, current) that returns row numbers of `current`",
        because="A ranking always has a top. A quiet week says how far down it means something.",
        hints=(
            "`nearest_distance(rows, reference)` is the novelty of each row.",
            "Which novelty do the queries of `quiet` have? Nearly none of them should be named.",
            "The largest of `quiet` is one odd query, and too high a limit. Take a quantile, such as .99.",
        ),
    ),
    "07-3": Exercise(
        judge=_probes,
        form=f"row numbers of `checked`, at most {BUDGET} of them",
        because="Two probes with one answer are one probe. Spread them over shelves, then over documents.",
        hints=(
            "A job is caught if a probe asks for a document that it deletes. Can two ask for the same one?",
            "People ask for popular documents again and again. Keep one query for each document.",
            "One table with row, document and shelf: `drop_duplicates` by document, "
            "then the first ten of each shelf with `groupby(...).head(10)`.",
        ),
    ),
}
