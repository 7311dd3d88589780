"""Two replicas against one: the same global batch gives the same training, within rounding."""

import json
import multiprocessing

import numpy as np
import pytest

from tests.model.training_replicas import train_on


def test_two_replicas_train_as_one(tmp_path):
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["keras"])
    processes = [context.Process(target=train_on, args=(count, tmp_path / str(count))) for count in (1, 2)]
    for process in processes:
        process.start()
        process.join()
        assert process.exitcode == 0
    one, two = (json.loads((tmp_path / f"{count}/rows.json").read_text()) for count in (1, 2))
    for left, right in zip(one, two, strict=True):
        assert left == pytest.approx(right, rel=1e-4)
    left, right = (np.load(tmp_path / f"{count}/weights.npz") for count in (1, 2))
    for name in left:
        assert np.allclose(left[name], right[name], atol=1e-5), "also with a last batch of six"
