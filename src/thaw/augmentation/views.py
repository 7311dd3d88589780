"""Read the views of a split: `(images, views)` in, pixels out, without decoding."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from thaw.arrays import Rows
from thaw.augmentation.policy import KEY_BYTES, make_view
from thaw.errors import ThawError
from thaw.files import read_json
from thaw.params import AugmentParams

INDEX = "index.json"
KEYS = "train-keys.npy"
_CURE = "Run the stage `augment` again: `thaw run --only augment --force`."


def shard_name(split: str, number: int) -> str:
    """The file that holds shard `number` of a split."""
    return f"{split}-{number:05d}.npy"


@dataclass(frozen=True)
class StoredViews:
    """Views laid out on disk. Safe to share between threads and to send to a process."""

    views_dir: Path
    split: str
    count: int
    """Images."""
    views: int
    """Views of each image."""
    shape: tuple[int, int, int]
    """Height, width, channels."""
    shard_images: int
    shards: tuple[Rows, ...]
    """The files, in order."""
    resize: str
    """How pictures were brought to this shape; a model must be given others the same way."""

    def gather(self, images: Sequence[int] | np.ndarray, views: Sequence[int] | np.ndarray) -> np.ndarray:
        """The pixels of view `views[i]` of image `images[i]`, uint8 `(n, height, width, channels)`.

        Raises:
            IndexError: there is no such image or view.
            ThawError: a shard is missing or cut short.
        """
        rows, columns = np.asarray(images, np.int64), np.asarray(views, np.int64)
        _check_range(rows, self.count, "image")
        _check_range(columns, self.views, "view")
        pixels = np.empty((len(rows), *self.shape), np.uint8)
        shards, places = np.divmod(rows, self.shard_images)
        for shard in np.unique(shards):
            wanted = np.flatnonzero(shards == shard)
            self.shards[shard].fill((pixels[i] for i in wanted), places[wanted], columns[wanted])
        return pixels


@dataclass(frozen=True)
class FreshViews:
    """Views made when they are asked for: `views` is 0, and any view number from 0 on is valid."""

    stored: StoredViews
    params: AugmentParams
    keys: np.ndarray
    """uint8 `(images, 32)`: what the views of each picture are drawn from."""
    views: int = 0

    @property
    def count(self) -> int:
        """Images."""
        return self.stored.count

    @property
    def resize(self) -> str:
        """How pictures were brought to this shape."""
        return self.params.resize

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width, channels."""
        return self.stored.shape

    def gather(self, images: Sequence[int] | np.ndarray, views: Sequence[int] | np.ndarray) -> np.ndarray:
        """The pixels of view `views[i]` of image `images[i]`, uint8 `(n, height, width, channels)`.

        Raises:
            IndexError: there is no such image, or a view is negative.
            ThawError: a shard is missing or cut short.
        """
        columns = np.asarray(views, np.int64)
        _check_range(columns, np.iinfo(np.int64).max, "view")
        pixels = self.stored.gather(images, np.zeros_like(columns))
        for i, (image, view) in enumerate(zip(images, columns, strict=True)):
            pixels[i] = make_view(pixels[i], self.params, self.keys[image].tobytes(), int(view))
        return pixels


def open_views(views_dir: Path, split: Literal["train", "validation"]) -> StoredViews | FreshViews:
    """Open the views that `augment` laid out. Image `i` is row `i` of the split's CSV.

    Validation images have one view, the picture as it is. A split without images opens with count 0.

    Raises:
        ThawError: the folder is missing, incomplete or damaged.
    """
    index = _read_index(views_dir)
    shape = (index["height"], index["width"], index["channels"])
    count, fresh = index[split], split == "train" and index["views"] == 0
    views = max(1, index["views"]) if split == "train" else 1
    shards = tuple(
        _open_shard(
            views_dir / shard_name(split, n),
            (min(index["shard_images"], count - n * index["shard_images"]), views, *shape),
        )
        for n in range(-(-count // index["shard_images"]))
    )
    params = AugmentParams.model_validate(index["policy"])
    stored = StoredViews(views_dir, split, count, views, shape, index["shard_images"], shards, params.resize)
    if not fresh:
        return stored
    try:
        keys = np.load(views_dir / KEYS, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise ThawError(f"{views_dir / KEYS}: {error}", _CURE) from None
    if keys.shape != (count, KEY_BYTES):
        raise ThawError(f"{views_dir / KEYS}: is {keys.shape}, not {(count, KEY_BYTES)}", _CURE)
    return FreshViews(stored, params, keys)


def read_policy(views_dir: Path) -> AugmentParams:
    """The policy that the views in a folder are made by.

    Raises:
        ThawError: the folder is missing or damaged.
    """
    return AugmentParams.model_validate(_read_index(views_dir)["policy"])


def _read_index(views_dir: Path) -> dict[str, Any]:
    try:
        index: dict[str, Any] = read_json(views_dir / INDEX)
    except (OSError, ValueError) as error:
        raise ThawError(f"{views_dir / INDEX}: {error}", _CURE) from None
    return index


def _open_shard(path: Path, shape: tuple[int, ...]) -> Rows:
    rows = Rows(path, _CURE)
    if rows.full_shape != shape or rows.dtype != np.uint8:
        raise ThawError(f"{path}: holds {rows.dtype} {rows.full_shape}, not uint8 {shape}", _CURE)
    return rows


def _check_range(numbers: np.ndarray, end: int, name: str) -> None:
    if numbers.size and (numbers.min() < 0 or numbers.max() >= end):
        raise IndexError(f"{name} {numbers.min()} to {numbers.max()} asked for, but there are {end}")
