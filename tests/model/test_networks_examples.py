"""The examples do what they say."""

import csv
import runpy
from pathlib import Path

import keras
import numpy as np
import pytest

from thaw.models import build
from thaw.params import ModelParams

EXAMPLES = Path(__file__).parents[2] / "examples"


def _example(name):
    return runpy.run_path(str(EXAMPLES / name))


def test_four_ways_give_the_same():
    keras.utils.set_random_seed(1)
    models = _example("lenet_four_ways.py")["build_alike"]()
    assert len(models) == 4
    network = build(ModelParams(architecture="lenet5"), (28, 28, 1), 10, seed=1)
    network.set_weights(models["hybrid"].get_weights())
    pixels = np.random.default_rng(1).integers(0, 256, (8, 28, 28, 1)).astype("float32")
    expected = network(pixels)
    for model in models.values():
        assert model.count_params() == 61_706
        np.testing.assert_allclose(model(pixels / 255), expected, atol=1e-5)


def test_a_flip_moves_picture_and_points_together():
    keypoints = _example("keypoints.py")
    drawn = keypoints["draw"](8, seed=5)
    pictures, targets = drawn.inputs.pixels.astype("float32"), drawn.labels.targets
    batch = (pictures, targets, np.ones(8, "float32"))
    flipped, moved, _ = keypoints["flip_half"](batch, np.random.default_rng(1))
    changed = [number for number in range(8) if (moved[number] != targets[number]).any()]
    assert len(changed) == 4
    for number in range(8):
        if number not in changed:
            np.testing.assert_array_equal(flipped[number], pictures[number])
            continue
        before, after = (array[number].reshape(15, 2) * 12 + 48 for array in (targets, moved))
        np.testing.assert_array_equal(flipped[number], pictures[number][:, ::-1])
        np.testing.assert_allclose(after[3], [95 - before[4, 0], before[4, 1]], atol=1e-3)
        np.testing.assert_allclose(after[0], [95 - before[0, 0], before[0, 1]], atol=1e-3)


def test_marks_lie_where_the_points_say():
    drawn = _example("keypoints.py")["draw"](6, seed=7)
    for picture, targets in zip(drawn.inputs.pixels[..., 0], drawn.labels.targets, strict=True):
        points = np.rint(targets.reshape(15, 2) * 12 + 48).astype(int)
        marks = [int(picture[y, x]) for x, y in points[9:]]
        assert max(marks) < int(picture[points[0][1] + 5, points[0][0] + 5])


def test_keypoints_run(tmp_path):
    keypoints = _example("keypoints.py")
    params = keypoints["PARAMS"].model_copy(update={"epochs": 3})
    error, rows = keypoints["train"](tmp_path, params, 160)
    assert rows[-1]["metrics"]["validation_loss"] < rows[0]["metrics"]["validation_loss"]
    assert error < 20
    table = list(csv.DictReader((tmp_path / "epochs.csv").open()))
    assert [row["epoch"] for row in table] == ["1", "2", "3"]
    assert set(table[0]) == {"epoch", "train_loss", "valid_loss", "ratio", "seconds"}
    assert {path.name for path in tmp_path.iterdir()} == {"epochs.csv", "curves.png", "points.png"}


@pytest.mark.slow
def test_keypoints_are_found_within_two_pixels(tmp_path):
    keypoints = _example("keypoints.py")
    error, _ = keypoints["train"](tmp_path, keypoints["PARAMS"], 4000)
    assert error < 2
