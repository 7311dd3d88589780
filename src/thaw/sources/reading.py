"""The bytes of an index's row, whatever holds them: an object, a range of a shard, or a cell of a Parquet."""

from thaw.sources.index import Index, Row
from thaw.sources.stores import Object, read_range


def read(index: Index, row: Row, most_bytes: int = -1) -> bytes:
    """The bytes of a row, at most `most_bytes` from their begin where that is not negative.

    Raises:
        StoreError: the object is gone, another than was booked, or shorter; or the store does not answer.
    """
    held = Object(index.address(row), row.etag, row.version)
    if row.column:
        from thaw.sources.cells import read_cell

        return read_cell(held, row.column, row.offset)[: None if most_bytes < 0 else most_bytes]
    return read_range(held, row.offset, row.size if most_bytes < 0 else min(row.size, most_bytes))
