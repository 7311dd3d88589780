"""Run a network over image files: pictures are read on other threads while the network works."""

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from thaw import images
from thaw.decision import probabilities_of
from thaw.errors import ThawError
from thaw.sources import READERS, File, StoredPath

_BATCH_BYTES = 64 * 2**20
_READERS = 2
_log = logging.getLogger("thaw.evaluation")


def predict_files(
    run: Callable[[np.ndarray], np.ndarray],
    files: Sequence[File],
    shape: tuple[int, int, int],
    resize: images.Resize,
    batch_size: int,
) -> tuple[np.ndarray, dict[int, ThawError]]:
    """Probabilities of each file, float64 `(files, classes)`, and what went wrong with which.

    The rows of files that cannot be read are NaN.

    Args:
        run: from uint8 `(n, height, width, channels)` to logits `(n, 1)` or `(n, classes)`.
        shape: height, width and channels that the network takes.
        batch_size: of `run`; it is given whole multiples of it.
    """
    chunk = batch_size * max(1, _BATCH_BYTES // (batch_size * int(np.prod(shape))))
    starts = range(0, len(files), chunk)
    failures: dict[int, ThawError] = {}
    found: dict[int, np.ndarray] = {}
    is_far = any(isinstance(file, StoredPath) for file in files[:1])
    with ThreadPoolExecutor(READERS if is_far else _READERS) as pool:

        def read(start: int) -> list[Future[np.ndarray]]:
            return [pool.submit(images.load, file, *shape, resize) for file in files[start : start + chunk]]

        ahead = read(0) if files else []
        for start in starts:
            reading, ahead = ahead, read(start + chunk)
            pixels = _collect(reading, start, failures)
            if pixels:
                found |= zip(
                    pixels, probabilities_of(run(np.stack(list(pixels.values())))), strict=True
                )
            done = min(start + chunk, len(files))
            _log.info("%d of %d images", done, len(files), extra={"done": done, "total": len(files)})
    classes = len(next(iter(found.values()))) if found else 0
    probabilities = np.full((len(files), classes), np.nan)
    for number, row in found.items():
        probabilities[number] = row
    return probabilities, failures


def _collect(
    reading: Sequence[Future[np.ndarray]], start: int, failures: dict[int, ThawError]
) -> dict[int, np.ndarray]:
    pixels = {}
    for number, future in enumerate(reading, start):
        try:
            pixels[number] = future.result()
        except ThawError as error:
            failures[number] = error
    return pixels
