"""Colours of another space than sRGB brought to it: by the profile in a file (ICC), or by the gamma of a PNG."""

import io
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

_UNSEEN = 2
"""Levels of 255 by which a space that counts as sRGB's may differ: profiles of sRGB round in many ways."""
_SPACES = {"RGB": ("RGB ",), "L": ("GRAY", "RGB "), "CMYK": ("CMYK",)}
"""Mode of a picture to the profiles that speak of it (ICC.1:2022, 7.2.6)."""
_VIEWER_GAMMA, _GAMMA_UNSEEN = 2.2, 0.05  # libpng's, PNG_GAMMA_THRESHOLD


class Conversion(NamedTuple):
    """How a picture's colours become sRGB's."""

    told: str
    """What is to be said of it."""
    transform: Any = None
    """Of littleCMS, for colour; None: nothing is done."""
    table: tuple[int, ...] = ()
    """A new level for each of 0 to 255, of a grey picture or all channels."""
    exponent: float = 1.0
    """The power that `table` is of, where it is of one: levels of more than 8 bits are raised to it themselves."""

    def apply(self, image: Image.Image) -> Image.Image:
        """The picture, of mode RGB, L or CMYK, in mode RGB or L."""
        if self.table:
            return image.point(self.table * len(image.getbands()))
        if self.transform is None:
            return image
        from PIL import ImageCms

        converted = ImageCms.applyTransform(image, self.transform)
        assert converted is not None
        return converted


NONE = Conversion("")


def conversion(image: Image.Image, mode: str) -> Conversion:
    """How `image` becomes sRGB, once it is in `mode`: RGB, L or CMYK."""
    if profile := image.info.get("icc_profile"):
        return _by_profile(profile, mode)
    if image.format == "PNG" and "srgb" not in image.info and (gamma := image.info.get("gamma")):
        return _by_gamma(gamma)  # the mark of sRGB goes before it (PNG specification, 11.3.2)
    return NONE


@lru_cache(maxsize=64)
def _by_gamma(gamma: float) -> Conversion:
    """Of a PNG: as libpng does it for a viewer that has sRGB."""
    if abs(gamma * _VIEWER_GAMMA - 1) < _GAMMA_UNSEEN:
        return NONE
    exponent = 1 / (gamma * _VIEWER_GAMMA)
    table = np.rint(255 * (np.arange(256) / 255) ** exponent).astype(int)
    return Conversion(f"levels brought to sRGB from a gamma of {gamma:g}", None, tuple(table.tolist()), exponent)


@lru_cache(maxsize=64)
def _by_profile(profile: bytes, mode: str) -> Conversion:
    """Built once for each profile: pictures of a set share a few."""
    from PIL import ImageCms

    try:
        opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        space = str(opened.profile.xcolor_space).ljust(4)
        if space not in _SPACES[mode]:
            return Conversion(f"its colour profile is for {space.strip()}, and was not used")
        given = {"GRAY": "L", "RGB ": "RGB", "CMYK": "CMYK"}[space]
        transform = ImageCms.buildTransform(
            opened, ImageCms.createProfile("sRGB"), given, "RGB", ImageCms.Intent.PERCEPTUAL
        )
        name = "".join(letter for letter in ImageCms.getProfileDescription(opened) if letter.isprintable())
        told = f"colours brought to sRGB from {name.strip()[:60] or 'a profile without a name'}"
        found = Conversion(told, transform)
        ramp = np.arange(256, dtype=np.uint8)
        if mode == "L":
            table = np.asarray(found.apply(Image.fromarray(ramp[None]).convert(given)))[0, :, 1]
            return NONE if _is_unseen(table, ramp) else Conversion(told, table=tuple(table.tolist()))
        if mode == "RGB":
            probe = np.stack(np.meshgrid(ramp[::15], ramp[::15], ramp[::15]), axis=-1).reshape(18, -1, 3)
            if _is_unseen(np.asarray(found.apply(Image.fromarray(probe))), probe):
                return NONE
    except Exception:  # littleCMS tells a damaged profile in many ways, and the picture is whole
        return Conversion("its colour profile is damaged, and was not used")
    return found


def _is_unseen(converted: np.ndarray, given: np.ndarray) -> bool:
    return int(np.abs(converted.astype(int) - given).max()) <= _UNSEEN
