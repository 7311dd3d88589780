"""What ROC, precision-recall and coverage-accuracy curves draw, as numbers."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from thaw.evaluation.predictions import Predictions

MOST_CURVES, _WORST_CURVES = 12, 5
"""So many curves a figure can tell apart; of more classes it shows so many, the lowest."""
_GRID = np.linspace(0, 1, 501)


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


def shown_classes(predictions: Predictions, measured: np.ndarray) -> list[int]:
    """Whose curves a figure shows: of two classes the positive one's, of few all, the most frequent first, of many the worst.

    Args:
        measured: of each class of many, `(classes,)`, the higher the better; NaN where undefined.
    """
    if len(predictions.classes) == 2:
        return [1]
    if len(predictions.classes) > MOST_CURVES:
        return [int(number) for number in np.argsort(measured, kind="stable")[:_WORST_CURVES] if not np.isnan(measured[number])]
    return [int(number) for number in np.argsort(-np.bincount(predictions.labels), kind="stable")]


def average_roc(predictions: Predictions) -> tuple[np.ndarray, np.ndarray]:
    """False positive rates and the mean of the classes' recall there, each against the rest (Fawcett 2006)."""
    recalls = [
        np.interp(_GRID, misses / misses[-1], hits / hits[-1])
        for _, hits, misses, _ in rankings(predictions, range(len(predictions.classes)))
        if hits[-1] and misses[-1]
    ]
    return np.append(0, _GRID), np.append(0, np.mean(recalls or [_GRID], axis=0))


def rankings(predictions: Predictions, numbers: Iterable[int]) -> Iterator[Ranking]:
    """Of the classes of these numbers, each against the rest."""
    for number in numbers:
        scores, positive = predictions.probabilities[:, number], predictions.labels == number
        order = np.argsort(-scores, kind="stable")
        ends = np.append(np.flatnonzero(np.diff(scores[order])), len(order) - 1)  # equal scores go together
        hits = np.append(0, positive[order].cumsum()[ends])
        yield Ranking(
            predictions.classes[number], hits, np.append(0, ends + 1) - hits, float(positive.mean())
        )
