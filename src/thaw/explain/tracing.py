"""See what a layer gives while its model runs, however deep it is nested."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import keras
import numpy as np

from thaw.errors import ThawError

_SAME_MAPS = ("Pooling", "Dropout", "ZeroPadding", "Cropping")
"""Layers whose output shows what an earlier layer's shows."""


@contextmanager
def forward_hook(layer: Any, hook: Callable[[Any, Any], None]) -> Iterator[None]:
    """Within the block, `hook` is called with each input and output of `layer`, right after the output is made."""
    call = layer.call

    def call_with_hook(inputs: Any, *arguments: Any, **keywords: Any) -> Any:
        output = call(inputs, *arguments, **keywords)
        hook(inputs, output)
        return output

    layer.call = call_with_hook
    try:
        yield
    finally:
        del layer.call


@contextmanager
def linear_output(layer: Any) -> Iterator[None]:
    """Within the block, `layer` gives what it has before its activation function."""
    activation = getattr(layer, "activation", None)
    if activation is None:
        yield
        return
    layer.activation = keras.activations.linear
    try:
        yield
    finally:
        layer.activation = activation


def layer_outputs(model: keras.Model, pixels: np.ndarray) -> dict[str, Any]:
    """What each layer of `model`, nested ones included, gives for `pixels` `(batch, height, width, channels)`.

    In the order in which they run; of a layer that runs more than once, the last output.
    """
    outputs: dict[str, Any] = {}

    def store(layer: Any, _inputs: Any, output: Any) -> None:
        outputs.pop(layer.name, None)
        outputs[layer.name] = output

    run_hooked(model, pixels, store)
    return outputs


def run_hooked(model: keras.Model, pixels: np.ndarray, hook: Callable[[Any, Any, Any], None]) -> None:
    """Run `model`; `hook` is called with each layer, its input and its output."""
    with ExitStack() as stack:
        for layer in _leaves(model):
            stack.enter_context(forward_hook(layer, partial(hook, layer)))
        model(pixels, training=False)


def spatial_layers(model: keras.Model) -> dict[str, tuple[int, int, int]]:
    """Height, width and channels of each layer that gives maps of more than one position, in the order they run.

    From the first convolution on: what comes before it shows the picture.
    """
    outputs = layer_outputs(model, np.zeros((1, *input_shape(model)), "float32"))
    layers = {layer.name: layer for layer in _leaves(model)}
    found: dict[str, tuple[int, int, int]] = {}
    for name, output in outputs.items():
        shape = tuple(getattr(output, "shape", ()))[1:]
        convolves = any(len(weight.shape) == 4 for weight in layers[name].weights)
        same = any(word in type(layers[name]).__name__ for word in _SAME_MAPS)
        if len(shape) == 3 and shape[0] * shape[1] > 1 and not same and (convolves or found):
            found[name] = shape
    return found


def find_spatial_layer(model: keras.Model, name: str = "") -> Any:
    """The layer `name`; without a name the last one that gives maps.

    Raises:
        ThawError: there is none, or it gives no maps; says which do.
    """
    found = spatial_layers(model)
    if not found:
        raise ThawError(f"{model.name}: no layer gives maps", "Explain a convolutional network.")
    name = name or list(found)[-1]
    if name not in found:
        raise ThawError(
            f"{model.name}: layer {name!r} has no spatial output", f"Those that have: {', '.join(found)}."
        )
    return next(layer for layer in _leaves(model) if layer.name == name)


def input_shape(model: keras.Model) -> tuple[int, int, int]:
    """Height, width and channels of the model's input.

    Raises:
        ThawError: it is not known: the model is a subclass, or takes any size.
    """
    shape: tuple[int, ...] = getattr(model, "input_shape", ())
    if len(shape) != 4 or None in shape[1:]:
        raise ThawError(
            f"{model.name}: the size of its input is not known", "Write it as a functional model."
        )
    return shape[1], shape[2], shape[3]


def _leaves(model: keras.Model) -> list[Any]:
    return [
        layer for layer in model._flatten_layers(include_self=False) if not isinstance(layer, keras.Model)
    ]
