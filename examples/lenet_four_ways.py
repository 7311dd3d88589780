"""LeNet-5 written in Keras's four ways: `Sequential`, a `Model` subclass, layer subclasses, and both together.

All four are the network of `thaw.models.networks.lenet5` on 28 x 28 grey pixels from 0 to 1. For equal weights they give
equal outputs; what differs is what Keras knows of them before they have run:

- `Sequential` and functional models know every shape at once: they can be drawn, cut and explained;
- a `Model` subclass is ordinary Python in `call`, and knows its shapes only after it has seen a batch;
- a layer subclass packs a step that is repeated, and can stand in any model;
- the hybrid uses such layers in a functional model: the parts are free, the whole is still a graph.

    PYTHONPATH=src python examples/lenet_four_ways.py

prints the parameters of each, and how far their outputs lie apart.
"""

from typing import Any

import keras
import numpy as np

INPUT_SHAPE = (28, 28, 1)


def lenet_sequential(classes: int = 10) -> keras.Model:
    """A list of layers."""
    return keras.Sequential([
        keras.Input(INPUT_SHAPE),
        keras.layers.Conv2D(6, 5, padding="same", activation="tanh"),
        keras.layers.AveragePooling2D(2),
        keras.layers.Conv2D(16, 5, activation="tanh"),
        keras.layers.AveragePooling2D(2),
        keras.layers.Conv2D(120, 5, activation="tanh"),
        keras.layers.Flatten(),
        keras.layers.Dense(84, activation="tanh"),
        keras.layers.Dense(classes),
    ])  # fmt: skip


class LeNet(keras.Model):
    """A model whose `call` is the program."""

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        self.convolutions = [
            keras.layers.Conv2D(6, 5, padding="same", activation="tanh"),
            keras.layers.Conv2D(16, 5, activation="tanh"),
            keras.layers.Conv2D(120, 5, activation="tanh"),
        ]
        self.pool = keras.layers.AveragePooling2D(2)
        self.flatten = keras.layers.Flatten()
        self.hidden = keras.layers.Dense(84, activation="tanh")
        self.logits = keras.layers.Dense(classes)

    def call(self, x: Any) -> Any:
        first, second, third = self.convolutions
        x = self.pool(first(x))
        x = self.pool(second(x))
        return self.logits(self.hidden(self.flatten(third(x))))


class ConvPool(keras.layers.Layer):
    """A convolution with tanh, and average pooling after it."""

    def __init__(self, filters: int, padding: str = "valid") -> None:
        super().__init__()
        self.conv = keras.layers.Conv2D(filters, 5, padding=padding, activation="tanh")
        self.pool = keras.layers.AveragePooling2D(2)

    def call(self, x: Any) -> Any:
        return self.pool(self.conv(x))


class Classifier(keras.layers.Layer):
    """Two dense layers over flattened maps."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.flatten = keras.layers.Flatten()
        self.hidden = keras.layers.Dense(84, activation="tanh")
        self.logits = keras.layers.Dense(classes)

    def call(self, x: Any) -> Any:
        return self.logits(self.hidden(self.flatten(x)))


def lenet_of_layers(classes: int = 10) -> keras.Model:
    """A list of layers of our own."""
    last = keras.layers.Conv2D(120, 5, activation="tanh")
    return keras.Sequential(
        [keras.Input(INPUT_SHAPE), ConvPool(6, "same"), ConvPool(16), last, Classifier(classes)]
    )


def lenet_hybrid(classes: int = 10) -> keras.Model:
    """A functional graph in which layers of our own stand beside Keras's."""
    pixels = keras.Input(INPUT_SHAPE)
    x = ConvPool(16)(ConvPool(6, "same")(pixels))
    features = keras.layers.Conv2D(120, 5, activation="tanh")(x)
    return keras.Model(pixels, Classifier(classes)(features))


WAYS = {
    "Sequential": lenet_sequential,
    "Model subclass": LeNet,
    "layer subclass": lenet_of_layers,
    "hybrid": lenet_hybrid,
}


def build_alike(classes: int = 10) -> dict[str, keras.Model]:
    """All four, with the weights of the first."""
    models = {name: way(classes) for name, way in WAYS.items()}
    for model in models.values():
        model(np.zeros((1, *INPUT_SHAPE), "float32"))  # a subclass makes its weights when it first runs
    weights = models["Sequential"].get_weights()
    for model in models.values():
        model.set_weights(weights)
    return models


def main() -> None:
    """Compare them."""
    keras.utils.set_random_seed(1)
    pixels = np.random.default_rng(1).random((8, *INPUT_SHAPE), "float32")
    models = build_alike()
    expected = keras.ops.convert_to_numpy(models["Sequential"](pixels))
    for name, model in models.items():
        apart = np.abs(keras.ops.convert_to_numpy(model(pixels)) - expected).max()
        print(f"{name:15} {model.count_params():,} parameters, outputs at most {apart:.1e} apart")


if __name__ == "__main__":
    main()
