"""A picture's code, and the codes of its crops.

A code's bit tells whether a coefficient lies above the set's median of it. A crop's coefficients are a linear map of the
whole picture's.
"""

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import numpy as np

from thaw.gate.duplicates.codes import CODE_BITS
from thaw.gate.mapped import array_on_disk
from thaw.gate.scan.fingerprint import FREQUENCIES, SIDE_PIXELS, cosines, expand

CROP = 0.95
_STARTS = (0.0, (1 - CROP) / 2, 1 - CROP)
_LOW = 12
_CHUNK_ROWS = 256
"""What a core's cache holds; and so small are the products that no library divides them among threads of its own."""
_JOB_ROWS = 16384

_ROW, _COLUMN = np.indices((FREQUENCIES, FREQUENCIES))
_ORDER = np.lexsort((_ROW.ravel(), (_ROW + _COLUMN).ravel()))
CODED = _ORDER[1 : CODE_BITS + 1]
"""Coefficients of the code, lowest frequencies first; the first of them, row + column < 12, are compared too."""
COMPARED = CODED[: _LOW * (_LOW + 1) // 2 - 1]
_INVERSE = np.linalg.pinv(cosines(FREQUENCIES, SIDE_PIXELS))

Window = tuple[float, float, float, float]
"""What a crop keeps: top, left, height and width, as shares of the picture."""
WINDOWS: list[Window | None] = [None, *((top, left, CROP, CROP) for top in _STARTS for left in _STARTS)]
"""What is coded of each picture: the whole, and nine crops."""


@cache
def crop_map(start: float, length: float) -> np.ndarray:
    """The matrix that takes an axis's cosine coefficients to those of its part from `start` on, `(16, 16)`."""
    return (cosines(FREQUENCIES, SIDE_PIXELS, start, start + length) @ _INVERSE).astype(np.float32)


class Crops:
    """Crops of equal sides, taken from all combinations of `starts`, vertical and horizontal.

    Args:
        length: of a side, as a share of the picture's.
        taken: which of a crop's 256 coefficients are wanted.
    """

    def __init__(self, starts: Iterable[float], length: float, taken: np.ndarray) -> None:
        row, column = np.divmod(taken, FREQUENCIES)
        made = max(row.max(), column.max()) + 1
        maps = [crop_map(start, length)[:made] for start in starts]
        self._down = np.concatenate(maps)
        self._across = np.ascontiguousarray(self._down.T)
        first = made * np.arange(len(maps))[:, None]
        rows, columns = (first + row)[:, None], (first + column)[None]
        self._taken = (rows * len(self._down) + columns).reshape(-1, len(taken))

    def __call__(self, coefficients: np.ndarray) -> np.ndarray:
        """Those of every crop of pictures `(n, 16, 16)`, float32 `(n, crops, taken)`: two products for all of them."""
        whole = np.matmul(self._down, np.matmul(coefficients, self._across))
        return whole.reshape(len(coefficients), -1).take(self._taken, axis=1)


def crop(coefficients: np.ndarray, window: Window | None) -> np.ndarray:
    """The coefficients `(n, 16, 16)` of what `window` keeps."""
    if window is None:
        return coefficients
    top, left, height, width = window
    return crop_map(top, height) @ coefficients @ crop_map(left, width).T


def encode(descriptors: np.ndarray, median: np.ndarray, folder: Path | None) -> tuple[np.ndarray, np.ndarray]:
    """The codes of all pictures, uint64 `(n, 2)`, and of what each window keeps, `(n, 10, 2)`: a bit is set above the median.

    Args:
        descriptors: int8 `(n, 256)`.
        median: of the coefficients' signed roots, `(128,)`.
        folder: where the codes lie; see `array_on_disk`.
    """
    words = CODE_BITS // 64
    codes = array_on_disk((len(descriptors), words), np.uint64, folder)
    windows = array_on_disk((len(descriptors), len(WINDOWS), words), np.uint64, folder)  # those of one lie together
    threshold = np.copysign(median * median, median).astype(np.float32)  # roots compare as their squares do
    crops = Crops(_STARTS, CROP, CODED)

    def encode_part(start: int) -> None:
        for begin in range(start, min(start + _JOB_ROWS, len(descriptors)), _CHUNK_ROWS):
            part = slice(begin, min(begin + _CHUNK_ROWS, start + _JOB_ROWS))
            whole = expand(descriptors[part])
            codes[part] = _bits(whole.reshape(len(whole), 1, -1).take(CODED, axis=2), threshold)[:, 0]
            windows[part, 0] = codes[part]
            windows[part, 1:] = _bits(crops(whole), threshold)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(encode_part, range(0, len(descriptors), _JOB_ROWS)))
    return codes, windows


def _bits(coded: np.ndarray, threshold: np.ndarray) -> np.ndarray:
    """Coefficients `(n, k, 128)` as codes, uint64 `(n, k, 2)`."""
    length = np.einsum("ijk->ij", np.abs(coded[..., : len(COMPARED)]))[..., None]
    return np.packbits(coded > threshold * length, axis=2).view(np.uint64)
