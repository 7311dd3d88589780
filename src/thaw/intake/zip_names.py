"""The names in a zip, whose encoding most writers never tell.

The rule, for all names of one archive together: a name with the UTF-8 flag, or with Info-ZIP's Unicode field, is what that
says. The others are UTF-8 where all of them can be; else Japanese (Shift-JIS), Chinese (GBK) or Russian (CP866), the first in
which they read as text; else CP437, as the format has it (PKWARE's APPNOTE 6.3.10, appendix D).
"""

import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Sequence

_UTF8_FLAG = 0x800
_UNICODE_PATH = 0x7075
_MADE_ON_DOS = 0


def read_names(members: Sequence[zipfile.ZipInfo]) -> list[str]:
    """The name of each member, `/` between parts."""
    raw = [_raw(info) for info in members]
    untold = [name for info, name in zip(members, raw, strict=True) if _told(info, name) is None]
    encoding = _encoding([name for name in untold if not name.isascii()])
    names = []
    for info, name in zip(members, raw, strict=True):
        told = _told(info, name)
        text = name.decode(encoding) if told is None else told
        if info.create_system == _MADE_ON_DOS and "/" not in text:  # as Info-ZIP's unzip has it
            text = text.replace("\\", "/")
        names.append(text)
    return names


def _raw(info: zipfile.ZipInfo) -> bytes:
    """The bytes in the archive: CP437 gives each byte a letter of its own."""
    return info.orig_filename.encode("utf-8" if info.flag_bits & _UTF8_FLAG else "cp437")


def _told(info: zipfile.ZipInfo, raw: bytes) -> str | None:
    """The name, where the member itself says how it is to be read."""
    if info.flag_bits & _UTF8_FLAG:
        return info.orig_filename
    extra = info.extra
    while len(extra) >= 4:
        kind, length = struct.unpack("<HH", extra[:4])
        field, extra = extra[4 : 4 + length], extra[4 + length :]
        if kind == _UNICODE_PATH and len(field) > 5 and field[1:5] == struct.pack("<I", zlib.crc32(raw)):
            return field[5:].decode("utf-8")
    return None


def _encoding(names: list[bytes]) -> str:
    candidates: tuple[tuple[str, Callable[[str], bool]], ...] = (
        ("utf-8", lambda text: True),
        ("cp932", _is_japanese),
        ("gbk", _stands_together),
        ("cp866", _is_cyrillic),
    )
    for encoding, reads_well in candidates:
        try:
            text = "/".join(name.decode(encoding) for name in names)
        except UnicodeDecodeError:
            continue
        if reads_well(text):
            return encoding
    return "cp437"


def _is_japanese(text: str) -> bool:
    """Half-width kana is what Chinese bytes look like in Shift-JIS, and hardly anyone names a file so."""
    return _stands_together(text) and not any("\uff61" <= sign <= "\uff9f" for sign in text)


def _stands_together(text: str) -> bool:
    """Whether signs beyond ASCII stand among their like: those that were an accented letter stand alone among Latin ones."""
    at_home = lonely = 0
    for before, sign, after in zip(f"/{text[:-1]}", text, f"{text[1:]}/", strict=True):
        if sign.isascii():
            continue
        if any(not other.isascii() for other in (before, after)):
            at_home += 1
        elif any(other.isascii() and other.isalpha() for other in (before, after)):
            lonely += 1
        else:
            at_home += 1
    return at_home > lonely


def _is_cyrillic(text: str) -> bool:
    letters = [sign for sign in text if not sign.isascii()]
    return _stands_together(text) and all(
        unicodedata.name(sign, "").startswith("CYRILLIC") for sign in letters
    )
