"""One picture in every format, mode, depth, orientation, transparency and profile, and what each file shows by formula.

A lossless file's levels are known; of a lossy one OpenCV, which has decoders of its own, or a file without tags tells them.
"""

import io
import zlib
from collections.abc import Iterator
from itertools import product
from typing import Any, NamedTuple

import cv2
import numpy as np
import tifffile
from PIL import Image

from tests.data import profiles

SIDE = 24
TURNS = {
    1: lambda a: a, 2: lambda a: a[:, ::-1], 3: lambda a: a[::-1, ::-1], 4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1), 6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a, 2).swapaxes(0, 1), 8: np.rot90,
}  # fmt: skip
_PROFILES = {"": None, "sRGB": profiles.rgb_profile("sRGB")} | {
    name: profiles.rgb_profile(name) for name in ("Display P3", "Adobe RGB")
}


class Variant(NamedTuple):
    """A file, its levels as RGB `(SIDE, SIDE, 3)` of 0 to 255, and by how much rounding may differ from them."""

    name: str
    data: bytes
    shows: np.ndarray
    bound: float


def variants() -> Iterator[Variant]:
    """All of them, 619; no two are equal in name."""
    for make in (_jpeg, _png, _deep_png, _tiff, _deep_tiff, _webp, _others):
        yield from make()


def _levels(channels: int, largest: float = 255) -> np.ndarray:
    """A gradient with a corner that tells the turns apart, float `(SIDE, SIDE, channels)`, up to `largest`."""
    y, x = np.mgrid[:SIDE, :SIDE] / (SIDE - 1)
    waves = [y, x, (x + y) / 2, 0.5 + 0.5 * np.sin(5 * x) * np.cos(4 * y)][:channels]
    levels = 0.75 * np.stack(waves, axis=-1)
    levels[:5, :9] = 1 - levels[:5, :9] / 3
    levels[0, 0] = 1
    return np.floor(levels * largest)


def _alpha(largest: float = 255) -> np.ndarray:
    shape = np.zeros((SIDE, SIDE))
    shape[2:-2, 3:-3] = largest
    shape[8:12] = np.floor(largest / 3)
    return shape


def _shown(levels: np.ndarray, turn: int = 1, alpha: np.ndarray | None = None, space: str = "") -> np.ndarray:
    """By the rules of docs/data.md: on white paper, then in sRGB, then upright."""
    levels = levels.repeat(3, axis=2) if levels.shape[2] == 1 else levels
    if alpha is not None:
        levels = levels * alpha[:, :, None] + 255 * (1 - alpha[:, :, None])
    if space not in ("", "sRGB"):
        levels = profiles.in_srgb(levels, space)
    return TURNS[turn](levels)


def _encoded(levels: np.ndarray, mode: str, name: str, **options: Any) -> bytes:
    file = io.BytesIO()
    shape = levels[:, :, 0] if levels.shape[2] == 1 else levels
    given = {key: value for key, value in options.items() if value is not None}
    Image.frombytes(mode, (SIDE, SIDE), shape.astype(np.uint8).tobytes()).save(file, name, **given)
    return file.getvalue()


def _tags(source: str, turn: int) -> dict[str, Any]:
    """Options of Pillow that give a file its orientation."""
    exif = Image.Exif()
    exif[0x0112] = turn
    xmp = f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="{turn}"/></x:xmpmeta>'
    return {"": {}, "exif": {"exif": exif}, "xmp": {"xmp": xmp.encode()}}[source]


_SOURCES = [("", 1), *(("exif", turn) for turn in range(1, 9)), *(("xmp", turn) for turn in (3, 5, 6, 8))]
_FEW_SOURCES = [("", 1), ("exif", 3), ("exif", 6), ("exif", 7)]


def _jpeg() -> Iterator[Variant]:
    for channels, (source, turn), space, progressive in product((1, 3), _SOURCES, _PROFILES, (False, True)):
        levels, mode = _levels(channels), {1: "L", 3: "RGB"}[channels]
        options = {"quality": 95, "subsampling": 0, "progressive": progressive}
        plain = cv2.imdecode(np.frombuffer(_encoded(levels, mode, "JPEG", **options), np.uint8), cv2.IMREAD_COLOR)
        data = _encoded(levels, mode, "JPEG", icc_profile=_PROFILES[space], **options, **_tags(source, turn))
        shown = _shown(plain[:, :, ::-1].astype(float), turn, space=space)
        yield Variant(f"{mode} {source}{turn} {space} {progressive}.jpg", data, shown, 8 if space else 4)
    inks = _levels(4)
    share = 1 - inks / 255
    for turn in (1, 6):
        options = _tags("exif", turn) | {"quality": 100, "subsampling": 0}
        data = _encoded(inks, "CMYK", "JPEG", **options)
        yield Variant(f"CMYK {turn}.jpg", data, _shown(255 * share[:, :, :3] * share[:, :, 3:], turn), 8)


def _png() -> Iterator[Variant]:
    opaque, clear = np.full((SIDE, SIDE), 255.0), _alpha()
    for (source, turn), space in product(_SOURCES[1:8:3] + _SOURCES[9:], _PROFILES):
        options = {"icc_profile": _PROFILES[space]}
        if source == "xmp":
            continue  # Pillow writes none there
        options |= _tags(source, turn)
        bound = 4 if space else 1
        for mode, alpha in (("L", None), ("RGB", None), ("LA", clear), ("RGBA", clear), ("RGBA", opaque)):
            color = _levels(3 if "RGB" in mode else 1)
            levels = color if alpha is None else np.dstack([color, alpha])
            data = _encoded(levels, mode, "PNG", **options)
            shown = _shown(color, turn, None if alpha is None else alpha / 255, space)
            yield Variant(f"{mode} {source}{turn} {space} {alpha is opaque}.png", data, shown, bound)
        indices, palette = np.arange(SIDE * SIDE).reshape(SIDE, SIDE) // 3, _levels(3).reshape(-1, 3)[::3]
        picture = Image.frombytes("P", (SIDE, SIDE), indices.astype(np.uint8).tobytes())
        picture.putpalette(palette.astype(np.uint8).ravel().tolist())
        for transparent in (None, 7):
            given = {key: value for key, value in options.items() if value is not None}
            file = io.BytesIO()
            picture.save(file, "PNG", **given, **({} if transparent is None else {"transparency": transparent}))
            shown = _shown(palette[indices], turn, (indices != transparent).astype(float), space)
            yield Variant(f"P {source}{turn} {space} {transparent}.png", file.getvalue(), shown, bound)
    bilevel = Image.fromarray(_levels(1)[:, :, 0] > 90)
    file = io.BytesIO()
    bilevel.save(file, "PNG")
    yield Variant("1.png", file.getvalue(), _shown(255.0 * np.asarray(bilevel)[:, :, None]), 0)


def _late_tag(data: bytes, turn: int) -> bytes:
    """A PNG with its orientation behind its pixels."""
    body = b"eXIfII*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0" + bytes([turn]) + bytes(7)
    return data[:-12] + (len(body) - 4).to_bytes(4) + body + zlib.crc32(body).to_bytes(4) + data[-12:]


def _deep_png() -> Iterator[Variant]:
    for channels, largest, turn in product((1, 3, 4), (255, 1023, 4095, 65535), (1, 2, 6, 8)):
        color = _levels(min(channels, 3), largest)
        levels = np.dstack([color, _alpha(65535)]) if channels == 4 else color
        order = [2, 1, 0, 3][:channels] if channels > 1 else [0]
        written = cv2.imencode(".png", levels[:, :, order].astype(np.uint16))[1].tobytes()
        alpha = _alpha() / 255 if channels == 4 else None
        shown = _shown(color * (255 / largest), turn, alpha)
        yield Variant(f"16 bits {channels} {largest} {turn}.png", _late_tag(written, turn), shown, 1.5)


def _tiff() -> Iterator[Variant]:
    packings = (None, "tiff_lzw", "tiff_adobe_deflate", "packbits")
    for packing, (source, turn), space in product(packings, _FEW_SOURCES, ("", "Adobe RGB")):
        options = {"compression": packing, "icc_profile": _PROFILES[space]} | _tags(source, turn)
        bound = 4 if space else 1
        for mode in ("L", "RGB", "RGBA"):
            color = _levels(3 if "RGB" in mode else 1)
            alpha = _alpha() if mode == "RGBA" else None
            levels = color if alpha is None else np.dstack([color, alpha])
            shown = _shown(color, turn, None if alpha is None else alpha / 255, space)
            data = _encoded(levels, mode, "TIFF", **options)
            yield Variant(f"{mode} {packing} {source}{turn} {space}.tif", data, shown, bound)
    inks = _levels(4)
    share = 1 - inks / 255
    shown = _shown(255 * share[:, :, :3] * share[:, :, 3:])
    yield Variant("CMYK.tif", _encoded(inks, "CMYK", "TIFF"), shown, 2)


def _deep_tiff() -> Iterator[Variant]:
    kinds: tuple[tuple[Any, int], ...] = ((np.uint16, 4095), (np.uint16, 65535), (np.int16, 4095), (np.int32, 229_500))
    kinds += ((np.uint32, 2**20 - 1), (np.float32, 1))
    for (dtype, largest), turn, order, packing in product(kinds, (1, 3, 6), "<>", (None, "zlib")):
        if order == ">" and dtype == np.uint32:
            continue  # Pillow does not open it
        levels = _levels(1, 255 if dtype == np.float32 else largest)[:, :, 0]
        levels = (levels / 255 if dtype == np.float32 else levels).astype(dtype)
        white = next((2**bits - 1 for bits in range(8, 34, 2) if largest < 2**bits), 1) if largest > 1 else 1
        data = _tagged(levels, turn, order, packing, "minisblack")
        shown = _shown(levels[:, :, None].astype(float) * (255 / white), turn)
        yield Variant(f"{dtype.__name__} {largest} {turn} {order} {packing}.tif", data, shown, 0.51)
    for largest, turn, order in product((1023, 65535), (1, 3, 6), "<>"):
        levels = _levels(3, largest).astype(np.uint16)
        data = _tagged(levels, turn, order, None, "rgb")
        yield Variant(f"RGB {largest} {turn} {order}.tif", data, _shown(levels * (255 / largest), turn), 0.51)


def _tagged(levels: np.ndarray, turn: int, order: str, packing: str | None, meaning: str) -> bytes:
    file = io.BytesIO()
    options: dict[str, Any] = {"photometric": meaning, "compression": packing, "metadata": None}
    tifffile.imwrite(file, levels, byteorder=order, extratags=[(0x0112, "H", 1, turn, True)], **options)
    return file.getvalue()


def _webp() -> Iterator[Variant]:
    for (source, turn), space, mode in product(_SOURCES, ("", "sRGB", "Display P3"), ("RGB", "RGBA")):
        color, alpha = _levels(3), _alpha() if mode == "RGBA" else None
        levels = color if alpha is None else np.dstack([color, alpha])
        options = {"lossless": True, "exact": True, "icc_profile": _PROFILES[space]} | _tags(source, turn)
        shown = _shown(color, turn, None if alpha is None else alpha / 255, space)
        data = _encoded(levels, mode, "WEBP", **options)
        yield Variant(f"{mode} {source}{turn} {space}.webp", data, shown, 4 if space else 1)


def _others() -> Iterator[Variant]:
    for name, suffix in (("BMP", "bmp"), ("PPM", "ppm"), ("JPEG2000", "jp2"), ("GIF", "gif")):
        for mode, channels in (("L", 1), ("RGB", 3)):
            if (name, mode) != ("GIF", "RGB"):
                data = _encoded(_levels(channels), mode, name)
                yield Variant(f"{mode}.{suffix}", data, _shown(_levels(channels)), 0)
    options = {"quality": 100, "subsampling": "4:4:4"}
    plain = Image.open(io.BytesIO(_encoded(_levels(3), "RGB", "AVIF", **options)))
    for turn, space in product(range(1, 9), ("", "Display P3")):
        data = _encoded(_levels(3), "RGB", "AVIF", icc_profile=_PROFILES[space], **options, **_tags("exif", turn))
        yield Variant(f"{turn} {space}.avif", data, _shown(np.asarray(plain).astype(float), turn, space=space), 4)
