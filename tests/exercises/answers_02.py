"""What learners answer to the exercises of notebook 02: rightly in other forms, and wrongly as many do."""

from functools import cache

import numpy as np
import pandas as pd
from scipy.spatial.distance import cdist, pdist
from sklearn.cluster import KMeans

from helpers.metrics import centroid_distance, cluster_chi2, energy_distance
from helpers.synthetic import Product

# 02-1


def by_pairs(x, y):
    return 2 * cdist(x, y).mean() - pdist(x).mean() - pdist(y).mean()


def by_correction(x, y):
    own = [cdist(rows, rows).sum() / len(rows) ** 2 / (len(rows) - 1) for rows in (x, y)]
    return np.float32([energy_distance(x, y) - sum(own)])


def mended_in_x(x, y):
    return 2 * cdist(x, y).mean() - pdist(x).mean() - cdist(y, y).mean()


def apart_only(x, y):
    return 2 * cdist(x, y).mean() - sum(d[d > 0].mean() for d in (cdist(x, x), cdist(y, y)))


def as_for_mmd(x, y):
    return by_pairs(x, y) + 1 / (len(x) - 1) + 1 / (len(y) - 1)


def once_between(x, y):
    return by_pairs(x, y) - cdist(x, y).mean()


# 02-3


@cache
def frozen():
    reference = Product(seed=0).run(days=28, start=-28).embeddings.astype(float)
    clusters = KMeans(n_clusters=12, n_init=3, random_state=0).fit(reference)
    iid = Product(seed=0, wander=0, weekend=0, session_length=1, loyalty=0, queries_per_day=3000)
    calm = iid.run(days=5, start=300).embeddings.astype(float)
    return clusters, shares(clusters, calm), calm


def shares(clusters, rows):
    return np.bincount(clusters.predict(rows.astype(float)), minlength=12) / len(rows)


def largest_gain(x, y):
    clusters, usual, _ = frozen()
    return ((shares(clusters, y) - usual) / np.sqrt(usual)).max()


def largest_gain_of_two(x, y):
    clusters, _, _ = frozen()
    before, now = shares(clusters, x), shares(clusters, y)
    both = (500 * before + 300 * now) / 800
    return [((now - before) / np.sqrt(both * (1 - both))).max()]


def squares_from_usual(x, y):
    clusters, usual, _ = frozen()
    return np.float32(((shares(clusters, y) - usual) ** 2 / usual).sum())


def chi2_against_all(x, y):
    clusters, _, calm = frozen()
    return cluster_chi2(calm, y, clusters=clusters)


def chi2_again(x, y):
    return cluster_chi2(x, y, clusters=frozen()[0])


ANSWERS = {
    "02-1": {
        "correct": [by_pairs, by_correction],
        "wrong": [
            (energy_distance, "still the helper's number"),
            (mended_in_x, "The reference is mended"),
            (lambda x, y: mended_in_x(y, x), "The current window is mended"),
            (lambda x, y: max(0, by_pairs(x, y)), "Let them"),
            (once_between, "counts twice"),
            (as_for_mmd, "nothing to take away"),
            (apart_only, "Two different queries may have one vector"),
            (lambda x, y: np.sqrt(by_pairs(x, y)), "This is the root"),
            (lambda x, y: 2 * energy_distance(x, y) - by_pairs(x, y), "instead of"),
            (lambda x, y: -by_pairs(x, y), "wrong sign"),
            (lambda x, y: cdist(x, y), "One number is asked for"),
            (lambda x: 0, "Your function raised TypeError"),
        ],
    },
    "02-2": {
        "correct": [{"spread"}, ["spread"], "spread", pd.Index(["spread"]), np.array([" Spread"])],
        "wrong": [
            ({"spread", "novelty"}, "Does that make strangers"),
            (["index gap", "spread"], "above its threshold"),
            ("spread, index_gap", "as in the heat map"),
            ({"MMD^2"}, "does not belong"),
            (set(), "At least one of them sees it."),
            (["SPREAD", "Novelty"], "Does that make strangers"),
            (0.95, "not names"),
        ],
    },
    "02-3": {
        "correct": [largest_gain, largest_gain_of_two, squares_from_usual, chi2_against_all],
        "wrong": [
            (centroid_distance, "Five points more are asked for: "),
            (chi2_again, " % of the windows, and the cluster counts in "),
            (lambda x, y: -largest_gain(x, y), "a larger number has to mean more drift"),
            (lambda x, y: 1.0, "for every pair of windows"),
            (lambda x, y: shares(frozen()[0], y), "One number is asked for"),
            (lambda x, y: x + y, "Your function raised ValueError"),
        ],
    },
}
