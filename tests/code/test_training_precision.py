"""Mixed precision: what is computed in float32 all the same; deterministic kernels on a GPU."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.framework.config import disable_op_determinism, is_op_determinism_enabled

from thaw.backends import backend
from thaw.models import build, freeze, set_statistics
from thaw.models.folding import fold
from thaw.models.graph import calls
from thaw.params import FitParams, ModelParams
from thaw.training.devices import compute_deterministically, computing_in

PIXELS = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3)).astype("float32")


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize(("architecture", "normalization", "first", "later"), [
    ("efficientnet_lite0", "auto", "stem_conv", "block2_project_conv"),
    ("vgg16", "samplewise", "block1_conv1", "block3_conv2"),
    ("convnet_small", "featurewise", "block0_conv", "block1_conv"),
    ("efficientnet_v2_b0", "auto", "stem_conv", "block1a_project_conv"),  # which scales by itself
])  # fmt: skip
def test_pixels_are_scaled_and_logits_given_in_float32(architecture, normalization, first, later, precision):
    params = ModelParams(architecture=architecture, weights="none", normalization=normalization)
    model = build(params, PIXELS.shape[1:], 3, seed=1)
    if normalization == "featurewise":
        set_statistics(model, PIXELS.mean((0, 1, 2)), PIXELS.var((0, 1, 2)))
    watched = keras.Model(model.input, [model.get_layer(first).input, model.get_layer(later).output, model.output])
    scaled, _, _ = watched(PIXELS)
    with computing_in(FitParams(precision=precision), model):
        mixed, maps, logits = watched(PIXELS)
    np.testing.assert_array_equal(mixed, scaled)
    assert (mixed.dtype, maps.dtype, logits.dtype) == ("float32", precision.removeprefix("mixed_"), "float32")


@pytest.mark.skipif(bool(tf.config.list_physical_devices("GPU")), reason="of a processor")
def test_on_a_processor_what_is_depthwise_or_no_convolution_stays_in_float32(monkeypatch):
    depthwise, dtypes = backend.depthwise_conv, set()
    monkeypatch.setattr(
        backend, "depthwise_conv", lambda x, kernel, *how: (dtypes.add((x.dtype, kernel.dtype)), depthwise(x, kernel, *how))[1]
    )
    model = build(ModelParams(architecture="efficientnet_lite0", weights="none"), (64, 64, 3), 2, seed=1)
    freeze(model, "full", "auto", "frozen")
    folded = fold(model)
    watched = keras.Model(folded.input, [call.output for call in calls(folded)])
    with computing_in(FitParams(precision="mixed_bfloat16"), folded):
        computed = {layer.name for layer in folded.layers if layer.compute_dtype == "bfloat16"}
        maps = watched(PIXELS)
    assert dtypes == {(tf.float32, tf.float32)}
    assert computed == {layer.name for layer in folded.layers if layer.name.endswith("conv_folded")}
    for call, mixed, exact in zip(calls(folded), maps, watched(PIXELS), strict=True):
        assert mixed.dtype == "float32"
        if "depthwise" in call.layer.name:  # its own output, from inputs that bfloat16 has touched
            assert 0 < np.abs(mixed - exact).max() < 0.05 * np.abs(exact).max()


@pytest.fixture
def seen(monkeypatch):
    """A GPU that TensorFlow sees; nothing is computed on it."""
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: ["a card"] if kind == "GPU" else [])
    yield
    disable_op_determinism()


@pytest.mark.parametrize(("architecture", "strategy", "devices", "expected"), [
    ("vgg16", "full", "auto", True),
    ("vgg16", "full", "cpu", False),
    ("efficientnet_lite0", "head", "auto", True),
    ("efficientnet_lite0", "partial", "auto", False),  # TensorFlow would refuse to train its depthwise kernels
    ("separable", "full", "gpu", False),
])  # fmt: skip
def test_a_gpu_is_deterministic_where_tensorflow_can_be(seen, architecture, strategy, devices, expected):
    model = build(ModelParams(architecture=architecture, weights="none"), (32, 32, 3), 2, seed=1)
    freeze(model, strategy, "auto", "frozen")
    compute_deterministically(FitParams(devices=devices), model)
    assert is_op_determinism_enabled() == expected


def test_a_cpu_is_left_as_it_is():
    if tf.config.list_physical_devices("GPU"):
        pytest.skip("this machine has a GPU")
    compute_deterministically(FitParams(), build(ModelParams(architecture="lenet5"), (28, 28, 1), 2, seed=1))
    assert not is_op_determinism_enabled()
