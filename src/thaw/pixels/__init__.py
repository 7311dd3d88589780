"""How the picture in a file becomes 8-bit grey or RGB, upright: one set of rules for the gate, training and prediction.

docs/data.md states them. Each follows from the file alone, so that a picture looks the same in a set, by itself and later.
"""

import itertools
import sys
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from thaw.pixels import color

ORIENTATION_TAG = 0x0112
_TURN = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_TURNING = {"exif", "xmp", "XML:com.adobe.xmp", "Raw profile type exif"}
"""Entries of `Image.info` that can hold an orientation."""
_BITS, _PACKING, _PHOTOMETRIC, _PLANES, _EXTRA, _SAMPLE_FORMAT = 258, 259, 262, 284, 338, 339  # tags of TIFF 6.0
_NEW_SUBFILE, _SUBFILE, _REDUCED, _MASK = 254, 255, 1, 4
_LIGHTEST_ON_WHITE = 191
"""Mean grey level of a drawing above which white paper would hide it."""


class Unsupported(ValueError):
    """The file is whole, and of a kind that is not read; the message says which."""


class Reading(NamedTuple):
    """A picture, and which rules made it."""

    image: Image.Image
    """Mode L or RGB, upright."""
    bits: int
    """Of a channel in the file; 8 stands for fewer, too."""
    black: float
    """The level of the file that became 0."""
    white: float
    """The level of the file that became 255."""
    orientation: int
    """1 to 8, as EXIF counts: how it was turned."""
    paper: str
    """`white` or `black`: what shows through transparent pixels; empty where there are none."""
    colors: str
    """What became of a colour profile or a gamma; empty where there was none, or it was sRGB's."""


def read(image: Image.Image) -> Reading:
    """Decode an opened picture, at the page where it stands.

    Raises:
        Unsupported: it is 16-bit colour in planes, which no decoder here reads right.
        Exception: whatever Pillow raises for a damaged file.
    """
    turn, bits = orientation(image), _bits(image)
    deep_color = _open_deep_color(image, bits)
    image.load()
    if image.format == "PNG":  # its tag may stand behind its pixels
        turn = orientation(image)
    to_srgb = color.conversion(image, _plain_mode(image))
    flat, black, white = image, 0.0, 255.0
    if deep_color or image.mode.startswith("I") or image.mode == "F":
        flat, black, white = _eight_bits(image, *(deep_color or _grey_levels(image)), to_srgb.exponent)
        to_srgb = to_srgb if to_srgb.exponent == 1 else color.Conversion(to_srgb.told)
    if image.mode == "CMYK":
        flat = to_srgb.apply(flat)  # while it has its four inks
    flat, paper = _lay_on_paper(flat)
    if image.mode != "CMYK":
        flat = to_srgb.apply(flat)
    if turn in _TURN and image.format != "TIFF":  # which Pillow and OpenCV turn themselves
        flat = flat.transpose(_TURN[turn])
    return Reading(flat, bits, black, white, turn, paper, to_srgb.told)


def orientation(image: Image.Image) -> int:
    """The orientation that the file's EXIF or XMP gives, 1 to 8; 1 where there is none, or none that makes sense."""
    if image.format != "TIFF" and not _TURNING & image.info.keys():
        return 1
    try:
        value = image.getexif().get(ORIENTATION_TAG, 1)
    except Exception:  # a broken tag is no broken picture, and its parsers raise many kinds
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def pictures(image: Any) -> int:
    """How many pictures an opened file holds that stand for themselves: thumbnails and masks of a TIFF do not.

    A phone's MPO is a JPEG with further pictures behind the first.
    """
    if image.format != "TIFF":
        return 1 if image.format == "MPO" else getattr(image, "n_frames", 1)
    at, count = image.tell(), 0
    try:
        for page in itertools.count():
            image.seek(page)
            count += not _is_aside(image)
    except Exception:  # noqa: S110 - the end, or a page behind the picture that cannot be read
        pass
    image.seek(at)
    return max(1, count)


def turn_to_picture(image: Any) -> None:
    """Bring an opened TIFF to its first page that is no thumbnail and no mask; some cameras put one before the picture."""
    if image.format != "TIFF" or not _is_aside(image):
        return
    try:
        for page in itertools.count(1):
            image.seek(page)
            if not _is_aside(image):
                return
    except EOFError:
        image.seek(0)


def _is_aside(image: Any) -> bool:
    """Whether a page of a TIFF is a reduced copy or a mask of another (TIFF 6.0, page 36 and 40)."""
    return bool(_tag(image, _NEW_SUBFILE, 0) & (_REDUCED | _MASK)) or _tag(image, _SUBFILE, 1) == 2


def scale(levels: np.ndarray, exponent: float = 1.0) -> tuple[np.ndarray, float, float]:
    """Levels of any depth as uint8, and the levels that became 0 and 255.

    Those of whole numbers, as shares of the largest, are raised to `exponent`.

    Whole numbers from 0 on: 255 is the largest number of 8, 10, 12, ... bits, the fewest that hold the largest level.
    Fractions within 0 to 1: 255 is 1. All others: from the lowest level to the highest. What is no number becomes 0.
    """
    finite = levels[np.isfinite(levels)] if levels.dtype.kind == "f" else levels
    low, high = (finite.min().item(), finite.max().item()) if finite.size else (0, 0)
    if levels.dtype.kind == "f":
        black, white = (0.0, 1.0) if low >= 0 and high <= 1 else (low, high)
    elif low < 0:
        black, white = low, high
    else:
        black, white = 0, (1 << max(8, high.bit_length() + high.bit_length() % 2)) - 1
        if white <= 65535:  # a table is exact, and faster
            if exponent == 1:
                table = (np.arange(white + 1) * 510 + white) // (2 * white)
            else:
                table = np.rint(255 * (np.arange(white + 1) / white) ** exponent)
            return table.astype(np.uint8)[levels], black, white
    scaled = levels.astype(np.float64)
    scaled -= black
    scaled *= 255 / (white - black or 1)
    np.nan_to_num(scaled, copy=False, nan=0.0, posinf=255.0, neginf=0.0)
    return np.rint(scaled, out=scaled).clip(0, 255, out=scaled).astype(np.uint8), black, white


def _plain_mode(image: Image.Image) -> str:
    """L, RGB or CMYK, whichever of them the picture's mode comes down to."""
    if image.mode == "CMYK":
        return "CMYK"
    is_grey = image.mode in ("1", "L", "LA", "La", "F") or image.mode.startswith("I")
    return "L" if is_grey else "RGB"


def _bits(image: Image.Image) -> int:
    """Bits of a channel in the file of a picture that is not loaded: Pillow brings deeper colour down to 8 without a word."""
    if image.format == "TIFF":
        return max(8, *np.atleast_1d(_tag(image, _BITS, 8)).tolist())
    if image.format == "PNG":
        return 16 if image.mode == "I;16" or _is_deep_png(image) else 8
    return 16 if image.mode.startswith("I;16") else 32 if image.mode in ("I", "F") else 8


def _is_deep_png(image: Any) -> bool:
    return bool(image.tile) and ";16" in str(image.tile[0].args)


def _tag(image: Any, tag: int, default: Any) -> Any:
    """A tag of a TIFF; `default` where it is not there, or the file is none."""
    return image.tag_v2.get(tag, default) if image.format == "TIFF" else default


def _eight_bits(
    image: Image.Image, levels: np.ndarray, alpha: np.ndarray | None, exponent: float
) -> tuple[Image.Image, float, float]:
    """Of the levels of a deep picture: a picture of 8 bits, and the levels that became 0 and 255."""
    eight, black, white = scale(levels, exponent)
    if _tag(image, _PHOTOMETRIC, 1) == 0:  # 0 is white there; Pillow heeds it up to 8 bits only
        eight, black, white = 255 - eight, white, black
    flat = Image.fromarray(eight)
    if alpha is not None:
        flat.putalpha(Image.fromarray(alpha))
    return flat, black, white


def _open_deep_color(image: Any, bits: int) -> tuple[np.ndarray, np.ndarray | None] | None:
    """Levels uint16 `(height, width, 3)` and 8-bit alpha or None, of a picture in 16-bit colour; None of any other."""
    if bits != 16 or image.mode not in ("RGB", "RGBA") or image.format not in ("PNG", "TIFF"):
        return None
    if _tag(image, _PLANES, 1) == 2:
        raise Unsupported("16-bit colour, each channel in a plane of its own")
    import cv2  # here, as hardly any picture needs it

    at = image.fp.tell()
    image.fp.seek(0)
    data, page = np.frombuffer(image.fp.read(), np.uint8), image.tell()
    if page:
        decoded = next(iter(cv2.imdecodemulti(data, cv2.IMREAD_UNCHANGED, range=(page, page + 1))[1]), None)
    else:
        decoded = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    image.fp.seek(at)
    if decoded is None or decoded.dtype != np.uint16 or decoded.ndim != 3 or decoded.shape[2] not in (3, 4):
        raise Unsupported("16-bit colour that OpenCV does not read")
    levels = decoded[:, :, 2::-1]
    if decoded.shape[2] == 3:
        return levels, None
    alpha = decoded[:, :, 3]
    if np.atleast_1d(_tag(image, _EXTRA, 0))[0] == 1:  # colours were multiplied by alpha
        whole = levels.astype(np.float64) * 65535 / np.maximum(alpha, 1)[:, :, None]
        levels = np.rint(whole).clip(0, 65535).astype(np.uint16)
    return levels, ((alpha.astype(np.uint32) + 128) // 257).astype(np.uint8)


def _grey_levels(image: Any) -> tuple[np.ndarray, np.ndarray | None]:
    """Levels `(height, width)` of a deep grey picture, and 8-bit alpha where one level stands for transparency."""
    levels = np.asarray(image)
    if size := _swapped_bytes(image, levels):
        levels = levels.astype(f"{levels.dtype.kind}{size}").byteswap()
    if levels.dtype == np.int32 and image.format == "TIFF" and _tag(image, _SAMPLE_FORMAT, (1,))[0] == 1:
        levels = levels.view(np.uint32)  # Pillow has signed numbers only
    clear = image.info.get("transparency")
    alpha = np.where(levels == clear, 0, 255).astype(np.uint8) if isinstance(clear, int) else None
    return levels, alpha


def _swapped_bytes(image: Any, levels: np.ndarray) -> int:
    """Bytes of a number of which Pillow turned about what libtiff, which unpacks, had turned already; 0 as a rule."""
    if image.format != "TIFF" or _tag(image, _PACKING, 1) == 1:
        return 0
    if image.tag_v2.prefix != (b"MM" if sys.byteorder == "little" else b"II"):
        return 0
    size = _tag(image, _BITS, (1,))[0] // 8
    return size if (levels.dtype.kind, size) in (("i", 2), ("i", 4), ("f", 4)) else 0


def _lay_on_paper(image: Image.Image) -> tuple[Image.Image, str]:
    """A picture of up to 8 bits in mode L or RGB, and the paper behind its transparent pixels.

    Paper is white, as viewers have it, or black where white would hide the drawing.
    """
    if not image.has_transparency_data:
        return image if image.mode in ("L", "RGB") else image.convert("L" if image.mode == "1" else "RGB"), ""
    is_grey = image.mode in ("1", "L", "LA", "La")
    whole = image.convert({"La": "LA", "RGBa": "RGBA"}.get(image.mode, image.mode)).convert("RGBA")
    alpha, color = whole.getchannel("A"), whole.convert("L" if is_grey else "RGB")
    if alpha.getextrema() == (255, 255):
        return color, ""
    grey = color.convert("L")
    darkness = 255 - np.asarray(Image.composite(grey, Image.new("L", grey.size, 255), alpha)).mean()
    ink = np.asarray(alpha).mean() / 255
    paper = "black" if ink and 255 - darkness / ink > _LIGHTEST_ON_WHITE else "white"
    return Image.composite(color, Image.new(color.mode, color.size, paper), alpha), paper
