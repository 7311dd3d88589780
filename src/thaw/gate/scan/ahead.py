"""The bytes of the files to scan: of a folder when they are asked for, of a store some files ahead, to hide its latency."""

import errno
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path

from thaw import sources
from thaw.gate.scan.links import may_lead_to
from thaw.gate.scan.walking import Entry

_MOST_BYTES = 1 << 26
"""Of files that were read and not asked for yet; one larger file may be among them."""

Reading = Callable[[], bytes]
"""Gives the bytes of a file; raises what reading it raised."""


def read_ahead(root: Path, entries: Sequence[Entry], most_bytes: int) -> Iterator[tuple[Entry, Reading]]:
    """Yield each entry, in order, with what gives its bytes; those larger than `most_bytes` are read only if that is called."""
    if not sources.is_indexed(root):
        yield from ((entry, partial(read_inside, root, entry.path)) for entry in entries)
        return
    waiting: deque[tuple[Entry, Reading]] = deque()
    held, at = 0, 0
    with ThreadPoolExecutor(sources.READERS) as pool:
        while at < len(entries) or waiting:
            while at < len(entries) and len(waiting) < 2 * sources.READERS and held < _MOST_BYTES:
                entry = entries[at]
                reading: Reading = partial(read_inside, root, entry.path)
                if entry.size <= most_bytes:
                    future: Future[bytes] = pool.submit(reading)
                    reading, held = future.result, held + entry.size
                waiting.append((entry, reading))
                at += 1
            entry, reading = waiting.popleft()
            held -= entry.size if entry.size <= most_bytes else 0
            yield entry, reading


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
    with os.fdopen(handle, "rb") as file:
        return file.read(most_bytes)
