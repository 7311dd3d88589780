"""Which of millions of 128-bit codes are alike.

Codes that differ in few bits agree in one band of successive bits at least (multi-index hashing: Norouzi, Punjani and
Fleet, CVPR 2012); a band begins at every byte and is the wider the larger the set, so that few codes share one by chance.
"""

import numpy as np

CODE_BITS = 128
WINDOW = 64
"""Codes that are looked at where more share a band."""


def band_bits(count: int) -> int:
    """Width of a band: among `count` random codes at most one other shares it, once there are 100,000 and more."""
    return 16 if count < 150_000 else 20 if count < 600_000 else 22 if count < 2_500_000 else 24


def bands(width: int) -> range:
    """Numbers of the bands of a code: the bytes at which they begin."""
    return range((CODE_BITS - width) // 8 + 1)


class Band:
    """Some codes in the order of one band, then of their first bits, and where each of the band's values begins.

    Args:
        codes: uint64 `(n, 2)`.
        rows: those that take part, int32.
        number: of the band.
        width: of the band in bits, 24 at most.
    """

    def __init__(self, codes: np.ndarray, rows: np.ndarray, number: int, width: int) -> None:
        self.number, self.width = number, width
        taken = codes if len(rows) == len(codes) else codes.take(rows, axis=0)
        values = _band(taken, number, width)
        # A value and its place as one number: sorting those takes a fifth of the time of `argsort`.
        keys = np.arange(len(rows), dtype=np.uint64)
        keys |= values.astype(np.uint64) << (64 - width)
        keys.sort()
        order = (keys & np.uint64((1 << (64 - width)) - 1)).view(np.int64)
        # Begin and end beside each other: one look into memory that no cache holds.
        self.ranges = np.zeros((1 << width, 2), np.int32)
        np.cumsum(np.bincount(values, minlength=1 << width), out=self.ranges[:, 1])
        self.ranges[1:, 0] = self.ranges[:-1, 1]
        many = self._many = self._are_many()
        if many.any():  # only in these is anything looked for by its code
            order[many] = order[many][np.lexsort((taken[order[many], 0], values[order[many]]))]
        self.rows, self.codes = rows.take(order), taken.take(order, axis=0)

    def _are_many(self) -> np.ndarray:
        """Which places of the order hold codes that share the band with more than `WINDOW` others, as bool."""
        sizes = self.ranges[:, 1] - self.ranges[:, 0]
        return np.repeat(sizes > WINDOW, sizes) if (sizes > WINDOW).any() else np.zeros(0, bool)

    def look_up(self, queries: np.ndarray, max_bits: int) -> tuple[np.ndarray, np.ndarray]:
        """Pairs of a query and a code that share the band and differ in at most `max_bits`.

        Of all pairs within 7 bits each comes in one band at least (within 4 from 150,000 codes on, where bands are wider),
        unless more than `WINDOW` codes share a band: then those about the query in the order of the code are looked at, so
        that no heap of like pictures makes the time quadratic.

        Args:
            queries: uint64 `(m, 2)`; some 10,000 at a time fit into a core's cache.

        Returns:
            Indices of queries and rows of codes, int64 and int32 `(pairs,)`.
        """
        at, end = self._find_ranges(queries)
        query = np.flatnonzero(at < end)
        at, end = at.take(query), end.take(query)
        found = [(query[:0], self.rows[:0])]
        while len(query):  # the first code of each range, the second, ...
            differing = np.bitwise_count(queries.take(query, axis=0) ^ self.codes.take(at, axis=0))
            near = np.flatnonzero(differing[:, 0] + differing[:, 1] <= max_bits)
            found.append((query.take(near), self.rows.take(at.take(near))))
            at += 1
            more = np.flatnonzero(at < end)
            query, at, end = query.take(more), at.take(more), end.take(more)
        one, other = (np.concatenate(side) for side in zip(*found, strict=True))
        return one, other

    def crowded(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows of codes that share the band with more than `WINDOW` others, each with the next in the order of the code."""
        many = self._many
        if not many.any():
            return self.rows[:0], self.rows[:0]
        last = np.zeros(len(many), bool)
        ends = self.ranges[:, 1]
        last[ends[ends > self.ranges[:, 0]] - 1] = True
        left = np.flatnonzero(many & ~last)
        return self.rows[left], self.rows[left + 1]

    def _find_ranges(self, queries: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where the codes stand that share the band with each query: begin and end, int32 `(m,)`."""
        values = _band(queries, self.number, self.width)
        start, end = np.ascontiguousarray(self.ranges.take(values, axis=0).T)
        wide = np.flatnonzero(end - start > WINDOW)
        if len(wide):
            start[wide], end[wide] = self._narrow(queries[wide, 0], start[wide], end[wide])
        return start, end

    def _narrow(self, asked: np.ndarray, start: np.ndarray, end: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Within each range, sorted by code, the window about where the query would stand (a binary search for all)."""
        low, high = start.copy(), end.copy()
        while (open_ := low < high).any():
            middle = np.where(open_, (low + high) // 2, start)
            less = open_ & (self.codes[middle, 0] < asked)
            low = np.where(less, middle + 1, low)
            high = np.where(open_ & ~less, middle, high)
        first = np.clip(low - WINDOW // 2, start, np.maximum(end - WINDOW, start))
        return first, np.minimum(first + WINDOW, end)


def _band(codes: np.ndarray, number: int, width: int) -> np.ndarray:
    """`width` bits of each code, 24 at most, from byte `number` on, uint32."""
    begin = min(number, CODE_BITS // 8 - 4)
    words = np.ndarray(len(codes), ">u4", np.ascontiguousarray(codes), offset=begin, strides=(CODE_BITS // 8,))
    beyond = 8 * (begin + 4 - number) - width
    return (words.astype(np.uint32) >> np.uint32(beyond)) & np.uint32((1 << width) - 1)
