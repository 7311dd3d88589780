"""Near duplicates among millions of pictures: codes that share a band are candidates, then the pictures' low
frequencies decide.

A code's bit tells whether a coefficient lies above the set's median of it. A crop's coefficients are a linear map of the
whole picture's, so each picture is looked up nine times more, as its own crops.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from thaw.gate.duplicates.codes import CODE_BITS, close_codes
from thaw.gate.scan.fingerprint import FREQUENCIES, SIDE_PIXELS, cosines, expand

_CHUNK_ROWS = 16384
_SEARCH_PAIRS = 512
_MEDIAN_ROWS = 16384
_CROP = 0.95
_COARSE_DISTANCE = 0.25
_HOPEFUL_DISTANCE = 0.12
"""Of pairs whose nearest of nine crops lay beyond, a finer grid made one in 2,500 duplicates."""
_MAX_FLIPPED_BITS = 38
_LOW = 12

_ROW, _COLUMN = np.indices((FREQUENCIES, FREQUENCIES))
_ORDER = np.lexsort((_ROW.ravel(), (_ROW + _COLUMN).ravel()))
_CODED = _ORDER[1 : CODE_BITS + 1]
"""Coefficients of the code, lowest frequencies first; the first of them, row + column < 12, are compared too."""
_COMPARED = _CODED[: _LOW * (_LOW + 1) // 2 - 1]
_INVERSE = np.linalg.pinv(cosines(FREQUENCIES, SIDE_PIXELS))

Window = tuple[float, float, float, float]
"""What a crop keeps: top, left, height and width, as shares of the picture."""
_CROPS: list[Window] = [
    (top, left, _CROP, _CROP)
    for top in (0.0, (1 - _CROP) / 2, 1 - _CROP)
    for left in (0.0, (1 - _CROP) / 2, 1 - _CROP)
]


@dataclass(frozen=True)
class NearClusters:
    """Clusters of near duplicates: indices in order, and the largest distance of a link in each."""

    members: list[np.ndarray]
    distances: list[float]


def find_near_clusters(descriptors: np.ndarray, max_distance: float) -> NearClusters:
    """Group near duplicates: pictures that a chain of links joins, each link no longer than `max_distance`.

    The distance is one minus the cosine of two pictures' low frequencies (signed square roots, less the set's median),
    the smaller one where either may be cropped by up to 5 % of its sides. Time grows a little faster than the
    number of pictures; equal descriptors count once.

    Args:
        descriptors: int8 `(n, 256)` as `thaw.gate.scan.fingerprint.describe` gives them; rows of zeros match nothing.
        max_distance: from 0 to 1.
    """
    hashes = _hash(descriptors)
    shown = np.flatnonzero(hashes)
    first, inverse = np.unique(hashes[shown], return_index=True, return_inverse=True)[1:]
    distinct = np.sort(first)
    member = np.searchsorted(distinct, first[inverse])
    if len(distinct) < 2:
        return NearClusters([], [])
    index = _Index(descriptors if len(distinct) == len(descriptors) else descriptors[shown[distinct]])
    left, right = index.candidates()
    distances = index.measure(left, right, max_distance)
    close = distances <= max_distance
    left, right, distances = left[close], right[close], distances[close]
    graph = coo_array((np.ones(len(left), np.int8), (left, right)), shape=(len(distinct),) * 2)
    groups = connected_components(graph, directed=False)[1]
    reach = np.zeros(groups.max(initial=-1) + 1)
    np.maximum.at(reach, groups[left], distances)
    return _collect(groups[member], shown, reach)


def _hash(descriptors: np.ndarray) -> np.ndarray:
    """A random linear hash of each row, uint64 `(n,)`; 0 for a row of zeros."""
    factors = np.random.default_rng(0).integers(
        1, 2**63, descriptors.shape[1] // 8, dtype=np.uint64
    ) * np.uint64(2)
    return descriptors.view(np.uint64) @ (factors + np.uint64(1))


def _collect(groups: np.ndarray, shown: np.ndarray, reach: np.ndarray) -> NearClusters:
    shared = np.flatnonzero(np.bincount(groups)[groups] > 1)
    order = shared[np.argsort(groups[shared], kind="stable")]
    cuts = np.flatnonzero(np.diff(groups[order])) + 1
    parts = sorted(np.split(order, cuts), key=lambda part: int(part[0])) if len(order) else []
    return NearClusters(
        [shown[part] for part in parts], [round(float(reach[groups[part[0]]]), 4) for part in parts]
    )


def crop_map(start: float, length: float) -> np.ndarray:
    """The matrix that takes an axis's cosine coefficients to those of its part from `start` on, `(16, 16)`."""
    return (cosines(FREQUENCIES, SIDE_PIXELS, start, start + length) @ _INVERSE).astype(np.float32)


Grid = list[np.ndarray]
"""Maps of an axis: a crop takes one of them for its height and one for its width."""


def _grid(length: float, steps: int) -> Grid:
    return [crop_map(start, length) for start in np.linspace(0, 1 - length, steps)]


_ROUGH_GRIDS = [_grid(_CROP, 3)]
_FINE_GRIDS = [_grid(_CROP, 6), _grid((1 + _CROP) / 2, 3)]


class _Index:
    """The descriptors of a set, its medians, and the codes that follow."""

    def __init__(self, descriptors: np.ndarray) -> None:
        self.descriptors = descriptors
        sample = descriptors[:: max(1, len(descriptors) // _MEDIAN_ROWS)]
        coefficients = expand(sample).reshape(len(sample), -1)[:, _CODED]
        self.median = np.median(_roots(coefficients, len(_COMPARED)), axis=0)
        self.windows: list[Window | None] = [None, *_CROPS]

    def candidates(self) -> tuple[np.ndarray, np.ndarray]:
        """Pairs of different pictures whose codes, or those of a crop, are alike; each once, smaller index first."""
        codes = self.encode()
        count = len(codes[0])
        alike = [np.zeros(0, np.int64) for _ in codes]
        for number, query, at in close_codes(codes[0], list(codes), _MAX_FLIPPED_BITS):
            alike[number] = np.union1d(alike[number], (query * count + at)[query != at])
        found = []
        for number, pairs in enumerate(alike):
            query, at = pairs // count, pairs % count
            near = self._coarse(query, at, self.windows[number]) < _COARSE_DISTANCE
            found.append(np.minimum(query, at)[near] * count + np.maximum(query, at)[near])
        pairs = np.unique(np.concatenate(found))
        return pairs // count, pairs % count

    def encode(self) -> np.ndarray:
        """The codes of all pictures and of their crops, uint64 `(10, n, 2)`: a bit is set above the median."""
        codes = np.empty((len(self.windows), len(self.descriptors), 2), np.uint64)
        maps = [_whole_map(window)[_CODED].T.copy() for window in self.windows]
        median = self.median
        threshold = np.copysign(median * median, median).astype(
            np.float32
        )  # roots compare as their squares do
        for start in range(0, len(self.descriptors), _CHUNK_ROWS):
            part = slice(start, start + _CHUNK_ROWS)
            flat = expand(self.descriptors[part]).reshape(-1, FREQUENCIES**2)
            for number, matrix in enumerate(maps):
                coded = flat @ matrix
                length = np.abs(coded[:, : len(_COMPARED)]).sum(axis=1, keepdims=True)
                bits = coded > threshold * length
                codes[number, part] = np.packbits(bits, axis=1).view(np.uint64)
        return codes

    def measure(self, left: np.ndarray, right: np.ndarray, enough: float) -> np.ndarray:
        """The distance of each pair: of the whole pictures, where it is `enough`, else the smallest over crops of either."""
        best = self._coarse(left, right, None)
        pairs = np.flatnonzero(best > enough)
        for grids in (_ROUGH_GRIDS, _FINE_GRIDS):
            for cropped, whole in ((left, right), (right, left)):
                best[pairs] = np.minimum(best[pairs], self._search(cropped[pairs], whole[pairs], grids))
            pairs = pairs[best[pairs] < _HOPEFUL_DISTANCE]
        return best

    def _search(self, cropped: np.ndarray, whole: np.ndarray, grids: list[Grid]) -> np.ndarray:
        """The smallest distance of each pair over grids of crops of `cropped`, on all cores."""
        parts = [slice(start, start + _SEARCH_PAIRS) for start in range(0, len(cropped), _SEARCH_PAIRS)]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            found = pool.map(lambda part: self._search_part(cropped[part], whole[part], grids), parts)
            return np.concatenate([np.zeros(0, np.float32), *found])

    def _search_part(self, cropped: np.ndarray, whole: np.ndarray, grids: list[Grid]) -> np.ndarray:
        source, target = expand(self.descriptors[cropped]), self._vectors(expand(self.descriptors[whole]))
        median = self.median[: len(_COMPARED)]
        median_target, median_length = target @ median, median @ median
        best = np.full(len(source), 2.0, np.float32)
        for maps in grids:
            for vertical in maps:
                half = vertical @ source
                for horizontal in maps:
                    # What `_vectors` and `_distance` give, without the unit vectors: roots have length 1 once scaled.
                    roots = (half @ horizontal.T).reshape(len(source), -1)[:, _COMPARED]
                    sizes = np.abs(roots)
                    scale = 1 / np.sqrt(np.maximum(sizes.sum(axis=1), 1e-12))
                    np.copysign(np.sqrt(sizes, out=sizes), roots, out=roots)
                    along = np.einsum("ij,ij->i", roots, target) * scale - median_target
                    length = np.sqrt(np.maximum(1 - 2 * (roots @ median) * scale + median_length, 1e-12))
                    np.minimum(best, 1 - along / length, out=best)
        return best

    def _coarse(self, query: np.ndarray, at: np.ndarray, window: Window | None) -> np.ndarray:
        distances = np.empty(len(query), np.float32)
        for start in range(0, len(query), _CHUNK_ROWS):
            part = slice(start, start + _CHUNK_ROWS)
            source = _crop(expand(self.descriptors[query[part]]), window)
            distances[part] = _distance(
                self._vectors(source), self._vectors(expand(self.descriptors[at[part]]))
            )
        return distances

    def _vectors(self, coefficients: np.ndarray) -> np.ndarray:
        """Unit vectors that are compared: signed roots of the lowest frequencies, less the set's median."""
        vectors = _roots(coefficients.reshape(len(coefficients), -1)[:, _COMPARED], len(_COMPARED))
        vectors -= self.median[: len(_COMPARED)]
        vectors /= np.maximum(np.sqrt(np.einsum("ij,ij->i", vectors, vectors)), 1e-6)[:, None]
        return vectors


def _whole_map(window: Window | None) -> np.ndarray:
    """The matrix that takes a picture's coefficients, flat, to those of what `window` keeps, `(256, 256)`."""
    if window is None:
        return np.eye(FREQUENCIES**2, dtype=np.float32)
    top, left, height, width = window
    return np.kron(crop_map(top, height), crop_map(left, width))


def _crop(coefficients: np.ndarray, window: Window | None) -> np.ndarray:
    if window is None:
        return coefficients
    top, left, height, width = window
    return crop_map(top, height) @ coefficients @ crop_map(left, width).T


def _roots(coefficients: np.ndarray, compared: int) -> np.ndarray:
    """Signed square roots of coefficients `(n, k)`, so scaled that those of the first `compared` have length 1."""
    sizes = np.abs(coefficients)
    sizes /= np.maximum(sizes[:, :compared].sum(axis=1), 1e-12)[:, None]
    return np.copysign(np.sqrt(sizes, out=sizes), coefficients, out=sizes)


def _distance(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return 1 - np.einsum("ij,ij->i", first, second)
