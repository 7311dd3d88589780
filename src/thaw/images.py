"""Read a picture file as an array of pixels at the size asked for."""

import base64
import io
import warnings
from pathlib import Path, PurePosixPath
from typing import Literal

import numpy as np
from PIL import (
    AvifImagePlugin,  # noqa: F401  (a plugin that is not imported is not tried)
    Image,
    Jpeg2KImagePlugin,  # noqa: F401
    PngImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,  # noqa: F401
)

from thaw.errors import ThawError
from thaw.pixels import Reading, Unsupported, color, containers, foreign, orientation, read, turn_to_picture
from thaw.sources import File, StoredPath, located

Resize = Literal["stretch", "crop", "pad"]

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM", "JPEG2000", "AVIF")
"""What is opened (MPO as JPEG); Pillow's other plugins read vector formats or start programs."""

MAX_PIXELS = 89_478_485
"""A larger header is refused before anything is decoded: a quarter of a gigabyte of RGB, as Pillow has it."""

MAX_BYTES = 1 << 30
"""A larger file is not read: no picture of so many pixels needs it."""

warnings.simplefilter("error", Image.DecompressionBombWarning)
PngImagePlugin.MAX_TEXT_CHUNK = containers.MAX_EXPANDED


def open_image(data: bytes) -> Image.Image:
    """Open the picture in `data`, the bytes of a whole file; its pixels are not decoded yet.

    Raises:
        NotAPicture: it is something else, known by its first bytes.
        Unsupported: it is a TIFF of numbers that Pillow has no mode for.
        Damaged: it is cut, or its checksums are wrong.
        Exception: whatever Pillow raises for a damaged file.
    """
    data = containers.sound(data)
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    except UnidentifiedImageError:
        if containers.is_cut_head(data):
            raise containers.Truncated("the file ends within its header") from None
        if _has_no_mode(data):
            raise Unsupported("a TIFF of a kind that is not read, such as 64 bits or fractions in colour") from None
        if kind := foreign.identify(data):
            raise foreign.NotAPicture(kind) from None
        raise containers.Damaged("no image format is recognised in it") from None
    turn_to_picture(image)
    return image


def _has_no_mode(data: bytes) -> bool:
    """Whether the file is a whole TIFF that says of its numbers what Pillow cannot hold."""
    if not data.startswith((b"II*\0", b"MM\0*")):
        return False
    try:
        TiffImagePlugin.TiffImageFile(io.BytesIO(data))
    except Exception as error:  # a damaged header raises many kinds
        return str(error) == "unknown pixel mode"
    return False


def load(path: File, height: int, width: int, channels: int, resize: Resize = "stretch") -> np.ndarray:
    """Read one picture as uint8 `(height, width, channels)`; channels is 1 (grey) or 3 (RGB).

    `stretch` ignores the aspect, `crop` keeps the middle, `pad` adds black borders. Resizing is antialiased.

    Raises:
        ThawError: the file is missing, not an image, damaged, or too large to decode.
    """
    picture = decode(path, channels, at_least=(height, width), resize=resize)
    return np.asarray(_fit(picture, height, width, resize)).reshape(height, width, channels)


def decode(
    path: File, channels: int, at_least: tuple[int, int] | None = None, resize: Resize = "stretch"
) -> Image.Image:
    """Read one picture upright, in mode `L` (channels 1) or `RGB` (channels 3).

    Args:
        path: its file.
        channels: 1 or 3.
        at_least, resize: as `open_picture` takes them.

    Raises:
        ThawError: the file is missing, not an image, damaged, or too large to decode.
    """
    mode = "L" if channels == 1 else "RGB"
    picture = open_picture(path, channels, at_least, resize).image
    return picture if picture.mode == mode else picture.convert(mode)


def open_picture(
    path: File, channels: int = 3, at_least: tuple[int, int] | None = None, resize: Resize = "stretch"
) -> Reading:
    """Read one picture, and tell by which of the rules of `thaw.pixels`.

    Args:
        path: its file.
        channels: 1: colour is not needed.
        at_least: `(height, width)` it will be resized to; a JPEG may then be decoded at a half, quarter or
            eighth of its size, and still be at least twice as large as that.
        resize: how it will be resized to `at_least`.

    Raises:
        ThawError: the file is missing, not an image, damaged, or too large to decode.
    """
    try:
        size = path.size if isinstance(path, StoredPath) else path.stat().st_size
        if size > MAX_BYTES:
            raise ThawError(f"{path}: {size:,} bytes, more than {MAX_BYTES:,}", "Look at what it is.")
        with open_image(path.read_bytes()) as image:
            if image.width * image.height > MAX_PIXELS:
                raise ThawError(
                    f"{path}: {image.width}x{image.height} pixels, more than {MAX_PIXELS:,}", "Scale it down."
                )
            if at_least and image.format in ("JPEG", "MPO"):
                is_grey_enough = channels == 1 and color.conversion(image, "RGB").transform is None
                image.draft("L" if is_grey_enough else None, _draft_size(image, *at_least, resize))
            return read(image)
    except ThawError:
        raise
    except Unsupported as error:
        raise ThawError(f"{path}: {error}", "Convert it to PNG.") from None
    except foreign.NotAPicture as error:
        raise ThawError(f"{path}: cannot be read as an image: {error}", error.args[0].cure) from None
    except FileNotFoundError:
        raise ThawError(
            f"{path}: no such file", "Run `thaw run` from `validate` on: the folder changed."
        ) from None
    except Exception as error:  # a damaged file can raise anything in a decoder
        cause = str(error) or type(error).__name__
        raise ThawError(f"{path}: cannot be read as an image: {cause}", "Replace or remove it.") from None


def inside(root: Path, relative: str) -> File:
    """`root / relative`, wherever its bytes are, where `relative` names something below `root`.

    Symbolic links are left alone: DVC may link the files of the data folder into its cache.

    Raises:
        ThawError: the path is absolute or climbs out of `root`.
    """
    parts = PurePosixPath(relative).parts
    if not parts or parts[0] == "/" or ".." in parts:
        raise ThawError(
            f"{relative!r} does not name a file below {root}", "Use paths relative to the data folder."
        )
    return located(root, "/".join(parts))


def _draft_size(image: Image.Image, height: int, width: int, resize: Resize) -> tuple[int, int]:
    """The (width, height) at which a draft is good enough: twice what the whole picture is resized to."""
    if orientation(image) >= 5:
        height, width = width, height
    scales = (width / image.width, height / image.height)
    if resize != "stretch":
        scales = ((max if resize == "crop" else min)(scales),) * 2
    return max(1, round(2 * scales[0] * image.width)), max(1, round(2 * scales[1] * image.height))


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


def data_address(picture: Image.Image, side: int) -> str:
    """An RGB picture, made at most `side` pixels a side, as a JPEG within its address: for pages that load nothing."""
    picture.thumbnail((side, side))
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=70)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"
