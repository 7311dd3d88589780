"""Near duplicates among millions of pictures: codes that share a band are candidates, then the pictures' low
frequencies decide.

Each picture is looked up nine times more, as its own crops.
"""

import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from thaw.gate.duplicates.codes import WINDOW, Band, band_bits, bands
from thaw.gate.duplicates.crops import WINDOWS, encode
from thaw.gate.duplicates.distances import Distances
from thaw.gate.duplicates.equal import repeated
from thaw.gate.duplicates.links import Links
from thaw.gate.mapped import array_on_disk
from thaw.gate.threads import in_order

_CROP_BANDS = 9
"""Bands, of the lowest frequencies, in which crops are looked up: the others hardly ever survive a crop."""
_QUERY_CODES = 1 << 18
_PICKED_ROWS = 1 << 16
_COARSE_DISTANCE = 0.25
_MAX_FLIPPED_BITS = 38
_HELD_PAIRS = 1 << 24
"""Pairs that are kept in memory until they are measured; beyond, one may be measured twice."""


@dataclass(frozen=True)
class NearClusters:
    """Clusters of near duplicates: indices in order, and the largest distance of a link in each."""

    members: list[np.ndarray]
    distances: list[float]


def identify(descriptors: np.ndarray) -> np.ndarray:
    """A random linear hash of each descriptor, uint64 `(n,)`; 0 where it is all zeros.

    Args:
        descriptors: int8 `(n, 256)` as `thaw.gate.scan.fingerprint.describe` gives them.
    """
    factors = np.random.default_rng(0).integers(
        1, 2**63, descriptors.shape[1] // 8, dtype=np.uint64
    ) * np.uint64(2)
    return descriptors.view(np.uint64) @ (factors + np.uint64(1))


def find_near_clusters(
    descriptors: np.ndarray, pictures: np.ndarray, max_distance: float, folder: Path | None = None
) -> NearClusters:
    """Group near duplicates: pictures that a chain of links joins, each link no longer than `max_distance`.

    The distance is one minus the cosine of two pictures' low frequencies (signed square roots, less the set's median),
    the smaller one where either may be cropped by up to 5 % of its sides. Time grows a little faster than the
    number of pictures; equal descriptors count once. Of a heap of pictures that are all alike 64 are looked up as crops.

    Args:
        descriptors: int8 `(n, 256)` as `thaw.gate.scan.fingerprint.describe` gives them.
        pictures: what `identify` makes of them, uint64 `(n,)`; 0 for one that takes no part.
        max_distance: from 0 to 1.
        folder: where large arrays lie; see `array_on_disk`.
    """
    shown = np.flatnonzero(pictures)
    distinct, member = _distinct(pictures[shown])
    if len(distinct) < 2:  # all that are shown are equal
        return _collect(member, shown, np.zeros(1, np.float32))
    links = _Search(_pick(descriptors, shown[distinct], folder), max_distance, folder).links()
    return _collect(links.groups[member], shown, links.reach)


def _distinct(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the first of each of different `values`, in order, and for each value the number of its own among them."""
    many = np.flatnonzero(repeated(values))
    first, inverse = np.unique(values[many], return_index=True, return_inverse=True)[1:]
    of = np.arange(len(values))
    of[many] = many[first[inverse]]
    is_first = of == np.arange(len(values))
    return np.flatnonzero(is_first), (np.cumsum(is_first) - 1)[of]


def _pick(descriptors: np.ndarray, rows: np.ndarray, folder: Path | None) -> np.ndarray:
    if len(rows) == len(descriptors):
        return descriptors
    picked = array_on_disk((len(rows), descriptors.shape[1]), descriptors.dtype, folder)
    for start in range(0, len(rows), _PICKED_ROWS):
        picked[start : start + _PICKED_ROWS] = descriptors[rows[start : start + _PICKED_ROWS]]
    return picked


def _collect(groups: np.ndarray, shown: np.ndarray, reach: np.ndarray) -> NearClusters:
    shared = np.flatnonzero(np.bincount(groups)[groups] > 1)
    order = shared[np.argsort(groups[shared], kind="stable")]
    cuts = np.flatnonzero(np.diff(groups[order])) + 1
    parts = sorted(np.split(order, cuts), key=lambda part: int(part[0])) if len(order) else []
    return NearClusters(
        [shown[part] for part in parts], [round(float(reach[groups[part[0]]]), 4) for part in parts]
    )


class _Search:
    """For links in a set of different descriptors."""

    def __init__(self, descriptors: np.ndarray, max_distance: float, folder: Path | None) -> None:
        self.count, self.max_distance = len(descriptors), max_distance
        self.distances = Distances(descriptors)
        self.codes, self.windows = encode(descriptors, self.distances.median, folder)
        self.found = Links(self.count)
        self.rows = np.arange(self.count, dtype=np.int32)
        """Pictures that still take part."""
        self.held: list[np.ndarray] = []
        self.held_pairs = 0

    def links(self) -> Links:
        """All that were found."""
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for band in self._bands(pool):
                for pairs in in_order(pool, partial(self._pairs, band), self._jobs(band)):
                    self._hold(pairs)
        if self.held_pairs:
            self._measure(np.unique(np.concatenate(self.held)))
        return self.found

    def _bands(self, pool: ThreadPoolExecutor) -> Iterator[Band]:
        """Each band, the next one in the making."""
        width = band_bits(self.count)

        def make(number: int) -> Future[Band]:
            return pool.submit(Band, self.codes, self.rows, number, width)

        coming = make(0)
        for number in bands(width):
            band = coming.result()
            if self._thin(*band.crowded()):
                band = make(number).result()
            if number + 1 in bands(width):
                coming = make(number + 1)
            yield band

    def _thin(self, left: np.ndarray, right: np.ndarray) -> bool:
        """Join those pairs of neighbours that are alike; of a group of more than `WINDOW` so many go on taking part.

        Every picture of a heap of like ones would find `WINDOW` others in every band.
        """
        distances = self.distances.coarse(left, right)
        close = distances <= self.max_distance
        self.found.add(left[close], right[close], distances[close])
        order = np.argsort(self.found.groups[self.rows], kind="stable") if close.any() else self.rows[:0]
        groups = self.found.groups[self.rows[order]]
        begins = np.flatnonzero(np.diff(groups, prepend=-1))
        sizes = np.diff(begins, append=len(groups))
        place, size = np.arange(len(groups)) - np.repeat(begins, sizes), np.repeat(sizes, sizes)
        # Spread evenly over the group: where the share of `WINDOW` that lies before a picture reaches the next number.
        out = (size > WINDOW) & (place * WINDOW // size == (place - 1) * WINDOW // size)
        if not out.any():
            return False
        self.rows = np.delete(self.rows, order[out])
        return True

    def _jobs(self, band: Band) -> Iterator[np.ndarray]:
        """Pictures that are looked up together in a band: neighbours in its order."""
        together = _QUERY_CODES // self._asked_windows(band)
        for start in range(0, len(band.rows), together):
            yield band.rows[start : start + together]

    def _asked_windows(self, band: Band) -> int:
        return len(WINDOWS) if band.number < _CROP_BANDS else 1

    def _pairs(self, band: Band, rows: np.ndarray) -> np.ndarray:
        """Pictures that are alike, the first of them one of `rows`, whole or cropped; as one number a pair, int64."""
        windows = self._asked_windows(band)
        codes = self.codes.take(rows, axis=0) if windows == 1 else self.windows.take(rows, axis=0)
        asked, other = band.look_up(codes.reshape(-1, codes.shape[-1]), _MAX_FLIPPED_BITS)
        query, window = np.divmod(asked, windows)
        query, other = rows[query].astype(np.int64), other.astype(np.int64)
        near = query != other
        for number in range(windows):
            chosen = np.flatnonzero(near & (window == number))
            distances = self.distances.coarse(query[chosen], other[chosen], WINDOWS[number])
            near[chosen] = distances < _COARSE_DISTANCE
        return np.minimum(query, other)[near] * self.count + np.maximum(query, other)[near]

    def _hold(self, pairs: np.ndarray) -> None:
        """Keep `pairs`, each once; measure all that are kept where they become too many."""
        self.held.append(pairs)
        self.held_pairs += len(pairs)
        if self.held_pairs > _HELD_PAIRS:
            self.held = [np.unique(np.concatenate(self.held))]
            if len(self.held[0]) > _HELD_PAIRS // 2:
                self._measure(self.held.pop())
            self.held_pairs = sum(map(len, self.held))

    def _measure(self, pairs: np.ndarray) -> None:
        left, right = pairs // self.count, pairs % self.count
        distances = self.distances.measure(left, right, self.max_distance)
        close = distances <= self.max_distance
        self.found.add(left[close], right[close], distances[close])
