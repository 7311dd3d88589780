"""Mixed precision: what is computed in float32 all the same."""

import keras
import numpy as np
import pytest

from thaw.models import build, set_statistics
from thaw.params import ModelParams
from thaw.training.devices import computing_in

PIXELS = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3)).astype("float32")


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize(("architecture", "normalization", "first", "later"), [
    ("efficientnet_lite0", "auto", "stem_conv", "block2_add"),
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
    with computing_in(precision, model):
        mixed, maps, logits = watched(PIXELS)
    np.testing.assert_array_equal(mixed, scaled)
    assert (mixed.dtype, maps.dtype, logits.dtype) == ("float32", precision.removeprefix("mixed_"), "float32")
