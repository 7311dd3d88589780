"""Engines: right against Keras, the same bytes every time, kept on disk, and quiet."""

import subprocess
import sys

import keras
import numpy as np
import pytest

from thaw import engines
from thaw.engines import openvino as openvino_engine
from thaw.engines import selection
from thaw.engines.engine import in_batches
from thaw.engines.selection import Choice, choices
from thaw.errors import ThawError
from thaw.params import ExtractParams


@pytest.fixture(scope="module")
def network():
    keras.backend.clear_session()
    keras.utils.set_random_seed(1)
    inputs = keras.Input((16, 16, 1), name="pixels")
    x = keras.layers.Concatenate()([inputs, inputs, inputs])
    x = keras.layers.Rescaling(1 / 128, -127 / 128)(x)
    x = keras.layers.Conv2D(8, 3, 2, padding="same")(x)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.ReLU(6.0)(x)
    x = keras.layers.DepthwiseConv2D(5, padding="same")(x)
    return keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(x))


@pytest.fixture(scope="module")
def pictures():
    return np.random.default_rng(0).integers(0, 256, (21, 16, 16, 1), dtype=np.uint8)


@pytest.mark.parametrize("engine", ["openvino", "tensorflow"])
@pytest.mark.parametrize("batch_size", [8, 64])
def test_an_engine_gives_what_keras_gives(network, pictures, tmp_path, engine, batch_size):
    params = ExtractParams(
        engine=engine, precision="float32" if engine == "openvino" else "auto", batch_size=batch_size
    )
    compiled = engines.compile(network, params, tmp_path, pictures)
    expected = network.predict(pictures.astype(np.float32), verbose=0)
    values = compiled(pictures)
    assert values.dtype == np.float32 and np.allclose(values, expected, atol=1e-4)
    assert compiled.name == engine and compiled.relative_error < 1e-4
    assert (engines.compile(network, params, tmp_path / "again", pictures)(pictures) == values).all()


def test_bfloat16_is_near_and_repeats_to_the_byte(network, pictures, tmp_path):
    if not openvino_engine.has_bfloat16():
        pytest.skip("this processor has no bfloat16")
    runs = [
        engines.compile(network, ExtractParams(engine="openvino"), tmp_path / str(n), pictures)
        for n in range(2)
    ]
    assert runs[0].precision == "bfloat16" and 1e-5 < runs[0].relative_error < 0.05
    assert runs[0](pictures).tobytes() == runs[1](pictures).tobytes() == runs[0](pictures).tobytes()


def test_a_kept_network_is_not_made_again(network, pictures, tmp_path):
    params = ExtractParams(engine="openvino", precision="float32")
    first = engines.compile_cached("key", lambda: network, params, tmp_path, pictures)
    again = engines.compile_cached("key", lambda: pytest.fail("made again"), params, tmp_path, pictures)
    assert (again(pictures) == first(pictures)).all() and again.relative_error == first.relative_error
    with pytest.raises(pytest.fail.Exception):  # other pictures: checked against Keras again
        engines.compile_cached("key", lambda: pytest.fail("made again"), params, tmp_path, pictures[:5])


def test_a_kept_network_needs_no_tensorflow_and_telemetry_is_never_there(network, pictures, tmp_path):
    engines.compile_cached("key", lambda: network, ExtractParams(engine="openvino"), tmp_path, pictures)
    np.save(tmp_path / "pictures.npy", pictures)
    code = """
import sys, numpy as np
from pathlib import Path
from thaw import engines
from thaw.params import ExtractParams
home = Path(sys.argv[1])
engine = engines.compile_cached("key", None, ExtractParams(engine="openvino"), home, np.load(home / "pictures.npy"))
engine(np.load(home / "pictures.npy"))
import openvino.tools.ovc.telemetry_utils
assert "tensorflow" not in sys.modules and "keras" not in sys.modules
assert sys.modules["openvino_telemetry"] is None
assert openvino.tools.ovc.telemetry_utils.tm.__name__ == "openvino.tools.ovc.telemetry_stub"
"""
    environment = {"PYTHONPATH": "src", "HOME": str(tmp_path / "home"), "PATH": ""}
    (tmp_path / "home").mkdir()
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, env=environment)
    assert not list((tmp_path / "home").rglob("*telemetry*")) and not list(
        (tmp_path / "home").rglob("*ga_cid*")
    )


def test_the_number_of_threads_changes_no_byte(network, pictures, tmp_path, monkeypatch):
    """A task on a cluster has fewer cores than this machine."""
    values = []
    for threads in ("", "1", "3"):
        monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", threads) if threads else None
        compiled = engines.compile(network, ExtractParams(engine="openvino"), tmp_path, pictures)
        values.append(compiled(pictures).tobytes())
    assert len(set(values)) == 1


def test_layers_of_many_kinds_give_what_keras_gives(tmp_path):
    layers = keras.layers
    inputs = keras.Input((21, 19, 3), name="pixels")
    x = layers.Rescaling([0.01, 0.02, 0.03], [0.1, -0.1, 0.0])(inputs)
    x = layers.ZeroPadding2D(((1, 2), (3, 0)))(x)
    x = layers.Conv2D(6, 3, 2, groups=3, activation="tanh")(x)
    x = layers.SeparableConv2D(8, 3, padding="same", depth_multiplier=2, activation="silu")(x)
    x = layers.BatchNormalization(center=False)(x)
    one, two = layers.MaxPooling2D(3, 2, "same")(x), layers.AveragePooling2D(3, 2, "same")(x)
    x = layers.Concatenate()([layers.Add()([one, two]), two])
    x = layers.DepthwiseConv2D(3, dilation_rate=2, activation="relu6")(x)
    x = layers.Activation("sigmoid")(layers.ReLU()(x))
    flat = layers.Dense(5, activation="elu")(layers.Dropout(0.5)(layers.Flatten()(x)))
    network = keras.Model(inputs, flat)
    rng = np.random.default_rng(0)
    for weight in network.weights:
        weight.assign(rng.uniform(0.1, 0.9, weight.shape).astype(np.float32))
    pictures = rng.integers(0, 256, (5, 21, 19, 3), dtype=np.uint8)
    engine = engines.compile(
        network, ExtractParams(engine="openvino", precision="float32", tolerance=1e-5), tmp_path, pictures
    )
    assert engine.relative_error < 1e-5
    maps = keras.Model(inputs, one)
    engine = engines.compile(
        maps, ExtractParams(engine="openvino", precision="float32", tolerance=1e-5), tmp_path, pictures
    )
    assert engine(pictures).shape == (5, 6, 5, 8)


def test_an_engine_that_is_wrong_falls_back_to_the_next(network, pictures, tmp_path, monkeypatch):
    wrong = in_batches(lambda batch: np.zeros((len(batch), 8), np.float32), 8)
    monkeypatch.setattr(
        openvino_engine, "start", lambda kept, precision, size: kept.ensure(lambda *_: None) and wrong
    )
    assert engines.compile(network, ExtractParams(), tmp_path, pictures).name == "tensorflow"
    with pytest.raises(ThawError, match=r"relative error 1 is over the tolerance of 0\.1"):
        engines.compile(network, ExtractParams(engine="openvino", tolerance=0.1), tmp_path, pictures)


def test_an_engine_that_fails_falls_back_to_tensorflow(network, pictures, tmp_path, monkeypatch):
    def fail(*_):
        raise RuntimeError("no such operation\nand more")

    monkeypatch.setattr(openvino_engine, "start", fail)
    assert engines.compile(network, ExtractParams(), tmp_path, pictures).name == "tensorflow"
    with pytest.raises(ThawError, match="RuntimeError: no such operation"):
        engines.compile(network, ExtractParams(engine="openvino"), tmp_path, pictures)


def test_the_rule_looks_at_what_there_is(monkeypatch, tmp_path):
    monkeypatch.setattr(selection, "has_gpu", lambda: True)
    assert choices(ExtractParams()) == [Choice("tensorflow", "float32")]
    monkeypatch.setattr(selection, "has_gpu", lambda: False)
    assert (
        choices(ExtractParams())[0].engine == "openvino"
        and choices(ExtractParams())[-1].engine == "tensorflow"
    )
    monkeypatch.setattr(selection, "_installed", lambda name: False)
    assert choices(ExtractParams()) == [Choice("tensorflow", "float32")]
    with pytest.raises(ThawError, match="openvino is not installed"):
        choices(ExtractParams(engine="openvino"))


def test_a_hidden_gpu_is_no_gpu(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert not selection.has_gpu()


def test_only_the_newest_networks_are_kept(network, pictures, tmp_path):
    for n in range(6):
        engines.compile_cached(str(n), lambda: network, ExtractParams(engine="openvino"), tmp_path)
    assert len(list((tmp_path / "engines").iterdir())) == 4
