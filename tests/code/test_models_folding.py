"""The network that takes the steps on a processor: held against Keras's own, in what it gives and in every gradient."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from thaw.backends import backend
from thaw.models import build, freeze
from thaw.models.folding import fold
from thaw.models.graph import calls
from thaw.params import ModelParams

RNG = np.random.default_rng(0)


def unsettle(model):
    """Give every BatchNorm statistics of its own: fresh ones hardly change anything."""
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([RNG.uniform(0.5, 1.5, weight.shape) for weight in layer.weights])


def gradients(model, pictures, variables):
    with tf.GradientTape() as tape:
        logits = model(pictures, training=False)
        loss = tf.reduce_sum(logits * logits)
    return np.asarray(logits), tape.gradient(loss, [variable.value for variable in variables])


def assert_alike(model, folded, pictures):
    variables = model.trainable_variables
    assert [id(variable) for variable in folded.trainable_variables] == [id(variable) for variable in variables]
    given, slopes = gradients(model, pictures, variables)
    given_folded, slopes_folded = gradients(folded, pictures, variables)
    np.testing.assert_allclose(given_folded, given, rtol=1e-4, atol=1e-4 * np.abs(given).max())
    for variable, one, other in zip(variables, slopes, slopes_folded, strict=True):
        # Rounding puts a few activations on the other side of a ReLU's kink.
        one, other = np.asarray(one, np.float64), np.asarray(other, np.float64)
        assert np.linalg.norm(other - one) < 1e-3 * np.linalg.norm(one), variable.path


def norms(model):
    return sum(isinstance(call.layer, keras.layers.BatchNormalization) for call in calls(model))


@pytest.mark.parametrize(("architecture", "strategy", "left"), [
    ("efficientnet_lite0", "full", 0),
    ("efficientnet_lite0", "partial", 0),
    ("efficientnet_b0", "full", 0),  # swish, and kernels of 5 by 5 on padded maps
    ("mobilenet_v2", "full", 0),
    ("resnet50", "full", 0),  # its convolutions have a bias that trains
    ("densenet121", "partial", 62),  # 58 stand before the blocks, 3 between them, one after the last
    ("inception_v3", "partial", 0),  # BatchNorms without a factor
    ("vgg16", "full", 0),
])  # fmt: skip
def test_what_is_folded_gives_what_the_network_gives_and_the_same_gradients(architecture, strategy, left):
    model = build(ModelParams(architecture=architecture, weights="none"), (96, 96, 3), 3, seed=1)
    freeze(model, strategy, "auto", "frozen")
    unsettle(model)
    folded = fold(model)
    assert norms(folded) == left
    assert (folded is model) == (architecture == "vgg16")
    assert_alike(model, folded, RNG.uniform(0, 255, (4, 96, 96, 3)).astype(np.float32))


def test_a_batch_norm_that_trains_stays_what_it_is():
    model = build(ModelParams(architecture="efficientnet_lite0", weights="none"), (64, 64, 3), 2, seed=1)
    freeze(model, "partial", "block14", "train")
    folded = fold(model)
    trained = sum(isinstance(layer, keras.layers.BatchNormalization) and layer.trainable for layer in model.layers)
    assert norms(folded) == trained > 0
    assert_alike(model, folded, RNG.uniform(0, 255, (2, 64, 64, 3)).astype(np.float32))


def test_a_convolution_that_others_read_too_or_that_is_used_twice_is_left_alone():
    inputs = keras.Input((8, 8, 4))
    read_twice, used_twice = keras.layers.Conv2D(4, 3, padding="same"), keras.layers.Conv2D(4, 3, padding="same")
    x = read_twice(inputs)
    y = keras.layers.BatchNormalization()(x)
    z = keras.layers.BatchNormalization()(used_twice(used_twice(keras.layers.Add()([x, y]))))
    activated = keras.layers.Conv2D(4, 1, activation="relu")(z)
    shared = keras.layers.BatchNormalization()  # which two convolutions are normalized by
    sums = [shared(keras.layers.Conv2D(4, 1)(branch)) for branch in (z, keras.layers.BatchNormalization()(activated))]
    model = keras.Model(inputs, keras.layers.Add()(sums))
    freeze(model, "full", "auto", "frozen")
    unsettle(model)
    assert fold(model) is model


def test_a_depthwise_convolution_that_is_used_twice_stays_one():
    inputs = keras.Input((8, 8, 4))
    depthwise = keras.layers.DepthwiseConv2D(5, padding="same", activation="relu")
    model = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(depthwise(depthwise(inputs))))
    assert_alike(model, fold(model), RNG.uniform(-1, 1, (2, 8, 8, 4)).astype(np.float32))


@pytest.mark.parametrize("kernel", [3, 5, 7])
@pytest.mark.parametrize(("strides", "padding", "size"), [
    ((1, 1), "same", (9, 12)), ((2, 2), "same", (9, 12)), ((2, 2), "same", (14, 7)),
    ((1, 1), "valid", (9, 12)), ((2, 2), "valid", (15, 8)),
])  # fmt: skip
def test_depthwise_gradients_are_those_of_keras(kernel, strides, padding, size):
    x = tf.constant(RNG.normal(size=(3, *size, 5)).astype(np.float32))
    weights = tf.constant(RNG.normal(size=(kernel, kernel, 5, 2)).astype(np.float32))
    results = []
    for convolve in (keras.ops.depthwise_conv, backend.depthwise_conv):
        with tf.GradientTape() as tape:
            tape.watch((x, weights))
            y = convolve(x, weights, strides, padding, "channels_last", (1, 1))
            loss = tf.reduce_sum(y * tf.sin(y))
        results.append([y, *tape.gradient(loss, (x, weights))])
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-4, atol=1e-4)
