"""Where the arrays that a network trains on come from: files on disk, or an engine over pictures."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from thaw.errors import ThawError

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
class Rows:
    """A `.npy` file `(images, views, *shape)`, read row by row: memory holds a batch, not a map of the file."""

    path: Path

    @cached_property
    def _header(self) -> tuple[tuple[int, ...], np.dtype[Any], int]:
        try:
            array = np.lib.format.open_memmap(self.path, mode="r")
        except (OSError, ValueError) as error:
            raise ThawError(f"{self.path}: {error}", "Run the stage that writes it again, with --force.") from None
        return array.shape, array.dtype, int(array.offset)

    @property
    def count(self) -> int:
        return self._header[0][0]

    @property
    def views(self) -> int:
        return self._header[0][1]

    @property
    def shape(self) -> tuple[int, ...]:
        return self._header[0][2:]

    def gather(self, images: np.ndarray, views: np.ndarray) -> np.ndarray:
        (_, per_image, *shape), dtype, offset = self._header
        rows = np.empty((len(images), *shape), dtype)
        bytes_each = int(np.prod(shape)) * dtype.itemsize
        with self.path.open("rb", buffering=0) as file:
            for row, number in zip(rows, np.asarray(images) * per_image + views, strict=True):
                if os.preadv(file.fileno(), [row], offset + int(number) * bytes_each) != bytes_each:
                    raise ThawError(f"{self.path}: cut short", "Run the stage that writes it again, with --force.")
        return rows


@dataclass(frozen=True)
class Computed:
    """What `run` makes of pictures, each time it is asked for: the numbers that `Rows` of the same have."""

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
