"""Tar archives, packed by gzip, bzip2, xz, zstd or not at all, read from front to end once."""

import bz2
import gzip
import lzma
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from thaw.intake.tree import Tree

BLOCK = tarfile.BLOCKSIZE
_MOST_HEADER_BYTES = 1 << 24
_MOST_DECODER_BYTES = 1 << 29
_CHUNK_BYTES = 1 << 16


def unpack_tar(path: Path, compression: str, tree: Tree, on_packed: Callable[[int], None]) -> None:
    """Unpack a tar; arguments and errors are those of `read_members`."""
    for member, content in read_members(path, compression, tree, on_packed):
        if content:
            tree.copy(member.name, content)
        elif member.isdir():
            tree.folder(member.name)
        elif member.issym():
            tree.link(member.name, member.linkname)
        elif member.islnk():
            tree.repeat(member.name, member.linkname)
        else:
            tree.refuse("a pipe, socket or device, no file")


def read_members(
    path: Path, compression: str, tree: Tree, on_packed: Callable[[int], None] = lambda packed_bytes: None
) -> Iterator[tuple[tarfile.TarInfo, IO[bytes] | None]]:
    """Yield each member, and its content where it is a file, to be read before the next one is asked for.

    Args:
        path: the archive.
        compression: gzip, bzip2, xz, zstd, or empty.
        tree: is told the member, for messages, and counts what lies behind the last one.
        on_packed: called after each member with how many bytes of the archive were read for it.

    Raises:
        tarfile.TarError, EOFError, zlib.error, ...: it is damaged or cut short, which Python's own reader passes over
            where a header is lost.
    """
    with path.open("rb") as packed:
        tape, before = _Tape(_decompress(packed, compression)), 0
        archive = tarfile.TarFile(fileobj=tape, errors="surrogateescape")  # type: ignore[arg-type]
        while member := archive.next():
            tree.member = member.name
            yield member, archive.extractfile(member) if member.isreg() else None
            archive.members.clear()  # type: ignore[attr-defined]  # which keeps every header it has read
            on_packed(packed.tell() - before)
            before = packed.tell()
        _check_end(tape, tree)


def _check_end(tape: "_Tape", tree: Tree) -> None:
    if tape.last != bytes(BLOCK):
        raise tarfile.ReadError("the next header is missing or damaged")
    while rest := tape.read(_CHUNK_BYTES):
        tree.count(len(rest))
        if rest.strip(b"\0"):
            raise tarfile.ReadError("more follows behind its end")


class _Tape:
    """What `tarfile` needs of a file that is read forwards only, with a bound on what a header may ask for."""

    mode, name = "rb", ""

    def __init__(self, stream: Any) -> None:
        self._stream, self._at = stream, 0
        self.last = b""
        """What the last read gave."""

    def tell(self) -> int:
        return self._at

    def seek(self, position: int) -> None:
        if position < self._at:
            raise tarfile.ReadError("a member of less than no bytes")
        while self._at < position and self.read(min(position - self._at, _CHUNK_BYTES)):
            pass

    def read(self, size: int) -> bytes:
        if not 0 <= size <= _MOST_HEADER_BYTES:
            raise tarfile.ReadError(f"a header of {size:,} bytes")
        parts, left = [], size
        while left and (data := self._stream.read(left)):
            parts.append(data)
            left -= len(data)
        self.last = b"".join(parts)
        self._at += len(self.last)
        return self.last


def _decompress(packed: IO[bytes], compression: str) -> Any:
    match compression:
        case "gzip":
            return gzip.GzipFile(fileobj=packed)
        case "bzip2":
            return bz2.BZ2File(packed)
        case "xz":
            return _Xz(packed)
        case "zstd":
            import pyarrow as pa

            return pa.CompressedInputStream(pa.PythonFile(packed, "r"), "zstd")
    return packed


class _Xz:
    """Streams of xz one after the other; bounded in memory, which `lzma.LZMAFile` is not."""

    def __init__(self, packed: IO[bytes]) -> None:
        self._packed = packed
        self._decoder = self._begin()

    def _begin(self) -> lzma.LZMADecompressor:
        return lzma.LZMADecompressor(lzma.FORMAT_XZ, _MOST_DECODER_BYTES)

    def read(self, size: int) -> bytes:
        while True:
            if self._decoder.eof:
                rest = self._decoder.unused_data.lstrip(b"\0") or self._skip_padding()
                if not rest:
                    return b""
                self._decoder = self._begin()
            else:
                rest = self._packed.read(_CHUNK_BYTES) if self._decoder.needs_input else b""
                if self._decoder.needs_input and not rest:
                    raise EOFError("the file ended within its xz stream")
            if data := self._decoder.decompress(rest, size):
                return data

    def _skip_padding(self) -> bytes:
        rest = b""
        while not rest and (data := self._packed.read(_CHUNK_BYTES)):
            rest = data.lstrip(b"\0")
        return rest
