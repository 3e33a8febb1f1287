"""A real case small enough to ship: scikit-learn's digits, their embedding, and four things that can happen.

1,797 scanned digits of 8 x 8 pixels. A small neural network learns to read them on one third; the
activations of its hidden layer are the embedding. The second third is the reference window, the last
one the current window, to which a `story` happens. The outcome is whether the network reads a digit
right, so harm is measured and not assumed.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.neural_network import MLPClassifier

from helpers.log import Log

STORIES = {
    "none": "nothing happens",
    "contrast": "every scan is paler: pixels x 0.7",
    "rotate_ones": "the 1s arrive turned by a quarter",
    "relabel": "15 % of the right answers change; the scans do not",
}
HIDDEN, PASSES = 64, 30


def digits_case(story: str = "rotate_ones") -> tuple[Log, Log]:
    """Return the reference and the current window of a story of `STORIES`.

    Embeddings are (599, 64) in both. The outcomes have one column, `accuracy`: whether the network read
    this digit right. The split and the network are the same for every story, so that stories differ by
    what happens in them only.
    """
    if story not in STORIES:
        raise ValueError(f"story={story!r}: choose one of {', '.join(STORIES)}")
    images, digit, (train, reference, current) = _scans()
    network = _train(images[train], digit[train])
    changed, answers = _happen(story, images[current], digit[current])
    return _log(network, images[reference], digit[reference]), _log(network, changed, answers)


def digit_images(story: str = "rotate_ones") -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Return the scans (599, 8, 8) of the current window as they arrive, and the digits they show."""
    images, digit, (_, _, current) = _scans()
    return _happen(story, images[current], digit[current])[0].reshape(-1, 8, 8), digit[current]


def hidden_layer(network: MLPClassifier, images: NDArray) -> NDArray[np.float32]:
    """Embedding of images (n, 64): relu(images W + b), the network's view before it decides."""
    return np.maximum(images @ network.coefs_[0] + network.intercepts_[0], 0).astype(np.float32)


def _scans() -> tuple[NDArray[np.float64], NDArray[np.intp], list[NDArray[np.intp]]]:
    """Return the scans, the digits, and the row numbers of the three thirds."""
    images, digit = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(images))
    return images / 16, digit, np.array_split(order, 3)


def _train(images: NDArray, digit: NDArray) -> MLPClassifier:
    """Take a fixed number of passes: few enough that rounding errors have no time to grow."""
    network = MLPClassifier((HIDDEN,), learning_rate_init=0.01, random_state=0)
    for _ in range(PASSES):
        network.partial_fit(images, digit, classes=np.arange(10))
    return network


def _happen(story: str, images: NDArray, digit: NDArray) -> tuple[NDArray, NDArray]:
    if story == "contrast":
        return 0.7 * images, digit
    if story == "rotate_ones":
        ones = digit == 1
        turned = np.rot90(images[ones].reshape(-1, 8, 8), axes=(1, 2)).reshape(-1, 64)
        images = images.copy()
        images[ones] = turned
    if story == "relabel":
        rng = np.random.default_rng(1)
        chosen = rng.random(len(digit)) < 0.15
        digit = np.where(chosen, (digit + rng.integers(1, 10, len(digit))) % 10, digit)
    return images, digit


def _log(network: MLPClassifier, images: NDArray, digit: NDArray) -> Log:
    right = network.predict(images) == digit
    return Log(hidden_layer(network, images), pd.DataFrame({"accuracy": right}))
