"""The bytes of an index's row, whatever holds them: an object, a range of a shard, or a cell of a Parquet."""

from collections.abc import Iterable, Iterator, Sequence

from thaw.sources.index import Index, Row
from thaw.sources.stores import Object, read_range

_MOST_GAP_BYTES = 1 << 14
"""Between two images of a shard that are read at once: a header, a label."""
_MOST_RUN_BYTES = 1 << 22


def read(index: Index, row: Row, most_bytes: int = -1) -> bytes:
    """The bytes of a row, at most `most_bytes` from their begin where that is not negative.

    Raises:
        StoreError: the object is gone, another than was booked, or shorter; or the store does not answer.
    """
    if not row.object:
        return index.inline(row.path)[: None if most_bytes < 0 else most_bytes]
    held = Object(index.address(row), row.etag, row.version)
    if row.column:
        from thaw.sources.cells import read_cell

        return read_cell(held, row.column, row.offset)[: None if most_bytes < 0 else most_bytes]
    return read_range(held, row.offset, row.size if most_bytes < 0 else min(row.size, most_bytes))


def runs(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """Divide rows, in their order, into those that `read_run` reads at once: neighbours in a shard, else a row alone."""
    run: list[Row] = []
    for row in rows:
        if run and not _joins(run, row):
            yield run
            run = []
        run.append(row)
    if run:
        yield run


def _joins(run: Sequence[Row], row: Row) -> bool:
    first, last = run[0], run[-1]
    gap = row.offset - last.offset - last.size
    is_near = row.object == last.object and 0 <= gap <= _MOST_GAP_BYTES
    return is_near and not row.column and row.offset + row.size - first.offset <= _MOST_RUN_BYTES


def read_run(index: Index, rows: Sequence[Row]) -> list[bytes]:
    """The bytes of rows of which `runs` made one, in one request.

    Raises:
        StoreError: as `read`.
    """
    first, last = rows[0], rows[-1]
    if len(rows) == 1:
        return [read(index, first)]
    held = Object(index.address(first), first.etag, first.version)
    data = read_range(held, first.offset, last.offset + last.size - first.offset)
    return [data[row.offset - first.offset :][: row.size] for row in rows]
