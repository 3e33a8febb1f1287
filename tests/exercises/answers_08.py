"""What learners answer to the exercises of notebook 08: rightly in other forms, and wrongly as many do."""

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA

from helpers.synthetic import Product, unit

product = Product(seed=0)
documents, past = product.index(0).embeddings, product.run(14, start=-14).embeddings.astype(float)
pca, of_queries = PCA(40).fit(documents), PCA(36).fit(past)


def by_quantile(old, threshold, new):
    return np.quantile(new, (old < threshold).mean())


def by_bootstrap(old, threshold, new, cut=by_quantile):
    rng = np.random.default_rng(3)
    draws = [rng.choice(len(old), len(old)) for _ in range(500)]
    return cut(old, threshold, new), np.std([cut(old[rows], threshold, new[rows]) for rows in draws])


def by_sorting(old, threshold, new):
    """The same without a quantile, as an array of float32."""

    def cut(old, threshold, new):
        return np.sort(new)[np.count_nonzero(old < threshold)]

    return np.float32(by_bootstrap(old, threshold, new, cut))


def drawn_apart(old, threshold, new):
    rng, n = np.random.default_rng(3), len(old)
    draws = [by_quantile(rng.choice(old, n), threshold, rng.choice(new, n)) for _ in range(500)]
    return by_quantile(old, threshold, new), np.std(draws)


def with_its_share(old, threshold, new):
    rng, n = np.random.default_rng(3), len(old)
    draws = [by_quantile(old, threshold, rng.choice(new, n)) for _ in range(500)]
    return by_quantile(old, threshold, new), np.std(draws)


def of_the_mean(old, threshold, new):
    return by_quantile(old, threshold, new), new.std() / len(new) ** 0.5


def spoilt(factor):
    return lambda *given: np.multiply(by_bootstrap(*given), [1, factor]).tolist()


def cut_at(wrong):
    """A wrong threshold, with an error beside it."""
    return lambda *given: (wrong(*given), 0.01)


def whitened(rows):
    return unit(pca.transform(rows) / pca.explained_variance_**0.25)


def from_queries(rows):
    return (of_queries.transform(rows) / of_queries.explained_variance_**0.3).tolist()


def of_the_batch(rows):
    return PCA(min(40, len(rows))).fit_transform(rows) if len(rows) > 40 else np.ones((len(rows), 40))


ANSWERS = {
    "08-1": {
        "correct": [
            (0.249, 0.204),
            ["0.249", "0.204"],
            np.float32([0.2488, 0.2038]),
            pd.Series([0.249, 0.203]),
        ],
        "wrong": [
            ((0.033, 0.062), "that the maps have seen. Ask"),
            ((0.183, 0.158), "among them"),
            ((0.256, 0.204), "scale the mapped rows"),
            ((0.065, 0.075), "pairs of all shelves"),
            ((0.25, 0.20), "three decimals"),
            ((0.204, 0.249), "other order"),
            ((24.9, 20.4), "hundredths"),
            ((0.249, 0.07), "Not right yet: rotation"),
            (0.249, "Asked for 2 numbers"),
        ],
    },
    "08-2": {
        "correct": [by_bootstrap, by_sorting, spoilt(1.1)],
        "wrong": [
            (cut_at(lambda old, threshold, new: threshold), "This is the old threshold"),
            (cut_at(lambda old, threshold, new: (old < threshold).mean()), "is the share that is refused"),
            (
                cut_at(lambda old, threshold, new: np.quantile(new, (old >= threshold).mean())),
                "the other end",
            ),
            (cut_at(lambda old, threshold, new: threshold + new.mean() - old.mean()), "Moving the mean"),
            (cut_at(lambda old, threshold, new: threshold * new.mean() / old.mean()), "Moving the mean"),
            (cut_at(lambda old, threshold, new: np.quantile(new, 0.035)), "Take that share from"),
            (drawn_apart, "Draw queries, not numbers"),
            (with_its_share, "work it out anew"),
            (of_the_mean, "The threshold is right"),
            (spoilt(2), "Give one"),
            (spoilt(0.05), "too small"),
            (by_quantile, "Asked for 2 numbers"),
            (lambda best: 0.5, "Your function raised TypeError"),
            (0.56, "not a function"),
        ],
    },
    "08-3": {
        "correct": [whitened, from_queries, lambda rows: whitened(rows).astype(np.float32)],
        "wrong": [
            (lambda rows: rows[:, :40], "it loses"),
            (pca.transform, "it loses"),
            (lambda rows: rows, "64 numbers a vector"),
            (of_the_batch, "five texts alone, and they get other vectors"),
            (lambda rows: PCA(40).fit_transform(rows), "five texts alone: fit outside the function. Your"),
            (lambda rows: rows[:, 0], "returns the shape"),
            (lambda rows: 0 * rows, "zero, or not finite"),
            (lambda rows: "vectors", "not numbers"),
            (documents, "not a function"),
        ],
    },
}
