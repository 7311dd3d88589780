"""An object of a store as a file, for those who read parts of it here and there."""

import io
from typing import TYPE_CHECKING

from thaw.sources.stores import Object, read_range

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_BUFFER_BYTES = 1 << 20


def open_object(held: Object, size: int) -> io.BufferedReader:
    """An object as a file that can be searched.

    Args:
        held: the object.
        size: in bytes.
    """
    return io.BufferedReader(_ObjectFile(held, size), _BUFFER_BYTES)


class _ObjectFile(io.RawIOBase):
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
