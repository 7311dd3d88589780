"""Initial weights that do not depend on what Keras computes with: the same seed, the same network.

Keras draws `glorot_uniform` (Glorot and Bengio 2010) with the generator of its backend. On TensorFlow that is Philox4x32-10
(Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3", SC'11), which NumPy draws here for the others. What starts
from another distribution (a backbone of `keras.applications` without weights) still differs.
"""

import math
from collections.abc import Iterable
from typing import Any

import keras
import numpy as np

_KERNELS = {
    "kernel_initializer": ("kernel",),
    "depthwise_initializer": ("depthwise_kernel", "kernel"),
    "pointwise_initializer": ("pointwise_kernel",),
}
_MULTIPLIERS = np.array([0xD2511F53, 0xCD9E8D57], np.uint64)
_WEYL = (0x9E3779B9, 0xBB67AE85)
_SCRAMBLING_KEY = (0x3EC8F720, 0x02461E29)
_LOW = np.uint64(0xFFFFFFFF)


def draw_as_tensorflow(layers: Iterable[Any]) -> None:
    """Give the kernels of `layers` that start from `glorot_uniform` what TensorFlow draws for their seeds."""
    if keras.backend.backend() == "tensorflow":
        return
    for layer in layers:
        for initializer, names in _KERNELS.items():
            drawn = getattr(layer, initializer, None)
            if isinstance(drawn, keras.initializers.GlorotUniform):
                kernel = next(getattr(layer, name) for name in names if hasattr(layer, name))
                kernel.assign(glorot_uniform(tuple(kernel.shape), drawn.seed))


def glorot_uniform(shape: tuple[int, ...], seed: int) -> np.ndarray:
    """float32 values of `shape` (height, width, inputs, outputs; or inputs, outputs), as TensorFlow draws them.

    Args:
        seed: from 0 to 2**31 - 3.
    """
    field = math.prod(shape[:-2])
    limit = math.sqrt(6.0 / (field * (shape[-2] + shape[-1])))
    unit = _uniform(seed, math.prod(shape)).reshape(shape)
    return unit * np.float32(np.float32(limit) - np.float32(-limit)) - np.float32(limit)


def _uniform(seed: int, count: int) -> np.ndarray:
    """float32 from 0 to 1: `tf.random.stateless_uniform((count,), (seed, 0))`. 23 random bits are a number's fraction."""
    mixed = _philox(np.array([[seed, 0, 0, 0]], np.uint64), _SCRAMBLING_KEY)[0]
    counters = np.zeros((-(-count // 4), 4), np.uint64)
    counters[:, 0], counters[:, 2:] = np.arange(len(counters)), mixed[2:]
    bits = _philox(counters, (int(mixed[0]), int(mixed[1]))).ravel()[:count].astype(np.uint32)
    return (bits & np.uint32(0x7FFFFF) | np.uint32(0x3F800000)).view(np.float32) - np.float32(1)


def _philox(counters: np.ndarray, key: tuple[int, int]) -> np.ndarray:
    """Ten rounds over counters `(n, 4)` of 32 bits each, held as uint64; the random words likewise."""
    words = counters
    for turn in range(10):
        keys = [np.uint64((part + turn * weyl) & 0xFFFFFFFF) for part, weyl in zip(key, _WEYL, strict=True)]
        first, second = words[:, 0] * _MULTIPLIERS[0], words[:, 2] * _MULTIPLIERS[1]
        words = np.stack(
            [
                second >> np.uint64(32) ^ words[:, 1] ^ keys[0], second & _LOW,
                first >> np.uint64(32) ^ words[:, 3] ^ keys[1], first & _LOW,
            ],
            axis=1,
        )  # fmt: skip
    return words
