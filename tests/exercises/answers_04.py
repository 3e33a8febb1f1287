"""What learners answer to the exercises of notebook 04: rightly in other forms, and wrongly as many do."""

import numpy as np
import pandas as pd

LIMIT = 2.291


def by_hand(baseline, daily):
    rings = []
    for day, score in daily.items():
        usual = np.log([x for then, x in baseline.items() if (then % 7 in (5, 6)) == (day % 7 in (5, 6))])
        if (np.log(score) - usual.mean()) / usual.std() > LIMIT:
            rings.append(int(day))
    return rings


def standardised(x, usual):
    kinds = (False, True)
    parts = [(x[x.index % 7 // 5 == kind], usual[usual.index % 7 // 5 == kind]) for kind in kinds]
    return pd.concat([(now - then.mean()) / then.std() for now, then in parts]).sort_index()


def in_logs(baseline, daily):
    z = standardised(np.log(daily), np.log(baseline))
    return z.index[z > LIMIT]


def without_logs(baseline, daily):
    z = standardised(daily, baseline)
    return list(z.index[z > LIMIT])


def in_sample(baseline, daily):
    z = standardised(np.log(daily), np.log(daily))
    return list(z.index[z > LIMIT])


def one_kind(baseline, daily):
    z = (np.log(daily) - np.log(baseline).mean()) / np.log(baseline).std()
    return list(z.index[z > LIMIT])


def kinds_by_place(baseline, daily):
    x, usual = (np.log(series.reset_index(drop=True)) for series in (daily, baseline))
    return list(daily.index[standardised(x, usual) > LIMIT])


def places(baseline, daily):
    return np.flatnonzero(standardised(np.log(daily), np.log(baseline)) > LIMIT)


GOOD = {"query_drift": 1.2, "cluster_shift": 0, "novelty": 0, "index_gap": 0.8}
EVEN = dict.fromkeys(GOOD, 0.5)
FROM_THE_TABLE = {"query_drift": 0, "cluster_shift": 1, "novelty": 0, "index_gap": 1}
MEAN_Z = pd.DataFrame(  # as section 6 prints it
    {
        "query_drift": [2.33, 0.19, -0.17, -0.22, 0.62, 0.52],
        "cluster_shift": [-0.18, -0.33, -0.24, -0.27, -0.26, 0.58],
        "novelty": [0.74, 4.40, 1.77, -0.05, 0.28, -0.16],
        "index_gap": [3.48, 4.41, 5.67, 2.35, 0.62, 0.14],
    },
    ["stale upgrade", "new topic", "noisier queries", "lost documents", "small shift", "topic mix"],
)

ANSWERS = {
    "04-1": {
        "correct": [
            (11.3, 2.0),
            [11.34, 2.01],
            np.float32([11.3, 2]),
            ("11.3", "2.0"),
            pd.Series([11.35, 2.0]),
        ],
        "wrong": [
            ((89.6, 5.4), "The limit is still that of weight 0.2"),
            ((13.0, 1.7), "with weight 0.2"),
            ((2.0, 11.3), "in the other order"),
            ((11.3, 5.0), "for a shift of 0.5 is right"),
            ((5.5, 2.0), "for a shift of 3 is right"),
            ((40, 20), "Neither delay fits"),
            (11.3, "Asked for 2 numbers"),
        ],
    },
    "04-2": {
        "correct": [
            by_hand,
            in_logs,
            lambda b, d: set(in_logs(b, d)),
            lambda b, d: in_logs(b, d).to_numpy(np.float32),
        ],
        "wrong": [
            (one_kind, "compares Saturdays with Mondays"),
            (without_logs, "leaves out the logarithm"),
            (in_sample, "compares the days with themselves"),
            (places, "These are places in the series"),
            (lambda b, d: standardised(np.log(d), np.log(b)) > LIMIT, "It returns booleans"),
            (lambda b, d: standardised(np.log(d), np.log(b)), "These are z-scores"),
            (kinds_by_place, "use the number in the index"),
            (lambda b, d: d.index, "It rings on 56 days"),
            (lambda b, d: [], "It rings on 0 days"),
            (lambda b: [], "Your function raised TypeError"),
            ([1, 2], "not a function"),
        ],
    },
    "04-3": {
        "correct": [20, 20.0, np.int64(20), "20", [20]],
        "wrong": [
            (19, "the second decimal"),
            (7, "on average"),
            (135, "counts days"),
            (24, "half of them with too few"),
            (12, "too small"),
            (52, "too large"),
            ("many", "not a number"),
        ],
    },
    "04-4": {
        "correct": [
            (GOOD, MEAN_Z),
            [pd.Series(GOOD), MEAN_Z[list(GOOD)[::-1]]],
            (dict(reversed(list(GOOD.items()))), MEAN_Z),
            (FROM_THE_TABLE, MEAN_Z),
            ({"query_drift": 1, "cluster_shift": 0, "novelty": 0, "index_gap": np.float32(1)}, MEAN_Z),
            ({"query_drift": 0, "cluster_shift": 0.5, "novelty": 0.5, "index_gap": 1}, MEAN_Z),
        ],
        "wrong": [
            ((EVEN, MEAN_Z), "5.76 days, with the even split 5.76"),
            ((dict.fromkeys(GOOD, 0) | {"index_gap": 2}, MEAN_Z), "'topic mix' takes longest, 25 days"),
            ((dict.fromkeys(GOOD, 1), MEAN_Z), "Together they ring 4 times a quarter"),
            ((dict.fromkeys(GOOD, 182), MEAN_Z), "is no share of two"),
            ((GOOD | {"novelty": -1, "index_gap": 1.8}, MEAN_Z), "is no share of two"),
            ((dict.fromkeys(GOOD, 0) | {"query_drift": 2}, MEAN_Z), "Which monitor would see it sooner"),
            ((dict.fromkeys(GOOD, 0), MEAN_Z), "No monitor is on"),
            (({"query_drift": 1, "index_gap": 1}, MEAN_Z), "'cluster_shift': name all four monitors"),
            ((GOOD | {"gap": 0.1}, MEAN_Z), "'gap': name all four monitors"),
            (([1.2, 0, 0, 0.8], MEAN_Z), "not a dict"),
            ((GOOD, MEAN_Z["novelty"]), "is not `mean_z`"),
            (GOOD, "not two things"),
        ],
    },
}
