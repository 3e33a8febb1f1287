"""What learners answer to the exercises of notebook 11: rightly in other forms, and wrongly as many do."""

import numpy as np
import pandas as pd

from helpers.synthetic import Event

FACTS = {"embedder": 18, "index": "left behind", "newcomers": "without documents"}


def by_groups(past, now, outcome):
    """Change and error of two windows, with the sums of the sessions."""
    means, variance = [], 0.0
    for side in (past.outcomes, now.outcomes):
        rest = side[outcome] - side[outcome].mean()
        variance += (rest.groupby(side["session"]).sum() ** 2).sum() / len(side) ** 2
        means.append(side[outcome].mean())
    return 100 * (means[1] - means[0]), 100 * variance**0.5


def by_sandwich(past, now, outcome):
    """The same by the regression on one column, `now`, with errors that allow for sessions."""
    rows = pd.concat([past.outcomes.assign(now=0.0), now.outcomes.assign(now=1.0)])
    x = np.column_stack([np.ones(len(rows)), rows["now"]])
    bread = np.linalg.inv(x.T @ x)
    b = bread @ x.T @ rows[outcome].to_numpy(float)
    scores = (rows[outcome].to_numpy(float) - x @ b)[:, None] * x
    sums = pd.DataFrame(scores).groupby(rows["session"].to_numpy()).sum().to_numpy()
    return np.float32([100 * b[1], 100 * np.sqrt((bread @ sums.T @ sums @ bread)[1, 1])])


def by_queries(past, now, outcome):
    sides = past.outcomes[outcome], now.outcomes[outcome]
    return 100 * (sides[1].mean() - sides[0].mean()), 100 * np.sqrt(sum(s.var() / len(s) for s in sides))


def spoilt(change=1.0, error=1.0):
    return lambda *given: (np.array(by_groups(*given)) * [change, error]).tolist()


DECAY = Event("spread", start=10, size=0.3, shape="ramp")
UPGRADE = Event("rotation", start=20, size=0.5, index_follows=True)
GONE = Event("null_vectors", start=18, end=22, size=0.1)

ANSWERS = {
    "11-1": {
        "correct": [
            FACTS,
            tuple(FACTS.values()),
            {**FACTS, "embedder": np.int64(18)},
            {**FACTS, "embedder": "18"},
        ],
        "wrong": [
            ({**FACTS, "embedder": 22}, "Two of the three are right"),
            ({**FACTS, "embedder": None}, "Two of the three are right"),
            ({**FACTS, "index": "rebuilt", "newcomers": "with documents"}, "One of the three is right"),
            ((20, "rebuilt", "with documents"), "None of the three is right"),
            ({"embedder": 18}, "not a dict with these three names"),
            ({**FACTS, "embedder": "late"}, "not a number"),
        ],
    },
    "11-2": {
        "correct": [by_groups, by_sandwich, spoilt(error=0.97)],
        "wrong": [
            (by_queries, "its queries fail together"),
            (spoilt(change=-1), "wrong sign"),
            (spoilt(change=0.01, error=0.01), "fractions"),
            (spoilt(error=2), "Give one"),
            (spoilt(error=0.01), "is a fraction"),
            (spoilt(error=5), "too large"),
            (lambda past, now, outcome: 1.0, "Asked for 2 numbers"),
            (lambda past, now: (1.0, 1.0), "Your function raised TypeError"),
            ((-6.7, 1.2), "not a function"),
        ],
    },
    "11-3": {
        "correct": [
            [DECAY, UPGRADE],
            (Event("staffing", start=22, size=0.6), DECAY),
            [Event("remove_docs", start=11, size=1.0, topic=5, shape="ramp"), UPGRADE],
        ],
        "wrong": [
            ([UPGRADE, Event("remove_docs", start=22, size=0.7, topic=5)], "that one is guilty"),
            ([UPGRADE, Event("remove_docs", start=22, size=0.1, topic=5)], "Two points and more"),
            ([DECAY], "an innocent and a culprit"),
            (
                [Event("spread", start=20, end=25, size=0.3), Event("ui", start=21, size=0.08)],
                "Let no event end",
            ),
            ([GONE, Event("ui", start=18, size=0.0)], "Let no event end"),
            ([DECAY, Event("ui", start=20, size=0.0)], "size 0 does not happen"),
            ([Event("ui", start=20, size=0.08), Event("spread", start=20, size=0.3)], "charged alike"),
            ([DECAY, Event("ui", start=2, size=0.1)], "from day 10 to 25"),
            ([DECAY, Event("remove_docs", start=12, size=0.1, topic=99)], "refuses"),
            ("rotation", "not a list of events"),
        ],
    },
}
