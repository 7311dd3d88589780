"""Open one picture: verdict on the file, one decode, and what its statistics need."""

import warnings
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import xxhash
from PIL import Image

from thaw import images, pixels
from thaw.gate.scan.fingerprint import shrink
from thaw.gate.scan.statistics import SMALL_PIXELS, Sample, measure_edges
from thaw.pixels import containers, foreign

_RULES = ("bits", "black", "white", "orientation", "paper", "colors")
"""What a `Reading` says of how the picture was read, beside its pixels."""
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
    except foreign.NotAPicture as error:
        kind = error.args[0]
        facts |= {"problem": kind.check, "reason": str(error), "cure": kind.cure, "format": kind.kind}
    except containers.Damaged as error:
        is_cut = isinstance(error, containers.Truncated)
        facts |= {"problem": "truncated" if is_cut else "corrupt", "reason": str(error)}
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
    with images.open_image(data) as image:
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
        facts["frames"] = pixels.pictures(image)
        reading = pixels.read(image)
        facts["alpha"] = image.has_transparency_data
        facts |= {name: getattr(reading, name) for name in _RULES}
        facts["sample"] = _sample(reading.image)


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
    return cv2.cvtColor(array.values.to_numpy().reshape(*shape, 4), cv2.COLOR_RGBA2GRAY)
