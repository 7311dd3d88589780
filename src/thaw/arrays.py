"""Arrays on disk of which single rows are read: memory holds a batch, not a map of the file."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from thaw.errors import ThawError


@dataclass(frozen=True)
class Rows:
    """A `.npy` file `(images, views, *shape)`. Safe to share between threads and to send to a process.

    Raises:
        ThawError: the file is missing, no array, or shorter than its header says; told when this is made.
    """

    path: Path
    cure: str = "Remove it and run `thaw run`: the stage that writes it runs again."

    def __post_init__(self) -> None:
        _ = self._header

    @cached_property
    def _header(self) -> tuple[tuple[int, ...], np.dtype[Any], int]:
        try:
            array = np.lib.format.open_memmap(self.path, mode="r")  # which holds the size against the header
        except FileNotFoundError:
            raise ThawError(f"{self.path}: no such file", self.cure) from None
        except (OSError, ValueError) as error:
            raise ThawError(f"{self.path}: damaged or cut short: {error}", self.cure) from None
        return array.shape, array.dtype, int(array.offset)

    @property
    def full_shape(self) -> tuple[int, ...]:
        """`(images, views, *shape)`."""
        return self._header[0]

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the array."""
        return self._header[1]

    @property
    def count(self) -> int:
        """Images."""
        return self.full_shape[0]

    @property
    def views(self) -> int:
        """Views of each image."""
        return self.full_shape[1]

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one view of one image."""
        return self.full_shape[2:]

    def gather(self, images: np.ndarray, views: np.ndarray) -> np.ndarray:
        """`(n, *shape)`: view `views[i]` of image `images[i]`.

        Raises:
            ThawError: the file has become shorter, or went.
        """
        rows = np.empty((len(images), *self.shape), self.dtype)
        self.fill(rows, images, views)
        return rows

    def fill(self, rows: Iterable[np.ndarray], images: np.ndarray, views: np.ndarray) -> None:
        """As `gather`, into `rows`: arrays of the file's shape and dtype."""
        bytes_each = int(np.prod(self.shape)) * self.dtype.itemsize
        offset, numbers = self._header[2], np.asarray(images) * self.views + views
        try:
            with self.path.open("rb", buffering=0) as file:
                for row, number in zip(rows, numbers.tolist(), strict=True):
                    file.seek(offset + number * bytes_each)
                    if file.readinto(row.data) != bytes_each:
                        raise ThawError(f"{self.path}: cut short", self.cure)
        except OSError as error:
            raise ThawError(f"{self.path}: {error.strerror}", self.cure) from None
