"""What an engine is."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Run = Callable[[np.ndarray], np.ndarray]
"""From uint8 `(n, height, width, channels)` to float32 `(n, ...)`, for any n."""


@dataclass(frozen=True)
class Engine:
    """A network, compiled. Call it with uint8 images `(n, height, width, channels)`; it gives float32 `(n, ...)`."""

    name: str
    precision: str
    relative_error: float | None
    """Against Keras, on the sample; None where it was not checked."""
    key: str
    """Changes with all that decides what it gives: network, weights, code, libraries, precision, batch size."""
    run: Run

    def __call__(self, images: np.ndarray) -> np.ndarray:
        return self.run(images)


def in_batches(run_batch: Run, batch_size: int) -> Run:
    """Let `run_batch`, which takes exactly `batch_size` images, take any number: the last batch is padded."""

    def run(images: np.ndarray) -> np.ndarray:
        parts = []
        for start in range(0, len(images), batch_size):
            batch = images[start : start + batch_size]
            count = len(batch)
            if count < batch_size:
                batch = np.concatenate([batch, np.repeat(batch[-1:], batch_size - count, axis=0)])
            parts.append(run_batch(batch)[:count])
        return np.concatenate(parts)

    return run
