"""What a file is that is no picture thaw reads: told by its first bytes, with what to do about it."""

import codecs
import re
from collections.abc import Callable
from typing import NamedTuple


class Foreign(NamedTuple):
    """A kind of file that stands where a picture should."""

    check: str
    """Of the gate: `unsupported_format`, `pointer_file`, `not_a_picture` or `corrupt`."""
    kind: str
    what: str
    """Completes "it is ..."."""
    cure: str


class NotAPicture(ValueError):
    """`args[0]` is what the file is, a `Foreign`."""

    def __str__(self) -> str:
        return f"it is {self.args[0].what}"


_AGAIN = "Download the picture again."


def _format(name: str, article: str, command: str = "magick {} {}") -> Foreign:
    suffix = name.casefold().replace("jpeg x", "jx")
    convert = command.format(f"OLD.{suffix}", "NEW.png")
    what = f"{article} {name} picture, a format that is not supported"
    return Foreign("unsupported_format", name, what, f"Convert it to PNG or JPEG: `{convert}`.")


def _pointer(name: str, what: str, command: str) -> Foreign:
    cure = f"Run `{command}` in the repository that the folder comes from, then validate again."
    return Foreign("pointer_file", name, f"{what}: the picture itself was not fetched", cure)


def _other(name: str, what: str, cure: str) -> Foreign:
    return Foreign("not_a_picture", name, what, cure)


_HEIC = _format("HEIC", "a", "heif-convert {} NEW.jpg")._replace(
    cure="Convert it to JPEG: `heif-convert OLD.heic NEW.jpg`, or all of a folder: `magick mogrify -format jpg *.heic`."
)
_VIDEO = _other("video", "a video", "Take pictures out of it, `ffmpeg -i OLD.mp4 %04d.png`, or leave it out.")
_ARCHIVE = _other("archive", "an archive", "Unpack it, and lay its pictures out in the class folders.")
_PAGE = _other("web page", "a web page (HTML): its download failed", _AGAIN)
_MESSAGE = _other("message", "a server's message (XML or JSON): its download failed", _AGAIN)
_TEXT = _other("text", "a text", f"{_AGAIN} If it is no picture, move it out of the folder.")
_ZEROS = Foreign("corrupt", "", "nothing but zero bytes: a copy or download broke off", _AGAIN)
_LFS = _pointer("Git LFS pointer", "a pointer of Git LFS", "git lfs pull")
_DVC = _pointer("DVC pointer", "a pointer of DVC", "dvc pull")
_ANNEX = _pointer("git-annex pointer", "a pointer of git-annex", "git annex get .")
_SVG = _format("SVG", "an", "rsvg-convert {} -o {}")

_STARTS: tuple[tuple[bytes, int, Foreign], ...] = (
    (b"version https://git-lfs", 0, _LFS),
    (b"version https://hawser", 0, _LFS),
    (b"outs:", 0, _DVC),
    (b"md5: ", 0, _DVC),
    (b"/annex/objects/", 0, _ANNEX),
    (b"\xff\x0a", 0, _format("JPEG XL", "a", "djxl {} {}")),
    (b"\0\0\0\x0cJXL \r\n\x87\n", 0, _format("JPEG XL", "a", "djxl {} {}")),
    (b"II\xbc", 0, _format("JPEG XR", "a")),
    (b"\0\0\1\0", 0, _format("ICO", "an")),
    (b"\0\0\2\0\0\0\0\0", 0, _format("TGA", "a")),
    (b"\0\0\x0a\0\0\0\0\0", 0, _format("TGA", "a")),
    (b"8BPS", 0, _format("PSD", "a")),
    (b"gimp xcf", 0, _format("XCF", "an")),
    (b"\x76\x2f\x31\x01", 0, _format("EXR", "an")),
    (b"#?RADIANCE", 0, _format("HDR", "an")),
    (b"DDS ", 0, _format("DDS", "a")),
    (b"qoif", 0, _format("QOI", "a")),
    (b"FUJIFILMCCD-RAW", 0, _format("RAF", "a", "darktable-cli {} {}")),
    (b"%!PS", 0, _format("EPS", "an", "gs -o {1} -sDEVICE=png16m -dEPSCrop {0}")),
    (b"\xd7\xcd\xc6\x9a", 0, _format("WMF", "a")),
    (b" EMF", 40, _format("EMF", "an")),
    (b"DICM", 128, _format("DICOM", "a", "dcm2pnm +on {} {}")),
    (b"SIMPLE  =", 0, _format("FITS", "a")),
    (b"%PDF-", 0, _other("PDF", "a PDF document", "Take its pictures out: `pdfimages -png OLD.pdf NEW`.")),
    (b"PK\x03\x04", 0, _ARCHIVE),
    (b"PK\x05\x06", 0, _ARCHIVE),
    (b"\x1f\x8b", 0, _ARCHIVE),
    (b"BZh", 0, _ARCHIVE),
    (b"\xfd7zXZ\0", 0, _ARCHIVE),
    (b"7z\xbc\xaf\x27\x1c", 0, _ARCHIVE),
    (b"Rar!\x1a\x07", 0, _ARCHIVE),
    (b"\x28\xb5\x2f\xfd", 0, _ARCHIVE),
    (b"ustar", 257, _ARCHIVE),
    (b"\x1aE\xdf\xa3", 0, _VIDEO),
    (b"AVI ", 8, _VIDEO),
    (b"\0\0\1\xba", 0, _VIDEO),
    (b"\x93NUMPY", 0, _other("NumPy array", "an array of NumPy", "Write it as PNG, with `PIL.Image.fromarray`.")),
    (b"\x00\x05\x16\x07", 0, _other("AppleDouble", "what macOS keeps beside a file (AppleDouble)", "Remove it.")),
    (b"bplist", 0, _other("property list", "a property list of macOS", f"{_AGAIN} iCloud may still hold it.")),
)  # fmt: skip
"""Bytes, where they stand, and whose they are (the formats' specifications)."""
_BRANDS = {
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"), _HEIC),
    **dict.fromkeys((b"avif", b"avis"), Foreign("corrupt", "AVIF", "an AVIF picture that cannot be read", _AGAIN)),
    b"crx ": _format("CR3", "a", "darktable-cli {} {}"),
}  # fmt: skip
"""Of ISO/IEC 14496-12's first box; all others are films'."""
_PROLOG = re.compile(r"(\s|<\?.*?\?>|<!--.*?-->|<!doctype svg.*?>)*<svg[\s>:/]", re.DOTALL | re.IGNORECASE)
_HTML = re.compile(
    r"(\s|<!--.*?-->)*<(!doctype html|html|head|body|script|meta|title|div|center|h1)\b", re.DOTALL | re.IGNORECASE
)
_HEAD = 4096


def identify(data: bytes) -> Foreign | None:
    """What the bytes of a file are that no decoder knows; None where they tell nothing."""
    for start, at, foreign in _STARTS:
        if data.startswith(start, at):
            return foreign
    if data[4:8] == b"ftyp":
        return _BRANDS.get(data[8:12], _VIDEO)
    if data[-18:-2] == b"TRUEVISION-XFILE":
        return _format("TGA", "a")
    if data and not data[:_HEAD].strip(b"\0") and not data.strip(b"\0"):
        return _ZEROS
    text = _read_text(data[:_HEAD])
    return next((foreign for tells, foreign in _TEXTS if tells(text)), None) if text else None


def _read_text(head: bytes) -> str:
    """`head` where it is text, else empty; a letter that its end cuts is left out."""
    code = "utf-16" if head[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        text = codecs.getincrementaldecoder(code)().decode(head)
    except UnicodeDecodeError:
        text = head.decode("latin-1")
        if sum(map(str.isascii, text)) <= len(text) // 2:
            return ""
    return text if all(letter.isprintable() or letter.isspace() for letter in text) else ""


_TEXTS: tuple[tuple[Callable[[str], object], Foreign], ...] = (
    (_PROLOG.match, _SVG),
    (_HTML.match, _PAGE),
    (lambda text: text.lstrip()[:1] in ("<", "{"), _MESSAGE),
    (str.strip, _TEXT),
)
