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


def by_sorting(old, threshold, new):
    """The same without a quantile, as an array of one float32."""
    place = round(len(new) * np.count_nonzero(old < threshold) / len(old))
    return np.array([np.sort(new)[place]], np.float32)


def whitened(rows):
    return unit(pca.transform(rows) / pca.explained_variance_**0.25)


def from_queries(rows):
    return (of_queries.transform(rows) / of_queries.explained_variance_**0.3).tolist()


def of_the_batch(rows):
    return PCA(min(40, len(rows))).fit_transform(rows) if len(rows) > 40 else np.ones((len(rows), 40))


ANSWERS = {
    "08-1": {
        "correct": [(0.249, 0.204), ["0.25", "0.20"], np.float32([0.249, 0.204]), pd.Series([0.25, 0.21])],
        "wrong": [
            ((0.033, 0.062), "that the maps have seen. Ask"),
            ((0.183, 0.158), "among them"),
            ((0.204, 0.249), "other order"),
            ((24.9, 20.4), "hundredths"),
            ((0.249, 0.07), "Not right yet: rotation"),
            (0.249, "Asked for 2 numbers"),
        ],
    },
    "08-2": {
        "correct": [by_quantile, by_sorting, lambda *given: str(by_quantile(*given))],
        "wrong": [
            (lambda old, threshold, new: threshold, "This is the old threshold"),
            (lambda old, threshold, new: (old < threshold).mean(), "is the share that is refused"),
            (lambda old, threshold, new: np.quantile(new, (old >= threshold).mean()), "the other end"),
            (lambda old, threshold, new: threshold + new.mean() - old.mean(), "Moving the mean"),
            (lambda old, threshold, new: threshold * new.mean() / old.mean(), "Moving the mean"),
            (lambda old, threshold, new: np.quantile(new, 0.035), "Take that share from"),
            (lambda old, threshold, new: new, "One number is asked for"),
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
            (of_the_batch, "Fit once, outside"),
            (lambda rows: rows[:, 0], "returns the shape"),
            (lambda rows: 0 * rows, "zero, or not finite"),
            (lambda rows: "vectors", "not numbers"),
            (documents, "not a function"),
        ],
    },
}
