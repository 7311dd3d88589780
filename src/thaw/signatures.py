"""What a file is by its first bytes, whatever its name says."""

import re

from thaw.pixels import foreign

HEAD_BYTES = 512
"""How much of a file tells."""
_MAGIC = (
    (b"\xff\xd8\xff", ".jpg"),
    (b"\x89PNG\r\n\x1a\n", ".png"),
    (b"GIF87a", ".gif"),
    (b"GIF89a", ".gif"),
    (b"II*\0", ".tif"),
    (b"MM\0*", ".tif"),
    (b"II+\0", ".tif"),
    (b"MM\0+", ".tif"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", ".jp2"),
    (b"\xff\x4f\xff\x51", ".j2k"),
)
_PPM = re.compile(rb"P[1-6](?:\s|#[^\n]*\n)+\d+(?:\s|#[^\n]*\n)+\d+\s")
_BMP_HEADERS = {12, 16, 40, 52, 56, 64, 108, 124}


def picture_suffix(head: bytes) -> str:
    """The suffix of the picture format that a file's first `HEAD_BYTES` show; empty where they show none that thaw reads."""
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return ".webp"
    if head[4:8] == b"ftyp" and (b"avif" in head[8:] or b"avis" in head[8:]):
        return ".avif"
    if head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in _BMP_HEADERS:
        return ".bmp"
    if _PPM.match(head):
        return ".ppm"
    return next((suffix for magic, suffix in _MAGIC if head.startswith(magic)), "")


def shows_picture(head: bytes) -> bool:
    """Whether a file's first `HEAD_BYTES` are a picture's, be its format one that thaw reads or not."""
    if picture_suffix(head):
        return True
    kind = foreign.identify(head)
    return kind is not None and kind.check == "unsupported_format"
