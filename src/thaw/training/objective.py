"""The loss and the metric that fit a network's logits. `from_logits` is thaw's business: it cannot be set wrong."""

from typing import Any

import keras
import numpy as np

from thaw.params import FitParams
from thaw.training.labels import Labels

FOCAL_GAMMA = 2.0


def build_loss(params: FitParams, outputs: int) -> keras.losses.Loss:
    """The loss of `outputs` logits against probabilities, summed: the weights of a batch hold the mean's 1/n.

    One output is the logit of the positive of two classes.
    """
    common: dict[str, Any] = {
        "from_logits": True, "label_smoothing": params.label_smoothing, "reduction": "sum", "dtype": "float32",
    }  # fmt: skip
    if params.loss == "focal":
        return _Focal(params.label_smoothing)
    if outputs == 1:
        return keras.losses.BinaryCrossentropy(**common)
    return keras.losses.CategoricalCrossentropy(**common)


class _Focal(keras.losses.Loss):
    """Cross-entropy times the distance of the output from the target, squared.

    For one output this is the quality focal loss (Li et al. 2020, arXiv 2006.04388), least where the output is the target; of a
    hard target it is the focal loss (Lin et al. 2017, arXiv 1708.02002). Their distance is `|target - output|`; here that
    between distributions over more classes is the total variation distance, by which both still holds.
    """

    def __init__(self, label_smoothing: float) -> None:
        super().__init__(name="focal", reduction="sum", dtype="float32")
        self.label_smoothing = label_smoothing

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Targets and logits `(n, outputs)` to losses `(n,)`."""
        outputs = y_pred.shape[-1]
        targets = y_true * (1 - self.label_smoothing) + self.label_smoothing / max(2, outputs)
        if outputs == 1:
            entropy = keras.ops.binary_crossentropy(targets, y_pred, from_logits=True)[:, 0]
            distance = keras.ops.abs(targets - keras.ops.sigmoid(y_pred))[:, 0]
        else:
            entropy = keras.ops.categorical_crossentropy(targets, y_pred, from_logits=True)
            distance = keras.ops.sum(keras.ops.abs(targets - keras.ops.softmax(y_pred)), axis=-1) / 2
        return distance**FOCAL_GAMMA * entropy


def build_accuracy(outputs: int) -> keras.metrics.Metric:
    """The share of images whose likeliest class is that of the target."""
    agree = _binary_agreement if outputs == 1 else _class_agreement
    return keras.metrics.MeanMetricWrapper(agree, name="accuracy", dtype="float32")


def judge(logits: np.ndarray, labels: Labels, params: FitParams) -> dict[str, float]:
    """Mean `loss`, as `params` has it, and `accuracy` of logits `(images, outputs)`, by weight; empty without images."""
    if not len(labels):
        return {}
    outputs, weights = logits.shape[-1], labels.weights / np.float32(len(labels))
    accuracy = build_accuracy(outputs)
    accuracy.update_state(labels.targets, logits, sample_weight=labels.weights)
    loss = build_loss(params, outputs)(labels.targets, logits, sample_weight=weights)
    return {"loss": float(loss), "accuracy": float(accuracy.result())}


def _binary_agreement(targets: Any, logits: Any) -> Any:
    return keras.ops.equal(targets[:, 0] > 0.5, logits[:, 0] > 0.0)


def _class_agreement(targets: Any, logits: Any) -> Any:
    return keras.ops.equal(keras.ops.argmax(targets, axis=-1), keras.ops.argmax(logits, axis=-1))
