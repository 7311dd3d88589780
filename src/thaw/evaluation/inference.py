"""Run a network over image files: pictures are read ahead while it works."""

import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from thaw import images
from thaw.compute import Executor, Local
from thaw.decision import probabilities_of
from thaw.errors import ThawError
from thaw.sources import READERS, File, StoredPath

Run = Callable[[np.ndarray], np.ndarray]
"""From uint8 `(n, height, width, channels)` to logits `(n, 1)` or `(n, classes)`."""
_BATCH_BYTES = 64 * 2**20
_READERS = 2
_log = logging.getLogger("thaw.evaluation")


def predict_files(
    run: Run,
    files: Sequence[File],
    shape: tuple[int, int, int],
    resize: images.Resize,
    batch_size: int,
    executor: Executor | None = None,
) -> tuple[np.ndarray, dict[int, ThawError]]:
    """Probabilities of each file, float64 `(files, classes)`, and what went wrong with which file.

    The rows of files that cannot be read are NaN.

    Args:
        shape: height, width and channels that the network takes.
        batch_size: of the network; it is given whole multiples of it.
        executor: where files are read and the network runs, which must be able to be sent there; None: here.
    """
    chunk = batch_size * max(1, _BATCH_BYTES // (batch_size * int(np.prod(shape))))
    failures: dict[int, ThawError] = {}
    logits: dict[int, np.ndarray] = {}
    shards, done = _divide(files, chunk), 0
    for answer in (executor or Local()).map(_RunOver(run), shards, _Read(shape, resize), on_gpu=True):
        failures |= answer.failures
        logits |= answer.logits
        done += len(answer.logits) + len(answer.failures)
        _log.info("%d of %d images", done, len(files), extra={"done": done, "total": len(files)})
    return _fill(logits, len(files)), failures


@dataclass(frozen=True)
class _Shard:
    start: int
    files: Sequence[File]


@dataclass(frozen=True)
class _Pictures:
    pixels: dict[int, np.ndarray]
    """By the file's number; of those that could be read."""
    failures: dict[int, ThawError]


@dataclass(frozen=True)
class _Answer:
    logits: dict[int, np.ndarray]
    """By the file's number."""
    failures: dict[int, ThawError]


def _divide(files: Sequence[File], size: int) -> Iterator[_Shard]:
    for start in range(0, len(files), size):
        yield _Shard(start, files[start : start + size])


@dataclass(frozen=True)
class _Read:
    """Reads a shard's files."""

    shape: tuple[int, int, int]
    resize: images.Resize

    def __call__(self, shard: _Shard) -> _Pictures:
        pictures = _Pictures({}, {})
        is_far = any(isinstance(file, StoredPath) for file in shard.files[:1])
        with ThreadPoolExecutor(READERS if is_far else _READERS) as pool:
            reading = [pool.submit(images.load, file, *self.shape, self.resize) for file in shard.files]
            for number, future in enumerate(reading, shard.start):
                try:
                    pictures.pixels[number] = future.result()
                except ThawError as error:
                    pictures.failures[number] = error
        return pictures


@dataclass(frozen=True)
class _RunOver:
    """Runs the network over the pictures."""

    run: Run

    def __call__(self, pictures: _Pictures) -> _Answer:
        if not pictures.pixels:
            return _Answer({}, pictures.failures)
        logits = self.run(np.stack(list(pictures.pixels.values())))
        return _Answer(dict(zip(pictures.pixels, logits, strict=True)), pictures.failures)


def _fill(logits: dict[int, np.ndarray], files: int) -> np.ndarray:
    """The probabilities of all files, in their order; NaN where there is no answer."""
    if not logits:
        return np.empty((files, 0))
    found = probabilities_of(np.stack(list(logits.values())))
    probabilities = np.full((files, found.shape[1]), np.nan)
    probabilities[list(logits)] = found
    return probabilities
