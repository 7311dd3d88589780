"""The table and the diagram of a network: every number against one worked out by hand."""

import xml.etree.ElementTree as ElementTree

import keras
import pytest

from thaw.inspecting.costs import Cost, separable_convolution, standard_convolution
from thaw.inspecting.diagram import draw_diagram
from thaw.inspecting.summary import summarize
from thaw.models import build
from thaw.params import ModelParams


def _summary(architecture, shape, classes):
    model = build(ModelParams(architecture=architecture, weights="none"), shape, classes, seed=1)
    return model, {layer.name: layer for layer in summarize(model)}


def test_lenet5():
    model, layers = _summary("lenet5", (32, 32, 1), 10)
    assert [layer.receptive_field for layer in layers.values()][2:7] == [
        (5, 5),
        (6, 6),
        (14, 14),
        (16, 16),
        (32, 32),
    ]
    conv = layers["block1_conv"]
    assert conv.weights == {"kernel": (5, 5, 6, 16), "bias": (16,)}
    assert conv.multiply_adds == 10 * 10 * 5 * 5 * 6 * 16
    assert layers["hidden"].multiply_adds == 120 * 84
    assert layers["hidden"].receptive_field is None
    assert sum(layer.parameters for layer in layers.values()) == model.count_params() == 61_706


def test_vgg16_costs_what_its_paper_says():
    _, layers = _summary("vgg16", (224, 224, 3), 2)
    assert layers["block5_pool"].receptive_field == (212, 212)
    convolutions = sum(layer.multiply_adds for layer in layers.values() if layer.kind == "Conv2D")
    assert convolutions == 15_346_630_656


def test_strides_depthwise_and_shortcuts():
    _, layers = _summary("efficientnet_lite0", (224, 224, 3), 2)
    assert layers["stem_conv"].receptive_field == (3, 3)
    assert layers["block0_depthwise_conv"].receptive_field == (7, 7)
    assert layers["block1_depthwise_conv"].receptive_field == (11, 11)
    assert layers["block2_depthwise_conv"].receptive_field == (19, 19)
    assert layers["block2_add"].receptive_field == (19, 19)
    assert set(layers["block2_add"].inputs) == {"block1_project_bn", "block2_project_bn"}
    assert layers["block0_depthwise_conv"].multiply_adds == 112 * 112 * 3 * 3 * 32


def test_kernels_that_are_not_square():
    pixels = keras.Input((32, 32, 1))
    x = keras.layers.Conv2D(2, (1, 7), strides=(1, 2), name="wide")(pixels)
    x = keras.layers.Conv2D(2, 3, dilation_rate=2, name="dilated")(x)
    layers = {layer.name: layer for layer in summarize(keras.Model(pixels, x))}
    assert layers["wide"].receptive_field == (1, 7)
    assert layers["dilated"].receptive_field == (5, 15)


def test_frozen_and_trainable_add_up():
    model, _ = _summary("efficientnet_lite0", (64, 64, 3), 2)
    model.get_layer("stem_conv").trainable = False
    layers = summarize(model)
    trainable = sum(keras.ops.size(weight) for weight in model.trainable_weights)
    assert sum(layer.trainable for layer in layers) == trainable
    assert sum(layer.parameters for layer in layers) == model.count_params()


def test_costs_of_both_convolutions():
    assert standard_convolution(5, 3, 256, 8, 8) == Cost(19_200, 1_228_800)
    assert separable_convolution(5, 3, 256, 8, 8) == Cost(843, 53_952)


@pytest.mark.parametrize("layer", [
    (keras.layers.Conv2D(256, 5, use_bias=False), standard_convolution),
    (keras.layers.SeparableConv2D(256, 5, use_bias=False), separable_convolution),
])  # fmt: skip
def test_costs_are_those_of_keras(layer):
    convolution, cost = layer
    pixels = keras.Input((12, 12, 3))
    found = summarize(keras.Model(pixels, convolution(pixels)))[-1]
    assert Cost(found.parameters, found.multiply_adds) == cost(5, 3, 256, 8, 8)


def test_the_diagram_is_whole_escaped_and_the_same_each_time():
    drawn = []
    for _ in range(2):
        model, _ = _summary("efficientnet_lite0", (64, 64, 3), 2)
        drawn.append(draw_diagram("a<b & c", summarize(model)))
    assert drawn[0] == drawn[1]
    texts = [
        element.text for element in ElementTree.fromstring(drawn[0]).iter() if element.tag.endswith("text")
    ]
    assert "a<b & c" in texts
    assert {layer.name for layer in model.layers} <= set(texts)
    paths = [element for element in ElementTree.fromstring(drawn[0]).iter() if element.tag.endswith("path")]
    assert len(paths) == 9  # one for each block that adds its input
