"""Open one picture: verdict on the file, one decode, and what its statistics need."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import xxhash
from PIL import Image

from thaw import images, pixels
from thaw.gate.scan.fingerprint import shrink
from thaw.gate.scan.statistics import Sample, count_levels, measure_chroma, measure_edges, pick_colors
from thaw.pixels import containers, foreign

_RULES = ("bits", "black", "white", "orientation", "paper", "colors")
"""What a `Reading` says of how the picture was read, beside its pixels."""
_TO_GREY = {3: cv2.COLOR_RGB2GRAY, 4: cv2.COLOR_RGBA2GRAY}


@dataclass(frozen=True, slots=True)
class Bounds:
    """What is decoded at all."""

    formats: tuple[str, ...]
    max_pixels: int
    max_bytes: int


@contextmanager
def quiet_decoders() -> Iterator[None]:
    """Decoders do not warn within it, and a picture that Pillow takes for a bomb is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


class Unfit(Exception):
    """The file is no picture that can train; `args` are the check and the reason."""


def inspect(data: bytes, bounds: Bounds) -> dict[str, Any]:
    """Facts of the picture in `data`, the bytes of a whole file, and a `sample` for its statistics.

    The picture is decoded once, within `quiet_decoders`. What goes wrong is told in `problem` and `reason`; nothing is raised.
    """
    facts: dict[str, Any] = {"problem": "", "reason": ""}
    if not data:
        return facts | {"problem": "empty_file", "reason": "the file has no bytes"}
    try:
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
    array = _look_at(color)
    levels = array
    colors: Sequence[np.ndarray] = ()
    if array.ndim == 3:
        levels = cv2.cvtColor(array, _TO_GREY[array.shape[2]])
        colors = pick_colors(array)
    digest = xxhash.xxh3_128(f"{color.width} {color.height} ".encode())
    digest.update(levels.data)
    return Sample(
        digest,
        count_levels(levels),
        measure_edges(levels),
        shrink(levels),
        colors,
        measure_chroma(colors),
    )


def _look_at(image: Image.Image) -> np.ndarray:
    """A picture of mode L or RGB, uint8 `(height, width)` or `(height, width, 3 or 4)`; Pillow's memory is not copied."""
    shape = (image.height, image.width)
    try:
        array = pa.array(image)
    except ValueError:  # a picture of several megapixels lies in several blocks
        return np.asarray(image)
    return array.to_numpy().reshape(shape) if image.mode == "L" else array.values.to_numpy().reshape(*shape, 4)
