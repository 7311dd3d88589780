"""What a model says of labelled images."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True)
class Judgement:
    """A model's probabilities beside the truth."""

    classes: list[str]
    """In the order of their labels; of two the positive one is the last."""
    labels: np.ndarray
    """int `(images,)`."""
    probabilities: np.ndarray
    """float64 `(images, classes)`, rows that add up to 1."""
    confidence: np.ndarray
    """float64 `(images,)`: how certain each label is, 0 to 1."""
    threshold: float = 0.5
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

    def where(self, chosen: np.ndarray) -> "Judgement":
        """The part of it that a boolean mask chooses."""
        return Judgement(
            self.classes,
            self.labels[chosen],
            self.probabilities[chosen],
            self.confidence[chosen],
            self.threshold,
            None if self.groups is None else self.groups[chosen],
        )


def probabilities_of(logits: np.ndarray) -> np.ndarray:
    """Float64 `(images, classes)` from a network's output: the positive class's logit, or one a class."""
    logits = np.asarray(logits, np.float64)
    if logits.ndim == 1:
        logits = logits[:, None]
    if logits.shape[1] == 1:
        logits = np.concatenate([np.zeros_like(logits), logits], axis=1)
    powers = np.exp(logits - logits.max(axis=1, keepdims=True, initial=-np.inf))
    return powers / powers.sum(axis=1, keepdims=True)


def predict_labels(probabilities: np.ndarray, threshold: float) -> np.ndarray:
    """The likeliest class of each row; of two classes the positive one from `threshold` on."""
    if probabilities.shape[1] == 2:
        return (probabilities[:, 1] >= threshold).astype(np.int64)
    return probabilities.argmax(axis=1)
