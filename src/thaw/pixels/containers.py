"""The bytes around a picture: what viewers pass over is passed over, and what is damaged is told from what lies behind."""

import re
import zlib
from collections.abc import Iterator
from typing import NamedTuple

PNG, JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"
_HEADS = (PNG, JPEG, b"GIF8", b"RIFF", b"BM")
_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
"""Of a JPEG: what is neither stuffing nor a restart (ITU-T T.81, B.1.1.2)."""
_END, _BARE = b"\xff\xd9", (b"\xff\x01", b"\xff\xd8")
_TEXTS = (b"tEXt", b"zTXt", b"iTXt")
_TURNING = (b"XML:com.adobe.xmp\0", b"Raw profile type exif\0")
_LENGTHS = {b"gAMA": 4, b"sRGB": 1, b"acTL": 8, b"pHYs": 9, b"cHRM": 32}
MAX_EXPANDED = 8_000_000
"""Bytes of a text or profile above which it is passed over, as libpng has it (`PNG_USER_CHUNK_MALLOC_MAX`)."""


class Damaged(ValueError):
    """The file's bytes are not those that were written."""


class Truncated(Damaged):
    """The file ends before its picture does."""


class _Chunk(NamedTuple):
    kind: bytes
    start: int
    """Of the chunk, its length included."""
    body: memoryview
    is_whole: bool
    """Its checksum is right."""


def sound(data: bytes) -> bytes:
    """`data`, the bytes of a file, without what stands beside its picture and would stop Pillow: `data` itself as a rule.

    Raises:
        Truncated, Damaged: Pillow might read it all the same, where libjpeg or libpng would not.
    """
    if data.startswith(PNG):
        return _sound_png(data)
    if data.startswith(JPEG) and not data.endswith(_END):
        _find_end(data)
    return data


def is_cut_head(data: bytes) -> bool:
    """Whether a file that no decoder knows begins as a picture and is too short to be one."""
    return len(data) < 1024 and data.startswith(_HEADS)


def _find_end(data: bytes) -> None:
    """Follow the markers to the picture's end: behind it phones keep videos, and cameras zeros."""
    at = 2
    while found := _MARKER.search(data, at):
        marker, at = found[0], found.end()
        if marker == _END:
            return
        if marker not in _BARE:
            at += int.from_bytes(data[at : at + 2])
    raise Truncated("the JPEG's end marker is missing")


def _sound_png(data: bytes) -> bytes:
    """Leave out texts, of which one over a megabyte stops Pillow, and what is damaged and no part of the picture.

    A wrong checksum stops libpng in a critical chunk alone; any other is left out there, too (PNG specification, 13.2).
    """
    kept, at = [], 0
    for chunk in _chunks(data):
        if not chunk.is_whole and chunk.kind[:1].isupper():
            raise Damaged(f"the checksum of chunk {chunk.kind.decode('latin-1')!r} is wrong")
        if not _is_wanted(chunk):
            kept.append(data[at : chunk.start])
            at = chunk.start + len(chunk.body) + 12
    return b"".join([*kept, data[at:]]) if kept else data


def _chunks(data: bytes) -> Iterator[_Chunk]:
    """The chunks of a PNG, to its end (PNG specification, 5.3)."""
    view, at = memoryview(data), len(PNG)
    while at + 12 <= len(data):
        kind, end = data[at + 4 : at + 8], at + 8 + int.from_bytes(view[at : at + 4])
        if end + 4 > len(data):
            raise Truncated(f"chunk {kind.decode('latin-1')!r} ends beyond the file")
        is_whole = zlib.crc32(view[at + 4 : end]) == int.from_bytes(view[end : end + 4])
        yield _Chunk(kind, at, view[at + 8 : end], is_whole)
        if kind == b"IEND":
            return
        at = end + 4
    raise Truncated("the PNG's end chunk is missing")


def _is_wanted(chunk: _Chunk) -> bool:
    if not chunk.is_whole or _LENGTHS.get(chunk.kind, len(chunk.body)) != len(chunk.body):
        return False
    if chunk.kind in _TEXTS:
        return bytes(chunk.body[:22]).startswith(_TURNING) and _expands_little(chunk)
    return chunk.kind != b"iCCP" or _expands_little(chunk)


def _expands_little(chunk: _Chunk) -> bool:
    """Whether a text or profile stays within `MAX_EXPANDED`; what is no compressed data is none to fear."""
    name_end = bytes(chunk.body[:80]).find(b"\0") + 1
    packed = chunk.body[name_end + 1 :]
    if chunk.kind == b"iTXt":  # a flag, a method, a language, a keyword
        packed = packed[1:]
        for _ in range(2):
            packed = packed[bytes(packed[:256]).find(b"\0") + 1 :]
    if len(packed) > MAX_EXPANDED:
        return False
    expander = zlib.decompressobj()
    try:
        expander.decompress(packed, MAX_EXPANDED)
    except zlib.error:
        return True
    return not expander.unconsumed_tail
