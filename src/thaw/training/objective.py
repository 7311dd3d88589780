"""The loss and the metric that fit a network's logits. `from_logits` is thaw's business: it cannot be set wrong."""

from typing import Any

import keras

from thaw.params import FitParams

FOCAL_GAMMA = 2.0


def build_loss(params: FitParams, outputs: int) -> keras.losses.Loss:
    """The loss of `outputs` logits against probabilities, summed: the weights of a batch hold the mean's 1/n.

    One output is the logit of the positive of two classes. `focal` is Lin et al. 2017, arXiv 1708.02002, gamma 2.
    """
    common: dict[str, Any] = {
        "from_logits": True, "label_smoothing": params.label_smoothing, "reduction": "sum", "dtype": "float32",
    }  # fmt: skip
    if params.loss == "focal":
        if outputs == 1:
            return keras.losses.BinaryFocalCrossentropy(gamma=FOCAL_GAMMA, **common)
        return keras.losses.CategoricalFocalCrossentropy(alpha=1.0, gamma=FOCAL_GAMMA, **common)
    if outputs == 1:
        return keras.losses.BinaryCrossentropy(**common)
    return keras.losses.CategoricalCrossentropy(**common)


def build_accuracy(outputs: int) -> keras.metrics.Metric:
    """The share of images whose likeliest class is that of the target."""
    agree = _binary_agreement if outputs == 1 else _class_agreement
    return keras.metrics.MeanMetricWrapper(agree, name="accuracy", dtype="float32")


def _binary_agreement(targets: Any, logits: Any) -> Any:
    return keras.ops.equal(targets[:, 0] > 0.5, logits[:, 0] > 0.0)


def _class_agreement(targets: Any, logits: Any) -> Any:
    return keras.ops.equal(keras.ops.argmax(targets, axis=-1), keras.ops.argmax(logits, axis=-1))
