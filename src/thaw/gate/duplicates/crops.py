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
from thaw.gate.scan.fingerprint import FREQUENCIES, SIDE_PIXELS, cosines, decode

CROP = 0.95
_STARTS = (0.0, (1 - CROP) / 2, 1 - CROP)
_LOW = 12
_CHUNK_ROWS = 1024
"""Products of 16 x 16 x 1024 are just so small that OpenBLAS does not divide them among threads of its own."""
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
    encoder = _Encoder(median)

    def encode_part(start: int) -> None:
        for begin in range(start, min(start + _JOB_ROWS, len(descriptors)), _CHUNK_ROWS):
            part = slice(begin, min(begin + _CHUNK_ROWS, start + _JOB_ROWS))
            windows[part] = encoder(descriptors[part])
            codes[part] = windows[part, 0]

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(encode_part, range(0, len(descriptors), _JOB_ROWS)))
    return codes, windows


class _Encoder:
    """Makes codes of many pictures at once: the pictures are the last axis, so that all arithmetic runs along them.

    Of a crop only those coefficients are made that are coded, in order of their row: one product a row. They come divided by
    their threshold, which spares a product of each with the picture's length; a bit whose threshold is negative is turned over.
    """

    def __init__(self, median: np.ndarray) -> None:
        by_row = np.argsort(CODED, kind="stable")
        self._taken, self._back = CODED[by_row], np.argsort(by_row)
        threshold = np.copysign(np.maximum(median * median, 1e-12), median)  # roots compare as their squares do
        self._flipped = np.packbits(threshold < 0)[:, None]
        threshold = threshold[by_row].astype(np.float32)[:, None]
        maps = np.stack([crop_map(start, CROP) for start in _STARTS])
        self._down = maps[:, None]
        rows, columns = np.divmod(self._taken, FREQUENCIES)
        ends = np.searchsorted(rows, range(rows[-1] + 2)).tolist()
        across = maps[:, columns] / threshold
        self._rows = [(part, across[:, part]) for part in map(slice, ends[:-1], ends[1:])]
        self._threshold = threshold
        self._weights = (np.isin(self._taken, COMPARED)[:, None] * np.abs(threshold)).T.copy()

    def __call__(self, descriptors: np.ndarray) -> np.ndarray:
        """Those of what each window keeps of pictures, int8 `(n, 256)`, as uint64 `(n, 10, 2)`."""
        count, starts = len(descriptors), len(_STARTS)
        whole = decode(np.ascontiguousarray(descriptors.T))
        by_column = whole.reshape(FREQUENCIES, FREQUENCIES, count).transpose(1, 0, 2)
        tall = np.matmul(self._down, by_column)[:, None]
        coded = np.empty((len(WINDOWS), CODE_BITS, count), np.float32)
        np.divide(whole.take(self._taken, axis=0), self._threshold, out=coded[0])
        crops = coded[1:].reshape(starts, starts, CODE_BITS, count)
        for row, (part, across) in enumerate(self._rows):
            np.matmul(across, tall[..., row, :], out=crops[:, :, part])
        bits = coded > np.matmul(self._weights, np.abs(coded))
        octets = _pack(bits.take(self._back, axis=1)) ^ self._flipped
        return octets.transpose(2, 0, 1).copy().view(np.uint64)


def _pack(bits: np.ndarray) -> np.ndarray:
    """What `numpy.packbits` makes of bits `(k, 8 m, n)` along their second axis, uint8 `(k, m, n)`, in a tenth of its time."""
    by_place = bits.view(np.uint8).reshape(len(bits), -1, 8, bits.shape[-1])
    octets = np.zeros_like(by_place[:, :, 0])
    for place in range(8):
        octets += octets
        octets += by_place[:, :, place]
    return octets
