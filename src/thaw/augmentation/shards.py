"""Lay the views of the images out in shards that training reads without decoding."""

import logging
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from thaw import images
from thaw.augmentation.policy import make_view, picture_key
from thaw.augmentation.views import INDEX, KEYS, shard_name
from thaw.compute import Executor
from thaw.files import check_room, write_json
from thaw.params import AugmentParams

log = logging.getLogger("thaw.augmentation")

SHARD_BYTES = 64 * 2**20
"""Room of one shard; two are in memory at a time here, and of a cluster's those in flight in its nodes' stores."""


def write_views(
    params: AugmentParams,
    seed: int,
    raw_dir: Path,
    train: Sequence[str],
    validation: Sequence[str],
    channels: int,
    views_dir: Path,
    executor: Executor,
) -> None:
    """Write shards, then the index that makes them valid.

    Args:
        train, validation: paths relative to `raw_dir`, in the order of the rows.
        channels: 1 (grey) or 3 (RGB).

    Raises:
        ThawError: an image cannot be read, or the disk has no room for the views.
    """
    picture_bytes = params.image_size**2 * channels
    views = max(1, params.views)
    shard_images = max(1, SHARD_BYTES // (views * picture_bytes))
    views_dir.mkdir(parents=True, exist_ok=True)
    _clear(views_dir)
    cure = "Make room, or lower augment.views or augment.image_size (views: 0 keeps one view an image)."
    check_room(views_dir, (len(train) * views + len(validation)) * picture_bytes, "the views", cure)
    make = _MakeViews(params, seed, raw_dir, channels, executor.threads)
    shards = [*_divide("train", train, views, shard_images), *_divide("validation", validation, 1, shard_images)]
    for shard, pixels in zip(shards, executor.map(make, shards), strict=True):
        np.save(views_dir / shard_name(shard.split, shard.number), pixels)
        counts = {"done": shard.end, "total": shard.total}
        log.info("%s: %d of %d images", shard.split, shard.end, shard.total, extra=counts)
    if params.views == 0:
        keys = b"".join(picture_key(seed, path) for path in train)
        np.save(views_dir / KEYS, np.frombuffer(keys, np.uint8).reshape(len(train), -1))
    index = {
        "height": params.image_size,
        "width": params.image_size,
        "channels": channels,
        "views": params.views,
        "shard_images": shard_images,
        "train": len(train),
        "validation": len(validation),
        "policy": params.model_dump(),
    }
    write_json(views_dir / INDEX, index)


@dataclass(frozen=True)
class _Shard:
    split: str
    number: int
    paths: Sequence[str]
    views: int
    """Of each image."""
    end: int
    """Images of the split up to and with this shard's."""
    total: int
    """Images of the split."""


def _divide(split: str, paths: Sequence[str], views: int, size: int) -> Iterator[_Shard]:
    for number, start in enumerate(range(0, len(paths), size)):
        chunk = paths[start : start + size]
        yield _Shard(split, number, chunk, views, start + len(chunk), len(paths))


@dataclass(frozen=True)
class _MakeViews:
    """A shard to its pixels, uint8 `(images, views, size, size, channels)`."""

    params: AugmentParams
    seed: int
    raw_dir: Path
    channels: int
    threads: int

    def __call__(self, shard: _Shard) -> np.ndarray:
        cv2.setNumThreads(1)  # the threads are ours, one an image
        size = self.params.image_size
        pixels = np.empty((len(shard.paths), shard.views, size, size, self.channels), np.uint8)
        with ThreadPoolExecutor(self.threads) as pool:
            list(pool.map(self._fill, shard.paths, pixels))
        return pixels

    def _fill(self, path: str, row: np.ndarray) -> None:
        size, file = self.params.image_size, images.inside(self.raw_dir, path)
        picture = images.load(file, size, size, self.channels, self.params.resize)
        key = picture_key(self.seed, path)
        for view in range(len(row)):
            row[view] = make_view(picture, self.params, key, view)


def _clear(views_dir: Path) -> None:
    """Remove what an earlier run left here, the index first: without it the folder is no views."""
    for path in [views_dir / INDEX, views_dir / KEYS, *_shards(views_dir)]:
        path.unlink(missing_ok=True)


def _shards(views_dir: Path) -> Iterator[Path]:
    for split in ("train", "validation"):
        yield from views_dir.glob(f"{split}-[0-9][0-9][0-9][0-9][0-9].npy")
