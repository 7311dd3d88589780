"""A network as a processor trains it fastest: the same function of the same weights, in fewer and cheaper operations."""

from collections import Counter
from typing import Any

import keras
import numpy as np
from keras import ops

from thaw.backends import backend
from thaw.models.graph import calls


def fold(model: keras.Model) -> keras.Model:
    """The network with every frozen BatchNorm folded into the convolution before it, where that is all it normalizes.

    Frozen statistics make a BatchNorm a factor and a summand for each channel: the factor goes into the kernel, on whose way to
    the loss the gradient of the kernel that trains then lies, and the summand is a bias (Jacob et al. 2018, arXiv
    1712.05877, section 3.2). Depthwise convolutions are the backend's (`thaw.backends.Backend.depthwise_conv`), in float32
    also under mixed precision: bfloat16 slows them down.

    Args:
        model: a flat functional model; it is not changed. Frozen weights must not change while the result is in use.

    Returns:
        A model that shares all trainable weights with `model`, and gives what it gives up to rounding; `model` itself where
        there is nothing to fold.
    """
    pairs = _convolutions_before(model)
    taken = {id(convolution) for convolution, _ in pairs}
    folded = {id(normalization): _Convolution(convolution, normalization) for convolution, normalization in pairs}
    depthwise = [layer for layer in model.layers if type(layer) is keras.layers.DepthwiseConv2D and id(layer) not in taken]
    folded |= {id(layer): _Convolution(layer) for layer in depthwise}
    if not folded:
        return model

    def rebuild(layer: Any, *args: Any, **kwargs: Any) -> Any:
        if id(layer) in taken:
            return args[0]  # what its BatchNorm is then given
        return folded[id(layer)](args[0]) if id(layer) in folded else layer(*args, **kwargs)

    return keras.models.clone_model(model, clone_function=lambda layer: layer, call_function=rebuild)


def _convolutions_before(model: keras.Model) -> list[tuple[Any, Any]]:
    """Convolutions with the BatchNorm that each can take up: nothing else reads what it gives, and both are used once."""
    graph = calls(model)
    times = Counter(id(call.layer) for call in graph)
    readers = Counter(id(tensor) for call in graph for tensor in call.inputs)
    makers = {id(call.output): call.layer for call in graph}
    pairs = []
    for call in graph[1:]:
        source = makers[id(call.inputs[0])]
        once = times[id(call.layer)] == times[id(source)] == readers[id(call.inputs[0])] == 1
        if once and _is_affine(call.layer) and _can_take(source):
            pairs.append((source, call.layer))
    return pairs


def _is_affine(layer: Any) -> bool:
    """Whether it is a BatchNorm of the last axis that uses the statistics it has and trains nothing."""
    return isinstance(layer, keras.layers.BatchNormalization) and not layer.trainable and layer.axis in (-1, 3)


def _can_take(layer: Any) -> bool:
    kinds = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)
    return type(layer) in kinds and layer.data_format == "channels_last" and layer.activation is keras.activations.linear


class _Convolution(keras.layers.Layer):
    """A convolution with the BatchNorm after it, where there is one; it has the layers' weights and none of its own."""

    def __init__(self, convolution: Any, normalization: Any = None) -> None:
        is_depthwise = isinstance(convolution, keras.layers.DepthwiseConv2D)
        super().__init__(name=f"{convolution.name}_folded", dtype=convolution.dtype_policy, autocast=False)
        self._is_depthwise = is_depthwise
        self._is_pointwise = not is_depthwise and _is_product(convolution)
        self.convolution = convolution
        self._affine = _affine(normalization) if normalization else None

    def call(self, inputs: Any) -> Any:
        layer = self.convolution
        kernel, bias = layer.kernel, layer.bias if layer.use_bias else None
        if self._affine:
            factor, summand = self._affine
            kernel = kernel * (factor.reshape(kernel.shape[2:]) if self._is_depthwise else factor)
            bias = summand if bias is None else bias * factor + summand
        dtype = "float32" if self._is_depthwise else self.compute_dtype
        inputs, kernel = ops.cast(inputs, dtype), ops.cast(kernel, dtype)
        if self._is_depthwise:
            outputs = backend.depthwise_conv(
                inputs, kernel, layer.strides, layer.padding, layer.data_format, layer.dilation_rate
            )
        elif self._is_pointwise:  # oneDNN's gradient of such a kernel takes twice as long as that of a matrix, in bfloat16
            rows = ops.matmul(ops.reshape(inputs, (-1, inputs.shape[-1])), ops.reshape(kernel, kernel.shape[2:]))
            outputs = ops.reshape(rows, (*ops.shape(inputs)[:-1], layer.filters))
        else:
            outputs = layer.convolution_op(inputs, kernel)
        if bias is not None:  # in float32: where the shift is large, bfloat16 would round away what it is added to
            outputs = ops.cast(outputs, "float32") + bias
        return layer.activation(outputs)


def _is_product(layer: keras.layers.Conv2D) -> bool:
    """Whether it is a product of matrices: the channels of each place by the kernel."""
    return {*layer.kernel_size, *layer.strides, layer.groups} == {1}


def _affine(layer: keras.layers.BatchNormalization) -> tuple[np.ndarray, np.ndarray]:
    """Factor and summand of each channel, float32."""
    mean, variance = (ops.convert_to_numpy(array) for array in (layer.moving_mean, layer.moving_variance))
    factor = 1 / np.sqrt(variance + np.float32(layer.epsilon))
    if layer.scale:
        factor = factor * ops.convert_to_numpy(layer.gamma)
    shift = ops.convert_to_numpy(layer.beta) if layer.center else np.float32(0)
    return factor.astype(np.float32), (shift - mean * factor).astype(np.float32)
