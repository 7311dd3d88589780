"""Batches read ahead, beside the steps that take them."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

Batch = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Inputs, targets and weights of one step, float32, the images along the first axis."""


def read_ahead(batches: Callable[[], Iterator[Batch]], place: Callable[[Batch], Any] = tuple) -> Iterator[Any]:
    """What `place` makes of each batch: in another thread, the next one while one is worked on."""
    iterator = batches()

    def read() -> Any:
        batch = next(iterator, None)
        return batch and place(batch)

    with ThreadPoolExecutor(1) as reader:
        pending = reader.submit(read)
        while (batch := pending.result()) is not None:
            pending = reader.submit(read)
            yield batch
