"""What judges the exercises of notebook 08."""

from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import ortho_group

from helpers.alignment import linear_map, misfit, procrustes
from helpers.exercises.answers import (
    Exercise,
    UnfitError,
    as_number,
    as_numbers,
    result_of,
)
from helpers.synthetic import Product, unit

WIDTH, MAY_LOSE = 40, 2.0  # numbers of a candidate's vectors; points of success


@cache
def _product() -> Product:
    return Product(seed=0)


@cache
def _three_shelves() -> dict[str, NDArray[np.float64]]:
    """Misfit of the maps (ridge, rotation) that are fitted on the documents of three shelves."""
    old = _product().index(0).embeddings
    new = unit(np.tanh(8 * old @ ortho_group.rvs(64, random_state=0)))
    three = _product().document_topic[: len(old)] < 3
    maps = [fit(old[three], new[three]) for fit in (linear_map, procrustes)]

    def both(rows: Any, scale: Any = unit) -> NDArray[np.float64]:
        return np.array([misfit(old[rows], scale(new[rows] @ each)) for each in maps])

    ways = {"others": both(~three), "three": both(three), "all": both(slice(None))}
    return ways | {"unscaled": both(~three, lambda rows: rows)}


def _other_shelves(answer: Any) -> str | None:
    given, ways = as_numbers(answer, 2), _three_shelves()
    right = ways["others"]
    slips = {
        "These are misfits of the three shelves that the maps have seen. Ask about the others.": "three",
        "These are misfits of all documents, with those that the maps have seen among them.": "all",
        "Nearly: scale the mapped rows to length 1 with `unit`, as section 3 does.": "unscaled",
    }
    if abs(given - right).max() <= 0.008:
        return None
    for message, way in slips.items():
        if abs(given - ways[way]).max() <= 0.008:
            return message
    if abs(given - right[::-1]).max() <= 0.008:
        return "These are the two numbers, in the other order: ridge comes first."
    if abs(given / 100 - right).max() <= 0.008:
        return "These are hundredths. Misfit is a share: 0 is perfect, 1 no better than the mean."
    which = [name for name, off in zip(("ridge", "rotation"), abs(given - right), strict=True) if off > 0.008]
    return f"Not right yet: {' and '.join(which)}. Which documents is each map fitted on, and judged on?"


class Rehearsal(NamedTuple):
    """Similarities to the best document under two embedders, and the old one's threshold."""

    old: NDArray[np.float64]
    threshold: float
    new: NDArray[np.float64]


@cache
def _rehearsals() -> list[Rehearsal]:
    """Two rehearsals: one embedder with lower and wider cosines, one with higher and narrower ones."""
    rng = np.random.default_rng(8)
    first = Rehearsal(rng.beta(40, 6, 5000), 0.78, rng.beta(14, 8, 4000))
    return [first, Rehearsal(rng.beta(30, 8, 3000), 0.72, rng.beta(200, 12, 6000))]


def _own_threshold(answer: Any) -> str | None:
    for case in _rehearsals():
        given = as_number(result_of(answer, case.old.copy(), case.threshold, case.new.copy()))
        wanted, refused = np.mean(case.old < case.threshold), np.mean(case.new < given)
        if abs(refused - wanted) > 0.002:
            return _wrong_threshold(given, case, float(wanted), float(refused))
    return None


def _wrong_threshold(given: float, case: Rehearsal, wanted: float, refused: float) -> str:
    said = f"At {given:.3g} the new embedder refuses {refused:.1%}, and the old one refuses {wanted:.1%}."
    if given == case.threshold:
        return f"{said} This is the old threshold."
    if abs(given - wanted) <= 0.002:
        return (
            f"{given:.3g} is the share that is refused. Which similarity cuts off that share of the new ones?"
        )
    if abs(refused - (1 - wanted)) <= 0.002:
        return f"{said} It refuses the good ones: count from the other end."
    shift, ratio = case.new.mean() - case.old.mean(), case.new.mean() / case.old.mean()
    if min(abs(given - case.threshold - shift), abs(given - case.threshold * ratio)) <= 0.002:
        return f"{said} Moving the mean along does not do: the new cosines spread otherwise."
    return f"{said} Take that share from `old_best` and `threshold`."


@cache
def _asked() -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.intp]]:
    """Embeddings of two weeks of queries and of the documents, and the document that each query is about."""
    log, documents = _product().run(14), _product().index(0).embeddings
    queries, rank = log.embeddings.astype(float), log.outcomes["rank"].to_numpy()
    order = np.argsort(-queries @ documents.T, axis=1)
    return queries, documents, order[np.arange(len(queries)), rank - 1]


def _success(queries: NDArray, documents: NDArray, refused: float | None = None) -> tuple[float, float]:
    """Success in points with the threshold that refuses a share, the old one's by default; and the share."""
    similarity = unit(queries) @ unit(documents).T
    own = similarity[np.arange(len(queries)), _asked()[2]]
    found, best = (similarity > own[:, None]).sum(axis=1) < 3, similarity.max(axis=1)
    threshold = _product().threshold if refused is None else np.quantile(best, refused)
    return 100 * float(np.mean(found & (best >= threshold))), float(np.mean(best < threshold))


def _embedded(function: Any, rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Call a learner's embedder, and read one vector a row."""
    try:
        vectors = np.asarray(result_of(function, rows.copy()), dtype=float)
    except (TypeError, ValueError):
        raise UnfitError("What your function returns are not numbers.") from None
    if vectors.ndim != 2 or len(vectors) != len(rows):
        raise UnfitError(f"For {len(rows)} texts your function returns the shape {vectors.shape}.")
    if not np.isfinite(vectors).all() or not vectors.any(axis=1).all():
        raise UnfitError("Some of the vectors are zero, or not finite.")
    return vectors


def _candidate(answer: Any) -> str | None:
    queries, documents, _ = _asked()
    new, shelf = _embedded(answer, queries), _embedded(answer, documents)
    if new.shape[1] > WIDTH:
        return f"These are {new.shape[1]} numbers a vector, and {WIDTH} are allowed."
    if not np.allclose(_embedded(answer, queries[:5]), new[:5], rtol=1e-4, atol=1e-6):
        return "A text gets another vector when other texts stand beside it. Fit once, outside the function."
    before, refused = _success(queries, documents)
    lost = before - _success(new, shelf, refused)[0]
    if lost <= MAY_LOSE:
        return None
    return (
        f"With {new.shape[1]} numbers it loses {lost:.1f} points of success, and {MAY_LOSE:.0f} are allowed."
    )


EXERCISES = {
    "08-1": Exercise(
        judge=_other_shelves,
        form="two misfits, (ridge, rotation), as shares",
        because="Pairs from all shelves would leave far less. "
        "And with pairs of few topics it is the rotation that travels better.",
        hints=(
            "The cell of section 3 with `known` and `unseen` does it, with two other sets of rows.",
            "`three = product.document_topic[:720] < 3` marks the pairs; `~three` are the others.",
            "`misfit(documents[~three], unit(squashed[~three] @ fitted))`, with `fitted` from `[three]`.",
        ),
    ),
    "08-2": Exercise(
        judge=_own_threshold,
        form="a function of (old_best, threshold, new_best) that returns one number",
        because="A threshold is a share in disguise. The share survives an upgrade, the cosine does not.",
        hints=(
            "What is it about the old threshold that you want to keep? It is not the number.",
            "`np.mean(old_best < threshold)` is the share that is refused.",
            "`np.quantile(new_best, share)` cuts off a share from below.",
        ),
    ),
    "08-3": Exercise(
        judge=_candidate,
        form="a function that takes n vectors of 64 numbers and returns n of at most 40",
        because="Which numbers you keep matters less than how you weigh them.",
        hints=(
            "*shortened* keeps 40 of 64 numbers and loses three points. *whitened* gains. Can you join them?",
            "Keep the 40 leading components of a PCA of the documents. That alone does not do: weigh them.",
            "Divide each component by a power of its variance, as `whitened` does, so that the large ones "
            "do not drown the small.",
        ),
    ),
}
