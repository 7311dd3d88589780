"""The network for 150x150 colour pictures of the cats-and-dogs lessons: four convolutions, each pooled."""

from typing import Any

import keras


def convnet_150(x: Any, outputs: int) -> Any:
    """Logits of scaled pixels `(batch, 150, 150, 3)`; other sizes do as well."""
    for block, filters in enumerate((32, 64, 128, 128)):
        x = keras.layers.Conv2D(filters, 3, activation="relu", name=f"block{block}_conv")(x)
        x = keras.layers.MaxPooling2D(2, name=f"block{block}_pool")(x)
    x = keras.layers.Flatten(name="flatten")(x)
    x = keras.layers.Dense(512, activation="relu", name="hidden")(x)
    return keras.layers.Dense(outputs, dtype="float32", name="logits")(x)
