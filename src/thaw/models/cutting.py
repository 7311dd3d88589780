"""Cut a network between what is frozen and what trains."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from thaw.models.freezing import freeze
from thaw.models.graph import fronts, has_kernel
from thaw.models.network import build, set_statistics
from thaw.params import ModelParams


def cut(model: keras.Model) -> tuple[keras.Model | None, keras.Model]:
    """Divide `model` at the latest single tensor before which all is frozen and deterministic.

    Nothing before it has a trainable weight, draws a random number or is a BatchNorm in training mode, and
    whatever comes after depends on what comes before through this tensor only. Both parts share their layers
    with `model`.

    Returns:
        Prefix and suffix, with `suffix(prefix(x)) == model(x)`; no prefix where it would do no more than scale
        the pixels, without a convolution or a dense layer: then the suffix is `model` itself.
    """
    tensor = _latest_cut(model)
    if tensor is None:
        return None, model
    prefix = keras.Model(model.inputs[0], tensor, name=f"{model.name}_prefix")
    if not any(has_kernel(layer) for layer in prefix.layers):
        return None, model
    return prefix, keras.Model(tensor, model.outputs[0], name=f"{model.name}_suffix")


def _latest_cut(model: keras.Model) -> Any | None:
    latest = None
    for call, pending in fronts(model):
        if _changes_in_training(call.layer):
            break
        if pending == 1:
            latest = call.output
    return latest


def _changes_in_training(layer: Any) -> bool:
    """Whether what the layer gives may change from one training step to the next."""
    if not isinstance(layer, keras.layers.Layer):
        return False
    if layer.trainable_weights or (isinstance(layer, keras.layers.BatchNormalization) and layer.trainable):
        return True
    draws = len(layer.variables) > len(layer.weights)  # a seed generator's state is a variable and no weight
    return draws and getattr(layer, "rate", 1.0) > 0


def build_prefix(
    model: ModelParams, shape: tuple[int, int, int], measure: Callable[[], tuple[np.ndarray, np.ndarray]] | None = None
) -> keras.Model:
    """What is below the head of a pretrained backbone, from pictures of `shape` on.

    Args:
        measure: mean and variance of the pixels, for `normalization: featurewise`.
    """
    # All weights before the cut come from the file: whatever seed and classes the head has, they are the same.
    network = build(model, shape, num_classes=2, seed=0)
    if measure and model.normalization == "featurewise":
        set_statistics(network, *measure())
    freeze(network, "head", "", "frozen")
    prefix, _ = cut(network)
    assert prefix is not None, "a pretrained backbone has weights before its head"
    return prefix
