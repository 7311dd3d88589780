"""LeNet-5 (LeCun et al. 1998): tanh, average pooling, three convolutions and two dense layers."""

from typing import Any

import keras

_PADDED_BELOW = 32
"""The paper pads 28x28 digits to 32x32: smaller inputs get a first convolution with same padding instead."""


def lenet5(x: Any, outputs: int) -> Any:
    """Logits of `(batch, 28, 28, channels)`, maps of 28, 14, 10, 5, 1; or of 32x32, the same unpadded."""
    padding = "same" if min(x.shape[1:3]) < _PADDED_BELOW else "valid"
    x = keras.layers.Conv2D(6, 5, padding=padding, activation="tanh", name="block0_conv")(x)
    x = keras.layers.AveragePooling2D(2, name="block0_pool")(x)
    x = keras.layers.Conv2D(16, 5, activation="tanh", name="block1_conv")(x)
    x = keras.layers.AveragePooling2D(2, name="block1_pool")(x)
    x = keras.layers.Conv2D(120, 5, activation="tanh", name="block2_conv")(x)
    x = keras.layers.Flatten(name="flatten")(x)
    x = keras.layers.Dense(84, activation="tanh", name="hidden")(x)
    return keras.layers.Dense(outputs, dtype="float32", name="logits")(x)
