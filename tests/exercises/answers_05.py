"""What learners answer to the exercises of notebook 05: rightly in other forms, and wrongly as many do."""

import numpy as np
import pandas as pd

from helpers.exercises.nb05 import _stream
from helpers.streaming import DecayedReservoir, HashSample, RandomFeatureMean, Reservoir, TwoRateMean

GAMMA = _stream()[3]


def by_weights(values, times, half_life):
    weight = 0.5 ** ((times.max() - times) / half_life)
    return (weight * values).sum() / weight.sum()


def by_logarithms(values, times, half_life):
    log_weight = np.log(2) * np.array(times) / half_life
    return np.float32(np.average(values, weights=np.exp(log_weight - log_weight.max())))


def by_series(values, times, half_life):
    weight = 2.0 ** -(pd.Series(times).max() - pd.Series(times)).div(half_life)
    return [np.average(pd.Series(values), weights=weight)]


def by_arrival(values, times, half_life):
    mean, keep = values[0], 0.5 ** (1 / half_life)
    for value in values:
        mean = keep * mean + (1 - keep) * value
    return mean


def since_last(values, times, half_life):
    return np.average(values, weights=0.5 ** ((times[-1] - times) / half_life))


def since_oldest(values, times, half_life):
    return np.average(values, weights=0.5 ** ((times.min() - times) / half_life))


def since_first(values, times, half_life):
    return np.average(values, weights=0.5 ** ((times[0] - times) / half_life))


def as_they_come(values, times, half_life):
    return np.average(values, weights=0.5 ** (np.maximum(times[-1] - times, 0) / half_life))


def by_clock(values, times, half_life):
    return np.average(values, weights=2.0 ** (times / half_life))


def by_e(values, times, half_life):
    return np.average(values, weights=np.exp(-(times.max() - times) / half_life))


def states(*, n_features=128, half_life=2.0, memory=10.0, rows=100, recent=3.5, gamma=GAMMA, seeds=True):
    def make(machine):
        mean = RandomFeatureMean(64, n_features, gamma=gamma, half_life=half_life, memory=memory)
        return [mean, DecayedReservoir(rows, recent, seed=machine if seeds else 0)]

    return make


def two_rates(machine):
    sample = DecayedReservoir(60, 1.0, seed=7 + machine)
    return (sample, TwoRateMean(64, 24, gamma=GAMMA, fast=3, slow=4, seed=1))


def uniform(machine):
    mean = RandomFeatureMean(64, 128, gamma=GAMMA, half_life=2, memory=10)
    return [mean, Reservoir(100, machine)]


def by_hash(machine):
    return [RandomFeatureMean(64, gamma=GAMMA), HashSample(100)]


KEPT = states()(0)

ANSWERS = {
    "05-1": {
        "correct": [2.16, np.float32(2.2), "2.1", [2.15], pd.Series([2.25])],
        "wrong": [
            (3.0, "And of its score?"),
            (0.31, "in weeks"),
            (1.0, "98 % of the score is kept: try a longer"),
            (7, "25 % of the score is kept: try a shorter"),
            ("two", "not a number"),
        ],
    },
    "05-2": {
        "correct": [by_weights, by_logarithms, by_series],
        "wrong": [
            (by_arrival, "with every row that arrives"),
            (since_last, "Of 1,200 half-lives"),
            (since_oldest, "Of 1,200 half-lives"),
            (since_first, "Of 1,200 half-lives"),
            (as_they_come, "With the same rows shuffled"),
            (by_clock, "since 1970"),
            (by_e, "1/e"),
            (lambda values, times, half_life: values.mean(), "counts alike"),
            (lambda values, times, half_life: values @ 0.5 ** ((times.max() - times) / half_life), "sum"),
            (lambda values: values.mean(), "raised TypeError"),
            (0.7, "not a function"),
        ],
    },
    "05-3": {
        "correct": [states(), states(n_features=64, memory=None, rows=80, recent=1.75), two_rates],
        "wrong": [
            (states(n_features=256, memory=None), "bytes"),
            (states(seeds=False), "same dice"),
            (states(gamma=0.1), "not the reference's"),
            (states(half_life=14, memory=56), "how much of the past"),
            (states(rows=40), "keeps 40 rows"),
            (uniform, "% of the sample's rows"),
            (by_hash, "how much of the past"),
            (lambda machine: [], "no score"),
            (lambda machine: [RandomFeatureMean(32, gamma=GAMMA)], "refuses the rows"),
            (lambda machine: states()(machine)[:1], "no query to show"),
            (lambda machine: KEPT, "Make new ones"),
            (states()(0), "not a function"),
        ],
    },
}
