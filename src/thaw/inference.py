"""How a trained network is run where it is judged, and where MLflow serves it: the same way."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import keras

_BATCH_SIZE = 32


def run_in_float32(network: "keras.Model", views: int) -> Callable[[np.ndarray], np.ndarray]:
    """A function from pixels 0 to 255, `(n, height, width, channels)`, to logits, float32 `(n, outputs)`.

    Args:
        views: of a picture that the network averages over (`thaw.decision.views_of`).
    """
    exclude_tensor_float_32()
    batch_size = max(1, _BATCH_SIZE // views)
    return lambda pixels: np.asarray(network.predict(pixels, batch_size=batch_size, verbose=0))


def exclude_tensor_float_32() -> None:
    """Have Keras compute in float32 on GPUs too: by default factors are rounded to 10 bits (TensorFloat-32) there."""
    from thaw.backends import backend

    backend.exclude_tensor_float_32()
