"""Keras layers as ONNX nodes. Inside, pictures are channels first, as ONNX wants them."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from thaw.engines.onnx_file import Graph

if TYPE_CHECKING:
    import keras

_TO_CHANNELS_FIRST, _TO_CHANNELS_LAST = (0, 3, 1, 2), (0, 2, 3, 1)


def convert(model: "keras.Model", batch_size: int) -> bytes:
    """An ONNX file of a flat functional model whose layers are each used once.

    It takes uint8 pictures `(batch_size, height, width, channels)` and gives float32.

    Raises:
        ValueError: names a layer that has no counterpart here.
    """
    graph = Graph()
    pixels = graph.node("Cast", ["pixels"], to=1)
    names = {id(model.inputs[0]): graph.node("Transpose", [pixels], perm=_TO_CHANNELS_FIRST)}
    for layer in model.layers[1:]:
        inputs = layer.input if isinstance(layer.input, list) else [layer.input]
        write = _LAYERS.get(type(layer).__name__)
        if write is None:
            raise ValueError(f"layer {layer.name} ({type(layer).__name__}) cannot be written as ONNX")
        names[id(layer.output)] = write(graph, layer, [names[id(tensor)] for tensor in inputs])
    result, shape = names[id(model.outputs[0])], (batch_size, *model.output_shape[1:])
    if len(shape) == 4:
        result = graph.node("Transpose", [result], perm=_TO_CHANNELS_LAST)
    return graph.encode(("pixels", "uint8", (batch_size, *model.input_shape[1:])), (result, "float32", shape))


def _activate(graph: Graph, name: str, x: str) -> str:
    simple = {"relu": "Relu", "tanh": "Tanh", "sigmoid": "Sigmoid", "elu": "Elu", "softplus": "Softplus"}
    if name == "linear":
        return x
    if name in simple:
        return graph.node(simple[name], [x])
    if name == "relu6":
        return _clip(graph, x, 6.0)
    if name in ("silu", "swish"):
        return graph.node("Mul", [x, graph.node("Sigmoid", [x])])
    raise ValueError(f"activation {name} cannot be written as ONNX")


def _clip(graph: Graph, x: str, largest: float) -> str:
    return graph.node("Clip", [x, graph.weight(np.float32(0)), graph.weight(np.float32(largest))])


def _window(layer: Any, size: tuple[int, ...]) -> dict[str, Any]:
    pad = {"same": "SAME_UPPER", "valid": "VALID"}[layer.padding]
    return {"auto_pad": pad, "kernel_shape": size, "strides": layer.strides}


def _convolve(graph: Graph, layer: Any, x: str, kernel: np.ndarray, bias: Any, groups: int) -> str:
    """`kernel` as `(out, in / groups, height, width)`."""
    weights = [graph.weight(kernel)] + ([] if bias is None else [graph.weight(bias.numpy())])
    settings = _window(layer, kernel.shape[2:]) | {"dilations": layer.dilation_rate, "group": groups}
    return graph.node("Conv", [x, *weights], **settings)


def _conv(graph: Graph, layer: Any, inputs: list[str]) -> str:
    kernel = layer.kernel.numpy().transpose(3, 2, 0, 1)
    x = _convolve(graph, layer, inputs[0], kernel, layer.bias if layer.use_bias else None, layer.groups)
    return _activate(graph, layer.activation.__name__, x)


def _depthwise(graph: Graph, layer: Any, inputs: list[str]) -> str:
    kernel, groups = _depthwise_kernel(layer.kernel.numpy())
    x = _convolve(graph, layer, inputs[0], kernel, layer.bias if layer.use_bias else None, groups)
    return _activate(graph, layer.activation.__name__, x)


def _depthwise_kernel(kernel: np.ndarray) -> tuple[np.ndarray, int]:
    height, width, channels, multiplier = kernel.shape
    return kernel.transpose(2, 3, 0, 1).reshape(channels * multiplier, 1, height, width), channels


def _separable(graph: Graph, layer: Any, inputs: list[str]) -> str:
    x = _convolve(graph, layer, inputs[0], *_separable_parts(layer))
    point = layer.pointwise_kernel.numpy().transpose(3, 2, 0, 1)
    weights = [graph.weight(point)] + ([graph.weight(layer.bias.numpy())] if layer.use_bias else [])
    return _activate(graph, layer.activation.__name__, graph.node("Conv", [x, *weights]))


def _separable_parts(layer: Any) -> tuple[np.ndarray, None, int]:
    kernel, groups = _depthwise_kernel(layer.depthwise_kernel.numpy())
    return kernel, None, groups


def _normalize(graph: Graph, layer: Any, inputs: list[str]) -> str:
    mean, variance = layer.moving_mean.numpy(), layer.moving_variance.numpy()
    gamma = layer.gamma.numpy() if layer.scale else np.ones_like(mean)
    beta = layer.beta.numpy() if layer.center else np.zeros_like(mean)
    weights = [graph.weight(array) for array in (gamma, beta, mean, variance)]
    return graph.node("BatchNormalization", [inputs[0], *weights], epsilon=float(layer.epsilon))


def _relu(graph: Graph, layer: Any, inputs: list[str]) -> str:
    if layer.negative_slope or layer.threshold:
        raise ValueError(f"layer {layer.name}: a leaky ReLU cannot be written as ONNX")
    largest = layer.max_value
    return graph.node("Relu", inputs) if largest is None else _clip(graph, inputs[0], float(largest))


def _channels(values: Any) -> np.ndarray:
    """Scalars or values a channel, shaped to go with `(n, channels, height, width)`."""
    return np.asarray(values, dtype=np.float32).reshape(-1, 1, 1)


def _rescale(graph: Graph, layer: Any, inputs: list[str]) -> str:
    scaled = graph.node("Mul", [inputs[0], graph.weight(_channels(layer.scale))])
    return graph.node("Add", [scaled, graph.weight(_channels(layer.offset))])


def _standardize(graph: Graph, layer: Any, inputs: list[str]) -> str:
    import keras

    centered = graph.node("Sub", [inputs[0], graph.weight(_channels(layer.mean.numpy()))])
    deviation = np.sqrt(layer.variance.numpy() + np.float32(keras.config.epsilon()))
    return graph.node("Div", [centered, graph.weight(_channels(deviation))])


def _center(graph: Graph, layer: Any, inputs: list[str]) -> str:
    return graph.node("Sub", [inputs[0], graph.node("ReduceMean", inputs, axes=(1, 2, 3), keepdims=1)])


def _reverse(graph: Graph, layer: Any, inputs: list[str]) -> str:
    return graph.node("Gather", [inputs[0], graph.weight(np.array([2, 1, 0]))], axis=1)


def _pool(operator: str, **settings: Any) -> "Callable[[Graph, Any, list[str]], str]":
    return lambda graph, layer, inputs: graph.node(operator, inputs, **_window(layer, layer.pool_size), **settings)


def _pool_all(operator: str) -> "Callable[[Graph, Any, list[str]], str]":
    def write(graph: Graph, layer: Any, inputs: list[str]) -> str:
        pooled = graph.node(operator, inputs)
        return pooled if layer.keepdims else graph.node("Flatten", [pooled])

    return write


def _pad(graph: Graph, layer: Any, inputs: list[str]) -> str:
    (top, bottom), (left, right) = layer.padding
    return graph.node("Pad", [inputs[0], graph.weight(np.array([0, 0, top, left, 0, 0, bottom, right]))])


def _flatten(graph: Graph, layer: Any, inputs: list[str]) -> str:
    x = inputs[0]
    if len(layer.input.shape) == 4:
        x = graph.node("Transpose", [x], perm=_TO_CHANNELS_LAST)
    return graph.node("Flatten", [x])


def _dense(graph: Graph, layer: Any, inputs: list[str]) -> str:
    weights = [graph.weight(layer.kernel.numpy())] + ([graph.weight(layer.bias.numpy())] if layer.use_bias else [])
    return _activate(graph, layer.activation.__name__, graph.node("Gemm", [inputs[0], *weights]))


def _concatenate(graph: Graph, layer: Any, inputs: list[str]) -> str:
    if layer.axis not in (-1, 3):
        raise ValueError(f"layer {layer.name}: only channels can be concatenated in ONNX here")
    return graph.node("Concat", inputs, axis=1)


_LAYERS: "dict[str, Callable[[Graph, Any, list[str]], str]]" = {
    "Activation": lambda graph, layer, inputs: _activate(graph, layer.activation.__name__, inputs[0]),
    "Add": lambda graph, layer, inputs: graph.node("Sum", inputs),
    "AveragePooling2D": _pool("AveragePool", count_include_pad=0),
    "BatchNormalization": _normalize,
    "Concatenate": _concatenate,
    "Conv2D": _conv,
    "Dense": _dense,
    "DepthwiseConv2D": _depthwise,
    "Dropout": lambda graph, layer, inputs: inputs[0],
    "FeaturewiseStandardization": _standardize,
    "Flatten": _flatten,
    "GlobalAveragePooling2D": _pool_all("GlobalAveragePool"),
    "GlobalMaxPooling2D": _pool_all("GlobalMaxPool"),
    "MaxPooling2D": _pool("MaxPool"),
    "ReLU": _relu,
    "Rescaling": _rescale,
    "ReverseChannels": _reverse,
    "SamplewiseCentering": _center,
    "SeparableConv2D": _separable,
    "ZeroPadding2D": _pad,
}
