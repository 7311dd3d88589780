"""The network of the facial-keypoint lessons: dropout that grows, two wide dense layers."""

from typing import Any

import keras


def conv_dropout(x: Any, outputs: int) -> Any:
    """Coordinates or logits of scaled pixels `(batch, 96, 96, 1)`: maps of 94, 47, 46, 23, 22, 11."""
    for block, (filters, kernel, rate) in enumerate(((32, 3, 0.1), (64, 2, 0.2), (128, 2, 0.3))):
        x = keras.layers.Conv2D(filters, kernel, activation="relu", name=f"block{block}_conv")(x)
        x = keras.layers.MaxPooling2D(2, name=f"block{block}_pool")(x)
        x = keras.layers.Dropout(rate, name=f"block{block}_dropout")(x)
    x = keras.layers.Flatten(name="flatten")(x)
    x = keras.layers.Dense(1000, activation="relu", name="hidden0")(x)
    x = keras.layers.Dropout(0.5, name="dropout")(x)
    x = keras.layers.Dense(1000, activation="relu", name="hidden1")(x)
    return keras.layers.Dense(outputs, dtype="float32", name="logits")(x)
