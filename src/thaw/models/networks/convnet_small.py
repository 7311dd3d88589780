"""The small network of the MNIST lessons: three convolutions, two poolings, two dense layers."""

from typing import Any

import keras


def convnet_small(x: Any, outputs: int) -> Any:
    """Logits of scaled pixels `(batch, 28, 28, 1)`; other sizes do as well."""
    x = keras.layers.Conv2D(32, 3, activation="relu", name="block0_conv")(x)
    x = keras.layers.MaxPooling2D(2, name="block0_pool")(x)
    x = keras.layers.Conv2D(64, 3, activation="relu", name="block1_conv")(x)
    x = keras.layers.MaxPooling2D(2, name="block1_pool")(x)
    x = keras.layers.Conv2D(64, 3, activation="relu", name="block2_conv")(x)
    x = keras.layers.Flatten(name="flatten")(x)
    x = keras.layers.Dense(64, activation="relu", name="hidden")(x)
    return keras.layers.Dense(outputs, dtype="float32", name="logits")(x)
