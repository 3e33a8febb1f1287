"""What judges the exercises of notebook 09."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import spearmanr
from sklearn.metrics.pairwise import rbf_kernel

from helpers.docsearch import STORIES, DocSearch, retrieve
from helpers.exercises.answers import (
    Exercise,
    UnfitError,
    as_names,
    as_number,
    as_numbers,
    attempted,
    compare_number,
    result_of,
)
from helpers.log import Log
from helpers.metrics import classifier_auc, median_gamma


@cache
def _search() -> DocSearch:
    return DocSearch.load()


@cache
def _log(story: str) -> Log:
    return _search().run(story)


def _reference() -> Log:
    return _log("quiet").days(0, 55)


# 09-1: ten documents shown


def _success(log: Log, first: int = 1, last: int = 10, *, answered: bool = True) -> float:
    found = log.outcomes["rank"].between(first, last)
    return 100 * float((found & ~log.outcomes["no_answer"] if answered else found).mean())


def _ten(answer: Any) -> str | None:
    before, after = _reference(), _log("lost").days(56, 83)
    right = _success(before) - _success(after)
    slips = [
        (_success(before, last=5) - _success(after, last=5), "That is the loss with five documents."),
        (
            _success(before, last=5) - _success(after),
            "Ten documents after, five before: show ten in the reference weeks, too.",
        ),
        (
            _success(before, answered=False) - _success(after, answered=False),
            "That is recall@10. A query that was refused is no success.",
        ),
        (
            _success(before, first=0) - _success(after, first=0),
            "A rank of 0 means that the page is not in the index. It is not among the ten.",
        ),
        (_success(after), "That is the success that is left. How much is lost?"),
        (
            _success(before) - _success(_log("lost")),
            "That is weeks 0 to 11. The story begins in week 8: take days 56 to 83.",
        ),
    ]
    return compare_number(answer, right, 0.07, slips)


# 09-2: the probes, without scipy


@cache
def _change() -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """Return which probes were found before and after, and which ask about other libraries."""
    search, reference = _search(), _reference()
    targets = search.target[reference.outcomes["query"]]
    found = []
    for index in (search.index(), search.index() & (search.library != "scipy")):
        answers = retrieve(reference.embeddings, search.documents, targets, index)
        found.append(answers["rank"].between(1, 5).to_numpy(float))
    return found[0], found[1], search.library[targets] != "scipy"


def _probes(answer: Any) -> str | None:
    before, after, other = _change()
    change = 100 * (after - before)
    given, right = as_numbers(answer, 2), np.array([change.mean(), change[other].mean()])
    if abs(given - right).max() <= 0.1:
        return None
    pooled = 100 * (after[other].mean() - before.mean())
    slips: list[tuple[Any, str]] = [
        (-right, "The sizes are right. A fall counts as negative, a gain as positive."),
        (right[::-1], "These are the two numbers, in the other order: all probes come first."),
        (
            100 * np.array([after.mean(), after[other].mean()]),
            "These are the rates after. The change is asked for.",
        ),
        ([right[0], pooled], "The others are compared with all probes before. Compare them with themselves."),
        ([right[0], change[~other].mean()], "The second number is that of the probes about scipy itself."),
    ]
    for slip, message in slips:
        if abs(given - slip).max() <= 0.1:
            return message
    if abs(100 * given - right).max() <= 0.1:
        return "These are fractions. A point is a hundredth."
    for place, whose in enumerate(("all probes", "the others")):
        if abs(given - right)[place] <= 0.1:
            return f"The change for {whose} is right, and the other one is not."
    return "Neither change fits. Section 6 does it for each story: what replaces `search.index(story)`?"


# 09-3: an AUC that copies do not fool


def _windows(seed: int, shared: int, shift: float) -> tuple[NDArray, NDArray]:
    """Draw 200 queries a window out of 110 texts, `shared` of which both windows have."""
    rng, n_texts = np.random.default_rng(seed), 110
    texts = rng.normal(size=(2 * n_texts - shared, 64))
    texts[n_texts:, 0] += shift
    texts /= np.linalg.norm(texts, axis=1, keepdims=True)
    x = rng.integers(0, n_texts, 200)
    y = rng.integers(n_texts - shared, len(texts), 200)
    return texts[x], texts[y]


def _mean_auc(function: Any, shared: int, shift: float) -> float:
    pairs = [_windows(seed, shared, shift) for seed in (0, 1)]
    return float(np.mean([as_number(result_of(function, x.copy(), y.copy())) for x, y in pairs]))


def _by_text(x: NDArray, y: NDArray) -> float:
    text = np.unique(np.concatenate([x, y]), axis=0, return_inverse=True)[1].ravel()
    return classifier_auc(x, y, groups=(text[: len(x)], text[len(x) :]))


@cache
def _auc_with_drift() -> float:
    return _mean_auc(_by_text, 20, 4.0)


def _copies(answer: Any) -> str | None:
    nothing = _mean_auc(answer, 60, 0.0)
    if nothing > 0.57:
        return f"Nothing changed, and it says {nothing:.2f}. Can a text stand in training and test folds?"
    if nothing < 0.42:
        return (
            f"Nothing changed, and it says {nothing:.2f}, far below .5: a text that comes in both windows "
            "gives itself away, with the wrong side. Is it one text for your function?"
        )
    drift = _mean_auc(answer, 20, 4.0)
    if drift < _auc_with_drift() - 0.08:
        return f"Copies do not fool it, but nor does it see real drift: it says {drift:.2f}."
    return None


# 09-4: two lists of incidents


@cache
def _weeks() -> pd.DataFrame:
    """Return MMD, but for a constant, and success lost, likewise, of each story and week."""
    reference = _log("quiet").days(0, 48).embeddings.astype(float)
    gamma, rows = median_gamma(_reference().embeddings), {}
    for story in STORIES:
        for number in range(8, 12):
            week = _log(story).week(number)
            y = week.embeddings.astype(float)
            within = (rbf_kernel(y, gamma=gamma).sum() - len(y)) / (len(y) * (len(y) - 1))
            mmd2 = within - 2 * rbf_kernel(y, reference, gamma=gamma).mean()
            rows[story, number] = {"MMD": mmd2, "lost": -week.outcomes["success"].mean()}
    return pd.DataFrame(rows).T


def _follows(stories: set[str]) -> float:
    part = _weeks().loc[sorted(stories)]
    return float(spearmanr(part["MMD"], part["lost"]).statistic)


def _lists(answer: Any) -> str | None:
    answer = attempted(answer)
    answer = list(answer.values()) if isinstance(answer, Mapping) else answer
    if not isinstance(answer, (list, tuple)) or len(answer) != 2:
        raise UnfitError("These are not two lists.")
    good, bad = (as_names(stories) for stories in answer)
    for which, stories in (("first", good), ("second", bad)):
        unknown = sorted(stories - set(STORIES))
        if unknown:
            return f"'{unknown[0][:40]}' is no story. There are: {', '.join(STORIES)}."
        if len(stories) < 5:
            return f"Different stories in the {which} list: {len(stories)}. At least five are asked for."
    up, down = _follows(good), _follows(bad)
    if down >= 0.7 and up <= -0.4:
        return "These are the two lists, in the other order: the one on which MMD looks good comes first."
    faults = [f"Over the first list the correlation of MMD is {up:.2f}; .7 is asked for."] * (up < 0.7)
    faults += [f"Over the second the correlation of MMD is {down:.2f}; -.4 is asked for."] * (down > -0.4)
    return " ".join(faults) or None


EXERCISES = {
    "09-1": Exercise(
        judge=_ten,
        form="one number, in points of success lost",
        because="A page that is not in the index is not on place ten either. Longer lists mend no index.",
        hints=(
            'Success is made of two columns of `log.outcomes`: `"rank"` and `"no_answer"`.',
            '`logs["lost"].days(56, 83)` are the weeks of the story, `reference` the weeks before.',
            '`(rows["rank"].between(1, 10) & ~rows["no_answer"]).mean()` for both, and subtract.',
        ),
    ),
    "09-2": Exercise(
        judge=_probes,
        form="two numbers, (all probes, those about other libraries), in points",
        because="Without scipy's pages in their way the others even gain. Cut the probes by what they ask.",
        hints=(
            "Section 6 gives `retrieve` an index for each story. Give it this one.",
            '`search.library[targets] != "scipy"` marks the probes about other libraries.',
            "Ask both indexes, and take the difference probe by probe: then every group has its own before.",
        ),
    ),
    "09-3": Exercise(
        judge=_copies,
        form="a function of (x, y) that returns one number",
        because="One label for each distinct text, the same in both windows, and copies stay in one fold.",
        hints=(
            "`metrics.classifier_auc` has an option `groups`: labels of the rows of both windows.",
            "A text that comes in both windows needs one label. Look for equal rows in both windows at once.",
            "`np.unique(np.concatenate([x, y]), axis=0, return_inverse=True)` numbers the distinct rows.",
        ),
    ),
    "09-4": Exercise(
        judge=_lists,
        form="two lists of at least five names of stories",
        because="Same score, same weeks, two verdicts: a correlation of drift with harm is made by the list.",
        hints=(
            "Look at the left panel of the figure in section 4: which stories are loud and harmful?",
            "For the second list, take what is loud and harmless, and what is silent and harmful.",
            "No rewritten queries in the second list; no mix and no twin that is harmless in the first.",
        ),
    ),
}  # fmt: skip
