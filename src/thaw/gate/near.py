"""Near duplicates among millions of pictures: codes that share a band are candidates, then the pictures' low
frequencies decide.

A code has 128 bits: is a coefficient above the set's median of it? Codes that differ in few bits agree in one band of
successive bits at least (multi-index hashing: Norouzi, Punjani and Fleet, CVPR 2012); a band begins at every byte and is
the wider the larger the set, so that few codes share one by chance. A crop's coefficients are a linear map of the
whole picture's, so each picture is looked up nine times more, as its own crops.
"""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from thaw.gate.fingerprint import FREQUENCIES, SIDE_PIXELS, cosines, expand

NEAR_VERSION = 3
"""Grows when the same pictures would give other clusters."""
CODE_BITS = 128
_CROP_BANDS = 9
"""Bands, of the lowest frequencies, in which crops are looked up: the others hardly ever survive a crop."""
_CHUNK_ROWS = 16384
_CHUNK_PAIRS = 1 << 21
_QUERY_ROWS = 1 << 16
_SEARCH_PAIRS = 512
_BUCKET_WINDOW = 64
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
        descriptors: int8 `(n, 256)` as `thaw.gate.fingerprint.describe` gives them; rows of zeros match nothing.
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


def band_bits(count: int) -> int:
    """Width of a band: among `count` random codes at most one other shares it, once there are 100,000 and more."""
    return 16 if count < 150_000 else 20 if count < 600_000 else 22 if count < 2_500_000 else 24


def close_codes(
    codes: np.ndarray, queries: Sequence[np.ndarray], max_bits: int
) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Pairs (query, code) that share a band and differ in at most `max_bits`; a pair may come in several bands.

    Of the first queries, all pairs within 7 bits come (4 from 150,000 codes on, where bands are wider), unless more than
    64 codes share a band: then the 64 about the query in the order of the whole code are looked at, so that no heap of
    like pictures makes the time quadratic. The other queries are looked up in the bands of the lowest frequencies alone.

    Args:
        codes: uint64 `(n, 2)`.
        queries: uint64 `(m, 2)` each.
        max_bits: largest number of bits that differ.

    Yields:
        The number of the queries, indices into them, indices into `codes`.
    """
    width = band_bits(len(codes))
    starts = np.zeros((1 << width) + 1, np.int32)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for band in range((CODE_BITS - width) // 8 + 1):
            keys = _band(codes, band, width)
            # By band, then by the code's first bits; one key of 64 bits sorts four times as fast as two.
            order = np.argsort((keys.astype(np.uint64) << (64 - width)) | (codes[:, 0] >> width))
            in_order = codes[order]
            np.cumsum(np.bincount(keys[order], minlength=1 << width), out=starts[1:])  # in order: few cache misses

            def look_up(
                asked: np.ndarray, band: int = band, order: np.ndarray = order, in_order: np.ndarray = in_order
            ) -> tuple[np.ndarray, np.ndarray]:
                found = [(np.zeros(0, np.int64),) * 2]
                for first in range(0, len(asked), _QUERY_ROWS):  # what a core's cache holds
                    part = asked[first : first + _QUERY_ROWS]
                    ranges = _find_ranges(in_order, starts, part, _band(part, band, width))
                    for query, at in _expand_ranges(*ranges):
                        query, at = _filter(part, in_order, query, at, max_bits)
                        found.append((query + first, at))
                queries_found, places = zip(*found, strict=True)
                return np.concatenate(queries_found), order[np.concatenate(places)]

            found = pool.map(look_up, queries if band < _CROP_BANDS else queries[:1])
            for number, (query, at) in enumerate(found):
                yield number, query, at


def _find_ranges(
    in_order: np.ndarray, starts: np.ndarray, asked: np.ndarray, wanted: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Where, in a band's order, the codes stand that share the band with each query: begin and end, int32 `(m,)`."""
    start, end = starts[wanted], starts[wanted + 1]
    wide = np.flatnonzero(end - start > _BUCKET_WINDOW)
    if len(wide):
        start[wide], end[wide] = _narrow(in_order, asked[wide], start[wide], end[wide])
    return start, end


def _band(codes: np.ndarray, band: int, width: int) -> np.ndarray:
    """`width` bits of each code, 24 at most, from byte `band` on."""
    octets = codes.view(np.uint8)
    third = octets[:, band + 2] if width > 16 else np.uint8(0)
    joined = (octets[:, band].astype(np.int32) << 16) | (octets[:, band + 1].astype(np.int32) << 8) | third
    return joined >> (24 - width)


def _filter(
    asked: np.ndarray, in_order: np.ndarray, query: np.ndarray, at: np.ndarray, max_bits: int
) -> tuple[np.ndarray, np.ndarray]:
    """The pairs that differ in at most `max_bits`; most fail by their first 64 bits alone."""
    first = np.bitwise_count(asked[query, 0] ^ in_order[at, 0])
    near = np.flatnonzero(first <= max_bits)
    query, at, first = query[near], at[near], first[near]
    near = np.flatnonzero(first + np.bitwise_count(asked[query, 1] ^ in_order[at, 1]) <= max_bits)
    return query[near], at[near]


def _narrow(
    in_order: np.ndarray, queries: np.ndarray, start: np.ndarray, end: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Within each range, sorted by code, the window about where the query would stand (a binary search for all)."""
    low, high = start.copy(), end.copy()
    while (open_ := low < high).any():
        middle = np.where(open_, (low + high) // 2, start)
        less = open_ & (in_order[middle, 0] < queries[:, 0])
        low = np.where(less, middle + 1, low)
        high = np.where(open_ & ~less, middle, high)
    first = np.clip(low - _BUCKET_WINDOW // 2, start, np.maximum(end - _BUCKET_WINDOW, start))
    return first, np.minimum(first + _BUCKET_WINDOW, end)


def _expand_ranges(start: np.ndarray, end: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(row, position) for each position of each row's range, in chunks of bounded size."""
    sizes = end - start
    total = np.concatenate([[0], np.cumsum(sizes)])
    row = 0
    while row < len(sizes):
        stop = max(row + 1, int(np.searchsorted(total, total[row] + _CHUNK_PAIRS, side="right")) - 1)
        counts = sizes[row:stop]
        rows = np.repeat(np.arange(row, stop), counts)
        offsets = np.arange(len(rows)) - np.repeat(total[row:stop] - total[row], counts)
        yield rows, start[rows] + offsets
        row = stop


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
