"""EfficientNet-Lite: EfficientNet (Tan and Le 2019) without squeeze-and-excitation, with ReLU6.

From arXiv 1905.11946. Stem and head, and the depth of the first and last stage, are not scaled. Layers: `stem_...`,
`block0_...` to `blockN_...`, `top_...`.
"""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import keras
import numpy as np

from thaw.errors import ThawError
from thaw.models.pretrained import lite_weights_path
from thaw.models.torch_pickle import read_state

_BN_EPSILON = 1e-3
_BN_MOMENTUM = 0.99


class _Stage(NamedTuple):
    kernel: int
    repeats: int
    filters: int
    expansion: int
    stride: int


_STAGES = (
    _Stage(3, 1, 16, 1, 1), _Stage(3, 2, 24, 6, 2), _Stage(5, 2, 40, 6, 2), _Stage(3, 3, 80, 6, 2),
    _Stage(5, 3, 112, 6, 1), _Stage(5, 4, 192, 6, 2), _Stage(3, 1, 320, 6, 1),
)  # fmt: skip
_WIDTH_AND_DEPTH = {
    "efficientnet_lite0": (1.0, 1.0), "efficientnet_lite1": (1.0, 1.1), "efficientnet_lite2": (1.1, 1.2),
}  # fmt: skip


def efficientnet_lite(x: Any, architecture: str) -> Any:
    """The feature maps `(batch, height/32, width/32, 1280)` of scaled pixels `(batch, height, width, 3)`."""
    x = keras.layers.Conv2D(32, 3, 2, "same", use_bias=False, name="stem_conv")(x)
    x = _bn_relu6(x, "stem")
    for name, block in _blocks(architecture):
        x = _inverted_residual(x, block, name)
    x = keras.layers.Conv2D(1280, 1, use_bias=False, name="top_conv")(x)
    return _bn_relu6(x, "top")


def load_imagenet(model: keras.Model, architecture: str) -> None:
    """Set the weights of all Lite layers of `model`.

    Raises:
        ThawError: the weights are not installed, or do not fit.
    """
    path = lite_weights_path(architecture)
    state = read_state(path)
    prefixes = {"stem_conv": "_conv_stem", "stem_bn": "_bn0", "top_conv": "_conv_head", "top_bn": "_bn1"}
    for index, (name, _) in enumerate(_blocks(architecture)):
        for part, bn in (("expand", "_bn0"), ("depthwise", "_bn1"), ("project", "_bn2")):
            prefixes[f"{name}_{part}_conv"] = f"_blocks.{index}._{part}_conv"
            prefixes[f"{name}_{part}_bn"] = f"_blocks.{index}.{bn}"
    for layer in model.layers:
        if layer.name in prefixes:
            try:
                layer.set_weights(_keras_weights(layer, state, prefixes[layer.name]))
            except (KeyError, ValueError) as error:
                raise ThawError(f"{path}: does not fit layer {layer.name}: {error}",
                                "Install its package again.") from None  # fmt: skip


def _blocks(architecture: str) -> Iterator[tuple[str, _Stage]]:
    width, depth = _WIDTH_AND_DEPTH[architecture]
    index = 0
    for number, stage in enumerate(_STAGES):
        outer = number in (0, len(_STAGES) - 1)
        repeats = stage.repeats if outer else math.ceil(stage.repeats * depth)
        for repeat in range(repeats):
            stride = stage.stride if repeat == 0 else 1
            yield f"block{index}", stage._replace(filters=_scaled(stage.filters, width), stride=stride)
            index += 1


def _scaled(filters: int, width: float) -> int:
    """`filters` times `width`, to the nearest multiple of 8 and never under nine tenths."""
    scaled = filters * width
    rounded = max(8, int(scaled + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * scaled else rounded


def _inverted_residual(x: Any, block: _Stage, name: str) -> Any:
    shortcut, channels = x, x.shape[-1]
    if block.expansion > 1:
        x = keras.layers.Conv2D(channels * block.expansion, 1, use_bias=False, name=f"{name}_expand_conv")(x)
        x = _bn_relu6(x, f"{name}_expand")
    x = keras.layers.DepthwiseConv2D(block.kernel, block.stride, "same", use_bias=False,
                                     name=f"{name}_depthwise_conv")(x)  # fmt: skip
    x = _bn_relu6(x, f"{name}_depthwise")
    x = keras.layers.Conv2D(block.filters, 1, use_bias=False, name=f"{name}_project_conv")(x)
    x = _bn(x, f"{name}_project")
    if block.stride == 1 and channels == block.filters:
        x = keras.layers.Add(name=f"{name}_add")([shortcut, x])
    return x


def _bn(x: Any, name: str) -> Any:
    return keras.layers.BatchNormalization(momentum=_BN_MOMENTUM, epsilon=_BN_EPSILON, name=f"{name}_bn")(x)


def _bn_relu6(x: Any, name: str) -> Any:
    return keras.layers.ReLU(6.0, name=f"{name}_relu")(_bn(x, name))


def _keras_weights(layer: keras.layers.Layer, state: dict[str, np.ndarray], prefix: str) -> list[np.ndarray]:
    weight = state[f"{prefix}.weight"]
    if isinstance(layer, keras.layers.BatchNormalization):
        return [weight, *(state[f"{prefix}.{part}"] for part in ("bias", "running_mean", "running_var"))]
    if isinstance(layer, keras.layers.DepthwiseConv2D):
        return [weight.transpose(2, 3, 0, 1)]
    return [weight.transpose(2, 3, 1, 0)]
