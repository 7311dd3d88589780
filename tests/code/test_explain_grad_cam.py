"""Grad-CAM against numbers worked out by hand, its geometry, its errors; drawing and filters."""

import keras
import numpy as np
import pytest

from thaw.errors import ThawError
from thaw.explain.drawing import draw_grid, overlay, place_heatmap
from thaw.explain.filters import find_patterns
from thaw.explain.geometry import Grid, find_grid, spread_maps
from thaw.explain.grad_cam import normalize_maps, prepare_grad_cam
from thaw.explain.tracing import layer_outputs, linear_output, spatial_layers
from thaw.models import build
from thaw.params import ModelParams


def _linear_network(weights):
    """One channel of maps is the picture, the other its negative; the logits weigh their means."""
    pixels = keras.Input((4, 4, 1))
    maps = keras.layers.Conv2D(2, 1, use_bias=False, name="maps")(pixels)
    model = keras.Model(pixels, keras.layers.Dense(len(weights), use_bias=False, name="logits")(
        keras.layers.GlobalAveragePooling2D()(maps)))  # fmt: skip
    model.get_layer("maps").set_weights([np.array([1.0, -1.0]).reshape(1, 1, 1, 2)])
    model.get_layer("logits").set_weights([np.array(weights, "float32").T])
    return model


def _picture():
    return np.arange(16, dtype="float32").reshape(1, 4, 4, 1)


def test_grad_cam_is_the_weighted_sum_of_the_maps():
    model = _linear_network([[3.0, 1.0], [0.0, 2.0]])
    heat = prepare_grad_cam(model, "maps")(_picture(), np.array([0]))
    np.testing.assert_allclose(heat.maps["grad_cam"][0], _picture()[0, ..., 0] * (3 - 1) / 16, rtol=1e-5)
    assert prepare_grad_cam(model, "maps")(_picture(), np.array([1])).maps["grad_cam"].max() == 0


def test_both_sides_of_one_logit():
    model = _linear_network([[1.0, 0.0]])
    grad_cam = prepare_grad_cam(model, "maps")
    assert grad_cam(_picture(), np.array(1)).maps["grad_cam"].max() > 0
    assert grad_cam(_picture(), np.array(0)).maps["grad_cam"].max() == 0


def test_grad_cam_plus_plus():
    """By the paper's formula, for maps A >= 0 and a gradient that is the same everywhere."""
    model = _linear_network([[4.0, 0.0]])
    heat = prepare_grad_cam(model, "maps", ["grad_cam++"])(_picture(), np.array([1]))
    gradient, total = 4 / 16, _picture().sum()
    alpha = gradient**2 / (2 * gradient**2 + total * gradient**3)
    np.testing.assert_allclose(heat.maps["grad_cam++"][0], 16 * alpha * gradient * _picture()[0, ..., 0], rtol=1e-5)


def test_a_layer_inside_a_nested_backbone_and_a_frozen_network():
    backbone = build(ModelParams(weights="none"), (64, 64, 3), 2, seed=1)
    inner = keras.Model(backbone.input, backbone.get_layer("top_relu").output, name="inner")
    pixels = keras.Input((64, 64, 3))
    seeded = keras.initializers.GlorotUniform(seed=0)  # of some kernels nothing speaks for the class, and the map is empty
    head = keras.layers.Dense(3, kernel_initializer=seeded)
    outer = keras.Model(pixels, head(keras.layers.Flatten()(inner(pixels))))
    outer.trainable = False
    pictures = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3))
    heat = prepare_grad_cam(outer, "block5_project_bn")(pictures, np.array([0, 2]))
    assert heat.maps["grad_cam"].shape == (2, 64, 64)
    assert heat.maps["grad_cam"].max() > 0
    assert list(spatial_layers(outer))[-1] == "top_relu"


def test_a_model_written_as_a_subclass():
    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.conv = keras.layers.Conv2D(4, 3, name="conv")
            self.out = keras.layers.Dense(2, name="out")

        def call(self, x):
            return self.out(keras.ops.mean(self.conv(x / 255), axis=(1, 2)))

    model = Own()
    model(np.zeros((1, 16, 16, 1)))
    with pytest.raises(ThawError, match="functional"):
        prepare_grad_cam(model)


def test_layers_without_maps_say_which_have_them():
    model = build(ModelParams(architecture="lenet5"), (28, 28, 1), 10, seed=1)
    for name in ("logits", "hidden", "block2_conv", "no_such"):  # block2_conv has a single position
        with pytest.raises(ThawError, match=r"no spatial output[\s\S]*block1_conv"):
            prepare_grad_cam(model, name)


def test_a_network_without_convolutions_says_so():
    pixels = keras.Input((8, 8, 1))
    model = keras.Model(pixels, keras.layers.Dense(2)(keras.layers.Flatten()(pixels)))
    with pytest.raises(ThawError, match="no layer gives maps"):
        prepare_grad_cam(model)


@pytest.mark.parametrize(("architecture", "side", "layer", "grid"), [
    ("convnet_small", 64, "block2_conv", Grid((8.5, 8.5), (4, 4))),
    ("lenet5", 28, "block0_conv", Grid((0, 0), (1, 1))),
    ("lenet5", 32, "block1_conv", Grid((6.5, 6.5), (2, 2))),
    ("vgg16", 64, "block2_conv1", Grid((0.5, 0.5), (2, 2))),
    ("efficientnet_lite0", 64, "stem_conv", Grid((1, 1), (2, 2))),
])  # fmt: skip
def test_where_the_cells_lie(architecture, side, layer, grid):
    model = build(ModelParams(architecture=architecture, weights="none"), (side, side, 1), 2, seed=1)
    assert find_grid(model, layer) == grid


def test_maps_are_spread_to_where_their_cells_lie():
    maps = np.zeros((1, 3, 3), "float32")
    maps[0, 1, 2] = 1
    spread = spread_maps(maps, Grid((2, 2), (4, 4)), (16, 16))[0]
    assert np.unravel_index(spread.argmax(), spread.shape) == (6, 10)
    assert spread[6, 8] == pytest.approx(0.5)


def test_normalized_maps():
    maps = np.stack([np.zeros((2, 2)), np.array([[0, 1], [2, 4]])]).astype("float32")
    np.testing.assert_array_equal(normalize_maps(maps)[1], maps[1] / 4)
    assert normalize_maps(maps)[0].max() == 0


@pytest.mark.parametrize(("resize", "size", "hot"), [
    ("stretch", (100, 200), (75, 50)),
    ("crop", (100, 200), (75, 75)),
    ("pad", (100, 200), (100, 50)),
    ("crop", (200, 100), (125, 25)),
])  # fmt: skip
def test_heat_falls_on_its_place_in_the_original(resize, size, hot):
    """One hot point three quarters down and a quarter across the input."""
    heat = np.zeros((40, 40), "float32")
    heat[29:31, 9:11] = 1
    placed = place_heatmap(heat, size, (40, 40), resize)
    assert placed.shape == size
    ys, xs = np.nonzero(placed > 0.9)
    expected = min(hot[0], size[0] - 1), hot[1]
    assert ys.mean() == pytest.approx(expected[0], abs=4)
    assert xs.mean() == pytest.approx(expected[1], abs=4)


def test_overlay_leaves_cold_pixels_alone():
    picture = np.full((6, 8, 1), 77, "uint8")
    heat = np.zeros((6, 8), "float32")
    heat[2, 3] = 1
    shown = overlay(picture, heat)
    assert shown.shape == (6, 8, 3)
    assert (shown[heat == 0] == 77).all()
    assert (shown[2, 3] != 77).any()


@pytest.mark.parametrize(("count", "side", "shown"), [(1, 3, 24), (10, 7, 28), (64, 224, 128)])
def test_a_grid_shows_every_tile_in_its_place(count, side, shown):
    """Row by row in a square, two white pixels apart; small tiles enlarged by a whole number, large ones reduced."""
    colors = np.random.default_rng(0).integers(0, 255, (count, 3)).astype("uint8")
    tiles = np.broadcast_to(colors[:, None, None], (count, side, side, 3))
    grid = np.asarray(draw_grid(tiles))
    columns = {1: 1, 10: 4, 64: 8}[count]
    rows = {1: 1, 10: 3, 64: 8}[count]
    expected = np.full((rows * (shown + 2) + 2, columns * (shown + 2) + 2, 3), 255, "uint8")
    for number, color in enumerate(colors):
        top, left = (2 + (shown + 2) * place for place in (number // columns, number % columns))
        expected[top : top + shown, left : left + shown] = color
    np.testing.assert_array_equal(grid, expected)


def test_a_tile_is_coloured_by_its_own_range():
    tiles = np.stack([np.eye(24), 100 * np.eye(24), np.zeros((24, 24))]).astype("float32")
    grid = np.asarray(draw_grid(tiles))
    first, second, third = (grid[top : top + 24, left : left + 24] for top, left in ((2, 2), (2, 28), (28, 2)))
    np.testing.assert_array_equal(first, second)
    assert len(np.unique(first.reshape(-1, 3), axis=0)) == 2 and (third == first[0, 1]).all()


def test_activations_are_what_the_layers_give():
    model = build(ModelParams(architecture="lenet5"), (28, 28, 1), 10, seed=1)
    pictures = np.random.default_rng(0).integers(0, 256, (2, 28, 28, 1)).astype("float32")
    outputs = layer_outputs(model, pictures)
    direct = keras.Model(model.input, model.get_layer("block1_conv").output)(pictures)
    np.testing.assert_allclose(outputs["block1_conv"], direct, rtol=1e-5)
    np.testing.assert_allclose(outputs["logits"], model(pictures), rtol=1e-5)
    assert "call" not in vars(model.get_layer("block1_conv"))


def test_patterns_raise_their_own_filter():
    model = build(ModelParams(architecture="convnet_small"), (32, 32, 1), 2, seed=1)
    chosen = [0, 5, 9]
    patterns = find_patterns(model, "block1_conv", chosen, steps=15, seed=3)
    assert patterns.shape == (3, 32, 32, 1)
    np.testing.assert_array_equal(patterns, find_patterns(model, "block1_conv", chosen, steps=15, seed=3))
    noise = np.random.default_rng(0).normal(128, 56, patterns.shape).clip(0, 255)
    with linear_output(model.get_layer("block1_conv")):
        raised, plain = (
            np.asarray(layer_outputs(model, pictures.astype("float32"))["block1_conv"]).mean((1, 2))
            for pictures in (patterns, noise)
        )
    for row, channel in enumerate(chosen):
        assert raised[row, channel] > plain[:, channel].max()
    assert model.get_layer("block1_conv").activation is keras.activations.relu
