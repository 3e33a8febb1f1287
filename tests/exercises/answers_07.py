"""What learners answer to the exercises of notebook 07: rightly in other forms, and wrongly as many do."""

import numpy as np
import pandas as pd
from sklearn.neighbors import NearestNeighbors

from helpers.metrics import nearest_distance
from helpers.synthetic import Product

SEARCH, DESK = 1.06, 1.60


def by_quantile(reference, quiet, current):
    limit = np.quantile(nearest_distance(quiet, reference), 0.99)
    return np.flatnonzero(nearest_distance(current, reference) > limit)


def by_neighbours(reference, quiet, current):
    """The mean distance to five neighbours, as a list of booleans in a Series."""
    near = NearestNeighbors(n_neighbors=5).fit(reference)
    scores = [near.kneighbors(rows)[0].mean(axis=1) for rows in (quiet, current)]
    return pd.Series(scores[1] > np.quantile(scores[0], 0.985))


def top_hundred(reference, quiet, current):
    return np.argsort(-nearest_distance(current, reference))[:100]


def nearest(reference, quiet, current):
    return list(np.argsort(nearest_distance(current, reference))[:20])


def all_of_them(reference, quiet, current):
    """Every row, but only where there are newcomers."""
    found = by_quantile(reference, quiet, current)
    return np.arange(len(current)) if len(found) > 80 else found


def just_fitting(reference, quiet, current):
    limit = np.quantile(nearest_distance(quiet, reference), 0.97)
    return np.flatnonzero(nearest_distance(current, reference) > limit)


def own_limit(reference, quiet, current):
    novelty = nearest_distance(current, reference)
    return np.flatnonzero(novelty > np.quantile(novelty, 0.95))


def in_sample(reference, quiet, current):
    return np.flatnonzero(nearest_distance(current, reference) > nearest_distance(reference, reference).max())


def by_maximum(reference, quiet, current):
    return np.flatnonzero(nearest_distance(current, reference) > nearest_distance(quiet, reference).max())


product = Product(seed=0)
checked, index = product.run(7, start=-7), product.index(-1)
table = pd.DataFrame({"row": range(len(checked))})
table["document"] = index.documents[(checked.embeddings @ index.embeddings.T).argmax(axis=1)]
table["shelf"] = product.document_topic[table["document"]]
right = (checked.outcomes["success"] & (checked.outcomes["rank"] == 1)).to_numpy()
SPREAD = table[right].drop_duplicates("document").groupby("shelf").head(10)["row"]
ONCE = table[right].drop_duplicates("document").head(120)["row"]
RANDOM = np.random.default_rng(0).choice(table["row"][right], 120, replace=False)

ANSWERS = {
    "07-1": {
        "correct": [
            (SEARCH, DESK),
            {"search": "1.06", "desk": 1.6},
            np.float32([1.1, 1.6]),
            pd.Series([1.06, 1.59]),
        ],
        "wrong": [
            ((0.0106, 0.016), "fractions"),
            ((DESK, SEARCH), "other order"),
            ((-SEARCH, -DESK), "positive"),
            ((SEARCH + DESK, 0.0), "The sum is right"),
            ((-2.66, 0.06), "Neither part"),
            (2.66, "Asked for 2 numbers"),
        ],
    },
    "07-2": {
        "correct": [by_quantile, by_neighbours, lambda *windows: set(by_quantile(*windows).tolist())],
        "wrong": [
            (top_hundred, "Take the limit from `quiet`"),
            (own_limit, "Take the limit from `quiet`"),
            (just_fitting, "more than 3 in 100. A limit that just fits"),
            (all_of_them, "rows of the week with newcomers, and"),
            (in_sample, "Where does the limit come from"),
            (nearest, "far or near"),
            (by_maximum, "finds only"),
            (lambda reference, quiet, current: [], "finds only 0"),
            (lambda *windows: by_quantile(*windows) + 10_000, "Row numbers of `current`"),
            (lambda *windows: 3, "not row numbers"),
            ([1, 2, 3], "not a function"),
        ],
    },
    "07-3": {
        "correct": [SPREAD, SPREAD.tolist()[::-1], ONCE.to_numpy(np.int16)],
        "wrong": [
            (RANDOM, "% of the jobs are caught. 120 probes know"),
            (SPREAD.head(60), "60 probes know 60 documents"),
            (table["row"], "you can afford 120"),
            (table["row"][~right].head(5), "no confirmed first answer"),
            (SPREAD.to_numpy() / 3, "Row numbers of `checked`"),
            (12, "not row numbers"),
        ],
    },
}
