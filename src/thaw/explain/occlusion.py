"""Occlusion sensitivity (Zeiler and Fergus 2014, arXiv 1311.2901): cover a patch, see what it costs."""

import keras
import numpy as np

from thaw.decision import log_probabilities_of

_BATCH = 32


def occlude(model: keras.Model, picture: np.ndarray, class_index: int, patch: int = 0) -> np.ndarray:
    """How much of the class's log probability each pixel of `picture` carries.

    A patch in the picture's mean colour is moved over it by half its side. It asks nothing of the network but its
    answers, so it checks what gradients say.

    Args:
        picture: `(height, width, channels)`.
        patch: side in pixels; 0: an eighth of the shorter side.

    Returns:
        float32 `(height, width)`: mean fall of the log probability under the patches that cover the pixel, at least 0.
    """
    height, width, _ = picture.shape
    patch = min(patch or max(2, min(height, width) // 8), height, width)
    corners = [(top, left) for top in _starts(height, patch) for left in _starts(width, patch)]
    plain = log_probabilities_of(model.predict_on_batch(picture[None]))[0, class_index]
    fall, covered = np.zeros((height, width)), np.zeros((height, width))
    for first in range(0, len(corners), _BATCH):
        some = corners[first : first + _BATCH]
        covering = log_probabilities_of(model.predict_on_batch(_cover(picture, some, patch)))
        falls = plain - covering[: len(some), class_index]
        for (top, left), value in zip(some, falls, strict=True):
            fall[top : top + patch, left : left + patch] += value
            covered[top : top + patch, left : left + patch] += 1
    return np.maximum(fall / covered, 0).astype("float32")


def _starts(length: int, patch: int) -> list[int]:
    return sorted({*range(0, length - patch, max(1, patch // 2)), length - patch})


def _cover(picture: np.ndarray, corners: list[tuple[int, int]], patch: int) -> np.ndarray:
    """`_BATCH` copies, always as many, so that the network is traced once."""
    copies = np.repeat(picture[None], _BATCH, axis=0)
    mean = picture.mean((0, 1)).astype(picture.dtype)
    for copy, (top, left) in zip(copies, corners, strict=False):
        copy[top : top + patch, left : left + patch] = mean
    return copies
