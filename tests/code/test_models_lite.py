"""The EfficientNet-Lites, held against Keras's EfficientNet, from which they come, and the sizes they are published with."""

import keras
import numpy as np
import pytest

from thaw.models.catalog import LITES
from thaw.models.efficientnet_lite import efficientnet_lite


def lite(architecture, side=64):
    inputs = keras.Input((side, side, 3))
    return keras.Model(inputs, efficientnet_lite(inputs, architecture))


def convolutions(model):
    """Kernel, stride, maps and bias of each convolution but those of squeeze-and-excitation."""
    kinds = keras.layers.Conv2D, keras.layers.DepthwiseConv2D
    return [
        (layer.kernel_size, layer.strides, layer.output.shape[1:], layer.use_bias)
        for layer in model.layers
        if isinstance(layer, kinds) and "_se_" not in layer.name
    ]


def test_lite0_is_efficientnet_b0_without_squeeze_and_excitation_with_relu6():
    own = keras.applications.EfficientNetB0(include_top=False, weights=None, input_shape=(64, 64, 3))
    model = lite("efficientnet_lite0")
    assert convolutions(model) == convolutions(own)
    adds = [layer for layer in own.layers if isinstance(layer, keras.layers.Add)]
    assert sum(isinstance(layer, keras.layers.Add) for layer in model.layers) == len(adds) == 9
    norms = [layer for layer in own.layers if isinstance(layer, keras.layers.BatchNormalization)]
    lites = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert [layer.output.shape for layer in lites] == [layer.output.shape for layer in norms]
    assert {(layer.momentum, layer.epsilon) for layer in lites} == {(norms[0].momentum, norms[0].epsilon)}
    rectified = [layer for layer in model.layers if isinstance(layer, keras.layers.ReLU)]
    assert {float(layer.max_value) for layer in rectified} == {6.0}
    activations = [layer for layer in own.layers if isinstance(layer, keras.layers.Activation)]
    assert len(rectified) == len(activations)  # none after a projection


@pytest.mark.parametrize(("architecture", "side", "millions"), [
    ("efficientnet_lite0", 224, 4.652008), ("efficientnet_lite1", 240, 5.416680), ("efficientnet_lite2", 260, 6.092072),
])  # fmt: skip
def test_the_sizes_are_those_published(architecture, side, millions):
    """Of `tf_efficientnet_lite0` to `2` in PyTorch Image Models (Wightman 2019), less the layer of ImageNet's 1,000 classes."""
    assert (LITES[architecture].side, LITES[architecture].smallest) == (side, 32)
    model = lite(architecture, side)
    moving = sum(
        int(np.prod(weight.shape)) for layer in model.layers for weight in layer.non_trainable_weights
    )
    assert model.output_shape == (None, side // 32 + bool(side % 32), side // 32 + bool(side % 32), 1280)
    assert model.count_params() - moving == round(millions * 1e6) - (1280 + 1) * 1000
