"""The training stages on JAX: the curves of TensorFlow, alone and in two processes, one of which is killed."""

import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest

from tests.code.local_group import LocalPlaces
from tests.model import training_backends
from tests.model.training_project import make_project, outputs, run_stages
from thaw.params import ExtractParams
from thaw.training.groups import run_group
from thaw.training.guard import Stop

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Pictures, and the outputs of the stages on TensorFlow (`tensorflow/`) and on JAX (`jax/`)."""
    folder = tmp_path_factory.mktemp("project")
    make_project(folder, images=52, side=32)
    (folder / "pretrained").mkdir()
    keras.utils.set_random_seed(7)
    backbone = keras.applications.MobileNet(include_top=False, weights=None, input_shape=(32, 32, 3))
    backbone.save_weights(folder / "pretrained/random.weights.h5")
    model, frozen, tuned = training_backends.MODEL, training_backends.FROZEN, training_backends.TUNED
    run_stages(folder, folder / "tensorflow", model, frozen, tuned, ExtractParams(engine="tensorflow"))
    environment = os.environ | {"KERAS_BACKEND": "jax", "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])}
    command = [sys.executable, "-m", "tests.model.training_backends", str(folder), str(folder / "jax")]
    subprocess.run(command, env=environment, check=True)
    return folder


def assert_same_curve(left, right):
    left, right = pd.read_csv(left), pd.read_csv(right)
    assert len(left) == len(right) > 1
    np.testing.assert_allclose(left, right, atol=1e-4)


@pytest.mark.parametrize("curve", ["frozen.csv", "tuned.csv"])
def test_the_stages_give_the_same_curve_on_both(project, curve):
    assert_same_curve(project / "tensorflow" / curve, project / "jax" / curve)


@pytest.mark.parametrize(("stage", "curve"), [("train_frozen", "frozen.csv"), ("fine_tune", "tuned.csv")])
def test_two_processes_train_as_one_and_a_killed_one_changes_no_byte(project, tmp_path, monkeypatch, stage, curve):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    for name, dies_at in (("undisturbed", 0), ("killed", 7)):
        (tmp_path / name).mkdir()
        work = partial(training_backends.train_in_group, project, project / "jax", tmp_path / name, stage, dies_at)
        run_group(LocalPlaces(2), work, Stop(), tmp_path / name / f"scratch/{stage}/checkpoints")
    assert_same_curve(project / "jax" / curve, tmp_path / "undisturbed" / curve)
    found = outputs(tmp_path / "killed")
    assert found.pop("died") == b"" and found == outputs(tmp_path / "undisturbed")
