"""Which of millions of 128-bit codes are alike.

Codes that differ in few bits agree in one band of successive bits at least (multi-index hashing: Norouzi, Punjani and
Fleet, CVPR 2012); a band begins at every byte and is the wider the larger the set, so that few codes share one by chance.
"""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

CODE_BITS = 128
_CROP_BANDS = 9
"""Bands, of the lowest frequencies, in which crops are looked up: the others hardly ever survive a crop."""
_CHUNK_PAIRS = 1 << 21
_QUERY_ROWS = 1 << 16
_BUCKET_WINDOW = 64


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
    bands = range((CODE_BITS - band_bits(len(codes))) // 8 + 1)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        coming = pool.submit(_Band, codes, 0)
        for number in bands:
            band = coming.result()
            if number + 1 in bands:
                coming = pool.submit(_Band, codes, number + 1)
            asked = queries if number < _CROP_BANDS else queries[:1]
            found = pool.map(lambda each, band=band: band.look_up(each, max_bits), asked)
            for which, (query, at) in enumerate(found):
                yield which, query, at


class _Band:
    """Codes in the order of one band, and where each of its values begins."""

    def __init__(self, codes: np.ndarray, number: int) -> None:
        self.number, self.width = number, band_bits(len(codes))
        keys = _band(codes, number, self.width)
        # By band, then by the code's first bits; one key of 64 bits sorts four times as fast as two.
        self.order = np.argsort((keys.astype(np.uint64) << (64 - self.width)) | (codes[:, 0] >> self.width))
        self.codes = codes[self.order]
        self.starts = np.zeros((1 << self.width) + 1, np.int32)
        np.cumsum(np.bincount(keys[self.order], minlength=1 << self.width), out=self.starts[1:])

    def look_up(self, queries: np.ndarray, max_bits: int) -> tuple[np.ndarray, np.ndarray]:
        """Pairs of a query and a code that share the band and differ in at most `max_bits`, as indices."""
        found = [(np.zeros(0, np.int64),) * 2]
        for first in range(0, len(queries), _QUERY_ROWS):  # what a core's cache holds
            part = queries[first : first + _QUERY_ROWS]
            ranges = _find_ranges(self.codes, self.starts, part, _band(part, self.number, self.width))
            for query, at in _expand_ranges(*ranges):
                query, at = _filter(part, self.codes, query, at, max_bits)
                found.append((query + first, at))
        query, at = (np.concatenate(side) for side in zip(*found, strict=True))
        return query, self.order[at]


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
