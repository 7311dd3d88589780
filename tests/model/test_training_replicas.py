"""Two replicas against one: the same global batch gives the same training, within rounding."""

import json
import multiprocessing

import numpy as np
import pytest

from tests.model.training_replicas import train_on


@pytest.mark.parametrize("images", [71, 65])
def test_two_replicas_train_as_one(tmp_path, images):
    """50 steps; the last batch of each epoch has seven images, four for one replica, or one, and none for the other."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["keras"])
    processes = [context.Process(target=train_on, args=(count, tmp_path / str(count), images)) for count in (1, 2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    one, two = (json.loads((tmp_path / f"{count}/rows.json").read_text()) for count in (1, 2))
    assert len(one) == len(two) == 10
    for left, right in zip(one, two, strict=True):
        assert left == pytest.approx(right, abs=1e-5), "loss, accuracy, and those of validation"
    left, right = (np.load(tmp_path / f"{count}/weights.npz") for count in (1, 2))
    assert sorted(left) == sorted(right) and any("moving_variance" in name for name in left)
    for name in left:
        np.testing.assert_allclose(left[name], right[name], atol=1e-5, err_msg=name)
