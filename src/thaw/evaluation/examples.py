"""Which images say most about a model, and what to say of each."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

import numpy as np

from thaw.evaluation.predictions import PROBABILITY_DIGITS, Predictions


class Examples(NamedTuple):
    """Images of each kind, by their numbers, the most telling first."""

    mistakes: list[int]
    """The surest mistakes."""
    unsure: list[int]
    """The least sure verdicts, right or wrong."""
    right: list[int]
    """The surest right answers, class by class in turn."""

    def all(self) -> list[int]:
        """Each image once."""
        return list(dict.fromkeys([*self.mistakes, *self.unsure, *self.right]))


def examples_of(predictions: Predictions, count: int) -> Examples:
    """The `count` most telling images of each kind, by the probabilities of `predictions.csv`: its readers find the same."""
    predictions = replace(predictions, probabilities=np.round(predictions.probabilities, PROBABILITY_DIGITS))
    surest = np.argsort(-predictions.certainty, kind="stable")
    mistakes = surest[~predictions.correct[surest]]
    return Examples(mistakes[:count].tolist(), surest[::-1][:count].tolist(), list(_right_in_turn(predictions, surest))[:count])


def _right_in_turn(predictions: Predictions, surest: np.ndarray) -> Iterator[int]:
    right = surest[predictions.correct[surest]]
    of_class = [right[predictions.predicted[right] == label].tolist() for label in range(len(predictions.classes))]
    return (image for turn in zip_longest(*of_class) for image in turn if image is not None)


def choose_examples(predictions: Predictions, count: int) -> list[int]:
    """The surest mistakes, at most half of `count`, then the surest right answers."""
    found = examples_of(predictions, count)
    mistakes = found.mistakes[: count // 2]
    return mistakes + found.right[: count - len(mistakes)]


def heatmap_path(pictures_dir: Path, image: int) -> Path:
    """Where the heatmap of a test image lies, by the number of its row."""
    return pictures_dir / "heatmaps" / f"{image:05d}.png"


def caption(predictions: Predictions, image: int, path: str) -> str:
    """What stands over an explained image."""
    predicted, true = predictions.predicted[image], predictions.labels[image]
    truth = "rightly" if predicted == true else f"but it is {predictions.classes[true]}"
    return f"{predictions.describe(image)}, {truth}: {path}"
