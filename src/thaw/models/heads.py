"""What stands between a backbone and the linear output."""

import re
from typing import Any

import keras

from thaw.params import ModelParams

_HEAD_LAYER = re.compile(r"(pool|flatten|hidden\d*|dropout\d*|logits|temperature)$")


def add_head(features: Any, params: ModelParams, outputs: int) -> Any:
    """Logits `(batch, outputs)` of feature maps `(batch, height, width, channels)`, in float32.

    - `gap`: global average pooling, dropout, linear;
    - `flatten`: flatten, dropout, linear;
    - `dense`: flatten, `hidden_units` ReLU, dropout, linear.
    """
    if params.head == "gap":
        x = keras.layers.GlobalAveragePooling2D(name="pool")(features)
    else:
        x = keras.layers.Flatten(name="flatten")(features)
    if params.head == "dense":
        x = keras.layers.Dense(params.hidden_units, activation="relu", name="hidden")(x)
    x = keras.layers.Dropout(params.dropout, name="dropout")(x)
    return linear(x, outputs)


def linear(x: Any, outputs: int) -> Any:
    """The logits. Loss and metrics take logits too: no sigmoid or softmax is anywhere inside a network."""
    return keras.layers.Dense(outputs, dtype="float32", name="logits")(x)


def divide_by_temperature(network: keras.Model, temperature: float) -> keras.Model:
    """The network with calibrated logits: a last layer, without weights, divides them by `temperature`, above 0.

    It is a layer of the graph, so that whatever runs or exports the network gives the calibrated probabilities. A positive
    factor keeps every logit's sign, and their order.
    """
    layer = keras.layers.Rescaling(1 / temperature, dtype="float32", name="temperature")
    return keras.Model(network.inputs[0], layer(network.outputs[0]), name=network.name)


def is_head(layer: keras.layers.Layer) -> bool:
    """Whether the layer belongs to the classifier and not to the feature extractor."""
    return _HEAD_LAYER.match(layer.name) is not None
