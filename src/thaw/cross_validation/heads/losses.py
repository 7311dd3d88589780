"""The losses of `thaw.training.objective` with their gradient by the logits; a test holds them against Keras's."""

import numpy as np
from scipy.special import expit, log_softmax


def loss_and_gradient(
    kind: str, logits: np.ndarray, targets: np.ndarray, label_smoothing: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Losses float32 `(images, heads)` and their gradient by the logits, float32 `(images, heads, outputs)`.

    Args:
        kind: `cross_entropy` or `focal`, the cross-entropy times the square of the distance of output and target.
        logits: float32 `(images, heads, outputs)`; of one output of the positive of two classes.
        targets: probabilities, `(images, heads, outputs)`, or 1 for `heads` where all have the same.
        label_smoothing: float32 `(heads,)`.
    """
    outputs = logits.shape[-1]
    smoothing = label_smoothing[:, None]
    targets = targets * (1 - smoothing) + smoothing / np.float32(max(2, outputs))
    entropy, probabilities = _binary_entropy(logits, targets) if outputs == 1 else _entropy(logits, targets)
    gradient = probabilities - targets
    if kind == "cross_entropy":
        return entropy, gradient
    signs = np.sign(gradient)
    if outputs == 1:
        distance = np.abs(gradient)
        slope = signs * probabilities * (1 - probabilities)
    else:
        distance = np.abs(gradient).sum(axis=-1, keepdims=True) / 2
        slope = probabilities * (signs - (signs * probabilities).sum(axis=-1, keepdims=True)) / 2
    square = distance**2
    return square[..., 0] * entropy, 2 * distance * slope * entropy[..., None] + square * gradient


def disagree(logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Whether the likeliest class is another than the target's, bool `(images, heads)`, as `build_accuracy` has it."""
    if logits.shape[-1] == 1:
        return (logits[..., 0] > 0) != (targets[..., 0] > 0.5)
    return logits.argmax(axis=-1) != targets.argmax(axis=-1)


def _binary_entropy(logits: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    entropy = np.maximum(logits, 0) - logits * targets + np.log1p(np.exp(-np.abs(logits)))
    return entropy[..., 0], expit(logits)


def _entropy(logits: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    logs = log_softmax(logits, axis=-1)
    return -(targets * logs).sum(axis=-1), np.exp(logs)
