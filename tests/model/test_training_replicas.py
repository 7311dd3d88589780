"""Two replicas against one: the same global batch gives the same training, within rounding."""

import json
import multiprocessing

import numpy as np
import pytest

from tests.model.training_replicas import BATCH_SIZE, IMAGES, STEPS, pixels_and_targets, train_on
from thaw.training.order import Order


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Trainings on one device and on two, and one on two whose BatchNorm trains."""
    folder = tmp_path_factory.mktemp("replicas")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["keras"])
    for count, batch_norm in ((1, "frozen"), (2, "frozen"), (2, "train")):
        process = context.Process(target=train_on, args=(count, folder / f"{count}-{batch_norm}", batch_norm))
        process.start()
        process.join()
        assert process.exitcode == 0
    return folder


def test_two_replicas_train_as_one(folder):
    one, two = (json.loads((folder / f"{count}-frozen/rows.json").read_text()) for count in (1, 2))
    assert len(one) == len(two) == STEPS // 5
    for left, right in zip(one, two, strict=True):
        assert left == pytest.approx(right, abs=1e-5), "loss and accuracy, and those of validation"
    left, right = (np.load(folder / f"{count}-frozen/weights.npz") for count in (1, 2))
    assert sorted(left) == sorted(right)
    for name in left:
        np.testing.assert_allclose(left[name], right[name], atol=1e-5, err_msg=name)


def test_statistics_are_the_mean_of_what_each_replica_saw(folder):
    """By hand: each normalizes its share of the batch, and the moving statistics are the mean of theirs."""
    pixels, order = pixels_and_targets()[0], Order(1, 0, IMAGES, 1, BATCH_SIZE)
    mean, variance = np.zeros(2), np.ones(2)
    for epoch in range(STEPS // 5):
        images, views = order.epoch(epoch)
        for step in range(order.steps):
            part = slice(step * BATCH_SIZE, (step + 1) * BATCH_SIZE)
            batch = pixels[images[part], views[part]].astype(np.float64)
            shares = np.array_split(batch, 2)
            mean = 0.9 * mean + 0.1 * np.mean([share.mean((0, 1, 2)) for share in shares], axis=0)
            variance = 0.9 * variance + 0.1 * np.mean([share.var((0, 1, 2)) for share in shares], axis=0)
    found = np.load(folder / "2-train/weights.npz")
    np.testing.assert_allclose(found["bn/moving_mean"], mean, atol=1e-5)
    np.testing.assert_allclose(found["bn/moving_variance"], variance, atol=1e-5)
