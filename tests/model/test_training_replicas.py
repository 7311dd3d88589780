"""Two replicas against one: the same global batch gives the same training, within rounding."""

import json
import multiprocessing

import numpy as np
import pytest

from tests.model.training_replicas import BATCH_SIZE, STEPS, pixels_and_targets, train_on
from thaw.training.order import Order


@pytest.fixture(scope="module")
def train():
    """Train on devices of a process each, side by side, in folders of these names: (devices, images, BatchNorm)."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["keras"])

    def run(home, *settings):
        folders = [home / f"{count}-{batch_norm}" for count, _, batch_norm in settings]
        processes = [
            context.Process(target=train_on, args=(count, folder, images, batch_norm))
            for folder, (count, images, batch_norm) in zip(folders, settings, strict=True)
        ]
        for process in processes:
            process.start()
        for process in processes:
            process.join()
            assert process.exitcode == 0
        curves = [json.loads((folder / "rows.json").read_text()) for folder in folders]
        return curves, [dict(np.load(folder / "weights.npz")) for folder in folders]

    return run


def assert_same_weights(one, two):
    assert sorted(one) == sorted(two)
    for name in one:
        np.testing.assert_allclose(one[name], two[name], atol=1e-5, err_msg=name)


def test_two_replicas_train_as_one(tmp_path, train):
    """50 steps; the last batch of an epoch has eight images."""
    (one, two), weights = train(tmp_path, (1, 72, "frozen"), (2, 72, "frozen"))
    assert len(one) == len(two) == STEPS // 5
    for left, right in zip(one, two, strict=True):
        assert left == pytest.approx(right, abs=1e-5), "loss and accuracy, and those of validation"
    assert_same_weights(*weights)


@pytest.mark.slow
@pytest.mark.parametrize("images", [71, 65])
def test_the_last_batch_may_be_divided_unevenly(tmp_path, train, images):
    """Seven images, four for one replica and three for the other; or one, which leaves none. Keras weighs the loss that it
    shows of an uneven batch by the shares, so that only the weights are the same.
    """
    (one, two), weights = train(tmp_path, (1, images, "frozen"), (2, images, "frozen"))
    assert_same_weights(*weights)
    for left, right in zip(one, two, strict=True):
        assert left["loss"] == pytest.approx(right["loss"], rel=0.03)
        assert images < 71 or left["accuracy"] == pytest.approx(right["accuracy"], abs=1e-5), "images are counted"


@pytest.mark.slow
def test_statistics_are_those_of_the_first_share(tmp_path, train):
    """By hand: each normalizes its share of the batch, and Keras keeps the first one's moving statistics."""
    _, (found,) = train(tmp_path, (2, 71, "train"))
    pixels, order = pixels_and_targets(71)[0], Order(1, 0, 71, 1, BATCH_SIZE)
    mean, variance = np.zeros(2), np.ones(2)
    for epoch in range(STEPS // 5):
        images, views = order.epoch(epoch)
        for step in range(order.steps):
            part = slice(step * BATCH_SIZE, (step + 1) * BATCH_SIZE)
            share = np.array_split(pixels[images[part], views[part]].astype(np.float64), 2)[0]
            mean = 0.9 * mean + 0.1 * share.mean((0, 1, 2))
            variance = 0.9 * variance + 0.1 * share.var((0, 1, 2))
    np.testing.assert_allclose(found["bn/moving_mean"], mean, atol=1e-5)
    np.testing.assert_allclose(found["bn/moving_variance"], variance, atol=1e-5)
