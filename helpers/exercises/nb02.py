"""What judges the exercises of notebook 02."""

from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from sklearn.cluster import KMeans

from helpers.exercises.answers import Exercise, as_names, as_number, compare_names, result_of
from helpers.metrics import cluster_chi2, coverage_gap, novelty_share, spread_ratio
from helpers.synthetic import Event, Product

Windows = tuple[NDArray[np.float64], NDArray[np.float64]]
N_NULL, N_A_TOPIC = 80, 6  # pairs of windows without a change, and for each topic


@cache
def _iid() -> Product:
    return Product(seed=0, wander=0, weekend=0, session_length=1, loyalty=0, queries_per_day=3000)


@cache
def _queries(*events: Event, days: int = 1, start: int = 500) -> NDArray[np.float64]:
    return _iid().run(days, events, start).embeddings.astype(float)


def _pairs(n: int, *events: Event, seed: int) -> Iterator[Windows]:
    """Draw n pairs of windows: 500 calm queries, and 300 with the events."""
    rng, calm, pool = np.random.default_rng(seed), _queries(days=5, start=300), _queries(*events)
    for _ in range(n):
        yield calm[rng.choice(len(calm), 500, replace=False)], pool[rng.choice(len(pool), 300, replace=False)]


# --- 02-1: an energy distance without bias ----------------------------------------------------


def _unbiased(answer: Any) -> str | None:
    rng = np.random.default_rng(6)  # without drift, the unbiased score happens to lie below 0
    for shift in (0.5, 0.0):  # the shifted one first: the root of the other may not exist
        x, y = rng.normal(size=(60, 5)), rng.normal(shift, 1, size=(40, 5))
        x[1], y[1] = x[0], y[0]  # two queries, one vector
        fault = _energy_fault(as_number(result_of(answer, x, y)), x, y)
        if fault:
            return fault
    return None


def _energy_fault(given: float, x: NDArray, y: NDArray) -> str | None:
    between, (n, m) = 2 * cdist(x, y).mean(), (len(x), len(y))
    biased_x, biased_y = cdist(x, x).mean(), cdist(y, y).mean()
    within_x, within_y = biased_x * n / (n - 1), biased_y * m / (m - 1)
    right, biased = between - within_x - within_y, between - biased_x - biased_y
    apart = [distances[distances > 0].mean() for distances in (cdist(x, x), cdist(y, y))]
    if abs(given - right) <= 1e-4:
        return None
    slips = [
        (biased, "This is still the helper's number. How many pairs does each average divide by?"),
        (between - within_x - biased_y, "The reference is mended. Mend the current window too."),
        (between - biased_x - within_y, "The current window is mended. Mend the reference too."),
        (max(right, 0), "Without drift the mean must be 0, so that some values lie below. Let them."),
        (between / 2 - within_x - within_y, "The distance between the windows counts twice."),
        (between - biased_x * (n - 1) / n - biased_y * (m - 1) / m, "You corrected the wrong way."),
        (-right, "This has the right size and the wrong sign."),
        (np.sqrt(max(right, 0)), "This is the root. The energy distance of this notebook is the square."),
        (right + 1 / (n - 1) + 1 / (m - 1),
         "You took n away from the sum. A similarity to itself is 1, a distance to itself is 0: nothing to "
         "take away."),
        (between - sum(apart),
         "You left out every distance of 0. Two different queries may have one vector: their pair counts."),
    ]  # fmt: skip
    for value, message in slips:
        if abs(given - value) <= 1e-4:
            return message
    return f"On windows of the check's own it gives {given:.4f} instead of {right:.4f}."


# --- 02-2: which scores look only upwards ------------------------------------------------------


@cache
def _documents() -> NDArray[np.float64]:
    return _iid().index(day=0).embeddings


def _index_gap(x: NDArray, y: NDArray) -> float:
    return coverage_gap(y, _documents()) - coverage_gap(x, _documents())


@cache
def _seeing() -> set[str]:
    """Names of the scores that see calmer queries in at least half of the windows."""
    scores: dict[str, Callable[..., float]] = {
        "spread": lambda x, y: abs(spread_ratio(x, y)),
        "novelty": novelty_share,
        "index gap": _index_gap,
    }
    null, calmer = list(_pairs(25, seed=0)), list(_pairs(15, Event("spread", size=-0.15), seed=1))
    return {name for name, score in scores.items() if _power(score, null, calmer) >= 0.5}


def _power(score: Callable[..., float], null: list[Windows], changed: list[Windows]) -> float:
    limit = np.quantile([score(*pair) for pair in null], 0.95)
    return float(np.mean([score(*pair) > limit for pair in changed]))


def _calmer(answer: Any) -> str | None:
    names = {name.lower() for name in as_names(answer)}
    if not names:
        return "At least one of them sees it."
    return compare_names(
        names,
        _seeing(),
        {
            "novelty": "Less noise brings queries closer to known ones. Does that make strangers, or fewer?",
            "index gap": "The index gap moves in every window. Does it move above its threshold?",
            "index_gap": "Write the names as in the heat map: 'spread', 'novelty', 'index gap'.",
        },
    )


# --- 02-3: a score for the mix of topics -------------------------------------------------------


def _windows_of_mix() -> Iterator[Windows]:
    """Pairs without a change, then pairs in which each of the topics in turn comes into fashion."""
    yield from _pairs(N_NULL, seed=0)
    for topic in range(_iid().n_topics):
        yield from _pairs(N_A_TOPIC, Event("mix", size=0.8, topic=topic), seed=1 + topic)


def _share_found(values: list[float]) -> float:
    """Power, in %, from the scores of all pairs, in their order."""
    null, changed = np.split(np.array(values), [N_NULL])
    return 100 * float(np.mean(changed > np.quantile(null, 0.95)))


@cache
def _chi2_power() -> float:
    reference = Product(seed=0).run(days=28, start=-28).embeddings.astype(float)
    clusters = KMeans(n_clusters=12, n_init=3, random_state=0).fit(reference)
    score = partial(cluster_chi2, clusters=clusters)
    return _share_found([score(*pair) for pair in _windows_of_mix()])


def _better_than_chi2(answer: Any) -> str | None:
    values = [as_number(result_of(answer, *pair)) for pair in _windows_of_mix()]
    if np.ptp(values) == 0:
        return f"It is {values[0]:.3g} for every pair of windows."
    mine, other = _share_found(values), _chi2_power()
    if mine >= other + 5:
        return None
    said = f"It sees the fashion in {mine:.1f} % of the windows, and the cluster counts in {other:.1f} %."
    if _share_found([-value for value in values]) >= other:
        return f"{said} It falls when a topic comes into fashion: a larger number has to mean more drift."
    return f"{said} Five points more are asked for: {other + 5:.1f} %."


EXERCISES: dict[str, Exercise] = {
    "02-1": Exercise(
        judge=_unbiased,
        form="a function of (x, y) that returns one number",
        because="Its mean without drift is 0 at every size. It still scatters more in small windows, so a "
        "threshold belongs to one size all the same.",
        hints=(
            "Which of the three averages contain pairs of a query with itself? Their distance is 0.",
            "Such pairs pull an average down. How many pairs are left in a window of n queries without them?",
            "`cdist(x, x).sum() / (n * (n - 1))` in place of `cdist(x, x).mean()`, and so for y.",
        ),
    ),
    "02-2": Exercise(
        judge=_calmer,
        form="the names of those that see it, as a set of texts",
        because="The spread of this notebook has no sign, so it sees both. The index gap falls far below "
        "everything that is usual, and nobody looks there: a limit on one side sees one side.",
        hints=(
            "Section 9's function `simulate` takes any list of events. What is compared with `null`?",
            '`simulate([Event("spread", size=-0.15)], 20, seed=9)`, and the share of rows above '
            "`null.quantile(0.95)`.",
        ),
    ),
    "02-3": Exercise(
        judge=_better_than_chi2,
        form="a function of (x, y) that returns one number, larger for more drift",
        because="You made a score for the drift that you fear, and beat a general one at the same rate of "
        "false alarms. Mind the yardstick, too: the same chi-squared, counted against all of `calm` instead "
        "of the 500 queries of `x`, would also have passed.",
        hints=(
            "The chi-squared statistic adds up all 12 clusters. How many of them does a fashion change?",
            "A cluster that gains much is a sign by itself: take the largest gain, in standard deviations.",
            "500 calm queries are a noisy yardstick. `calm` has many more: count its clusters once.",
        ),
    ),
}
