"""The bytes of the files to scan: of a folder when they are asked for, of a store some files ahead, to hide its latency."""

import errno
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from thaw import sources
from thaw.gate.scan.links import may_lead_to
from thaw.gate.scan.walking import Entry
from thaw.sources.reading import read_run, runs

_MOST_BYTES = 1 << 26
"""Of files that were read and not asked for yet; one larger file may be among them."""

Reading = Callable[[], bytes]
"""Gives the bytes of a file; raises what reading it raised."""


def read_ahead(root: Path, entries: Sequence[Entry], most_bytes: int) -> Iterator[tuple[Entry, Reading]]:
    """Yield each entry, in order, with what gives its bytes; those larger than `most_bytes` are read only if that is called."""
    if not sources.is_indexed(root):
        yield from ((entry, partial(_read_file, root, entry.path)) for entry in entries)
        return
    index = sources.open_index(root)
    by_path = {entry.path: entry for entry in entries}
    rows = (row for entry in entries if (row := index.find(entry.path)))
    waiting: deque[tuple[list[sources.Row], Callable[[int], bytes]]] = deque()
    held = 0
    with ThreadPoolExecutor(sources.READERS) as pool:
        for run in runs(rows):
            waiting.append((run, _begin(pool, index, run, most_bytes)))
            held += _held_bytes(run, most_bytes)
            while held > _MOST_BYTES or len(waiting) > 2 * sources.READERS:
                done, give = waiting.popleft()
                held -= _held_bytes(done, most_bytes)
                yield from ((by_path[row.path], partial(give, at)) for at, row in enumerate(done))
        for done, give in waiting:
            yield from ((by_path[row.path], partial(give, at)) for at, row in enumerate(done))


def _begin(
    pool: ThreadPoolExecutor, index: sources.Index, run: list[sources.Row], most_bytes: int
) -> Callable[[int], bytes]:
    """Begin to read rows; gives the bytes of each by its place among them."""
    if not _held_bytes(run, most_bytes):
        return lambda at: read_run(index, run)[at]
    future = pool.submit(read_run, index, run)
    return lambda at: future.result()[at]


def _held_bytes(run: list[sources.Row], most_bytes: int) -> int:
    """What is held of rows that are read ahead: nothing of one that is larger than `most_bytes`."""
    size = sum(row.size for row in run)
    return size if len(run) > 1 or size <= most_bytes else 0


def read_inside(root: Path, path: str, most_bytes: int = -1) -> bytes:
    """The bytes of the regular file `path` below `root`; a link is followed only to a file inside, or in DVC's cache.

    Args:
        most_bytes: read no more than so many from its begin; -1: all.

    Raises:
        OSError: it cannot be read, is no regular file, or has become a link that leads out.
        StoreError: the folder is indexed, and the store does not give what was booked.
    """
    if sources.is_indexed(root):
        return sources.StoredPath(root, path).read_bytes(most_bytes)
    return _read_file(root, path, most_bytes)


def _read_file(root: Path, path: str, most_bytes: int = -1) -> bytes:
    """As `read_inside`, of a folder."""
    full = os.path.join(root, path)  # noqa: PTH118 - a name that is not UTF-8 passes
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        handle = os.open(full, flags)
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        target, real_root = os.path.realpath(full), os.path.realpath(root)
        if not may_lead_to(target, real_root):
            raise OSError(errno.EPERM, "the link leads out of the folder") from None
        handle = os.open(target, flags)
    with os.fdopen(handle, "rb", buffering=0 if most_bytes < 0 else -1) as file:  # whole files need no buffer
        return file.read(most_bytes)
