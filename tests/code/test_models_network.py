"""Every network's exact shapes and counts; determinism; scaling; errors."""

import pkgutil
from importlib import import_module
from pathlib import Path

import keras
import numpy as np
import pytest

from thaw.errors import ThawError
from thaw.models import build, networks, set_statistics
from thaw.models.catalog import APPLICATIONS, NETWORKS
from thaw.models.normalization import normalize
from thaw.params import ModelParams

VGG16_WEIGHTS = Path(__file__).parents[3] / "shared/weights/vgg16_imagenet_notop.weights.h5"


def _network(architecture, shape, classes, **params):
    return build(ModelParams(architecture=architecture, weights="none", **params), shape, classes, seed=1)


def _shapes(model, *kinds):
    return [layer.output.shape[1:] for layer in model.layers if isinstance(layer, kinds)]


def _trainable(model):
    return sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)


@pytest.mark.parametrize(("head", "side", "hidden", "head_parameters", "total"), [
    ("gap", 224, 256, 513, 14_715_201),
    ("flatten", 224, 256, 25_089, 14_739_777),
    ("dense", 150, 256, 2_097_408 + 257, 16_812_353),
])  # fmt: skip
def test_vgg16_with_each_head(head, side, hidden, head_parameters, total):
    from thaw.models import freeze

    model = _network("vgg16", (side, side, 3), 2, head=head, hidden_units=hidden)
    assert model.count_params() == total
    freeze(model, "head", "", "frozen")
    assert _trainable(model) == head_parameters
    assert total - head_parameters == 14_714_688
    assert model.output_shape == (None, 1)


@pytest.mark.parametrize(("architecture", "shape", "classes", "parameters"), [
    ("convnet_small", (28, 28, 1), 10, 93_322),
    ("convnet_150", (150, 150, 3), 2, 3_453_121),
    ("separable", (28, 28, 1), 10, 265_290),
    ("lenet5", (28, 28, 1), 10, 61_706),
    ("lenet5", (32, 32, 1), 10, 61_706),
])  # fmt: skip
def test_parameters(architecture, shape, classes, parameters):
    assert _network(architecture, shape, classes).count_params() == parameters


@pytest.mark.parametrize(("architecture", "parameters"), [
    ("alexnet", 62_378_344),  # of the paper's network without its groups
    ("conv_dropout", 16_561_502), ("convnet_150", 3_453_121), ("convnet_small", 93_322), ("lenet5", 61_706),
    ("separable", 265_290),
])  # fmt: skip
def test_a_network_has_its_known_size_for_what_it_is_known_for(architecture, parameters):
    known = NETWORKS[architecture]
    assert _network(architecture, known.input_shape, known.classes).count_params() == parameters


def test_lenet5_shapes():
    for side in (28, 32):
        model = _network("lenet5", (side, side, 1), 10)
        maps = _shapes(model, keras.layers.Conv2D, keras.layers.AveragePooling2D)
        assert maps == [(28, 28, 6), (14, 14, 6), (10, 10, 16), (5, 5, 16), (1, 1, 120)]
        assert _shapes(model, keras.layers.Flatten, keras.layers.Dense) == [(120,), (84,), (10,)]


def test_alexnet_shapes():
    model = _network("alexnet", (224, 224, 3), 1000)
    maps = _shapes(model, keras.layers.Conv2D, keras.layers.MaxPooling2D)
    assert [m[0] for m in maps] == [55, 27, 27, 13, 13, 13, 13, 6]
    assert [m[2] for m in maps] == [96, 96, 256, 256, 384, 384, 256, 256]
    assert _shapes(model, keras.layers.Dense) == [(4096,), (4096,), (1000,)]


def test_conv_dropout_shapes():
    model = _network("conv_dropout", (96, 96, 1), 30)
    maps = _shapes(model, keras.layers.Conv2D, keras.layers.MaxPooling2D)
    assert [m[0] for m in maps] == [94, 47, 46, 23, 22, 11]
    assert _shapes(model, keras.layers.Flatten) == [(15_488,)]
    assert _shapes(model, keras.layers.Dense) == [(1000,), (1000,), (30,)]
    rates = [layer.rate for layer in model.layers if isinstance(layer, keras.layers.Dropout)]
    assert rates == [0.1, 0.2, 0.3, 0.5]


@pytest.mark.parametrize("architecture", NETWORKS)
def test_the_smallest_side_is_true(architecture):
    smallest = NETWORKS[architecture].smallest
    function = getattr(import_module(f"thaw.models.networks.{architecture}"), architecture)
    assert function(keras.Input((smallest, smallest, 1)), 3).shape == (None, 3)
    with pytest.raises(ValueError, match=r"[Nn]egative|must be|smaller"):
        function(keras.Input((smallest - 1, smallest, 1)), 3)
    with pytest.raises(ThawError, match=f"{smallest}x{smallest}"):
        _network(architecture, (smallest - 1, smallest, 1), 3)


def test_names_are_those_of_keras_applications():
    there = {name for name in dir(keras.applications) if name[0].isupper()}
    assert {backbone.function for backbone in APPLICATIONS.values()} == there
    for name, backbone in APPLICATIONS.items():
        assert name.replace("_", "") == backbone.function.lower()


@pytest.mark.parametrize("name", [name for name in APPLICATIONS if "v3_" not in name])  # which Keras gives no side
def test_sides_are_those_of_keras_applications(name, monkeypatch):
    def seen(shape, default_size, min_size, **options):
        raise InterruptedError(default_size, min_size)

    monkeypatch.setattr(keras.src.applications.imagenet_utils, "obtain_input_shape", seen)
    with pytest.raises(InterruptedError) as caught:
        getattr(keras.applications, APPLICATIONS[name].function)(weights=None)
    assert (APPLICATIONS[name].side, APPLICATIONS[name].smallest) == caught.value.args


@pytest.mark.parametrize("name", list(APPLICATIONS))
def test_scaling_is_that_of_keras_applications(name):
    backbone = APPLICATIONS[name]
    module = getattr(keras.applications, _module_of(getattr(keras.applications, backbone.function)))
    pixels = np.random.default_rng(0).uniform(0, 255, (2, 4, 4, 3)).astype("float32")
    scaled = keras.ops.convert_to_numpy(
        normalize(keras.ops.convert_to_tensor(pixels), "auto", backbone.scaling)
    )
    np.testing.assert_allclose(scaled, module.preprocess_input(pixels.copy()), atol=1e-4)


def _module_of(function):
    return function.__module__.rsplit(".", 1)[1]


@pytest.mark.parametrize(
    "architecture", ["mobilenet_v2", "resnet50", "efficientnet_b0", "mobilenet_v3_small", "densenet121"]
)
def test_backbones_of_keras_are_flat_and_named_alike_each_time(architecture):
    first, second = (_network(architecture, (64, 64, 1), 3) for _ in range(2))
    assert [layer.name for layer in first.layers] == [layer.name for layer in second.layers]
    assert not any(isinstance(layer, keras.Model) for layer in first.layers)
    assert first.output_shape == (None, 3)
    for one, other in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.skipif(not VGG16_WEIGHTS.exists(), reason="VGG16's ImageNet weights are not here")
def test_vgg16_takes_its_weights_from_a_file():
    params = ModelParams(architecture="vgg16", weights=str(VGG16_WEIGHTS))
    model = build(params, (64, 64, 3), 2, seed=1)
    plain = keras.applications.VGG16(include_top=False, weights=str(VGG16_WEIGHTS), input_shape=(64, 64, 3))
    pixels = np.random.default_rng(0).uniform(0, 255, (2, 64, 64, 3)).astype("float32")
    features = keras.Model(model.input, model.get_layer("block5_pool").output)(pixels)
    scaled = keras.applications.vgg16.preprocess_input(pixels.copy())
    np.testing.assert_allclose(features, plain(scaled), rtol=1e-4, atol=1e-3)


def test_seed_determines_every_weight_and_dropout():
    def outputs(seed):
        model = build(ModelParams(architecture="conv_dropout"), (32, 32, 1), 3, seed=seed)
        pixels = np.full((2, 32, 32, 1), 100, "uint8")
        return keras.ops.convert_to_numpy(model(pixels, training=True))

    np.testing.assert_array_equal(outputs(1), outputs(1))
    assert np.abs(outputs(1) - outputs(2)).max() > 0


def test_grey_is_repeated_and_uint8_is_taken():
    params = ModelParams(dropout=0.0)
    grey, color = (build(params, (64, 64, channels), 2, seed=1) for channels in (1, 3))
    pixels = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 1)).astype("uint8")
    one, other = grey(pixels), color(pixels.repeat(3, -1).astype("float32"))
    np.testing.assert_allclose(one, other, atol=1e-5)


def _scaled_pixels(architecture, normalization, pixels, layer):
    model = _network(architecture, pixels.shape[1:], 2, normalization=normalization)
    if normalization == "featurewise":
        set_statistics(model, pixels.mean((0, 1, 2)), pixels.var((0, 1, 2)))
    return np.asarray(keras.Model(model.input, model.get_layer(layer).output)(pixels))


def test_normalizations():
    pixels = np.random.default_rng(0).uniform(0, 255, (4, 72, 72, 3)).astype("float32")
    unit = _scaled_pixels("convnet_small", "unit", pixels, "rescale")
    np.testing.assert_allclose(unit, pixels / 255, rtol=1e-5)
    np.testing.assert_allclose(_scaled_pixels("convnet_small", "auto", pixels, "rescale"), unit)
    centered = _scaled_pixels("xception", "samplewise", pixels, "rescale")
    np.testing.assert_allclose(centered, (pixels - pixels.mean((1, 2, 3), keepdims=True)) / 127.5, atol=1e-5)
    standard = _scaled_pixels("lenet5", "featurewise", pixels, "standardize")
    np.testing.assert_allclose(standard.mean((0, 1, 2)), 0, atol=1e-4)
    np.testing.assert_allclose(standard.std((0, 1, 2)), 1, atol=1e-3)
    lite = _scaled_pixels("efficientnet_lite0", "auto", pixels, "rescale")
    np.testing.assert_allclose(lite, (pixels - 127) / 128, atol=1e-5)


@pytest.mark.parametrize(("architecture", "first"), [("vgg16", "block1_conv1"), ("resnet50", "conv1_pad")])
@pytest.mark.parametrize("normalization", ["auto", "unit", "samplewise", "featurewise"])
def test_networks_of_caffe_are_given_bgr(architecture, first, normalization):
    """Whatever the scale, their first kernels were learned on blue, green, red."""
    pixels = np.random.default_rng(0).uniform((0, 50, 100), (255, 200, 120), (4, 32, 32, 3)).astype("float32")
    model = _network(architecture, (32, 32, 3), 2, normalization=normalization)
    if normalization == "featurewise":
        set_statistics(model, pixels.mean((0, 1, 2)), pixels.var((0, 1, 2)))
    seen = keras.Model(model.input, model.get_layer(first).input)(pixels)
    bgr = pixels[..., ::-1]
    expected = {
        "auto": bgr - np.array([103.939, 116.779, 123.68]),
        "unit": bgr / 255,
        "samplewise": bgr - bgr.mean((1, 2, 3), keepdims=True),
        "featurewise": (bgr - bgr.mean((0, 1, 2))) / bgr.std((0, 1, 2)),
    }
    np.testing.assert_allclose(seen, expected[normalization], atol=1e-3)


@pytest.mark.parametrize(("params", "shape", "classes", "reason"), [
    ({"architecture": "xception"}, (70, 200, 3), 2, "71x71"),
    ({}, (64, 64, 4), 2, "4 channels"),
    ({}, (64, 64, 3), 1, "1 classes"),
    ({"architecture": "efficientnet_b0", "normalization": "unit"}, (64, 64, 3), 2, "by itself"),
    ({"weights": "other"}, (64, 64, 3), 2, "neither"),
])  # fmt: skip
def test_what_cannot_be_built_says_why(params, shape, classes, reason):
    with pytest.raises(ThawError, match=reason):
        build(ModelParams(**params), shape, classes, seed=1)


def test_weights_that_do_not_fit_say_so(tmp_path):
    path = tmp_path / "lenet.weights.h5"
    _network("lenet5", (28, 28, 1), 10).save_weights(path)
    with pytest.raises(ThawError, match="does not fit"):
        build(ModelParams(architecture="vgg16", weights=str(path)), (64, 64, 3), 2, seed=1)


def test_no_network_says_so(monkeypatch):
    def fail(*_arguments, **_keywords):
        raise OSError("URL fetch failure")

    monkeypatch.setattr("keras.src.utils.file_utils.urlretrieve", fail)
    monkeypatch.setenv("KERAS_HOME", "/nonexistent")
    with pytest.raises(ThawError, match=r"cannot be downloaded[\s\S]*weights.h5"):
        build(ModelParams(architecture="mobilenet_v2"), (64, 64, 3), 2, seed=1)


def test_every_network_has_its_module():
    modules = {module.name for module in pkgutil.iter_modules(networks.__path__)}
    assert modules == set(NETWORKS)
