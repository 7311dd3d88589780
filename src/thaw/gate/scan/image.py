"""Open one picture: verdict on the file, one decode, and what its statistics need."""

import io
import warnings
import zlib
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import xxhash
from PIL import Image, UnidentifiedImageError

from thaw import pixels
from thaw.gate.scan.fingerprint import shrink
from thaw.gate.scan.statistics import SMALL_PIXELS, Sample, measure_edges
from thaw.images import FORMATS

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_DESCRIBED_PIXELS = 128  # with fewer, a picture and its enlargement fall on grids too different to be told alike


@dataclass(frozen=True, slots=True)
class Bounds:
    """What is decoded at all."""

    formats: tuple[str, ...]
    max_pixels: int
    max_bytes: int


class Unfit(Exception):
    """The file is no picture that can train; `args` are the check and the reason."""


def inspect(data: bytes, bounds: Bounds) -> dict[str, Any]:
    """Facts of the picture in `data`, the bytes of a whole file, and a `sample` for its statistics.

    The picture is decoded once. What goes wrong is told in `problem` and `reason`; nothing is raised.
    """
    facts: dict[str, Any] = {"problem": "", "reason": ""}
    if not data:
        return facts | {"problem": "empty_file", "reason": "the file has no bytes"}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            _inspect(data, bounds, facts)
    except Unfit as error:
        facts["problem"], facts["reason"] = error.args
    except pixels.Unsupported as error:
        facts["problem"], facts["reason"] = "unsupported_format", str(error)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        facts["problem"], facts["reason"] = "decompression_bomb", str(error)
    except MemoryError:
        facts["problem"], facts["reason"] = "corrupt", "it asks for more memory than a picture needs"
    except Exception as error:  # a decoder may raise anything on a broken file
        facts["problem"], facts["reason"] = _explain(error)
    return facts


def _explain(error: Exception) -> tuple[str, str]:
    text = " ".join(str(error).split())[:200]
    short = isinstance(error, EOFError) or any(
        word in text.lower() for word in ("truncated", "unexpected end", "not enough", "ends too early")
    )
    return ("truncated" if short else "corrupt"), f"{type(error).__name__}: {text}" if text else type(
        error
    ).__name__


def _inspect(data: bytes, bounds: Bounds, facts: dict[str, Any]) -> None:
    with _open(data) as image:
        # A phone's MPO is a JPEG with further pictures behind the first.
        facts.update(
            format="JPEG" if image.format == "MPO" else image.format,
            mode=image.mode,
            width=image.width,
            height=image.height,
        )
        if facts["format"] not in bounds.formats:
            raise Unfit("unsupported_format", f"{image.format} is not among {', '.join(bounds.formats)}")
        if image.width * image.height > bounds.max_pixels:
            raise Unfit("decompression_bomb", f"{image.width} x {image.height} pixels")
        _check_container(data, facts["format"])
        facts["frames"] = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)
        if facts["frames"] > 1:
            image.seek(0)
        reading = pixels.read(image)
        facts["alpha"] = image.has_transparency_data
        facts |= {name: getattr(reading, name) for name in ("bits", "black", "white", "orientation", "paper")}
        facts["sample"] = _sample(reading.image)


def _open(data: bytes) -> Image.Image:
    try:
        return Image.open(io.BytesIO(data), formats=FORMATS)
    except UnidentifiedImageError:
        if data.startswith((_PNG_SIGNATURE, b"\xff\xd8\xff", b"GIF8", b"RIFF", b"BM")) and len(data) < 1024:
            raise Unfit("truncated", "the file ends within its header") from None
        raise Unfit("corrupt", "no image format is recognised in it") from None


def _check_container(data: bytes, image_format: str) -> None:
    """Find damage that Pillow passes over and TensorFlow's decoders do not."""
    if image_format == "PNG":
        _check_png(data)
    elif image_format == "JPEG" and data.rfind(b"\xff\xd9", max(len(data) - 65536, 0)) < 0:
        raise Unfit("truncated", "the JPEG's end marker is missing")


def _check_png(data: bytes) -> None:
    """Walk the chunks: sums must hold and the end must be there (PNG specification, sections 5.3 and 5.6)."""
    at = len(_PNG_SIGNATURE)
    view = memoryview(data)
    while at + 12 <= len(data):
        length = int.from_bytes(view[at : at + 4])
        kind = bytes(view[at + 4 : at + 8])
        end = at + 8 + length
        if end + 4 > len(data):
            raise Unfit("truncated", f"chunk {kind.decode('latin-1')!r} ends beyond the file")
        if zlib.crc32(view[at + 4 : end]) != int.from_bytes(view[end : end + 4]):
            raise Unfit("corrupt", f"the checksum of chunk {kind.decode('latin-1')!r} is wrong")
        if kind == b"IEND":
            return
        at = end + 4
    raise Unfit("truncated", "the PNG's end chunk is missing")


def _sample(color: Image.Image) -> Sample:
    """Of a picture in mode L or RGB."""
    levels = _grey_levels(color)
    colors = color.resize((SMALL_PIXELS, SMALL_PIXELS), Image.Resampling.NEAREST)
    digest = xxhash.xxh3_128(f"{color.width} {color.height} ".encode())
    digest.update(levels.data)
    grey = Image.frombuffer("L", color.size, levels, "raw", "L", 0, 1)
    return Sample(
        digest,
        cv2.calcHist([levels], [0], None, [256], [0, 256]).ravel(),
        measure_edges(levels),
        shrink(grey.reduce(max(1, min(grey.size) // _DESCRIBED_PIXELS))),
        colors.tobytes() if colors.mode == "RGB" else b"",
    )


def _grey_levels(image: Image.Image) -> np.ndarray:
    """The grey levels of a picture of mode L or RGB, uint8 `(height, width)`; Pillow's memory is looked at, not copied."""
    shape = (image.height, image.width)
    try:
        array = pa.array(image)
    except ValueError:  # a picture of several megapixels lies in several blocks
        whole = np.asarray(image)
        return whole if image.mode == "L" else cv2.cvtColor(whole, cv2.COLOR_RGB2GRAY)
    if image.mode == "L":
        return array.to_numpy().reshape(shape)
    return cv2.cvtColor(array.flatten().to_numpy().reshape(*shape, 4), cv2.COLOR_RGBA2GRAY)
