"""Where the arrays that a network trains on come from: files on disk, or an engine over pictures."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

_BLOCK_IMAGES = 64
LARGEST_HALF = 65504.0
"""Of float16."""


class Inputs(Protocol):
    """Images with views: pictures, or what a frozen network makes of them."""

    @property
    def count(self) -> int:
        """Images."""

    @property
    def views(self) -> int:
        """Views of each image; 0: every number is a view, made when it is asked for."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one view of one image."""

    def gather(self, images: np.ndarray, views: np.ndarray) -> np.ndarray:
        """`(n, *shape)`: view `views[i]` of image `images[i]`."""


@dataclass(frozen=True)
class Computed:
    """What `run` makes of pictures, each time it is asked for: the numbers that `thaw.arrays.Rows` of the same have."""

    pictures: Inputs
    run: Callable[[np.ndarray], np.ndarray]
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    """In which they would be stored."""

    @property
    def count(self) -> int:
        return self.pictures.count

    @property
    def views(self) -> int:
        return self.pictures.views

    def gather(self, images: np.ndarray, views: np.ndarray) -> np.ndarray:
        return round_to(self.run(self.pictures.gather(images, views)), self.dtype)


def round_to(values: np.ndarray, dtype: np.dtype[Any]) -> np.ndarray:
    """float32 `values` as `dtype` stores them; what float16 has no room for becomes its largest number."""
    if dtype == np.float16:
        values = values.clip(-LARGEST_HALF, LARGEST_HALF)
    return values.astype(dtype)


def measure_pixels(pictures: Inputs) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance `(channels,)`, float64, of the pixels of all images in their first view."""
    channels = pictures.shape[-1]
    total, squares, count = np.zeros(channels), np.zeros(channels), 0
    for start in range(0, pictures.count, _BLOCK_IMAGES):
        images = np.arange(start, min(start + _BLOCK_IMAGES, pictures.count))
        pixels = pictures.gather(images, np.zeros_like(images)).reshape(-1, channels).astype(np.float64)
        total += pixels.sum(axis=0)
        squares += (pixels**2).sum(axis=0)
        count += len(pixels)
    mean = total / count
    return mean, squares / count - mean**2
