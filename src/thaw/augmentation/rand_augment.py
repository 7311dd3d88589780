"""RandAugment (Cubuk et al. 2020, arXiv 1909.13719): some operations drawn from fourteen, all of one strength."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

from thaw.augmentation.warping import warp
from thaw.params import AugmentParams

MAGNITUDES = 30
"""The strongest of the paper. What that is of each operation: AutoAugment (Cubuk et al. 2019, arXiv 1805.09501, table 6)."""
_SHEAR, _TRANSLATE, _ROTATE_DEGREES, _ENHANCE, _BITS = 0.3, 150 / 331, 30.0, 0.9, 4


class _Draw(NamedTuple):
    """How one operation is to be done."""

    strength: float
    """0 to 1."""
    sign: int
    fill_mode: str

    @property
    def signed(self) -> float:
        return self.sign * self.strength


def rand_augment(picture: np.ndarray, params: AugmentParams, rng: np.random.Generator) -> np.ndarray:
    """The picture after `params.rand_augment_ops` operations, each drawn anew; uint8 `(size, size, channels)` in and out."""
    for _ in range(params.rand_augment_ops):
        operation = OPERATIONS[rng.integers(len(OPERATIONS))]
        sign = 1 if rng.random() < 0.5 else -1
        picture = operation(picture, _Draw(params.rand_augment_magnitude / MAGNITUDES, sign, params.fill_mode))
    return picture


def identity(picture: np.ndarray, draw: _Draw) -> np.ndarray:
    return picture


def shear_x(picture: np.ndarray, draw: _Draw) -> np.ndarray:
    return _about_middle(picture, np.array([[1, _SHEAR * draw.signed], [0, 1]]), draw)


def shear_y(picture: np.ndarray, draw: _Draw) -> np.ndarray:
    return _about_middle(picture, np.array([[1, 0], [_SHEAR * draw.signed, 1]]), draw)


def translate_x(picture: np.ndarray, draw: _Draw) -> np.ndarray:
    return warp(picture, np.eye(2), np.array([_TRANSLATE * draw.signed * picture.shape[0], 0]), draw.fill_mode)


def translate_y(picture: np.ndarray, draw: _Draw) -> np.ndarray:
    return warp(picture, np.eye(2), np.array([0, _TRANSLATE * draw.signed * picture.shape[0]]), draw.fill_mode)


def rotate(picture: np.ndarray, draw: _Draw) -> np.ndarray:
    angle = np.radians(_ROTATE_DEGREES * draw.signed)
    return _about_middle(picture, np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]), draw)


def _enhanced(enhancer: Callable[[Image.Image], Any]) -> Callable[[np.ndarray, _Draw], np.ndarray]:
    """The operation by one of Pillow's enhancers."""
    return lambda picture, draw: _by_pillow(picture, lambda image: enhancer(image).enhance(1 + _ENHANCE * draw.signed))


brightness = _enhanced(ImageEnhance.Brightness)
color = _enhanced(ImageEnhance.Color)
contrast = _enhanced(ImageEnhance.Contrast)
sharpness = _enhanced(ImageEnhance.Sharpness)


def posterize(picture: np.ndarray, draw: _Draw) -> np.ndarray:
    return _by_pillow(picture, lambda image: ImageOps.posterize(image, 8 - round(_BITS * draw.strength)))


def solarize(picture: np.ndarray, draw: _Draw) -> np.ndarray:
    return _by_pillow(picture, lambda image: ImageOps.solarize(image, round(256 * (1 - draw.strength))))


def autocontrast(picture: np.ndarray, draw: _Draw) -> np.ndarray:
    return _by_pillow(picture, ImageOps.autocontrast)


def equalize(picture: np.ndarray, draw: _Draw) -> np.ndarray:
    return _by_pillow(picture, ImageOps.equalize)


OPERATIONS: tuple[Callable[[np.ndarray, _Draw], np.ndarray], ...] = (
    identity, shear_x, shear_y, translate_x, translate_y, rotate, brightness, color, contrast, sharpness, posterize, solarize,
    autocontrast, equalize,
)  # fmt: skip


def _about_middle(picture: np.ndarray, linear: np.ndarray, draw: _Draw) -> np.ndarray:
    middle = np.full(2, (picture.shape[0] - 1) / 2)
    return warp(picture, linear, middle - linear @ middle, draw.fill_mode)


def _by_pillow(picture: np.ndarray, change: Callable[[Image.Image], Image.Image]) -> np.ndarray:
    image = Image.fromarray(picture[:, :, 0] if picture.shape[2] == 1 else np.ascontiguousarray(picture))
    return np.asarray(change(image)).reshape(picture.shape)
