"""From a network's logits to class probabilities, and from those to a class."""

from collections.abc import Mapping
from typing import Any

import numpy as np

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


def threshold_of(config: Mapping[str, Any]) -> float:
    """The threshold that a saved model (`model.json`) was evaluated with; 0.5 where it was not evaluated."""
    return float(config.get("threshold", DEFAULT_THRESHOLD))


def temperature_of(config: Mapping[str, Any]) -> float:
    """The temperature inside a saved model (`model.json`), which its logits are already divided by; 1 where it has none."""
    return float(config.get("temperature", 1.0))
