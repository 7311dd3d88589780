"""Where a class was seen: Grad-CAM (Selvaraju et al. 2017, arXiv 1610.02391) and Grad-CAM++ (arXiv 1710.11063)."""

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from thaw.explain.geometry import find_grid, spread_maps
from thaw.explain.tracing import find_spatial_layer, forward_hook, input_shape

Method = Literal["grad_cam", "grad_cam++"]


class Heatmaps(NamedTuple):
    """What Grad-CAM gives for a batch."""

    maps: dict[Method, np.ndarray]
    """Of each method float32 `(images, height, width)` over the input, at least 0; not normalised."""
    logits: np.ndarray
    """float32 `(images, outputs)`."""


def prepare_grad_cam(
    model: keras.Model, layer_name: str = "", methods: Sequence[Method] = ("grad_cam",)
) -> Callable[[np.ndarray, np.ndarray], Heatmaps]:
    """Compile Grad-CAM for one layer; the function given back takes batches.

    One pass forward for all methods, and backward only from the class's logit to the layer. Of a network with one logit,
    class 1 is the positive class and class 0 its negative.

    Args:
        layer_name: a layer that gives maps, nested ones too; empty: the last one.

    Returns:
        A function of pixels `(images, height, width, channels)` and classes, int `(images,)`.

    Raises:
        ThawError: the layer is unknown or gives no maps.
    """
    layer = find_spatial_layer(model, layer_name)
    grid = find_grid(model, layer.name)
    height, width, _ = input_shape(model)

    @tf.function(reduce_retracing=True)
    def trace(pixels: Any, classes: Any) -> tuple[Any, Any]:
        outputs: list[Any] = []
        with tf.GradientTape(watch_accessed_variables=False) as tape:

            def watch(_inputs: Any, output: Any) -> None:
                tape.watch(output)
                outputs[:] = [output]

            with forward_hook(layer, watch):
                logits = model(pixels, training=False)
            score = class_score(logits, classes)
        gradients = tf.cast(tape.gradient(score, outputs[-1]), "float32")
        maps = tf.cast(outputs[-1], "float32")
        return [_weighted_sum(maps, gradients, method) for method in methods], logits

    def heat(pixels: np.ndarray, classes: np.ndarray) -> Heatmaps:
        wanted = np.broadcast_to(np.asarray(classes, "int32"), len(pixels))
        found, logits = trace(tf.cast(pixels, "float32"), tf.constant(wanted))
        maps = [spread_maps(each.numpy(), grid, (height, width)) for each in found]
        return Heatmaps(dict(zip(methods, maps, strict=True)), logits.numpy())

    return heat


def class_score(logits: Any, classes: Any) -> Any:
    """The logit of `classes` `(images,)` in `logits` `(images, outputs)`."""
    if logits.shape[-1] == 1:
        logits = tf.concat([-logits, logits], -1)
    return tf.gather(logits, classes, axis=1, batch_dims=1)


def _weighted_sum(maps: Any, gradients: Any, method: Method) -> Any:
    if method == "grad_cam":
        weights = tf.reduce_mean(gradients, (1, 2), keepdims=True)
    else:
        # With exp(score) as the score, as the paper takes it: its derivatives are powers of the gradient, and the
        # factor they share falls out when maps are normalised.
        square, cube = gradients**2, gradients**3
        below = 2 * square + tf.reduce_sum(maps, (1, 2), keepdims=True) * cube
        alpha = tf.math.divide_no_nan(square, below)
        weights = tf.reduce_sum(alpha * tf.nn.relu(gradients), (1, 2), keepdims=True)
    return tf.nn.relu(tf.reduce_sum(weights * maps, -1))


def normalize_maps(maps: np.ndarray) -> np.ndarray:
    """Each map `(images, height, width)` over its largest value; a map without any heat stays 0."""
    peak = maps.max((1, 2), keepdims=True)
    return np.divide(maps, peak, out=np.zeros_like(maps), where=peak > 0)
