"""What learners answer to the exercises of notebook 01: rightly in other forms, and wrongly as many do."""

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA

from helpers.metrics import centroid_distance
from helpers.synthetic import Event


def by_distances(plane, reference, week):
    in_plane = centroid_distance(plane.transform(reference), plane.transform(week))
    return np.float32(1 - (in_plane / centroid_distance(reference, week)) ** 2)


def by_residual(plane, reference, week):
    shift = week.mean(axis=0) - reference.mean(axis=0)
    rest = shift - plane.components_.T @ (plane.components_ @ shift)
    return [(rest @ rest) / (shift @ shift)]


def of_lengths(plane, reference, week):
    return 1 - np.sqrt(1 - by_distances(plane, reference, week))


def of_variance(plane, reference, week):
    return 1 - plane.explained_variance_ratio_.sum()


def refit(plane, reference, week):
    return by_distances(PCA(2).fit(week), week, week + 1)


def event(kind, size, **options):
    return Event(kind, start=238, end=259, size=size, **options)


ANSWERS = {
    "01-1": {
        "correct": [
            (-2.96, 6.35),
            [-3, 6],
            np.float32([-2.9, 6.2]),
            pd.Series({"PC1": -3.0, "all": 6.4}),
            ("-3", "6.3"),
        ],
        "wrong": [
            ((-0.0296, 0.0635), "fractions"),
            ((0.97, 1.06), "ratios"),
            ((97.0, 106.4), "ratios"),
            ((6.35, -2.96), "other order"),
            ((2.96, -6.35), "counts as positive"),
            ((2.96, 6.35), "wrong sign on PC1"),
            ((-2.96, -6.35), "wrong sign in all dimensions"),
            ((-2.96, 13.1), "total variance. Take its root"),
            ((-5.8, 13.1), "of the variance"),
            ((-2.3, 6.35), "is your plane frozen"),
            ((-2.96, 50), "all 64 columns"),
            ((50, 50), "Neither number fits"),
            (-3, "Asked for 2 numbers, got 1"),
        ],
    },
    "01-2": {
        "correct": [by_distances, by_residual],
        "wrong": [
            (lambda *windows: 100 * by_distances(*windows), "in percent"),
            (lambda *windows: 1 - by_distances(*windows), "the plane shows"),
            (of_lengths, "By Pythagoras"),
            (lambda *windows: 1 - of_lengths(*windows), "divides the two lengths"),
            (lambda *windows: np.sqrt(by_distances(*windows)), "hidden length"),
            (of_variance, "share of the variance"),
            (refit, "of the shift is hidden"),
            (lambda plane: 0.5, "Your function raised TypeError"),
            (lambda *windows: None, "not a number but None"),
            (0.98, "not a function"),
        ],
    },
    "01-3": {
        "correct": [
            [event("null_vectors", 0.06)],
            event("new_topic", 0.06),
            (event("null_vectors", 0.03), event("new_topic", 0.03)),
            [event("new_topic", 0.06, topic=1), event("remove_docs", 0.5, topic=3)],
        ],
        "wrong": [
            ([event("rotation", 0.5)], "Week 34 is seen in all dimensions"),
            ([event("mix", 1.5, topic=11)], "Week 34 is seen in the plane"),
            ([event("null_vectors", 0.03)], "but it costs"),
            ([event("remove_docs", 0.6, topic=3)], "bit for bit"),
            ([event("spread", 0.15)], "of another kind"),
            (
                [event("remove_docs", 0.9, topic=3), event("null_vectors", 0.001)],
                "Lost documents do not count",
            ),
            ([event("new_topic", 0.03), event("remove_docs", 0.5, topic=3)], "it costs 2.9 points"),
            ([Event("null_vectors", size=0.06, start=28)], "needs start=238, end=259"),
            ([], "bit for bit"),
            ([event("new_topic", 0.03, topic=99)], "refuses"),
            ("null_vectors", "not a list of events"),
        ],
    },
}
