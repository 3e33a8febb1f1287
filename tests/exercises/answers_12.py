"""What learners answer to the exercises of notebook 12: rightly in other forms, and wrongly as many do."""

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict

from helpers.metrics import centroid_distance, nearest_distance

# 12-2


def by_classifier(x, y, k):
    rows, window = np.vstack([x, y]), np.repeat([0, 1], [len(x), len(y)])
    model = LogisticRegression(max_iter=1000)
    score = cross_val_predict(model, rows, window, cv=5, method="decision_function")
    return np.argsort(-score[len(x) :])[:k].astype(np.int32)


def by_distance(x, y, k):
    return list(np.argsort(nearest_distance(y, x))[::-1][:k])


def by_distance_as_series(x, y, k):
    return pd.Series(nearest_distance(y, x)).nlargest(k).index


def least_typical(x, y, k):
    return np.argsort(nearest_distance(y, x))[:k]


# 12-3


def mean_of(column, sign):
    return lambda log: sign * log.outcomes[column].mean()


def beyond(score, limit):
    """Return an alarm that rings `limit` standard deviations above the quiet weeks."""

    def alarm(past, week):
        usual = [score(log) for log in past]
        return score(week) > np.mean(usual) + limit * np.std(usual)

    return alarm


def far_off(past, week):
    usual = [log.outcomes["best_similarity"].mean() for log in past]
    return abs(week.outcomes["best_similarity"].mean() - np.mean(usual)) > 2 * np.std(usual)


def moved(past, week):
    centre = [log.embeddings.mean(axis=0, keepdims=True).repeat(2, axis=0) for log in past]
    usual = [centroid_distance(np.vstack(centre), rows) for rows in centre]
    return centroid_distance(np.vstack(centre), week.embeddings) > max(usual)


def beyond_all(past, week):
    worst = max(log.outcomes["no_answer"].mean() for log in past)
    return int(week.outcomes["no_answer"].mean() > worst)


ANSWERS = {
    "12-1": {
        "correct": [519, 520.0, np.float32(518.6), "519", np.array([540]), 500],
        "wrong": [
            (191, "if all queries were independent"),
            (231, "design effect of success"),
            (572, "less than a factor of three"),
            (70.6, "You divided"),
            (826, "not the square of the trace"),
            (2239, "not the square of the trace"),
            (338, "covariance of the digits"),
            (916, "covariance of the digits"),
            (300, "300 rows are too few."),
            (1040, "1,040 rows are too many."),
        ],
    },
    "12-2": {
        "correct": [by_classifier, by_distance, by_distance_as_series],
        "wrong": [
            (least_typical, "the first one, or the last"),
            (lambda x, y, k: 1200 + by_classifier(x, y, k), "Did you join x and y"),
            (lambda x, y, k: np.sort(nearest_distance(y, x))[-k:], "not row numbers"),
            (lambda x, y, k: [by_classifier(x, y, 1)[0]] * k, "named twice"),
            (lambda x, y, k: range(k), "New among the 20 rows: 1."),
            (lambda x, y, k: np.argsort(nearest_distance(y, x)), "Asked for 20 numbers, got 1200"),
        ],
    },
    "12-3": {
        "correct": [
            beyond(mean_of("best_similarity", -1), 3),
            beyond(mean_of("no_answer", 1), 4),
            beyond_all,
            beyond(lambda log: 1 - log.outcomes["click"].mean(), 3),
        ],
        "wrong": [
            (far_off, "a new topic with documents"),
            (moved, "an upgrade with a rebuilt index"),
            (lambda past, week: True, "of them quiet"),
            (lambda past, week: False, "It misses an upgrade with a stale index"),
            (lambda past, week: week.outcomes["success"].mean() < 0.93, "success is not there: nobody knows"),
            (lambda past, week: week.outcomes.topic.max() > 11, "topic is not there: nobody knows"),
            (lambda past, week: week.outcomes["helpful"].mean() < 0.5, "raised KeyError"),
            (lambda past, week: week.outcomes["no_answer"] > 0.1, "One number is asked for"),
        ],
    },
}
