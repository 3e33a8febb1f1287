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
    as_numbers,
    result_of,
)
from helpers.synthetic import Product, unit

WIDTH, MAY_LOSE = 40, 2.0  # numbers of a candidate's vectors; points of success
DRAWS = 1000  # of the bootstrap


@cache
def _product() -> Product:
    return Product(seed=0)


@cache
def _three_shelves() -> dict[str, NDArray[np.float64]]:
    """Misfit of the maps (ridge, rotation) that are fitted on the documents of three shelves."""
    old = _product().index(0).embeddings
    new = unit(np.tanh(8 * old @ ortho_group.rvs(64, random_state=0)))
    three = _product().document_topic[: len(old)] < 3
    every = np.arange(len(old)) % 4 == 0  # as many, of all shelves

    def both(pairs: Any, rows: Any, scale: Any = unit) -> NDArray[np.float64]:
        maps = [fit(old[pairs], new[pairs]) for fit in (linear_map, procrustes)]
        return np.array([misfit(old[rows], scale(new[rows] @ each)) for each in maps])

    ways = {"others": both(three, ~three), "three": both(three, three), "all": both(three, slice(None))}
    return ways | {"unscaled": both(three, ~three, lambda rows: rows), "mixed": both(every, ~every)}


def _other_shelves(answer: Any) -> str | None:
    given, ways = as_numbers(answer, 2), _three_shelves()
    right = ways["others"]
    slips = {
        "These are misfits of the three shelves that the maps have seen. Ask about the others.": "three",
        "These are misfits of all documents, with those that the maps have seen among them.": "all",
        "Nearly: scale the mapped rows to length 1 with `unit`, as section 3 does.": "unscaled",
        "These are pairs of all shelves. Fit on those of three shelves alone.": "mixed",
    }
    if abs(given - right).max() <= 0.003:
        return None
    for message, way in slips.items():
        if abs(given - ways[way]).max() <= 0.003:
            return message
    if abs(given - right).max() <= 0.006:
        return "Nearly: give three decimals."
    if abs(given - right[::-1]).max() <= 0.008:
        return "These are the two numbers, in the other order: ridge comes first."
    if abs(given / 100 - right).max() <= 0.008:
        return "These are hundredths. Misfit is a share: 0 is perfect, 1 no better than the mean."
    which = [name for name, off in zip(("ridge", "rotation"), abs(given - right), strict=True) if off > 0.008]
    return f"Not right yet: {' and '.join(which)}. Which documents is each map fitted on, and judged on?"


class Rehearsal(NamedTuple):
    """Similarities of few queries to their best document under two embedders, and the old one's threshold."""

    old: NDArray[np.float64]
    threshold: float
    new: NDArray[np.float64]

    def at(self, old: Any, new: Any) -> float:
        """The new threshold if its share comes from some of the rows, and its cut from others."""
        return float(np.quantile(self.new[new], np.mean(self.old[old] < self.threshold)))


@cache
def _rehearsals() -> list[Rehearsal]:
    """Two rehearsals: one embedder with lower and wider cosines, one with higher and narrower ones."""
    rng = np.random.default_rng(8)
    z, own = rng.normal(size=(2, 400))
    alike = 0.97 * z + np.sqrt(1 - 0.97**2) * own
    first = Rehearsal(0.88 + 0.04 * z, 0.82, 0.62 + 0.09 * alike)
    return [first, Rehearsal(0.84 + 0.05 * z, 0.78, 0.90 + 0.03 * alike)]


@cache
def _errors() -> list[dict[str, float]]:
    """Standard errors of the new threshold by rehearsal: the right one, and those that slips lead to."""
    errors, rng = [], np.random.default_rng(1)
    for case in _rehearsals():
        n = len(case.old)
        draws = rng.integers(0, n, (DRAWS, 2, n))
        right = float(np.std([case.at(one, one) for one, _ in draws]))
        apart = float(np.std([case.at(one, other) for one, other in draws]))
        kept = float(np.std([case.at(slice(None), one) for one, _ in draws]))
        mean = float(case.new.std() / np.sqrt(n))
        errors.append({"right": right, "apart": apart, "kept": kept, "twice": 2 * right, "mean": mean})
    return errors


def _own_threshold(answer: Any) -> str | None:
    for case, errors in zip(_rehearsals(), _errors(), strict=True):
        given, error = as_numbers(result_of(answer, case.old.copy(), case.threshold, case.new.copy()), 2)
        wanted, refused = np.mean(case.old < case.threshold), np.mean(case.new < given)
        if abs(refused - wanted) > 0.003:  # one query
            return _wrong_threshold(given, case, float(wanted), float(refused))
        if abs(error / errors["right"] - 1) > 0.2:
            return _wrong_error(error, errors)
    return None


def _wrong_error(given: float, errors: dict[str, float]) -> str:
    slips = {
        "apart": "Draw queries, not numbers: the two similarities of a query stay together.",
        "kept": "In each draw the refused share is another one, too: work it out anew.",
        "twice": "This is two standard errors. Give one.",
        "mean": "This is the error of the mean similarity, not of the threshold.",
    }
    for name, message in slips.items():
        if abs(given / errors[name] - 1) <= 0.1:
            return f"The threshold is right. {message}"
    size = "large" if given > errors["right"] else "small"
    return f"The threshold is right. Its error {given:.2g} is too {size}."


def _wrong_threshold(given: float, case: Rehearsal, wanted: float, refused: float) -> str:
    said = f"At {given:.3g} the new embedder refuses {refused:.1%}, and the old one refuses {wanted:.1%}."
    if given == case.threshold:
        return f"{said} This is the old threshold."
    if abs(given - wanted) <= 0.003:
        return (
            f"{given:.3g} is the share that is refused. Which similarity cuts off that share of the new ones?"
        )
    if abs(refused - (1 - wanted)) <= 0.003:
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
    try:
        alone = _embedded(answer, queries[:5])
    except UnfitError as misfit:
        return f"The check also tries five texts alone: fit outside the function. {misfit}"
    if alone.shape != new[:5].shape or not np.allclose(alone, new[:5], rtol=1e-4, atol=1e-6):
        return "The check also tries five texts alone, and they get other vectors: fit outside the function."
    before, refused = _success(queries, documents)
    lost = before - _success(new, shelf, refused)[0]
    if lost <= MAY_LOSE:
        return None
    return f"With {new.shape[1]} numbers it loses {lost:.2f} points of success; {MAY_LOSE:.0f} are allowed."


EXERCISES = {
    "08-1": Exercise(
        judge=_other_shelves,
        form="two misfits, (ridge, rotation), as shares, to three decimals",
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
        form="a function of (old_best, threshold, new_best) that returns two numbers, (threshold, error)",
        because="A threshold is a share in disguise, and with few queries a share is uncertain. "
        "That both embedders saw the same queries makes it surer.",
        hints=(
            "First the threshold, as in section 5: which similarity cuts off, from below, the share that "
            "the old one refuses? Write it for any set of rows.",
            "`rows = rng.integers(0, n, n)` is one draw. Use it for `old_best[rows]` and `new_best[rows]`.",
            "`np.quantile(new_best[rows], np.mean(old_best[rows] < threshold))`, 500 times, and `np.std`.",
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
