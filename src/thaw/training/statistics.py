"""Mean and variance of the pixels, for normalization `featurewise`."""

import numpy as np

from thaw.training.inputs import Inputs

_BLOCK_IMAGES = 64


def measure_pixels(pictures: Inputs) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance `(channels,)`, float64, of the pixels of all images in their first view."""
    channels = pictures.shape[-1]
    total, squares, count = np.zeros(channels), np.zeros(channels), 0
    for start in range(0, pictures.count, _BLOCK_IMAGES):
        images = np.arange(start, min(start + _BLOCK_IMAGES, pictures.count))
        pixels = pictures.gather(images, np.zeros_like(images)).reshape(-1, channels).astype(np.float64)
        total += pixels.sum(axis=0)
        squares += (pixels**2).sum(axis=0)
        count += len(pixels)
    mean = total / count
    return mean, squares / count - mean**2
