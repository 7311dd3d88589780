"""How pixels 0 to 255 are scaled inside a network, always in float32."""

from typing import Any, NamedTuple

import keras

from thaw.errors import ThawError
from thaw.models.catalog import Scaling
from thaw.models.layers import FeaturewiseStandardization, ReverseChannels, SamplewiseCentering

_MEAN = (0.485, 0.456, 0.406)
IMAGENET_DEVIATION = (0.229, 0.224, 0.225)
"""Of red, green and blue, from 0 to 1."""
_CAFFE_MEAN = (123.68, 116.779, 103.939)


class _Affine(NamedTuple):
    """`x * scale + offset`, and the spread that one unit of the scaled pixels stands for."""

    scale: Any
    offset: Any
    pixels_per_unit: float


_AFFINE: dict[str, _Affine] = {
    "lite": _Affine(1 / 128, -127 / 128, 128.0),
    "half_range": _Affine(1 / 127.5, -1.0, 127.5),
    "unit": _Affine(1 / 255, 0.0, 255.0),
    "mean_std": _Affine(
        [1 / (255 * s) for s in IMAGENET_DEVIATION],
        [-m / s for m, s in zip(_MEAN, IMAGENET_DEVIATION, strict=True)],
        255 * 0.226,
    ),
    "bgr_mean": _Affine(1.0, [-m for m in _CAFFE_MEAN], 1.0),
}


def normalize(pixels: Any, normalization: str, scaling: Scaling) -> Any:
    """Scale pixels 0 to 255 as `normalization` says; `scaling` is what the network's weights expect.

    - `auto`: `scaling` itself: `lite` (x - 127) / 128; `half_range` x / 127.5 - 1; `mean_std` x / 255, then
      ImageNet's mean and deviation; `bgr_mean` less ImageNet's mean; `unit` x / 255; `built_in` as the network does it.
    - `unit`: x / 255.
    - `samplewise`: each picture less its own mean, in the units that `scaling` has.
    - `featurewise`: each channel less the train split's mean over its deviation (`set_statistics`).

    A `bgr_mean` network gets its channels as blue, green, red, whatever the `normalization`.

    Raises:
        ThawError: the network scales by itself and `normalization` is not `auto`.
    """
    if scaling == "built_in":
        if normalization != "auto":
            raise ThawError(f"model.normalization: {normalization} cannot be had: this network scales by itself",
                            "Set model.normalization to auto.")  # fmt: skip
        return pixels
    scaled = _scale(pixels, normalization, scaling)
    if scaling == "bgr_mean":
        return ReverseChannels(name="rgb_to_bgr", dtype="float32")(scaled)
    return scaled


def _scale(pixels: Any, normalization: str, scaling: Scaling) -> Any:
    if normalization == "featurewise":
        return FeaturewiseStandardization(name="standardize", dtype="float32", trainable=False)(pixels)
    if normalization == "unit":
        return _rescale(pixels, _AFFINE["unit"])
    if normalization == "samplewise":
        centered = SamplewiseCentering(name="center", dtype="float32")(pixels)
        return _rescale(centered, _Affine(1 / _AFFINE[scaling].pixels_per_unit, 0.0, 1.0))
    return _rescale(pixels, _AFFINE[scaling])


def _rescale(pixels: Any, affine: _Affine) -> Any:
    return keras.layers.Rescaling(affine.scale, affine.offset, name="rescale", dtype="float32")(pixels)
