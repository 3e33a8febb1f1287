"""What learners answer to the exercises of notebook 00: rightly in other forms, and wrongly as many do."""

import numpy as np
import pandas as pd

from helpers.synthetic import Event

LOST = [Event("remove_docs", start=28, size=0.6, topic=topic) for topic in (5, 7)]

ANSWERS = {
    "00-1": {
        "correct": [
            (11.6, 1.5),
            [11.6, 1.5],
            np.float32([11.6, 1.5]),
            pd.Series([11.62, 1.48]),
            ("11.6", "1.5"),
        ],
        "wrong": [
            ((0.116, 0.015), "fractions"),
            ((-0.116, -0.015), "fractions"),
            ((12, 1.5), "rounded too far"),
            ((1.5, 11.6), "other order"),
            ((-11.6, -1.5), "counts as positive"),
            ((11.6, 0.1), "The partner's loss is right"),
            ((3.0, 1.5), "The loss of everybody is right"),
            (11.6, "Asked for 2 numbers, got 1"),
        ],
    },
    "00-2": {
        "correct": ["b", "B", " b) ", np.str_("b")],
        "wrong": [
            ("a", "no"),
            ("c", "click"),
            ("d", "follows from those"),
            (2, "not a letter"),
            ("e", "Choose one"),
        ],
    },
    "00-3": {
        "correct": [LOST, tuple(LOST), Event("remove_docs", start=0, size=1.0, topic=7)],
        "wrong": [
            ([Event("rotation", start=28, size=0.5)], "This break shows"),
            ([Event("remove_docs", start=28, size=0.6, topic=3)], "section 2 has broken"),
            ([Event("remove_docs", start=28, size=0.1, topic=7)], "Nothing shows, but it costs"),
            ([Event("remove_docs", start=28, size=0.5, topic=99)], "refuses"),
            (["remove_docs"], "not a list of events"),
        ],
    },
}
