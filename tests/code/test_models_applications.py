"""Every backbone of `keras.applications` gives on pixels what Keras's own gives, with the same weights."""

import keras
import numpy as np
import pytest

from thaw.models import build, load, save
from thaw.models.catalog import APPLICATIONS
from thaw.params import ModelParams

QUICK = ("efficientnet_b0",)
"""The one that Keras builds in two ways; the others are for `make test-slow`."""

ARCHITECTURES = [
    pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in APPLICATIONS
]


def kerass_own(architecture, weights):
    """The backbone as Keras builds it, and the function that scales pixels for it."""
    function = getattr(keras.applications, APPLICATIONS[architecture].function)
    module = getattr(keras.applications, function.__module__.rsplit(".", 1)[1])
    network = function(include_top=False, weights=weights, input_shape=(*size(architecture), 3))
    return network, module.preprocess_input


def size(architecture):
    side = max(64, 2 * APPLICATIONS[architecture].smallest)
    return side, side + 8


def randomize(network, preprocess):
    """Random numbers for every weight, those too that begin as 0 or 1; BatchNorm's statistics are those of pictures.

    With statistics drawn at random the pictures would be lost on the way up, and any two networks agree.
    """
    rng = np.random.default_rng(0)
    for weight in network.weights:
        if weight.dtype != "float32":
            continue
        if len(weight.shape) > 1:
            values = rng.normal(0, np.sqrt(2 / np.prod(weight.shape[:-1])), weight.shape)
        else:
            values = rng.normal(weight.name in ("gamma", "variance", "moving_variance"), 0.1, weight.shape)
        weight.assign(values)
    for layer in network.layers:
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()
        elif isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
    network(preprocess(pictures(network.input_shape[1:3], 8)), training=True)


def pictures(size, count):
    return np.random.default_rng(1).integers(0, 256, (count, *size, 3)).astype("float32")


@pytest.fixture
def imagenet_path(tmp_path, monkeypatch):
    """The file that Keras finds where it would download the weights of ImageNet."""
    path = tmp_path / "imagenet.weights.h5"
    monkeypatch.setattr("keras.src.utils.file_utils.get_file", lambda *_, **__: str(path))
    return path


def features(network):
    return keras.Model(network.input, network.get_layer("pool").input)


def assert_alike(ours, own, preprocess):
    pixels = pictures(own.input_shape[1:3], 2)
    expected = keras.ops.convert_to_numpy(own(preprocess(pixels.copy())))
    found = keras.ops.convert_to_numpy(features(ours)(pixels))
    spread = np.linalg.norm(expected[0] - expected[1])
    assert spread > 0.01 * np.linalg.norm(expected)  # else the features tell nothing of the pictures
    assert np.linalg.norm(found - expected) < 0.01 * spread  # many random layers make much of a last bit


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_with_the_weights_of_imagenet_it_is_keras_own(architecture, imagenet_path, tmp_path):
    kerass_own(architecture, None)[0].save_weights(imagenet_path)
    own, preprocess = kerass_own(architecture, "imagenet")
    randomize(own, preprocess)
    own.save_weights(imagenet_path)
    shape = (*size(architecture), 3)
    ours = build(ModelParams(architecture=architecture, weights="imagenet"), shape, 2, seed=1)
    assert_alike(ours, own, preprocess)
    given = ModelParams(architecture=architecture, weights=str(imagenet_path))
    assert_alike(build(given, shape, 2, seed=1), own, preprocess)
    save(ours, tmp_path / "saved", {"model": given.model_dump(), "input_shape": shape, "classes": ["a", "b"]})
    assert_alike(load(tmp_path / "saved")[0], own, preprocess)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_with_weights_of_a_network_without_imagenets_it_is_keras_own(architecture, tmp_path):
    own, preprocess = kerass_own(architecture, None)
    randomize(own, preprocess)
    own.save_weights(tmp_path / "own.weights.h5")
    given = ModelParams(architecture=architecture, weights=str(tmp_path / "own.weights.h5"))
    assert_alike(build(given, (*size(architecture), 3), 2, seed=1), own, preprocess)
