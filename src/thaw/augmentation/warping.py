"""Affine maps of pictures."""

import cv2
import numpy as np

_BORDER = {
    "reflect": cv2.BORDER_REFLECT,
    "nearest": cv2.BORDER_REPLICATE,
    "constant": cv2.BORDER_CONSTANT,
    "wrap": cv2.BORDER_WRAP,
}


def warp(picture: np.ndarray, linear: np.ndarray, offset: np.ndarray, fill_mode: str) -> np.ndarray:
    """The picture under `place -> linear @ place + offset`, uint8 `(size, size, channels)`; places are (x, y) in pixels.

    Sampling is bilinear; what comes from without is filled as `fill_mode` says.
    """
    size = picture.shape[0]
    moved = cv2.warpAffine(
        np.ascontiguousarray(picture),
        np.column_stack([linear, offset]),
        (size, size),
        flags=cv2.INTER_LINEAR,
        borderMode=_BORDER[fill_mode],
        hint=cv2.ALGO_HINT_ACCURATE,
    )
    return moved.reshape(picture.shape)
