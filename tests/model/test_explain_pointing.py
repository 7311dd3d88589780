"""Explanations make sense: on planted patches the heat falls on the patch."""

import keras
import numpy as np
import pytest

from thaw.explain.grad_cam import prepare_grad_cam
from thaw.explain.occlusion import occlude
from thaw.models import build
from thaw.params import ModelParams

SIDE, PATCH = 64, 10


def _plant(count, seed):
    """Noisy grey pictures, every other one with a bright patch; the patches' corners."""
    generator = np.random.default_rng(seed)
    pictures = generator.normal(90, 30, (count, SIDE, SIDE, 1))
    corners = generator.integers(0, SIDE - PATCH + 1, (count, 2))
    labels = np.arange(count) % 2
    for picture, (top, left), label in zip(pictures, corners, labels, strict=True):
        if label:
            picture[top : top + PATCH, left : left + PATCH] += 80
    return np.clip(pictures, 0, 255).astype("uint8"), labels, corners


def _train(model, epochs, learning_rate):
    pictures, labels, _ = _plant(600, seed=1)
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    metrics = [keras.metrics.BinaryAccuracy(threshold=0.0)]
    model.compile(keras.optimizers.Adam(learning_rate), loss, metrics=metrics)
    keras.utils.set_random_seed(1)
    model.fit(pictures, labels[:, None], batch_size=32, epochs=epochs, verbose=0)
    pictures, labels, _ = _plant(200, seed=2)
    assert model.evaluate(pictures, labels[:, None], verbose=0)[1] > 0.97
    return model


@pytest.fixture(scope="module")
def flat():
    """A network of thaw's with valid padding and a flattened head, that has learned to see the patches."""
    params = ModelParams(architecture="convnet_small", normalization="samplewise")
    return _train(build(params, (SIDE, SIDE, 1), 2, seed=1), epochs=6, learning_rate=1e-3)


@pytest.fixture(scope="module")
def nested():
    """The same with global average pooling over a backbone that is a model of its own."""
    keras.utils.set_random_seed(1)
    pixels = keras.Input((SIDE, SIDE, 1))
    x = keras.layers.Rescaling(1 / 64, -1.4)(pixels)
    for number, filters in enumerate((16, 32, 32)):
        x = keras.layers.Conv2D(filters, 3, padding="same", activation="relu", name=f"conv{number}")(x)
        x = keras.layers.MaxPooling2D(2)(x) if number < 2 else x
    backbone = keras.Model(pixels, x)
    outer = keras.Input((SIDE, SIDE, 1))
    logits = keras.layers.Dense(1)(keras.layers.GlobalAveragePooling2D()(backbone(outer)))
    return _train(keras.Model(outer, logits), epochs=8, learning_rate=3e-3)


def _planted_fifty():
    pictures, labels, corners = _plant(100, seed=3)
    return pictures[labels == 1], corners[labels == 1]


def _hits(heats, corners):
    """The pointing game (Zhang et al. 2016): is the hottest point, spread to the picture's size, on the patch?"""
    hits = []
    for heat, corner in zip(heats, corners, strict=True):
        spread = keras.ops.image.resize(heat[..., None], (SIDE, SIDE))[..., 0]
        point = np.argwhere(spread >= np.max(spread)).mean(0)  # occlusion's heat has a plateau for its peak
        hits.append(all(corner[axis] <= point[axis] < corner[axis] + PATCH for axis in (0, 1)))
    return np.mean(hits)


@pytest.mark.parametrize("method", ["grad_cam", "grad_cam++"])
@pytest.mark.parametrize(("name", "layer"), [("nested", ""), ("nested", "conv1"), ("flat", "block1_conv")])
def test_grad_cam_points_at_the_patch(request, name, layer, method):
    pictures, corners = _planted_fifty()
    heat = prepare_grad_cam(request.getfixturevalue(name), layer, [method])(pictures, np.array(1))
    assert _hits(heat.maps[method], corners) >= 0.9


@pytest.mark.parametrize("name", ["nested", "flat"])
def test_grad_cam_of_the_other_class_does_not(request, name):
    pictures, corners = _planted_fifty()
    heat = prepare_grad_cam(request.getfixturevalue(name))(pictures, np.array(0))
    assert _hits(heat.maps["grad_cam"], corners) <= 0.2


@pytest.mark.parametrize("name", ["nested", "flat"])
def test_occlusion_points_at_the_patch(request, name):
    pictures, corners = _planted_fifty()
    network = request.getfixturevalue(name)
    heats = np.stack([occlude(network, picture, 1, patch=PATCH) for picture in pictures])
    assert _hits(heats, corners) >= 0.9
