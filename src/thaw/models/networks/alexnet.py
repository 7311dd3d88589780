"""AlexNet (Krizhevsky et al. 2012) on one device: five convolutions, three dense layers.

Its two halves were split over two GPUs; here every convolution sees all channels of the one before. Local
response normalisation, which later networks dropped, is left out. The paper's 224 pixels give 55 maps only
with a border of
three: it is added here.
"""

from typing import Any

import keras


def alexnet(x: Any, outputs: int) -> Any:
    """Logits of scaled pixels `(batch, 224, 224, 3)`: maps of 55, 27, 27, 13, 13, 13, 13 and 6."""
    x = keras.layers.ZeroPadding2D(((1, 2), (1, 2)), name="border")(x)
    x = keras.layers.Conv2D(96, 11, 4, activation="relu", name="block0_conv")(x)
    x = keras.layers.MaxPooling2D(3, 2, name="block0_pool")(x)
    x = keras.layers.Conv2D(256, 5, padding="same", activation="relu", name="block1_conv")(x)
    x = keras.layers.MaxPooling2D(3, 2, name="block1_pool")(x)
    for block, filters in ((2, 384), (3, 384), (4, 256)):
        x = keras.layers.Conv2D(filters, 3, padding="same", activation="relu", name=f"block{block}_conv")(x)
    x = keras.layers.MaxPooling2D(3, 2, name="block4_pool")(x)
    x = keras.layers.Flatten(name="flatten")(x)
    for number in (0, 1):
        x = keras.layers.Dense(4096, activation="relu", name=f"hidden{number}")(x)
        x = keras.layers.Dropout(0.5, name=f"dropout{number}")(x)
    return keras.layers.Dense(outputs, dtype="float32", name="logits")(x)
