"""Cells of a Parquet in a store: row groups are read whole, and the last few are kept, as neighbours are read together."""

import functools
import threading
from bisect import bisect_right
from collections import OrderedDict
from itertools import accumulate

import pyarrow as pa
import pyarrow.parquet as pq

from thaw.sources.object_file import open_object
from thaw.sources.stores import UPDATE, Object, StoreError, size_of

_MOST_BYTES = 1 << 27
"""Of row groups that are kept; the last one is, whatever its size."""

_lock = threading.Lock()
_kept: "OrderedDict[tuple[Object, str, int], pa.Array]" = OrderedDict()


def read_cell(held: Object, column: str, row: int) -> bytes:
    """The bytes in a row of a column, `image.bytes` of a struct.

    Raises:
        StoreError: as `read_range`; or the file has no such row.
    """
    with _lock:
        file, ends = _open(held)
        group = bisect_right(ends, row)
        if group == len(ends):
            raise StoreError(f"{held.address}: ends before row {row:,}", UPDATE, gone=True)
        cells = _read_group(held, file, column, group)
        return bytes(cells[row - (ends[group - 1] if group else 0)].as_buffer())


@functools.lru_cache(maxsize=8)
def _open(held: Object) -> tuple[pq.ParquetFile, list[int]]:
    """The file, and the row at which each row group ends."""
    file = pq.ParquetFile(open_object(held, size_of(held)), pre_buffer=False)
    groups = (file.metadata.row_group(number).num_rows for number in range(file.metadata.num_row_groups))
    return file, list(accumulate(groups))


def _read_group(held: Object, file: pq.ParquetFile, column: str, group: int) -> pa.Array:
    key = held, column, group
    if key in _kept:
        _kept.move_to_end(key)
        return _kept[key]
    found = file.read_row_group(group, columns=[column], use_threads=False).column(0).combine_chunks()
    _kept[key] = found.field(0) if pa.types.is_struct(found.type) else found
    while len(_kept) > 1 and sum(cells.nbytes for cells in _kept.values()) > _MOST_BYTES:
        _kept.popitem(last=False)
    return _kept[key]
