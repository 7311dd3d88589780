"""The bytes of an index's row, whatever holds them: an object, a range of a shard, or a cell of a Parquet."""

import io
from typing import TYPE_CHECKING

from thaw.sources.index import Index, Row
from thaw.sources.stores import Object, read_range

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


def read(index: Index, row: Row, most_bytes: int = -1) -> bytes:
    """The bytes of a row, at most `most_bytes` from their begin where that is not negative.

    Raises:
        StoreError: the object is gone, another than was booked, or shorter; or the store does not answer.
    """
    held = Object(index.address(row), row.etag, row.version)
    return read_range(held, row.offset, row.size if most_bytes < 0 else min(row.size, most_bytes))


class ObjectFile(io.RawIOBase):
    """An object as a file that can be searched; put a `BufferedReader` before it.

    Args:
        held: the object.
        size: in bytes.
    """

    def __init__(self, held: Object, size: int) -> None:
        self.held, self.size, self._at = held, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self.size}[whence]
        return self._at

    def readinto(self, buffer: "WriteableBuffer") -> int:
        room = memoryview(buffer).cast("B")
        size = max(0, min(len(room), self.size - self._at))
        room[:size] = read_range(self.held, self._at, size)
        self._at += size
        return size
