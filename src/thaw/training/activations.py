"""What a frozen network makes of every view, written once and read each epoch."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from thaw.arrays import Rows
from thaw.compute import Executor, Local
from thaw.errors import ThawError
from thaw.files import check_room, replacing
from thaw.fingerprint import code_digest, content_key
from thaw.training.guard import Stop
from thaw.training.inputs import LARGEST_HALF, Computed, Inputs, round_to

_log = logging.getLogger("thaw.training")
_BLOCK_IMAGES = 64

Run = Callable[[np.ndarray], np.ndarray]
"""Pictures uint8 `(n, height, width, channels)` to activations float32 `(n, ...)`."""


def sample_pictures(pictures: Inputs, count: int = 32) -> np.ndarray:
    """`count` pictures from all over the set, in their first view; fewer where there are fewer."""
    images = np.unique(np.linspace(0, pictures.count - 1, count).astype(np.int64))
    return pictures.gather(images, np.zeros_like(images))


def storage_dtype(activations: np.ndarray) -> np.dtype[Any]:
    """float16, unless a sample comes within an eighth of its range: then float32."""
    largest = float(np.abs(activations).max(initial=0.0))
    return np.dtype(np.float16 if largest < LARGEST_HALF / 8 else np.float32)


def activations_key(engine_key: str, views_digest: str, dtype: np.dtype[Any]) -> str:
    """Changes with what the engine gives (`thaw.engines.Engine.key`), the pictures, and how activations are stored."""
    code = code_digest("arrays.py", "augmentation/views.py", "training/activations.py", "training/inputs.py")
    return content_key(engine_key, views_digest, dtype, code)


def write_activations(
    path: Path,
    pictures: Inputs,
    run: Run,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    stop: Stop,
    executor: Executor | None = None,
) -> None:
    """Write `.npy` `(images, views, *shape)`, whole or not at all. Memory holds two blocks of pictures.

    Args:
        executor: where `run` is called, which it must be able to be sent to; None: here.

    Raises:
        ThawError: the disk has no room, or an activation is not finite.
        Stopped: on request.
    """
    full = (pictures.count, max(1, pictures.views), *shape)
    path.parent.mkdir(parents=True, exist_ok=True)
    cure = "Make room, or lower augment.views, or compute.cache_gb so that nothing is kept."
    check_room(path.parent, activations_bytes(pictures, shape, dtype), "the activations", cure)
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": full}
    written, total = 0, full[0] * full[1]
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.lib.format.write_array_header_2_0(file, header)
        for values in (executor or Local()).map(run, _blocks(total), _Read(pictures), on_gpu=True):
            stop.check()
            if not np.isfinite(values).all():
                first, last = (number // full[1] for number in (written, written + len(values) - 1))
                raise ThawError(
                    f"the frozen layers give a number that is not finite for an image in rows {first} to {last} of the split",
                    "Set extract.precision: float32, or look at these images.",
                )
            round_to(values, dtype).tofile(file)
            written += len(values)
            split, counts = path.stem.rpartition("-")[2], {"done": written, "total": total}
            _log.info("%s: %d of %d views", split, written, total, extra=counts)


def activations_bytes(pictures: Inputs, shape: tuple[int, ...], dtype: np.dtype[Any]) -> int:
    """The room that the activations of every view take."""
    return pictures.count * max(1, pictures.views) * int(np.prod(shape)) * dtype.itemsize


@dataclass(frozen=True)
class Cache:
    """A bounded place for activations. What another key left there is removed."""

    home_dir: Path
    room_bytes: float
    key: str
    """As `activations_key` makes it."""

    def hold(
        self, splits: dict[str, Inputs], run: Run, shape: tuple[int, ...], dtype: np.dtype[Any], stop: Stop
    ) -> dict[str, Inputs]:
        """The activations of each split: from disk where they fit, else computed again each epoch.

        That is slower, and gives the same numbers.

        Raises:
            ThawError: the disk has no room.
            Stopped: on request.
        """
        needed = sum(activations_bytes(pictures, shape, dtype) for pictures in splits.values())
        self._remove_others()
        if any(pictures.views == 0 for pictures in splits.values()) or needed > self.room_bytes:
            _log.warning(
                "activations are computed again each epoch: %s",
                f"{needed / 1e9:.2f} GB is over compute.cache_gb" if needed > self.room_bytes else "views are made on the fly",
            )
            return {name: Computed(pictures, run, shape, dtype) for name, pictures in splits.items()}
        held: dict[str, Inputs] = {}
        for name, pictures in splits.items():
            path = self.home_dir / f"{self.key}-{name}.npy"
            try:
                held[name] = Rows(path)
            except ThawError:  # not there, or damaged since
                write_activations(path, pictures, run, shape, dtype, stop)
                held[name] = Rows(path)
        return held

    def _remove_others(self) -> None:
        for path in [*self.home_dir.glob("*.npy"), *self.home_dir.glob(".*.npy")]:
            if not path.name.startswith(self.key):
                path.unlink()


def _blocks(total: int) -> Iterator[range]:
    """The numbers of all views of all images, in order, block by block."""
    for start in range(0, total, _BLOCK_IMAGES):
        yield range(start, min(start + _BLOCK_IMAGES, total))


@dataclass(frozen=True)
class _Read:
    """The pictures of a block."""

    pictures: Inputs

    def __call__(self, block: range) -> np.ndarray:
        numbers, views = np.arange(block.start, block.stop), max(1, self.pictures.views)
        return self.pictures.gather(numbers // views, numbers % views)
