"""The backbones of `keras.applications`, laid flat into a graph of ours."""

import re
from typing import Any

import h5py
import keras
import numpy as np

from thaw.errors import ThawError
from thaw.models.catalog import APPLICATIONS
from thaw.models.normalization import IMAGENET_DEVIATION
from thaw.models.pretrained import given_weights_path, load_given_weights


def application(x: Any, architecture: str, weights: str) -> Any:
    """The feature maps of scaled pixels `(batch, height, width, 3)`, without the classifier.

    Dropout inside the backbone is switched off: a frozen network is deterministic, and the head has dropout
    of its own.

    Args:
        weights: `imagenet`, `none` or a `.weights.h5` file of the backbone without its top.

    Raises:
        ThawError: the weights cannot be had, or do not fit.
    """
    function = getattr(keras.applications, APPLICATIONS[architecture].function)
    shape = tuple(x.shape[1:])
    features = function(include_top=False, weights=None, input_tensor=x, input_shape=shape).output
    part = keras.Model(x, features)
    _name_layers(part.layers)
    for layer in part.layers:
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0
    if weights == "imagenet":
        own = _download(function, shape, architecture)
        part.set_weights(own.get_weights())
        _set_statistics(part, sum(isinstance(layer, keras.layers.Rescaling) for layer in own.layers) > 1)
    elif weights != "none":
        load_given_weights(part, weights)
        _set_statistics(part, _was_rescaled_twice(weights))
    return features


def _set_statistics(part: keras.Model, rescaled_twice: bool) -> None:
    """Give the `Normalization` of EfficientNet B0 to B7 the statistics of the pixels that the weights are for.

    ImageNet's weights hold the pixels' standard deviation where the variance belongs. Keras makes up for it with a
    second `Rescaling`, by one over the root of the deviation, which it builds with `weights="imagenet"` alone
    (keras/src/applications/efficientnet.py). Here the variance is set right: one graph fits all weights.
    """
    for layer in part.layers:
        if isinstance(layer, keras.layers.Normalization) and layer.weights:
            mean, variance, count = layer.get_weights()
            factor = np.array(IMAGENET_DEVIATION) if rescaled_twice else 1.0
            layer.set_weights([mean, variance * factor, count])
            layer.finalize_state()  # it computes with a copy of its weights


def _was_rescaled_twice(weights: str) -> bool:
    """Whether the file was written by a network with two `Rescaling` layers: it names those without weights too."""
    with h5py.File(given_weights_path(weights)) as file:
        return "layers/rescaling_1" in file


def _name_layers(layers: list[keras.layers.Layer]) -> None:
    """Number automatic names such as `conv2d_7` anew: Keras counts on through the process."""
    counts: dict[str, int] = {}
    for layer in layers:
        kind = re.sub("([a-z])([A-Z])", r"\1_\2", type(layer).__name__).lower()
        if re.fullmatch(rf"{kind}(_\d+)?", layer.name):
            layer.name = f"{kind}_{counts.get(kind, 0)}"
            counts[kind] = counts.get(kind, 0) + 1


def _download(function: Any, shape: tuple[int, ...], architecture: str) -> keras.Model:
    try:
        return function(include_top=False, weights="imagenet", input_shape=shape)
    except Exception as error:  # what the network raises is many things
        raise ThawError(
            f"model.weights: the ImageNet weights of {architecture} cannot be downloaded: {str(error)[:200]}",
            "Connect to the network once, name a .weights.h5 file of models/pretrained in model.weights, or set it to none.",
        ) from None
