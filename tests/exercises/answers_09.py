"""What learners answer to the exercises of notebook 09: rightly in other forms, and wrongly as many do."""

import numpy as np
import pandas as pd

from helpers.metrics import classifier_auc


def by_bytes(x, y):
    number = {}
    label = [number.setdefault(row.tobytes(), len(number)) for row in np.concatenate([x, y])]
    return classifier_auc(x, y, groups=(label[: len(x)], label[len(x) :]))


def by_frame(x, y):
    label = pd.DataFrame(np.concatenate([x, y])).groupby(list(range(x.shape[1]))).ngroup().to_numpy()
    return np.array([classifier_auc(x, y, groups=(label[: len(x)], label[len(x) :]))], dtype=np.float32)


def each_window_by_itself(x, y):
    groups = [np.unique(rows, axis=0, return_inverse=True)[1].ravel() for rows in (x, y)]
    return classifier_auc(x, y, groups=(groups[0], 1000 + groups[1]))


def each_row_by_itself(x, y):
    return classifier_auc(x, y, groups=(range(len(x)), range(len(x), len(x) + len(y))))


GOOD = ["quiet", "pandas", "keywords", "typos", "lost"]
BAD = ["quiet", "mix", "pandas indexed", "few pandas", "lost"]
SIX = sorted({*BAD, "pandas"})  # without rewriting, as in section 4

ANSWERS = {
    "09-1": {
        "correct": [15.7, 15.70, np.float32(15.7), "15.7", [15.68]],
        "wrong": [
            (13.5, "with five documents"),
            (7.05, "show ten in the reference"),
            (15.8, "recall@10"),
            (58.4, "that is left"),
            (5.23, "weeks 0 to 11"),
            (-15.7, "wrong sign"),
            (0.157, "a fraction"),
            (30, "too large"),
        ],
    },
    "09-2": {
        "correct": [
            (-30.0, 3.0),
            [-30, 2.97],
            np.float32([-30.0, 3.0]),
            ("-30.0", "3.0"),
            pd.Series([-30.0, 2.966]),
        ],
        "wrong": [
            ((30.0, -3.0), "A fall counts as negative"),
            ((3.0, -30.0), "in the other order"),
            ((-0.3, 0.03), "These are fractions"),
            ((-30.0, 0.5), "The change for all probes is right"),
            ((-20.0, 3.0), "The change for the others is right"),
            ((36.45, 67.6), "the rates after"),
            ((0, 0), "Neither change fits"),
            (-30.0, "Asked for 2 numbers"),
        ],
    },
    "09-3": {
        "correct": [by_bytes, by_frame],
        "wrong": [
            (classifier_auc, "training and test folds"),
            (each_row_by_itself, "training and test folds"),
            (each_window_by_itself, "far below .5"),
            (lambda x, y: classifier_auc(np.unique(x, axis=0), np.unique(y, axis=0)), "far below .5"),
            (lambda x, y: 0.5, "nor does it see real drift"),
            (lambda x, y: "0.5 or so", "not a number"),
            (lambda x: 0.5, "Your function raised TypeError"),
            (0.47, "not a function"),
        ],
    },
    "09-4": {
        "correct": [
            (GOOD, BAD),
            [GOOD[::-1], set(BAD)],
            {"good": tuple(GOOD), "bad": np.array(BAD)},
            (
                ["quiet", "pandas", "few pandas", "keywords", "typos"],
                ["mix", "pandas indexed", "pandas", "few pandas", "lost"],
            ),
        ],
        "wrong": [
            ((BAD, GOOD), "in the other order"),
            ((GOOD, GOOD), "Over the second the correlation of MMD is 0.93"),
            ((BAD, SIX), "-0.57; .7 is asked for. Over the second the correlation of MMD is -0.29"),
            ((BAD, BAD), "Over the first list the correlation of MMD is -0.57"),
            ((GOOD[:4], BAD), "in the first list: 4"),
            ((GOOD, ["lost"] * 5), "in the second list: 1"),
            ((["drift", *GOOD], BAD), "'drift' is no story"),
            (GOOD, "not two lists"),
        ],
    },
}
