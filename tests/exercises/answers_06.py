"""What learners answer to the exercises of notebook 06: rightly in other forms, and wrongly as many do."""

import numpy as np
import pandas as pd


def by_arrays(bad, queries, objective):
    z = (bad / queries - objective) / np.sqrt(objective * (1 - objective) / queries)
    return np.where(~((queries >= 50) & (bad >= 0)), "blind", np.where(z > 3, "ring", "fine"))


def by_loop(bad, queries, objective):
    words = []
    for b, n in zip(bad, queries, strict=True):
        if np.isnan(b) or np.isnan(n) or n < 50:
            words.append("Blind")
        else:
            words.append(
                "Ring" if b - n * objective > 3 * (n * objective * (1 - objective)) ** 0.5 else "Fine"
            )
    return words


def by_frame(bad, queries, objective):
    words = pd.Series("blind", index=range(len(bad)))
    words[queries >= 50] = "fine"
    words[np.isnan(bad)] = "blind"
    words[
        (queries >= 50) & (bad / queries - objective > 3 * np.sqrt(objective * (1 - objective) / queries))
    ] = "ring"
    return words


def by_share(bad, queries, objective):
    return np.where(bad / queries > objective, "ring", "fine")


def without_nan(bad, queries, objective):
    z = (bad / queries - objective) / np.sqrt(objective * (1 - objective) / queries)
    return np.where(queries < 50, "blind", np.where(z > 3, "ring", "fine"))


def by_its_own_error(bad, queries, objective):
    share = bad / queries
    z = (share - objective) / np.sqrt(share * (1 - share) / queries)
    return np.where(z > 3, "ring", "fine")


def above_fifty(bad, queries, objective):
    z = (bad / queries - objective) / np.sqrt(objective * (1 - objective) / queries)
    return np.where(~((queries > 50) & (bad >= 0)), "blind", np.where(z > 3, "ring", "fine"))


def either_way(bad, queries, objective):
    z = (bad / queries - objective) / np.sqrt(objective * (1 - objective) / queries)
    return np.where(abs(z) > 3, "ring", "fine")


def never_blind(bad, queries, objective):
    z = (bad / queries - objective) / np.sqrt(objective * (1 - objective) / queries)
    return np.where((queries >= 50) & (z > 3), "ring", "fine")


ANSWERS = {
    "06-1": {
        "correct": [
            [(3, "index_gap"), (3, "failure"), (4, "failure")],
            ((np.int64(2), "no_click"), (4, "no_click"), (4, "index_gap"), (4, "escalation")),
            {("1", "index_gap"), (1, "no_answer"), (2, "no_answer")},
        ],
        "wrong": [
            ([(3, "query_drift"), (3, "spread"), (3, "failure"), (4, "failure")], "so does"),
            ([(3, "index_gap")], "nobody is worse off"),
            ([(3, "index_gap"), (3, "failure"), (4, "no_click")], "the same outcome"),
            ([(0, "index_gap"), (0, "failure"), (5, "failure")], "the same outcome"),
            ([(3, "novelty"), (3, "failure"), (4, "failure")], "which drift"),
            ([(0, "index_gap"), (5, "failure"), (6, "failure")], "which drift"),
            ([(3, "gap")], "no chart 'gap'"),
            ([(9, "failure")], "Day 9"),
            (["index_gap"], "pair"),
        ],
    },
    "06-2": {
        "correct": [by_arrays, by_loop, by_frame],
        "wrong": [
            (by_share, "less than three standard errors"),
            (without_nan, "comparison with NaN"),
            (by_its_own_error, "not of the share"),
            (above_fifty, "50 are enough"),
            (either_way, "good side"),
            (never_blind, "fewer than 50"),
            (lambda bad, queries, objective: "ring", "does not return a list of 11 words"),
            ("ring", "not a function"),
        ],
    },
    "06-3": {
        "correct": [
            (12, 20, 3, 24),
            np.array([8, 10, 3, 48.0]),
            {"window": 24, "least": 20, "z": 1, "keep": 24},
        ],
        "wrong": [
            ((2, 0, 0.1, 0), "rings in twelve quiet weeks"),
            ((2, 50, 3, 12), "never rings for mobile"),
            ((6, 50, 3, 48), "hours after the beginning"),
            ((24, 50, 3, 24), "For mobile it rings 13 hours after the beginning"),
            ((12, 20, 3, 0), "flap"),
            ((12, 0, 3, 24), "in the holidays"),
            ((24, 0, 3, 48), "in the holidays"),
            ((12, 20, 1, 72), "on already"),
            ((24, 1, -100, 2000), "guards against nothing"),
            ((24, 0, -5, 1e6), "guards against nothing"),
            ((24, 50, 0, 500), "guards against nothing"),
            ((24, 50, -1, 1000), "guards against nothing"),
            ((24, 50, 3, 500), "72 are the most"),
            ((72, 50, 3, 12), "hours after the beginning"),
            ((24, 50, 3), "Asked for 4 numbers"),
            ((-1, 50, 3, 0), "1 hour to two weeks"),
        ],
    },
}
