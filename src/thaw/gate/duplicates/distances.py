"""How unlike two pictures are: one minus the cosine of their low frequencies, of any crop where that is less."""

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from thaw.gate.duplicates.crops import CODED, COMPARED, CROP, Crops, Window, crop
from thaw.gate.scan.fingerprint import expand

_CHUNK_ROWS = 16384
_SEARCH_PAIRS = 256
_MEDIAN_ROWS = 16384
_KEPT_ROWS = 4096
_HOPEFUL_DISTANCE = 0.12
"""Of pairs whose nearest of nine crops lay beyond, a finer grid made one in 2,500 duplicates."""

def _grid(length: float, steps: int) -> Crops:
    return Crops(np.linspace(0, 1 - length, steps), length, COMPARED)


_ROUGH_GRIDS = [_grid(CROP, 3)]
_FINE_GRIDS = [_grid(CROP, 6), _grid((1 + CROP) / 2, 3)]


class Distances:
    """Of the pictures of one set.

    Args:
        descriptors: int8 `(n, 256)`.

    Attributes:
        median: the set's, of the coefficients' signed roots, `(128,)`.
    """

    def __init__(self, descriptors: np.ndarray) -> None:
        self.descriptors = descriptors
        sample = descriptors[:: max(1, len(descriptors) // _MEDIAN_ROWS)]
        coefficients = expand(sample).reshape(len(sample), -1)[:, CODED]
        self._kept: dict[Window | None, np.ndarray] = {}
        self.median = np.median(_roots(coefficients, len(COMPARED)), axis=0)

    def measure(self, left: np.ndarray, right: np.ndarray, enough: float) -> np.ndarray:
        """The distance of each pair: of the whole pictures, else the smallest over a few, then many crops of either.

        No more is compared of a pair once its distance is `enough`.
        """
        best = self.coarse(left, right)
        pairs = np.flatnonzero(best > enough)
        for grids in (_ROUGH_GRIDS, _FINE_GRIDS):
            one, other = left[pairs], right[pairs]
            found = self._search(np.concatenate([one, other]), np.concatenate([other, one]), grids)
            best[pairs] = np.minimum(best[pairs], found.reshape(2, -1).min(axis=0))
            pairs = pairs[(best[pairs] > enough) & (best[pairs] < _HOPEFUL_DISTANCE)]
        return best

    def coarse(self, query: np.ndarray, at: np.ndarray, window: Window | None = None) -> np.ndarray:
        """The distance of each pair, of what `window` keeps of `query` and the whole of `at`, float32 `(pairs,)`."""
        distances = np.empty(len(query), np.float32)
        for start in range(0, len(query), _CHUNK_ROWS):
            part = slice(start, start + _CHUNK_ROWS)
            distances[part] = _distance(self._compared(query[part], window), self._compared(at[part]))
        return distances

    def _compared(self, rows: np.ndarray, window: Window | None = None) -> np.ndarray:
        """Unit vectors of what `window` keeps of `rows`; in a small set each is made once, as most are asked for often."""
        if len(self.descriptors) > _KEPT_ROWS:
            return self._vectors(crop(expand(self.descriptors[rows]), window))
        if window not in self._kept:
            self._kept[window] = self._vectors(crop(expand(self.descriptors), window))
        return self._kept[window].take(rows, axis=0)

    def _search(self, cropped: np.ndarray, whole: np.ndarray, grids: list[Crops]) -> np.ndarray:
        """The smallest distance of each pair over grids of crops of `cropped`, on all cores."""
        parts = [slice(start, start + _SEARCH_PAIRS) for start in range(0, len(cropped), _SEARCH_PAIRS)]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            found = pool.map(lambda part: self._search_part(cropped[part], whole[part], grids), parts)
            return np.concatenate([np.zeros(0, np.float32), *found])

    def _search_part(self, cropped: np.ndarray, whole: np.ndarray, grids: list[Crops]) -> np.ndarray:
        source, target = expand(self.descriptors[cropped]), self._compared(whole)
        median = self.median[: len(COMPARED)]
        median_target, median_length = target @ median, median @ median
        best = np.full(len(source), 2.0, np.float32)
        for crops in grids:
            # What `_vectors` and `_distance` give, without the unit vectors: roots have length 1 once scaled.
            roots = crops(source)
            sizes = np.abs(roots)
            scale = 1 / np.sqrt(np.maximum(np.einsum("ijk->ij", sizes), 1e-12))
            roots /= np.maximum(np.sqrt(sizes, out=sizes), 1e-20, out=sizes)  # signed, in a quarter of copysign's time
            along = np.matmul(roots, target[:, :, None])[..., 0] * scale - median_target[:, None]
            length = np.sqrt(np.maximum(1 - 2 * (roots @ median) * scale + median_length, 1e-12))
            np.minimum(best, (1 - along / length).min(axis=1), out=best)
        return best

    def _vectors(self, coefficients: np.ndarray) -> np.ndarray:
        """Unit vectors that are compared: signed roots of the lowest frequencies, less the set's median."""
        vectors = _roots(coefficients.reshape(len(coefficients), -1)[:, COMPARED], len(COMPARED))
        vectors -= self.median[: len(COMPARED)]
        vectors /= np.maximum(np.sqrt(np.einsum("ij,ij->i", vectors, vectors)), 1e-6)[:, None]
        return vectors


def _roots(coefficients: np.ndarray, compared: int) -> np.ndarray:
    """Signed square roots of coefficients `(n, k)`, so scaled that those of the first `compared` have length 1."""
    sizes = np.abs(coefficients)
    sizes /= np.maximum(sizes[:, :compared].sum(axis=1), 1e-12)[:, None]
    return np.copysign(np.sqrt(sizes, out=sizes), coefficients, out=sizes)


def _distance(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return 1 - np.einsum("ij,ij->i", first, second)
