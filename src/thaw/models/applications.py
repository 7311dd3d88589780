"""The backbones of `keras.applications`, laid flat into a graph of ours."""

import re
from typing import Any

import keras

from thaw.errors import ThawError
from thaw.models.catalog import APPLICATIONS
from thaw.models.pretrained import load_given_weights


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
        part.set_weights(_download(function, shape, architecture))
    elif weights != "none":
        load_given_weights(part, weights)
    return features


def _name_layers(layers: list[keras.layers.Layer]) -> None:
    """Number automatic names such as `conv2d_7` anew: Keras counts on through the process."""
    counts: dict[str, int] = {}
    for layer in layers:
        kind = re.sub("([a-z])([A-Z])", r"\1_\2", type(layer).__name__).lower()
        if re.fullmatch(rf"{kind}(_\d+)?", layer.name):
            layer.name = f"{kind}_{counts.get(kind, 0)}"
            counts[kind] = counts.get(kind, 0) + 1


def _download(function: Any, shape: tuple[int, ...], architecture: str) -> list[Any]:
    try:
        return function(include_top=False, weights="imagenet", input_shape=shape).get_weights()
    except Exception as error:  # what the network raises is many things
        raise ThawError(
            f"model.weights: the ImageNet weights of {architecture} cannot be downloaded: {str(error)[:200]}",
            "Connect to the network once, name a .weights.h5 file of models/pretrained in model.weights, or set it to none.",
        ) from None
