"""One row an image, for what is no network: the mean of its features over views and places."""

import numpy as np

from thaw.training.inputs import Inputs

_BLOCK = 1024


def pooled(features: Inputs) -> np.ndarray:
    """float32 `(images, channels)` of features `(images, views, ..., channels)`."""
    found = np.empty((features.count, features.shape[-1]), np.float32)
    for begin in range(0, features.count, _BLOCK):
        images = np.arange(begin, min(begin + _BLOCK, features.count))
        total = sum(
            features.gather(images, np.full_like(images, view)).astype(np.float32).reshape(len(images), -1, features.shape[-1])
            for view in range(features.views)
        )
        found[images] = np.mean(total, axis=1) / features.views
    return found
