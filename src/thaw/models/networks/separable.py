"""Three pooled blocks of a convolution and a depthwise separable one (Chollet 2017)."""

from typing import Any

import keras


def separable(x: Any, outputs: int) -> Any:
    """Logits of scaled pixels `(batch, 28, 28, 1)`; other sizes do as well. Same padding throughout."""
    for block, filters in enumerate((32, 64, 128)):
        x = keras.layers.Conv2D(filters, 3, padding="same", activation="relu", name=f"block{block}_conv")(x)
        x = keras.layers.SeparableConv2D(filters, 3, padding="same", activation="relu",
                                         name=f"block{block}_separable_conv")(x)  # fmt: skip
        x = keras.layers.MaxPooling2D(2, name=f"block{block}_pool")(x)
    x = keras.layers.Flatten(name="flatten")(x)
    x = keras.layers.Dense(128, activation="relu", name="hidden")(x)
    return keras.layers.Dense(outputs, dtype="float32", name="logits")(x)
