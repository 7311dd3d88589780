"""What ROC, precision-recall and reliability diagrams draw, as numbers."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from thaw.evaluation.predictions import Predictions

_MOST_CURVES = 12
BINS = 10


class Ranking(NamedTuple):
    """The images by falling probability of a class: what a threshold there would find."""

    name: str
    hits: np.ndarray
    """Of the class among the first 0, 1, ... images, `(steps,)`; images of equal probability are one step."""
    misses: np.ndarray
    """Of other classes, likewise."""
    share: float
    """Of the class among all images."""


class Reliability(NamedTuple):
    """Predicted probability against observed share, by bins (Niculescu-Mizil and Caruana 2005)."""

    about: str
    """The class that the probability is of; empty: the likeliest one of each image."""
    predicted: np.ndarray
    """Mean of each filled bin, `(filled,)`."""
    observed: np.ndarray
    """Share of each filled bin, `(filled,)`."""
    sizes: np.ndarray
    """Images in each bin, `(BINS,)`."""


def rankings(predictions: Predictions) -> Iterator[Ranking]:
    """Of two classes the positive one's; else of the most frequent classes, so many as a figure can tell apart."""
    numbers = (
        [1] if len(predictions.classes) == 2 else np.argsort(-np.bincount(predictions.labels), kind="stable")
    )
    for number in numbers[:_MOST_CURVES]:
        scores, positive = predictions.probabilities[:, number], predictions.labels == number
        order = np.argsort(-scores, kind="stable")
        ends = np.append(np.flatnonzero(np.diff(scores[order])), len(order) - 1)  # equal scores go together
        hits = np.append(0, positive[order].cumsum()[ends])
        yield Ranking(
            predictions.classes[number], hits, np.append(0, ends + 1) - hits, float(positive.mean())
        )


def reliability(predictions: Predictions) -> Reliability:
    """Of two classes the positive one's; else whether the likeliest class is the right one."""
    about = predictions.classes[1] if len(predictions.classes) == 2 else ""
    if about:
        scores, true = predictions.probabilities[:, 1], predictions.labels == 1
    else:
        likeliest = predictions.probabilities.argmax(axis=1)
        scores, true = predictions.probabilities.max(axis=1), likeliest == predictions.labels
    bins = np.minimum((scores * BINS).astype(int), BINS - 1)
    sizes = np.bincount(bins, minlength=BINS)
    filled = sizes > 0
    observed = np.bincount(bins, true, minlength=BINS)[filled] / sizes[filled]
    predicted = np.bincount(bins, scores, minlength=BINS)[filled] / sizes[filled]
    return Reliability(about, predicted, observed, sizes)
