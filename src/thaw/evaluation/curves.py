"""What ROC, precision-recall and coverage-accuracy curves draw, as numbers."""

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


class Answered(NamedTuple):
    """What is gained by answering the surest verdicts alone (El-Yaniv and Wiener, "On the foundations of noise-free selective
    classification", JMLR 11, 2010)."""

    coverage: np.ndarray
    """Share of the images that is answered, `(steps,)`, rising to 1; images of equal certainty are one step."""
    accuracy: np.ndarray
    """Of the verdicts on these, `(steps,)`."""
    certainty: np.ndarray
    """The least of them, `(steps,)`."""


def answered(predictions: Predictions) -> Answered:
    """The coverage-accuracy curve, the surest verdicts first."""
    certainty = predictions.certainty
    order = np.argsort(-certainty, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(certainty[order])), len(order) - 1)
    counts = ends + 1
    return Answered(counts / len(order), predictions.correct[order].cumsum()[ends] / counts, certainty[order][ends])


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
