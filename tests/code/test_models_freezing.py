"""Freezing, cutting, digests."""

import keras
import numpy as np
import pytest

from thaw.errors import ThawError
from thaw.models import block_names, build, cut, freeze, frozen_digest
from thaw.models.catalog import BACKBONES
from thaw.models.freezing import rate_factors
from thaw.models.heads import add_head
from thaw.params import ModelParams


@pytest.fixture
def lite():
    return build(ModelParams(), (64, 64, 1), 2, seed=1)


def _names(layers):
    return [layer.name for layer in layers]


def _pixels(side=64, channels=1):
    return np.random.default_rng(0).integers(0, 256, (3, side, side, channels)).astype("uint8")


def _run(model, pixels):
    return keras.ops.convert_to_numpy(model(pixels, training=False))


def test_partial_thaws_the_block_and_what_follows(lite):
    freeze(lite, "partial", "block11", "train")
    thawed = {layer.name.split("_")[0] for layer in lite.layers if layer.trainable_weights}
    assert thawed == {"block11", "block12", "block13", "block14", "block15", "top", "logits"}


def test_partial_from_a_single_layer():
    model = build(ModelParams(architecture="vgg16", weights="none"), (64, 64, 3), 2, seed=1)
    freeze(model, "partial", "block5_conv1", "frozen")
    trained = [layer.name for layer in model.layers if layer.trainable_weights]
    assert trained == ["block5_conv1", "block5_conv2", "block5_conv3", "logits"]


def test_partial_takes_the_shortcut_of_its_block():
    model = build(ModelParams(architecture="resnet50", weights="none"), (64, 64, 3), 2, seed=1)
    freeze(model, "partial", "conv5_block1", "frozen")
    trained = {layer.name for layer in model.layers if layer.trainable_weights}
    assert {"conv5_block1_0_conv", "conv5_block1_1_conv", "conv5_block3_3_conv", "logits"} <= trained
    assert not any(name.startswith("conv4") for name in trained)


@pytest.mark.parametrize(("strategy", "batch_norm", "moves"), [
    ("full", "frozen", False), ("partial", "train", True), ("head", "train", False),
    ("scratch", "frozen", True),
])  # fmt: skip
def test_batch_norm_policy(lite, strategy, batch_norm, moves):
    freeze(lite, strategy, "block15", batch_norm)
    before = {layer.name: layer.get_weights() for layer in lite.layers if "_bn" in layer.name}
    digest = frozen_digest(lite)
    lite.compile("sgd", keras.losses.BinaryCrossentropy(from_logits=True))
    lite.fit(_pixels(), np.array([0, 1, 0]), verbose=0)
    moved = any((new != old).any() for layer in lite.layers if "_bn" in layer.name
                for new, old in zip(layer.get_weights(), before[layer.name], strict=True))  # fmt: skip
    assert moved == moves
    assert frozen_digest(lite) == digest


def test_a_moved_frozen_weight_changes_the_digest(lite):
    freeze(lite, "head", "", "frozen")
    digest = frozen_digest(lite)
    layer = lite.get_layer("block3_project_conv")
    layer.set_weights([np.nextafter(layer.get_weights()[0], 1)])
    assert frozen_digest(lite) != digest


def test_an_unknown_block_gets_the_nearest(lite):
    with pytest.raises(ThawError, match=r"Did you mean block15\?[\s\S]*block0, block1"):
        freeze(lite, "partial", "blok15", "frozen")


def _inputs(model):
    """For each layer the layers it takes its input from, by the configuration that Keras writes."""

    def histories(part):
        if isinstance(part, dict):
            if "keras_history" in part:
                yield part["keras_history"][0]
            part = part.values()
        elif not isinstance(part, list | tuple):
            return
        for value in part:
            yield from histories(value)

    return {layer["name"]: set(histories(layer["inbound_nodes"])) for layer in model.get_config()["layers"]}


def _depending(model, first):
    """The layers `first` and all that depend on them, looked for until nothing new is found."""
    found, inputs = set(first), _inputs(model)
    while new := {name for name in inputs if inputs[name] & found} - found:
        found |= new
    return found


def _trained(model):
    return {layer.name for layer in model.layers if layer.trainable_weights}


@pytest.mark.parametrize(("architecture", "block"), [
    ("efficientnet_lite0", "block11"), ("vgg16", "block5"), ("resnet50", "conv5_block1"),
    ("mobilenet_v2", "block_13"), ("inception_v3", "mixed5"),
    ("convnext_tiny", "convnext_tiny_stage_3_block_0"),
    ("lenet5", "block1"),
])  # fmt: skip
def test_every_block_name_thaws_its_layers_and_what_depends_on_them(architecture, block):
    model = build(ModelParams(architecture=architecture, weights="none"), (96, 96, 3), 2, seed=1)
    names = block_names(model)
    assert block in names
    weighted = {layer.name for layer in model.layers if layer.weights}
    for name in names:
        freeze(model, "partial", name, "train")
        first = {layer.name for layer in model.layers if layer.name == name or layer.name.startswith(name + "_")}
        assert first
        assert _trained(model) == _depending(model, first) & weighted


def _kernels(layers):
    return [layer.name for layer in layers if any(len(weight.shape) > 1 for weight in layer.weights)]


@pytest.mark.parametrize("architecture", [
    pytest.param(name, marks=() if name in ("efficientnet_lite0", "mobilenet", "vgg16") else pytest.mark.slow)
    for name in BACKBONES
])  # fmt: skip
def test_auto_thaws_about_a_third_of_every_backbone(architecture):
    """Of the convolutions and dense layers below the head, the upper ones."""
    side = max(64, BACKBONES[architecture].smallest)
    model = build(ModelParams(architecture=architecture, weights="none"), (side, side, 3), 2, seed=1)
    freeze(model, "partial", "auto", "frozen")
    backbone = model.layers[: _names(model.layers).index("pool")]
    trained = _kernels(layer for layer in backbone if layer.trainable)
    assert len(trained) / len(_kernels(backbone)) == pytest.approx(1 / 3, abs=0.05)
    frozen = set(_kernels(model.layers)) - _depending(model, trained)
    assert len(frozen) == len(_kernels(backbone)) - len(trained)
    assert "logits" in _trained(model)


@pytest.mark.parametrize(("head", "strategy", "from_layer", "shape"), [
    ("gap", "head", "", (1280,)),
    ("flatten", "head", "", (2 * 2 * 1280,)),
    ("dense", "head", "", (2 * 2 * 1280,)),
    ("gap", "partial", "block11", (4, 4, 112)),
    ("gap", "partial", "block10", (4, 4, 112)),
    ("gap", "full", "", None),
])  # fmt: skip
def test_cut_lite(head, strategy, from_layer, shape):
    model = build(ModelParams(head=head, hidden_units=8), (64, 64, 1), 2, seed=1)
    freeze(model, strategy, from_layer, "frozen")
    prefix, suffix = cut(model)
    if shape is None:
        assert prefix is None
        assert suffix is model
        return
    assert prefix.output_shape[1:] == suffix.input_shape[1:] == shape
    assert not prefix.trainable_weights
    pixels = _pixels()
    whole = _run(model, pixels)
    np.testing.assert_allclose(_run(suffix, _run(prefix, pixels)), whole, atol=1e-6)
    held = {id(weight) for weight in model.weights}
    assert {id(weight) for weight in (*prefix.weights, *suffix.weights)} == held


def test_a_shortcut_over_the_split_moves_the_cut_before_it(lite):
    freeze(lite, "partial", "block10_project_conv", "frozen")  # block10 adds its input to its output
    prefix, _ = cut(lite)
    assert _names(prefix.layers)[-1] == "block9_add"


@pytest.mark.parametrize(("architecture", "normalization"), [("lenet5", "featurewise"), ("efficientnet_b0", "auto")])
def test_there_is_no_prefix_that_only_scales_pixels(architecture, normalization):
    """The statistics it scales by are weights, but there is nothing to gain from running it apart."""
    params = ModelParams(architecture=architecture, weights="none", normalization=normalization)
    model = build(params, (32, 32, 3), 2, seed=1)
    freeze(model, "full", "", "train")
    assert cut(model) == (None, model)


@pytest.mark.parametrize("architecture", ["resnet50", "efficientnet_b0", "mobilenet_v3_small"])
def test_cut_other_backbones(architecture):
    params = ModelParams(architecture=architecture, weights="none")
    model = build(params, (64, 64, 3), 2, seed=1)
    freeze(model, "head", "", "frozen")
    prefix, suffix = cut(model)
    assert _names(prefix.layers)[-1] == "pool"
    pixels = _pixels(channels=3)
    whole = _run(model, pixels)
    np.testing.assert_allclose(_run(suffix, _run(prefix, pixels)), whole, atol=1e-5)


def test_dropout_and_training_batch_norm_stay_in_the_suffix():
    model = build(ModelParams(architecture="conv_dropout"), (32, 32, 1), 2, seed=1)
    freeze(model, "head", "", "frozen")
    prefix, _ = cut(model)
    assert _names(prefix.layers)[-1] == "block0_pool"  # block0_dropout draws at random, though it is frozen
    lite = build(ModelParams(weights="none"), (64, 64, 1), 2, seed=1)
    freeze(lite, "head", "", "frozen")
    lite.get_layer("block2_project_bn").trainable = True
    prefix, _ = cut(lite)
    assert _names(prefix.layers)[-1] == "block1_project_bn"  # block2 adds its input to its output


@pytest.mark.parametrize(
    ("architecture", "block"), [("efficientnet_lite0", "block11"), ("resnet50", "conv4_block4"), ("mobilenet_v2", "block_12")]
)
def test_auto_thaws_whole_blocks(architecture, block):
    params = ModelParams(architecture=architecture, weights="none")
    model = build(params, (64, 64, 3), 2, seed=1)
    freeze(model, "partial", "auto", "frozen")
    chosen = _trained(model)
    freeze(model, "partial", block, "frozen")
    assert chosen == _trained(model)


@pytest.mark.parametrize(("strategy", "batch_norm", "expected"), [
    ("full", "frozen", 0.99), ("full", "train", 0.9), ("scratch", "frozen", 0.9),
])  # fmt: skip
def test_statistics_that_train_keep_up_with_a_few_hundred_steps(strategy, batch_norm, expected):
    inputs = keras.Input((8, 8, 1))
    outputs = keras.layers.Dense(1)(keras.layers.Flatten()(keras.layers.BatchNormalization(momentum=0.99)(inputs)))
    model = keras.Model(inputs, outputs)
    freeze(model, strategy, "", batch_norm)
    assert model.layers[1].momentum == expected


@pytest.mark.parametrize("head", ["gap", "dense"])
def test_layer_decay_goes_by_the_kernels_between_a_layer_and_the_head(head):
    """By hand: above `first` lie `second` or, beside it, `shortcut`; BatchNorm learns as the convolution before it does."""
    keras.backend.clear_session()
    pixels = keras.Input((8, 8, 3))
    first = keras.layers.Conv2D(4, 3, name="first")(pixels)
    x = keras.layers.BatchNormalization(name="first_bn")(first)
    x = keras.layers.Conv2D(4, 3, name="second")(x)
    x = keras.layers.Add(name="add")([x, keras.layers.Conv2D(4, 3, name="shortcut")(first)])
    network = keras.Model(pixels, add_head(x, ModelParams(head=head, hidden_units=3), 1))
    factors = rate_factors(network, 0.1, 0.5)
    expected = {"first": 0.025, "first_bn": 0.025, "second": 0.05, "shortcut": 0.05, "add": 0.05}
    assert {name: factors[name] for name in expected} == pytest.approx(expected)
    assert not {"hidden", "logits", "dropout", "pool", "flatten"} & set(factors)
    assert set(rate_factors(network, 0.1, 1.0).values()) == {0.1}


def test_layer_decay_of_a_real_network_falls_block_by_block():
    network = build(ModelParams(weights="none"), (32, 32, 3), 2, seed=1)
    factors = rate_factors(network, 1.0, 0.9)
    kernels = [layer.name for layer in network.layers if any(len(weight.shape) > 1 for weight in layer.weights)]
    powers = np.log([factors[name] for name in kernels[:-1]]) / np.log(0.9)
    np.testing.assert_allclose(powers, np.arange(len(kernels) - 1, 0, -1), atol=1e-9)
