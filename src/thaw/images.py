"""Read a picture as an array of pixels, upright, at the size asked for. Pillow and numpy only."""

import warnings
from pathlib import Path, PurePosixPath
from typing import Literal

import numpy as np
from PIL import (
    AvifImagePlugin,  # noqa: F401  (a plugin that is not imported is not tried)
    Image,
    Jpeg2KImagePlugin,  # noqa: F401
    TiffImagePlugin,  # noqa: F401
    WebPImagePlugin,  # noqa: F401
)

from thaw.errors import ThawError

Resize = Literal["stretch", "crop", "pad"]

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM", "JPEG2000", "AVIF")
"""What is opened (MPO as JPEG); Pillow's other plugins read vector formats or start programs."""

MAX_PIXELS = 89_478_485
"""A larger header is refused before anything is decoded: a quarter of a gigabyte of RGB, as Pillow has it."""

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
warnings.simplefilter("error", Image.DecompressionBombWarning)

_PAPER = 255  # what shows through transparent pixels
_SIXTEEN_BIT = ("I;16", "I;16B", "I;16L", "I;16N", "I")


def load(path: Path, height: int, width: int, channels: int, resize: Resize = "stretch") -> np.ndarray:
    """Read one picture as uint8 `(height, width, channels)`; channels is 1 (grey) or 3 (RGB).

    `stretch` ignores the aspect, `crop` keeps the middle, `pad` adds black borders. Resizing is antialiased.

    Raises:
        ThawError: the file is missing, not an image, damaged, or too large to decode.
    """
    picture = decode(path, channels, at_least=(height, width), resize=resize)
    return np.asarray(_fit(picture, height, width, resize)).reshape(height, width, channels)


def decode(
    path: Path, channels: int, at_least: tuple[int, int] | None = None, resize: Resize = "stretch"
) -> Image.Image:
    """Read one picture upright, in mode `L` (channels 1) or `RGB` (channels 3).

    Args:
        at_least: `(height, width)` it will be resized to; a JPEG may then be decoded at a half, quarter or
            eighth of its size, and still be at least twice as large as that.
        resize: how it will be resized to `at_least`.

    Raises:
        ThawError: the file is missing, not an image, damaged, or too large to decode.
    """
    try:
        with Image.open(path, formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise ThawError(
                    f"{path}: {image.width}x{image.height} pixels, more than {MAX_PIXELS:,}", "Scale it down."
                )
            if at_least and image.format in ("JPEG", "MPO"):
                image.draft("L" if channels == 1 else None, _draft_size(image, *at_least, resize))
            image.load()
            upright = _upright(image)
            return _eight_bit(upright, path).convert("L" if channels == 1 else "RGB")
    except ThawError:
        raise
    except FileNotFoundError:
        raise ThawError(
            f"{path}: no such file", "Run `thaw run` from `validate` on: the folder changed."
        ) from None
    except Exception as error:  # a damaged file can raise anything in a decoder
        cause = str(error) or type(error).__name__
        raise ThawError(f"{path}: cannot be read as an image: {cause}", "Replace or remove it.") from None


def inside(root: Path, relative: str) -> Path:
    """`root / relative`, where `relative` names something below `root`.

    Symbolic links are left alone: DVC may link the files of the data folder into its cache.

    Raises:
        ThawError: the path is absolute or climbs out of `root`.
    """
    parts = PurePosixPath(relative).parts
    if not parts or parts[0] == "/" or ".." in parts:
        raise ThawError(
            f"{relative!r} does not name a file below {root}", "Use paths relative to the data folder."
        )
    return root.joinpath(*parts)


def _draft_size(image: Image.Image, height: int, width: int, resize: Resize) -> tuple[int, int]:
    """The (width, height) at which a draft is good enough: twice what the whole picture is resized to."""
    if image.getexif().get(ORIENTATION_TAG, 1) >= 5:
        height, width = width, height
    scales = (width / image.width, height / image.height)
    if resize != "stretch":
        scales = ((max if resize == "crop" else min)(scales),) * 2
    return max(1, round(2 * scales[0] * image.width)), max(1, round(2 * scales[1] * image.height))


def _upright(image: Image.Image) -> Image.Image:
    turn = _TURN.get(image.getexif().get(ORIENTATION_TAG, 1))  # Pillow has turned TIFFs itself
    return image.transpose(turn) if turn is not None else image


def _eight_bit(image: Image.Image, path: Path) -> Image.Image:
    """Any mode as one that `convert` takes to grey or RGB without clipping or guessing."""
    if image.mode in _SIXTEEN_BIT:
        values = np.asarray(image).astype(np.int64)
        if values.min() < 0 or values.max() > 65535:
            raise ThawError(f"{path}: pixels of more than 16 bits", "Convert it to 8 or 16 bits a channel.")
        return Image.fromarray(((values + 128) // 257).astype(np.uint8))
    if image.mode == "F":
        raise ThawError(
            f"{path}: floating point pixels, of unknown range", "Convert it to 8 or 16 bits a channel."
        )
    if image.has_transparency_data:
        colour = image.convert("RGBA")
        paper = Image.new("RGBA", colour.size, (_PAPER,) * 4)
        return Image.alpha_composite(paper, colour).convert("RGB")
    return image.convert("RGB") if image.mode == "P" else image


def _fit(picture: Image.Image, height: int, width: int, resize: Resize) -> Image.Image:
    box = (0.0, 0.0, float(picture.width), float(picture.height))
    size = (width, height)
    if resize == "crop":
        scale = min(picture.width / width, picture.height / height)
        left, top = (picture.width - scale * width) / 2, (picture.height - scale * height) / 2
        box = (left, top, left + scale * width, top + scale * height)
    elif resize == "pad":
        scale = max(picture.width / width, picture.height / height)
        size = (max(1, round(picture.width / scale)), max(1, round(picture.height / scale)))
    if size != picture.size or box != (0, 0, *picture.size):
        picture = picture.resize(size, Image.Resampling.BILINEAR, box=box, reducing_gap=3.0)
    if size == (width, height):
        return picture
    canvas = Image.new(picture.mode, (width, height))
    canvas.paste(picture, ((width - size[0]) // 2, (height - size[1]) // 2))
    return canvas
