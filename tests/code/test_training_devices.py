"""Which devices train, and in which precision, on machines that are described and not there."""

import keras
import pytest
import tensorflow as tf

from thaw import backends
from thaw.errors import ThawError
from thaw.params import FitParams
from thaw.training import devices


@pytest.fixture
def machine(monkeypatch):
    """A machine with some GPUs of a compute capability; nothing is computed on them."""

    def make(gpus=0, capability=None, bfloat16=False):
        cards = [f"GPU:{i}" for i in range(gpus)]
        logical = [type("Device", (), {"name": name}) for name in cards]
        monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: cards)
        monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: logical)
        grown = []
        monkeypatch.setattr(
            tf.config.experimental, "set_memory_growth", lambda card, on: grown.append((card, on))
        )
        details = {} if capability is None else {"compute_capability": capability}
        monkeypatch.setattr(tf.config.experimental, "get_device_details", lambda card: details)
        monkeypatch.setattr(devices, "cpu_has_bfloat16", lambda: bfloat16)
        return grown

    return make


@pytest.mark.parametrize(("asked", "gpus", "expected"), [
    ("auto", 0, ("CPU:0", 1)), ("auto", 1, ("GPU:0", 1)), ("auto", 3, ("mirrored", 3)),
    ("cpu", 2, ("CPU:0", 1)), ("gpu", 2, ("GPU:0", 1)), ("all_gpus", 2, ("mirrored", 2)), ("all_gpus", 1, ("GPU:0", 1)),
])  # fmt: skip
def test_which_devices_train(machine, monkeypatch, asked, gpus, expected):
    grown, used = machine(gpus), []
    monkeypatch.setattr(backends.tensorflow, "mirrored", lambda names: (used.append("mirrored"), tf.init_scope())[1])
    monkeypatch.setattr(tf, "device", lambda name: (used.append(name), tf.init_scope())[1])
    with devices.training_on(asked) as replicas:
        assert (used, replicas) == ([expected[0]], expected[1])
    assert grown == [(f"GPU:{i}", True) for i in range(gpus)]


@pytest.mark.parametrize("asked", ["gpu", "all_gpus"])
def test_a_gpu_that_is_not_there_is_an_error(machine, asked):
    machine(0)
    with (
        pytest.raises(ThawError, match=f"devices: {asked}: TensorFlow sees no GPU"),
        devices.training_on(asked),
    ):
        pass


def network(*layers, frozen=()):
    model = keras.Sequential([keras.Input((8, 8, 3)), *layers, keras.layers.Flatten(), keras.layers.Dense(1)])
    for index in frozen:
        model.layers[index].trainable = False
    return model


@pytest.mark.parametrize(("layers", "frozen", "expected"), [
    ([keras.layers.Conv2D(2, 3)], (), "mixed_bfloat16"),
    ([keras.layers.Conv2D(2, 3), keras.layers.Conv2D(2, 3)], (0,), "mixed_bfloat16"),
    ([keras.layers.Conv2D(2, 3)], (0,), "float32"),  # only a small matrix trains
    ([], (), "float32"),
    ([keras.layers.Conv2D(2, 3), keras.layers.DepthwiseConv2D(3)], (), "mixed_bfloat16"),
    ([keras.layers.Conv2D(2, 3), keras.layers.DepthwiseConv2D(3)], (0,), "float32"),
    ([keras.layers.SeparableConv2D(2, 3), keras.layers.Conv2D(2, 3)], (0,), "float32"),
])  # fmt: skip
def test_bfloat16_on_a_processor_is_for_dense_convolutions(machine, layers, frozen, expected):
    model = network(*(type(layer).from_config(layer.get_config()) for layer in layers), frozen=frozen)
    machine(bfloat16=True)
    assert devices.choose_precision(FitParams(), model) == expected
    machine(bfloat16=False)
    assert devices.choose_precision(FitParams(), model) == "float32"


@pytest.mark.parametrize(("capability", "expected"), [
    ((9, 0), "mixed_bfloat16"), ((8, 0), "mixed_bfloat16"), ((7, 5), "mixed_float16"), ((7, 0), "mixed_float16"),
    ((6, 1), "float32"), (None, "float32"),
])  # fmt: skip
def test_precision_on_a_gpu_follows_its_compute_capability(machine, capability, expected):
    machine(1, capability)
    assert devices.choose_precision(FitParams(), network()) == expected
    assert devices.choose_precision(FitParams(precision="float32"), network()) == "float32"
    assert devices.choose_precision(FitParams(devices="cpu"), network()) == "float32"


def test_amx_and_avx512_have_bfloat16(tmp_path):
    for flag in ("avx512_bf16", "amx_bf16"):
        (tmp_path / "cpuinfo").write_bytes(f"flags: sse {flag} \xff".encode("latin-1"))
        assert devices.cpu_has_bfloat16(tmp_path / "cpuinfo")


def test_layers_that_have_a_policy_of_their_own_keep_it():
    model = network(keras.layers.Conv2D(2, 3), keras.layers.Conv2D(2, 3, dtype="mixed_float16"))
    with devices.computing_in(FitParams(precision="mixed_bfloat16"), model):
        names = [layer.dtype_policy.name for layer in model.layers]
    assert names == ["mixed_bfloat16", "mixed_float16", "mixed_bfloat16", "float32"]
    assert [layer.dtype_policy.name for layer in model.layers] == [
        "float32",
        "mixed_float16",
        "float32",
        "float32",
    ]
    with devices.computing_in(FitParams(precision="float32"), model):
        assert model.layers[0].dtype_policy.name == "float32"


@pytest.mark.parametrize(("asked", "expected"), [("cpu", "float32"), ("auto", "mixed_bfloat16")])
def test_between_depthwise_kernels_a_processor_computes_in_float32_though_gpus_are_there(machine, asked, expected):
    machine(1, (8, 0))
    model = network(keras.layers.Conv2D(2, 3), keras.layers.ReLU(), keras.layers.DepthwiseConv2D(3))
    with devices.computing_in(FitParams(devices=asked, precision="mixed_bfloat16"), model):
        assert model.layers[1].dtype_policy.name == expected
