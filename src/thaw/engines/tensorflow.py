"""TensorFlow itself: slower on a CPU, right by definition, and the engine of a GPU."""

from typing import Any

import numpy as np

from thaw.engines.compiled import CompiledNetwork
from thaw.engines.engine import Run, in_batches


def start(compiled_network: CompiledNetwork, batch_size: int) -> Run:
    """Run the Keras network in `compiled_network` as it is."""
    import tensorflow as tf

    model = compiled_network.model

    @tf.function(jit_compile=False)
    def infer(images: Any) -> Any:
        return model(tf.cast(images, tf.float32), training=False)

    def run_batch(images: np.ndarray) -> np.ndarray:
        return np.asarray(infer(tf.constant(images)), dtype=np.float32)

    return in_batches(run_batch, batch_size)
