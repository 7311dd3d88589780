"""The rows of the last scan, kept on disk: an unchanged file is not opened again."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa

from thaw.compute import Executor
from thaw.files import replacing
from thaw.fingerprint import code_digest, content_key, library_versions
from thaw.gate.mapped import Batches
from thaw.gate.scan.image import Bounds
from thaw.gate.scan.scanning import AWAY, ROW, Scan, key
from thaw.gate.scan.walking import Entry

_SHARD_FILES = 64
_LAST_SHARD_FILES = 8
_LOOKUP_FILES = 4096
_WRITTEN_ROWS = 16384
_LIBRARIES = ("pillow", "numpy", "opencv-python-headless", "pyarrow", "xxhash")
_SETTLED_NS = 20_000_000
_MAY_PASS = ("unreadable", AWAY)
"""Problems that another try may not meet, though the file is the same."""


class Store:
    """Rows of an earlier scan by key; they are mapped, not loaded."""

    def __init__(self, path: Path, bounds: Bounds) -> None:
        code = code_digest("gate", "images.py", "layout.py", "pixels")
        self.mark = content_key(code, library_versions(*_LIBRARIES), bounds).encode()
        self.table = ROW.empty_table()
        if path.is_file():
            try:
                table = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
                if table.schema.equals(ROW) and (table.schema.metadata or {}).get(b"mark") == self.mark:
                    self.table = table
            except (pa.ArrowInvalid, OSError):  # a cache that cannot be read is no cache
                pass
        self.rows = Batches(self.table)
        keys = _hashes(self.table["key"].combine_chunks())
        self.order = np.argsort(keys, kind="stable")
        self.keys = keys[self.order]

    def divide(self, entries: Sequence[Entry], now_ns: int) -> tuple[pa.Table, list[Entry]]:
        """The known rows of `entries`, and the entries that must be read: new, changed, changed just now, or unread."""
        if not len(self.keys):
            return self.table, list(entries)
        wanted = [key(entry) for entry in entries]
        hashes = np.frombuffer(b"".join(wanted), "<u8")[::2]
        at = np.minimum(np.searchsorted(self.keys, hashes), len(self.keys) - 1)
        rows = self.order[at]
        settled = np.array([max(entry.mtime_ns, entry.ctime_ns) < now_ns - _SETTLED_NS for entry in entries])
        hit = (self.keys[at] == hashes) & settled
        known = self.rows.take(rows[hit])
        same = np.array(known["key"].to_pylist()) == np.array(wanted)[hit] if hit.any() else np.zeros(0, bool)
        same &= ~np.isin(np.array(known["problem"].to_pylist(), str), _MAY_PASS)
        hit[np.flatnonzero(hit)[~same]] = False
        if not same.all():
            known = known.filter(pa.array(same))
        return known, [entry for entry, is_known in zip(entries, hit, strict=True) if not is_known]


def _hashes(keys: pa.Array) -> np.ndarray:
    """The first 8 of each key's 16 bytes."""
    if not len(keys):
        return np.zeros(0, "<u8")
    return np.frombuffer(keys.buffers()[1], "<u8")[2 * keys.offset : 2 * (keys.offset + len(keys)) : 2]


def scan(
    root: Path,
    entries: Iterable[Entry],
    bounds: Bounds,
    store_path: Path,
    executor: Executor,
    timeout_seconds: float,
) -> Iterator[int]:
    """Bring the rows of all `entries` to `store_path` (Arrow IPC file of schema `ROW`); yield how many are done.

    Rows of the scan before are taken over where path, size, times and inode are equal. They stand in no useful order. A
    file that changed within the last clock ticks is read again next time, since it may change once more unseen.
    """
    now_ns = time.time_ns()
    store = Store(store_path, bounds)
    schema = ROW.with_metadata({"mark": store.mark})
    count = 0
    store_path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(store_path) as temporary, _writer(temporary, schema) as write:

        def unknown() -> Iterator[list[Entry]]:
            nonlocal count
            pending: list[Entry] = []
            for batch, is_last in _batches(entries):
                known, missing = store.divide(batch, now_ns)
                write(known)
                count += len(known)
                pending += missing
                while pending and (is_last or len(pending) >= _SHARD_FILES):
                    files = _shard_files(len(pending)) if is_last else _SHARD_FILES
                    yield pending[:files]
                    del pending[:files]

        for rows in executor.map_isolated(Scan(root.absolute(), bounds, timeout_seconds), unknown()):
            write(pa.Table.from_batches([rows]))
            count += len(rows)
            yield count
    yield count


@contextmanager
def _writer(path: Path, schema: pa.Schema) -> Iterator[Callable[[pa.Table], None]]:
    """A function that writes rows to `path`, many at once: ten million in pieces of a shard take gigabytes to find again."""
    pending: list[pa.Table] = []
    with pa.ipc.new_file(str(path), schema) as writer:

        def flush() -> None:
            table = pa.concat_tables(pending).replace_schema_metadata(schema.metadata).combine_chunks()
            writer.write_table(table)
            pending.clear()

        def write(table: pa.Table) -> None:
            pending.append(table.replace_schema_metadata(None))
            if sum(map(len, pending)) >= _WRITTEN_ROWS:
                flush()

        yield write
        if pending:
            flush()


def read_rows(store_path: Path) -> pa.Table:
    """All rows, in no useful order; the bytes stay in the file until they are used."""
    return pa.ipc.open_file(pa.memory_map(str(store_path))).read_all()


def _batches(entries: Iterable[Entry]) -> Iterator[tuple[list[Entry], bool]]:
    """Of up to `_LOOKUP_FILES`, and whether it is the last; the first are small: workers begin while the folder is walked."""
    remaining, size = iter(entries), _SHARD_FILES
    batch = list(islice(remaining, size))
    while batch:
        size = min(2 * size, _LOOKUP_FILES)
        following = list(islice(remaining, 1))
        yield batch, not following
        batch = following + list(islice(remaining, size - 1)) if following else []


def _shard_files(left: int) -> int:
    """Of the next shard, where `left` files are all that is left: the last ones are small, so that workers end together."""
    return min(_SHARD_FILES, max(_LAST_SHARD_FILES, left // 4))
