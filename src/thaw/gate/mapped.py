"""Arrays and tables that lie in files: the system takes their memory back where it needs it."""

import mmap
import os
import tempfile
from collections.abc import Iterator
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
    """The rows of `table` by their column `path`; as they lie, where they lie so, else in a file that has no name.

    Args:
        folder: where the file lies, as `array_on_disk` takes it.

    Raises:
        ThawError: as `array_on_disk`.
    """
    order = pc.sort_indices(table["path"]).to_numpy().astype(np.int64)
    if (order[1:] > order[:-1]).all():
        return table
    with _nameless(folder, table.nbytes) as file:
        with pa.ipc.new_file(pa.PythonFile(file, "w"), table.schema) as writer:
            batches, starts = Batches(table), range(0, len(order), BATCH_ROWS)
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                for part in in_order(pool, lambda start: batches.take(order[start : start + BATCH_ROWS]), starts):
                    writer.write_table(part)
        file.flush()
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    return pa.ipc.open_file(pa.py_buffer(mapped)).read_all()


class Batches:
    """The rows of a table, to be taken by number from those of its batches that hold them: Arrow would join all of them."""

    def __init__(self, table: pa.Table) -> None:
        self._empty = table.schema.empty_table()
        self._batches = table.to_batches()
        self._begins = np.cumsum([0, *map(len, self._batches)])[:-1]

    def take(self, rows: np.ndarray) -> pa.Table:
        """`rows`, int64, in their order."""
        if not len(rows):
            return self._empty
        batch = np.searchsorted(self._begins, rows, side="right") - 1
        by_batch = np.argsort(batch, kind="stable")
        parts = [
            self._batches[batch[part[0]]].take(pa.array(rows[part] - self._begins[batch[part[0]]]))
            for part in np.split(by_batch, np.flatnonzero(np.diff(batch[by_batch])) + 1)
        ]
        back = np.empty_like(by_batch)
        back[by_batch] = np.arange(len(by_batch))
        return pa.Table.from_batches(parts).combine_chunks().take(pa.array(back))


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
