"""Arrays and tables that lie in files: the system takes their memory back where it needs it."""

import mmap
import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import DTypeLike

from thaw.errors import ThawError
from thaw.gate.threads import in_order

BATCH_ROWS = 1 << 15
"""Of a table on disk."""
_POOL = pa.system_memory_pool()
"""Two threads that take rows wait for each other in Arrow's own, which gives freed pages back at once."""


def array_on_disk(shape: tuple[int, ...], dtype: DTypeLike, folder: Path | None) -> np.ndarray:
    """A writable array of zeros in a file that has no name and goes with it.

    Args:
        shape: with no 0 in it.
        folder: where the file lies; None: in the system's folder for temporary files.

    Raises:
        ThawError: there is no room, or no right to write there.
    """
    size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
    with _nameless(folder, size) as file:
        _reserve(file.fileno(), size)
        return np.asarray(np.memmap(file, dtype, "r+", shape=shape))  # a plain array: slices of the other take longer


def sort_by_path(table: pa.Table, folder: Path | None) -> pa.Table:
    """The rows of `table` by their column `path`; as they lie, where they lie so, else in files that have no name.

    There a column of fixed-size binaries is one piece, so that nobody has to join it.

    Args:
        folder: where the files lie, as `array_on_disk` takes it.

    Raises:
        ThawError: as `array_on_disk`.
    """
    order = pc.sort_indices(table["path"]).to_numpy().astype(np.int64)
    if (order[1:] > order[:-1]).all():
        return table
    fixed = {one.name: _Fixed(one.type, len(table), folder) for one in table.schema if pa.types.is_fixed_size_binary(one.type)}
    others = [name for name in table.column_names if name not in fixed]
    batches, starts = Batches(table), range(0, len(order), BATCH_ROWS)

    def take(start: int) -> pa.Table:
        pieces = list(batches.divide(order[start : start + BATCH_ROWS]))
        for name, column in fixed.items():
            column.fill(start, pieces, name)
        return _join(pieces, others)

    with _nameless(folder, table.nbytes) as file:
        writer = pa.ipc.new_file(pa.PythonFile(file, "w"), table.select(others).schema)
        with writer, ThreadPoolExecutor(os.cpu_count()) as pool:
            for part in in_order(pool, take, starts):
                writer.write_table(part)
        file.flush()
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    found = pa.ipc.open_file(pa.py_buffer(mapped)).read_all()
    columns = [fixed[name].column() if name in fixed else found[name] for name in table.column_names]
    return pa.table(columns, table.schema)


class _Fixed:
    """A column of fixed-size binaries in the making, its values side by side in a file."""

    def __init__(self, kind: pa.FixedSizeBinaryType, count: int, folder: Path | None) -> None:
        self._kind = kind
        self._values = array_on_disk((count, kind.byte_width), np.uint8, folder)
        self._valid = np.zeros(count, bool)

    def fill(self, start: int, pieces: Iterable["Piece"], name: str) -> None:
        """Put the values of `pieces` in their column `name` from row `start` on."""
        for batch, rows, places in pieces:
            self._values[start + places] = octets(batch[name]).take(rows, axis=0)
            self._valid[start + places] = batch[name].is_valid().to_numpy(zero_copy_only=False)[rows]

    def column(self) -> pa.Array:
        valid = None if self._valid.all() else pa.array(self._valid).buffers()[1]
        return pa.Array.from_buffers(self._kind, len(self._valid), [valid, pa.py_buffer(self._values)])


def octets(column: pa.Array) -> np.ndarray:
    """The values of fixed-size binaries as they lie, uint8 `(n, width)`; anything where there is none."""
    whole = np.frombuffer(column.buffers()[1], np.uint8).reshape(-1, column.type.byte_width)
    return whole[column.offset : column.offset + len(column)]


Piece = tuple[pa.RecordBatch, np.ndarray, np.ndarray]
"""A batch, which of its rows are wanted, and the places of these among all that are wanted."""


class Batches:
    """The rows of a table, to be taken by number from those of its batches that hold them: Arrow would join all of them."""

    def __init__(self, table: pa.Table) -> None:
        self._empty = table.schema.empty_table()
        self._batches = table.to_batches()
        self._begins = np.cumsum([0, *map(len, self._batches)])[:-1]

    def take(self, rows: np.ndarray) -> pa.Table:
        """`rows`, int64, in their order."""
        return _join(list(self.divide(rows)), self._empty.column_names) if len(rows) else self._empty

    def divide(self, rows: np.ndarray) -> Iterator[Piece]:
        """`rows`, int64 and at least one, by the batch that holds them."""
        batch = np.searchsorted(self._begins, rows, side="right") - 1
        by_batch = np.argsort(batch, kind="stable")
        for places in np.split(by_batch, np.flatnonzero(np.diff(batch[by_batch])) + 1):
            number = batch[places[0]]
            yield self._batches[number], rows[places] - self._begins[number], places


def _join(pieces: Sequence[Piece], names: Sequence[str]) -> pa.Table:
    """The columns `names` of what `pieces` want, each row in its place."""
    places = np.concatenate([places for _, _, places in pieces])
    back = np.empty_like(places)
    back[places] = np.arange(len(places))
    parts = [pc.take(batch.select(names), pa.array(rows), memory_pool=_POOL) for batch, rows, _ in pieces]
    return pc.take(pa.Table.from_batches(parts).combine_chunks(_POOL), pa.array(back), memory_pool=_POOL)


@contextmanager
def _nameless(folder: Path | None, size: int) -> Iterator[IO[bytes]]:
    place = folder or Path(tempfile.gettempdir())
    try:
        place.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=place) as file:
            yield file
    except OSError as error:
        reason = f"{place}: {size / 1e9:.1f} GB for the checks of the whole set: {error.strerror or error}"
        raise ThawError(reason, "Make room there.") from None


def _reserve(handle: int, size: int) -> None:
    """Make a file so large, and have the room on disk: to write into a map without any kills the process."""
    reserve: Any = getattr(os, "posix_fallocate", lambda handle, start, size: os.truncate(handle, size))
    reserve(handle, 0, size)
