"""Training on JAX, without TensorFlow: the same curves, the same bytes when resumed, the same files."""

import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from tests.code import backend_training
from tests.code.local_group import LocalPlaces
from thaw import devices
from thaw.devices import prepare_backend
from thaw.engines.selection import Choice, choices
from thaw.errors import ThawError
from thaw.params import ComputeParams, ExtractParams, FitParams
from thaw.training.groups import run_group
from thaw.training.groups.machines import train_on_machines
from thaw.training.guard import Stop

ROOT = Path(__file__).parents[2]


def on_jax(folder):
    """The environment of a process on JAX; what it compiles the next finds in `folder`."""
    return {
        "KERAS_BACKEND": "jax", "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)]),
        "JAX_COMPILATION_CACHE_DIR": str(folder / "compiled"), "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }  # fmt: skip


def run_on_both(folder, names):
    """What a process on JAX makes of the data (`jax/`), and this one on TensorFlow beside it."""
    backend_training.write_data(folder)
    backend_training.save_network(folder)
    command = [sys.executable, "-m", "tests.code.backend_training", str(folder), *names]
    with subprocess.Popen(command, env=os.environ | on_jax(folder), stderr=subprocess.PIPE, text=True) as process:
        backend_training.run_all(folder, folder, names)
        _, error = process.communicate()
    assert process.returncode == 0, error


def assert_same_curves(folder, names):
    ours, theirs = (json.loads((home / "curves.json").read_text()) for home in (folder, folder / "jax"))
    for name in names:
        assert len(ours[name]) == len(theirs[name]) > 1
        for left, right in zip(ours[name], theirs[name], strict=True):
            assert left == pytest.approx(right, abs=1e-4)
        assert ours[name][-1]["loss"] != ours[name][0]["loss"]
        weights = [np.load(home / f"{name}.npz") for home in (folder, folder / "jax")]
        for key in weights[0]:
            np.testing.assert_allclose(weights[0][key], weights[1][key], atol=1e-3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("backends")
    run_on_both(folder, backend_training.QUICK)
    return folder


def test_the_curves_are_the_same_on_both(folder):
    assert_same_curves(folder, backend_training.QUICK)


@pytest.mark.slow
def test_more_curves_are_the_same_on_both(tmp_path):
    run_on_both(tmp_path, backend_training.SLOW)
    assert_same_curves(tmp_path, backend_training.SLOW)


def test_a_training_on_jax_stopped_anywhere_ends_with_the_same_bytes(folder):
    found = json.loads((folder / "jax/resumed.json").read_text())
    assert found["parts"] == found["whole"]


def test_a_group_of_two_processes_trains_as_one_though_one_is_killed(folder, monkeypatch):
    """Batches of 16 on two devices, and a last one of six that both have whole; killed in its second epoch."""
    monkeypatch.setenv("KERAS_BACKEND", "jax")  # without kept executables, with which a group failed
    name, out = "moving statistics", folder / "group"
    out.mkdir()
    work = partial(backend_training.train_in_group, folder, out, name, 7)
    run_group(LocalPlaces(2), work, Stop(), out / "scratch/checkpoints")
    assert (out / "died").exists()
    alone = json.loads((folder / "jax/curves.json").read_text())[name]
    for left, right in zip(alone, json.loads((out / "curve.json").read_text()), strict=True):
        assert left == pytest.approx(right, abs=1e-4)
    ours, theirs = np.load(folder / f"jax/{name}.npz"), np.load(out / "weights.npz")
    assert theirs["replicas"] == 2
    for key in ours:
        np.testing.assert_allclose(ours[key], theirs[key], atol=1e-4)


def test_the_same_seed_draws_the_same_network(folder):
    ours, theirs = (json.loads((home / "saved/model.json").read_text()) for home in (folder, folder / "jax"))
    assert ours == theirs, "also the digest of the weights"


def test_each_reads_what_the_other_saved(folder):
    written, read = np.load(folder / "own.npy"), np.load(folder / "jax/other.npy")
    np.testing.assert_allclose(read, written, atol=1e-4)
    loaded = backend_training.logits_of(folder / "jax/saved")
    np.testing.assert_allclose(loaded, np.load(folder / "jax/own.npy"), atol=1e-4)


def test_on_jax_the_frozen_part_runs_on_jax(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    assert choices(ExtractParams()) == choices(ExtractParams(engine="jax")) == [Choice("jax", "float32")]
    for engine in ("openvino", "tensorflow"):
        with pytest.raises(ThawError, match=f"{engine} needs Keras on tensorflow, and KERAS_BACKEND is jax"):
            choices(ExtractParams(engine=engine))
    monkeypatch.delenv("KERAS_BACKEND")
    with pytest.raises(ThawError, match="jax needs Keras on jax") as caught:
        choices(ExtractParams(engine="jax"))
    assert "KERAS_BACKEND=jax" in caught.value.cure


def test_batches_of_any_size_are_run_by_one_trace():
    import keras

    from thaw.backends import tensorflow

    traces = []

    class Counted(keras.layers.Layer):
        def call(self, pixels):
            traces.append(pixels.shape)
            return keras.ops.mean(pixels, (1, 2, 3), keepdims=True)

    pixels = keras.Input((4, 4, 1))
    model = keras.Model(pixels, Counted()(pixels))
    traces.clear()
    images = np.random.default_rng(0).integers(0, 256, (10, 4, 4, 1), np.uint8)
    run = tensorflow.runner(model)
    found = np.concatenate([run(images[:8]), run(images[8:])])
    np.testing.assert_allclose(found.ravel(), images.mean((1, 2, 3)), rtol=1e-6)
    assert len(traces) == 1


def test_another_library_is_refused(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    with pytest.raises(ThawError, match="KERAS_BACKEND: 'torch'"):
        prepare_backend()


@pytest.mark.parametrize("card", [True, False])
def test_xla_is_told_to_repeat_itself_on_a_card(monkeypatch, card):
    for name in ("KERAS_BACKEND", "XLA_PYTHON_CLIENT_PREALLOCATE", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_enable_fast_math=false")
    monkeypatch.setattr(devices, "list_gpus", lambda: [{"name": "a card"}] if card else [])
    prepare_backend()
    prepare_backend()
    flags = "--xla_cpu_enable_fast_math=false" + " --xla_gpu_deterministic_ops=true" * card
    assert os.environ["XLA_FLAGS"] == flags and os.environ["KERAS_BACKEND"] == "tensorflow"
    assert os.environ.get("CUDA_VISIBLE_DEVICES") == (None if card else "-1")


def test_many_machines_need_a_cluster_and_jax(monkeypatch, tmp_path):
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    params, never = FitParams(devices="all_machines"), lambda member, stop: pytest.fail("it trained")
    with pytest.raises(ThawError, match=r"compute\.engine is local"):
        train_on_machines(params, ComputeParams(), never, Stop(), tmp_path)
    with pytest.raises(ThawError, match="JAX alone"):
        train_on_machines(params, ComputeParams(engine="ray"), never, Stop(), tmp_path)
