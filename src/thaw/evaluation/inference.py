"""Run networks over image files: pictures are read ahead while the networks work."""

import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from thaw import images
from thaw.compute import Executor, Local
from thaw.decision import probabilities_of
from thaw.errors import ThawError

Run = Callable[[np.ndarray], np.ndarray]
"""From uint8 `(n, height, width, channels)` to logits `(n, 1)` or `(n, classes)`."""
_BATCH_BYTES = 64 * 2**20
_READERS = 2
_log = logging.getLogger("thaw.evaluation")


def predict_files(
    run: Run,
    files: Sequence[Path],
    shape: tuple[int, int, int],
    resize: images.Resize,
    batch_size: int,
    executor: Executor | None = None,
) -> tuple[np.ndarray, dict[int, ThawError]]:
    """As `predict_with_each`, with one network."""
    [probabilities], failures = predict_with_each((run,), files, shape, resize, batch_size, executor)
    return probabilities, failures


def predict_with_each(
    runs: Sequence[Run],
    files: Sequence[Path],
    shape: tuple[int, int, int],
    resize: images.Resize,
    batch_size: int,
    executor: Executor | None = None,
) -> tuple[list[np.ndarray], dict[int, ThawError]]:
    """Probabilities of each file, float64 `(files, classes)`, by each network, and what went wrong with which file.

    The rows of files that cannot be read are NaN.

    Args:
        shape: height, width and channels that the networks take.
        batch_size: of the networks; they are given whole multiples of it.
        executor: where files are read and networks run, which must be able to be sent there; None: here.
    """
    chunk = batch_size * max(1, _BATCH_BYTES // (batch_size * int(np.prod(shape))))
    failures: dict[int, ThawError] = {}
    found: list[dict[int, np.ndarray]] = [{} for _ in runs]
    shards, done = _divide(files, chunk), 0
    for answer in (executor or Local()).map(_RunAll(tuple(runs)), shards, _Read(shape, resize), on_gpu=True):
        failures |= answer.failures
        for rows, logits in zip(found, answer.logits, strict=bool(answer.logits)):
            rows |= zip(answer.numbers, probabilities_of(logits), strict=True)
        done += len(answer.numbers) + len(answer.failures)
        _log.info("%d of %d images", done, len(files), extra={"done": done, "total": len(files)})
    return [_fill(rows, len(files)) for rows in found], failures


@dataclass(frozen=True)
class _Shard:
    start: int
    files: Sequence[Path]


@dataclass(frozen=True)
class _Pictures:
    pixels: dict[int, np.ndarray]
    """By the file's number; of those that could be read."""
    failures: dict[int, ThawError]


@dataclass(frozen=True)
class _Answer:
    numbers: list[int]
    logits: list[np.ndarray]
    """Of each network; none where no file could be read."""
    failures: dict[int, ThawError]


def _divide(files: Sequence[Path], size: int) -> Iterator[_Shard]:
    for start in range(0, len(files), size):
        yield _Shard(start, files[start : start + size])


@dataclass(frozen=True)
class _Read:
    """Reads a shard's files."""

    shape: tuple[int, int, int]
    resize: images.Resize

    def __call__(self, shard: _Shard) -> _Pictures:
        pictures = _Pictures({}, {})
        with ThreadPoolExecutor(_READERS) as pool:
            reading = [pool.submit(images.load, file, *self.shape, self.resize) for file in shard.files]
            for number, future in enumerate(reading, shard.start):
                try:
                    pictures.pixels[number] = future.result()
                except ThawError as error:
                    pictures.failures[number] = error
        return pictures


@dataclass(frozen=True)
class _RunAll:
    """Runs every network over the pictures."""

    runs: tuple[Run, ...]

    def __call__(self, pictures: _Pictures) -> _Answer:
        if not pictures.pixels:
            return _Answer([], [], pictures.failures)
        pixels = np.stack(list(pictures.pixels.values()))
        return _Answer(list(pictures.pixels), [run(pixels) for run in self.runs], pictures.failures)


def _fill(rows: dict[int, np.ndarray], files: int) -> np.ndarray:
    classes = len(next(iter(rows.values()))) if rows else 0
    probabilities = np.full((files, classes), np.nan)
    for number, row in rows.items():
        probabilities[number] = row
    return probabilities
