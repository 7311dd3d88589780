"""What a filter looks for: the picture it responds to most, found by gradient ascent in the input.

After Erhan et al. 2009 and Yosinski et al. 2015 (arXiv 1506.06579): the gradient is normalised and blurred, the
picture shifted a little before each step and drawn back to grey. Without that deep filters end in noise.
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from thaw.explain.tracing import find_spatial_layer, forward_hook, input_shape, linear_output

_BATCH = 64
_GREY = 128.0
_NOISE = 8.0
_STEP = 6.0  # root mean square of one step, in pixel values
_DECAY = 0.01
_JITTER = 4


def find_patterns(
    model: keras.Model, layer_name: str, filters: Sequence[int], steps: int = 40, seed: int = 0
) -> np.ndarray:
    """The picture that raises each filter's mean response most, from grey with noise.

    Args:
        layer_name: a layer that gives maps; what it has before its activation function is raised.
        filters: indices of its channels.

    Returns:
        uint8 `(filters, height, width, channels)` at the model's input size.

    Raises:
        ThawError: the layer is unknown or gives no maps.
    """
    layer = find_spatial_layer(model, layer_name)
    generator = np.random.default_rng(seed)
    shape = input_shape(model)

    @tf.function(reduce_retracing=True)
    def ascend(pictures: Any, wanted: Any, shift: Any, blur: Any) -> Any:
        outputs: list[Any] = []
        shifted = tf.roll(pictures, shift, (1, 2))
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(shifted)
            with linear_output(layer), forward_hook(layer, lambda _, output: outputs.append(output)):
                model(shifted, training=False)
            responses = tf.gather(tf.cast(outputs[-1], "float32"), wanted, axis=-1, batch_dims=1)
            total = tf.reduce_sum(tf.reduce_mean(responses, (1, 2)))
        gradients = _blur(tf.roll(tape.gradient(total, shifted), -shift, (1, 2)), blur)
        size = tf.sqrt(tf.reduce_mean(gradients**2, (1, 2, 3), keepdims=True))
        raised = pictures + _STEP * tf.math.divide_no_nan(gradients, size)
        return tf.clip_by_value(raised + _DECAY * (_GREY - raised), 0, 255)

    patterns = []
    for first in range(0, len(filters), _BATCH):
        wanted = tf.constant(filters[first : first + _BATCH], tf.int32)
        start = _GREY + _NOISE * generator.standard_normal((len(wanted), *shape))
        pictures = tf.constant(start, tf.float32)
        for step in range(steps):
            shift = tf.constant(generator.integers(-_JITTER, _JITTER + 1, 2), tf.int32)
            pictures = ascend(pictures, wanted, shift, tf.constant(1 - step / steps, tf.float32))
        patterns.append(_stretch(pictures.numpy()))
    return np.concatenate(patterns)


def _blur(pictures: Any, strength: Any) -> Any:
    """A binomial blur of 3 pixels, mixed in by `strength`: coarse forms first, detail later."""
    channels = pictures.shape[-1]
    row = tf.constant([0.25, 0.5, 0.25])
    kernel = tf.tile((row[:, None] * row[None])[:, :, None, None], (1, 1, channels, 1))
    padded = tf.pad(pictures, ((0, 0), (1, 1), (1, 1), (0, 0)), "SYMMETRIC")
    blurred = tf.nn.depthwise_conv2d(padded, kernel, (1, 1, 1, 1), "VALID")
    return pictures + strength * (blurred - pictures)


def _stretch(pictures: np.ndarray) -> np.ndarray:
    """Centre each picture on grey and spread it to about the whole range."""
    centred = pictures - pictures.mean((1, 2, 3), keepdims=True)
    spread = centred / (pictures.std((1, 2, 3), keepdims=True) + 1e-6)
    return np.clip(_GREY + 56 * spread, 0, 255).astype("uint8")
