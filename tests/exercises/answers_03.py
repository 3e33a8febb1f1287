"""What learners answer to the exercises of notebook 03: rightly in other forms, and wrongly as many do."""

import numpy as np
import pandas as pd
from scipy.stats import false_discovery_control


def in_a_loop(p, q):
    order, k = sorted(p), 0
    for rank, value in enumerate(order, 1):
        if value <= q * rank / len(order):
            k = rank
    return [bool(k) and value <= order[k - 1] for value in p]


def stops_early(p, q):
    order, k = np.sort(p), 0
    while k < len(p) and order[k] <= q * (k + 1) / len(p):
        k += 1
    return p <= order[k - 1] if k else np.zeros(len(p), bool)


def never_empty(p, q):
    order = np.sort(p)
    return p <= order[np.flatnonzero(order <= q * np.arange(1, len(p) + 1) / len(p)).max()]


def success_of_one_bucket(before, after):
    fall = before.groupby("bucket")["success"].mean() - after.groupby("bucket")["success"].mean()
    return bool(fall.loc[:11].max() > 0.15)


def one_bucket_beside_the_others(before, after):
    fall = before.groupby("bucket")["success"].mean() - after.groupby("bucket")["success"].mean()
    others = fall.loc[:11].sort_values()
    return bool(others.iloc[-1] - others.iloc[-3] > 0.12)


def similarity_of_one_bucket(before, after):
    sides = [
        side.groupby("bucket")["best_similarity"].agg(["mean", "sem"]).loc[:11] for side in (before, after)
    ]
    z = (sides[0]["mean"] - sides[1]["mean"]) / np.hypot(sides[0]["sem"], sides[1]["sem"])
    return z.max() > z.median() + 4.5 and z.max() > 3 * z.median()


def success_of_all(before, after):
    return before["success"].mean() - after["success"].mean() > 0.01


def clicks_of_one_bucket(before, after):
    fall = before.groupby("bucket")["click"].mean() - after.groupby("bucket")["click"].mean()
    return fall.loc[:11].max() > 0.25


MOVED = ["success", "click-through", "no answer", "escalation"]

ANSWERS = {
    "03-1": {
        "correct": [MOVED, set(MOVED), "success, click-through, no answer, escalation", np.array(MOVED[::-1]),
                    ("success", "click", "no_answer", "Escalation")],
        "wrong": [
            (["drift", *MOVED], "made of the queries alone"),
            (["success", "no answer"], "something is missing"),
            (MOVED[:3], "something is missing"),
            ([*MOVED, "novelty"], "'novelty' does not belong"),
            (4, "These are not names"),
        ],
    },
    "03-2": {
        "correct": [
            lambda p, q: false_discovery_control(p) <= q,
            in_a_loop,
            lambda p, q: pd.Series(false_discovery_control(p) <= q).astype(int),
        ],
        "wrong": [
            (stops_early, "the largest k"),
            (lambda p, q: np.sort(false_discovery_control(p)) <= q, "in the order they came in"),
            (lambda p, q: p <= q * (p.argsort().argsort() + 1) / len(p), "for its own line"),
            (lambda p, q: p <= q / len(p), "The line rises"),
            (lambda p, q: p <= q, "nothing is corrected"),
            (lambda p, q: false_discovery_control(p) <= 0.10, "with q = 0.02, it makes 5 findings"),
            (lambda p, q: np.flatnonzero(false_discovery_control(p) <= q), "as many booleans"),
            (never_empty, "What if none passes"),
            ([True, False], "not a function"),
        ],
    },
    "03-3": {
        "correct": [(0.15, 0.98), [0.153, 0.98], np.float32([0.1526, 0.9797]), ("0.15", "0.98"),
                    {"cluster": 0.15, "client": 0.98}],
        "wrong": [
            ((0.98, 0.15), "in the other order"),
            ((15.3, 98.0), "These are hundredths"),
            ((0.69, 0.62), "This is the mix part"),
            ((0.17, 0.92), "the change of clicks"),
            ((0.15, 0.33), "The share by cluster is right"),
            ((0.85, 0.98), "The share by client is right"),
            ((0.5, 0.5), "Neither fits"),
            (0.98, "Asked for 2 numbers"),
        ],
    },
    "03-4": {
        "correct": [one_bucket_beside_the_others, similarity_of_one_bucket,
                    lambda before, after: np.int64(one_bucket_beside_the_others(before, after))],
        "wrong": [
            (success_of_all, "It cries wolf"),
            (success_of_one_bucket, "The first had a stale upgrade"),
            (lambda before, after: True, "It cries wolf in 10 of 10"),
            (lambda before, after: False, "It finds 0 of 6 losses"),
            (clicks_of_one_bucket, "losses; five are asked for"),
            (lambda before, after: before["success"] > after["success"].mean(), "returned a Series"),
            (lambda before, after: before["topic"].mean() > 0, "Your function raised KeyError"),
        ],
    },
}  # fmt: skip
