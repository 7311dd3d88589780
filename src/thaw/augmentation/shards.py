"""Lay the views of the images out in shards that training reads without decoding."""

import logging
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from thaw import images
from thaw.augmentation.policy import make_view, picture_key
from thaw.augmentation.views import INDEX, KEYS, shard_name
from thaw.files import check_room, write_json
from thaw.params import AugmentParams
from thaw.sources import READERS, is_indexed

log = logging.getLogger("thaw.augmentation")

SHARD_BYTES = 64 * 2**20
"""Room of one shard; two are in memory at a time."""


def write_views(
    params: AugmentParams,
    seed: int,
    raw_dir: Path,
    train: Sequence[str],
    validation: Sequence[str],
    channels: int,
    views_dir: Path,
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
    cv2.setNumThreads(1)  # the threads are ours, one an image
    readers = READERS if is_indexed(raw_dir) else available_cpus()
    with ThreadPoolExecutor(readers) as pool:
        writer = _Writer(params, seed, raw_dir, channels, shard_images, views_dir, pool)
        writer.write("train", train, views)
        writer.write("validation", validation, 1)
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


def available_cpus() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True)
class _Writer:
    params: AugmentParams
    seed: int
    raw_dir: Path
    channels: int
    shard_images: int
    views_dir: Path
    pool: ThreadPoolExecutor

    def write(self, split: str, paths: Sequence[str], views: int) -> None:
        """Write the shards of one split; while one is written, the next is made."""
        size = self.params.image_size
        writing: Future[None] | None = None
        for number, start in enumerate(range(0, len(paths), self.shard_images)):
            chunk = paths[start : start + self.shard_images]
            pixels = np.empty((len(chunk), views, size, size, self.channels), np.uint8)
            for done, _ in enumerate(self.pool.map(self._fill, chunk, pixels), start + 1):
                _tell(split, done, len(paths))
            if writing is not None:
                writing.result()
            writing = self.pool.submit(np.save, self.views_dir / shard_name(split, number), pixels)
        if writing is not None:
            writing.result()

    def _fill(self, path: str, row: np.ndarray) -> None:
        size, file = self.params.image_size, images.inside(self.raw_dir, path)
        picture = images.load(file, size, size, self.channels, self.params.resize)
        key = picture_key(self.seed, path)
        for view in range(len(row)):
            row[view] = make_view(picture, self.params, key, view)


def _tell(split: str, done: int, total: int) -> None:
    log.info("%s: %d of %d images", split, done, total, extra={"done": done, "total": total})


def _clear(views_dir: Path) -> None:
    """Remove what an earlier run left here, the index first: without it the folder is no views."""
    for path in [views_dir / INDEX, views_dir / KEYS, *_shards(views_dir)]:
        path.unlink(missing_ok=True)


def _shards(views_dir: Path) -> Iterator[Path]:
    for split in ("train", "validation"):
        yield from views_dir.glob(f"{split}-[0-9][0-9][0-9][0-9][0-9].npy")
