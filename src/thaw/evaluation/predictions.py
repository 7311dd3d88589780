"""What a model says of labelled images."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from thaw.decision import DEFAULT_THRESHOLD, certainty_of, predict_labels
from thaw.statistics.ranking import Ranking

PROBABILITY_DIGITS = 6
"""Of a probability in `predictions.csv`."""


@dataclass(frozen=True)
class Predictions:
    """A model's probabilities beside the truth."""

    classes: list[str]
    """In the order of their labels; of two the positive one is the last."""
    labels: np.ndarray
    """int `(images,)`."""
    probabilities: np.ndarray
    """float64 `(images, classes)`, rows that add up to 1."""
    confidence: np.ndarray
    """float64 `(images,)`: how certain each label is, 0 to 1."""
    threshold: float = DEFAULT_THRESHOLD
    """Of two classes: the probability from which an image counts as positive."""
    groups: np.ndarray | None = None
    """Text `(images,)`: images of one group are not independent; empty: an image alone. None: all are alone."""

    @cached_property
    def predicted(self) -> np.ndarray:
        """The label that the model gives each image, int `(images,)`."""
        return predict_labels(self.probabilities, self.threshold)

    @cached_property
    def correct(self) -> np.ndarray:
        """Where it is right, bool `(images,)`."""
        return self.predicted == self.labels

    @cached_property
    def true_probability(self) -> np.ndarray:
        """The probability given to the right class, float64 `(images,)`."""
        return np.take_along_axis(self.probabilities, self.labels[:, None], axis=1)[:, 0]

    @cached_property
    def likelier(self) -> np.ndarray:
        """How many classes are likelier than the right one, int `(images,)`; of equally likely ones the first in order is."""
        own = self.true_probability[:, None]
        before = np.arange(len(self.classes)) < self.labels[:, None]
        return np.count_nonzero((self.probabilities > own) | ((self.probabilities == own) & before), axis=1)

    @cached_property
    def one_against_rest(self) -> tuple[np.ndarray, np.ndarray]:
        """What ranks the images: scores `(images, classes)` and the column of each one's class, of two classes the positive
        one's alone."""
        if len(self.classes) == 2:
            return self.probabilities[:, 1:], self.labels - 1
        return self.probabilities, self.labels

    @cached_property
    def ranking(self) -> Ranking:
        """The images ranked by each class's probability."""
        return Ranking(*self.one_against_rest)

    @cached_property
    def certainty(self) -> np.ndarray:
        """How sure each verdict is, float64 `(images,)` (`thaw.decision.certainty_of`)."""
        return certainty_of(self.probabilities, self.threshold)

    def describe(self, image: int) -> str:
        """The verdict on an image in words, with the threshold where it is not one half."""
        name = self.classes[self.predicted[image]]
        if len(self.classes) == 2 and self.threshold != DEFAULT_THRESHOLD:
            return f"{name}: {self.probabilities[image, 1]:.0%} {self.classes[1]}, {100 * self.threshold:g}% needed"
        return f"{self.probabilities[image, self.predicted[image]]:.0%} {name}"

    @cached_property
    def units(self) -> np.ndarray:
        """The number of the set of dependent images that each belongs to, int `(images,)`."""
        if self.groups is None:
            return np.arange(len(self))
        alone = np.flatnonzero(self.groups == "")
        names, units = np.unique(self.groups, return_inverse=True)
        units[alone] = len(names) + np.arange(len(alone))
        return units

    def __len__(self) -> int:
        return len(self.labels)

    def where(self, chosen: np.ndarray) -> "Predictions":
        """The part of it that a boolean mask chooses."""
        return Predictions(
            self.classes,
            self.labels[chosen],
            self.probabilities[chosen],
            self.confidence[chosen],
            self.threshold,
            None if self.groups is None else self.groups[chosen],
        )
