"""From a network's logits to class probabilities, and from those to a class."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from thaw.params.evaluation import UNSURE

DEFAULT_THRESHOLD = 0.5


def log_probabilities_of(logits: np.ndarray) -> np.ndarray:
    """Float64 `(images, classes)` from a network's output: the positive class's logit, or one a class."""
    logits = np.asarray(logits, np.float64)
    if logits.ndim == 1:
        logits = logits[:, None]
    if logits.shape[1] == 1:
        logits = np.concatenate([np.zeros_like(logits), logits], axis=1)
    shifted = logits - logits.max(axis=1, keepdims=True, initial=-np.inf)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def probabilities_of(logits: np.ndarray) -> np.ndarray:
    """As `log_probabilities_of`, less the logarithm: rows add up to 1."""
    return np.exp(log_probabilities_of(logits))


def predict_labels(probabilities: np.ndarray, threshold: float) -> np.ndarray:
    """The likeliest class of each row, int `(images,)`; of two classes the positive one (1) from `threshold` on."""
    if probabilities.shape[1] == 2:
        return (probabilities[:, 1] >= threshold).astype(np.int64)
    return probabilities.argmax(axis=1)


def certainty_of(probabilities: np.ndarray, threshold: float) -> np.ndarray:
    """How sure each verdict is, float64 `(images,)`: of two classes 0 at the threshold and 1 at the end of the scale, else the
    probability of the likeliest class."""
    if probabilities.shape[1] != 2:
        return probabilities.max(axis=1)
    positive = probabilities[:, 1]
    return np.where(positive >= threshold, (positive - threshold) / (1 - threshold), (threshold - positive) / threshold)


class Decision(NamedTuple):
    """How a model's probabilities become answers: `threshold` and `least_certainty` of `model.json`."""

    threshold: float = DEFAULT_THRESHOLD
    """Of two classes: the probability from which an image counts as the second one."""
    least_certainty: float = 0.0
    """A verdict of less certainty (`certainty_of`) is not given: the answer is `UNSURE`. 0: every one is."""

    def labels(self, probabilities: np.ndarray) -> np.ndarray:
        """The verdict on each row, sure or not, int `(images,)`."""
        return predict_labels(probabilities, self.threshold)

    def is_sure(self, probabilities: np.ndarray) -> np.ndarray:
        """Whether the verdict is given, bool `(images,)`."""
        return certainty_of(probabilities, self.threshold) >= self.least_certainty

    def answers(self, probabilities: np.ndarray, classes: Sequence[str]) -> np.ndarray:
        """The answer to each row, text `(images,)`: a class, or `UNSURE`."""
        names = np.array([*classes, UNSURE])
        return names[np.where(self.is_sure(probabilities), self.labels(probabilities), len(classes))]

    def told(self) -> dict[str, float]:
        """Its fields, those that do nothing left out."""
        return {name: value for name, value in self._asdict().items() if name == "threshold" or value}


def decision_of(config: Mapping[str, Any]) -> Decision:
    """What a saved model (`model.json`) was evaluated with; one that was not has a threshold of 0.5 and gives every verdict."""
    return Decision(threshold_of(config), float(config.get("least_certainty", 0.0)))


def threshold_of(config: Mapping[str, Any]) -> float:
    """The threshold that a saved model (`model.json`) was evaluated with; 0.5 where it was not evaluated."""
    return float(config.get("threshold", DEFAULT_THRESHOLD))


def temperature_of(config: Mapping[str, Any]) -> float:
    """The temperature inside a saved model (`model.json`), which its logits are already divided by; 1 where it has none."""
    return float(config.get("temperature", 1.0))


def views_of(config: Mapping[str, Any]) -> int:
    """How many flips and turns of a picture a model answers with the mean of, by its `model.json`."""
    return len(config.get("symmetries", [0]))
