"""What ROC and precision-recall curves draw, as numbers."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from thaw.evaluation.predictions import Predictions

_MOST_CURVES = 12


class Ranking(NamedTuple):
    """The images by falling probability of a class: what a threshold there would find."""

    name: str
    hits: np.ndarray
    """Of the class among the first 0, 1, ... images, `(steps,)`; images of equal probability are one step."""
    misses: np.ndarray
    """Of other classes, likewise."""
    share: float
    """Of the class among all images."""


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
