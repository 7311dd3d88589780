"""The policy of augmentation: which view of which picture looks how.

View `v` of a picture depends on the seed, the picture's path and `v` alone, and not on order, machine or a
generator's stream: its random numbers are the digest of these three.
"""

import hashlib

import numpy as np

from thaw.augmentation.appearance import change_colors, erase
from thaw.augmentation.rand_augment import rand_augment
from thaw.augmentation.warping import warp
from thaw.params import AugmentParams

_DRAWS = 8  # uniform numbers in one digest
KEY_BYTES = 32


def picture_key(seed: int, path: str) -> bytes:
    """What the views of the picture at `path` (relative to the data folder) are drawn from."""
    return hashlib.blake2b(f"{seed}\n{path}".encode(errors="surrogateescape"), digest_size=KEY_BYTES).digest()


def make_view(picture: np.ndarray, params: AugmentParams, key: bytes, view: int) -> np.ndarray:
    """View `view` of a picture, uint8 `(size, size, channels)` in and out. View 0 is the picture as it is.

    The views run through the allowed flips and turns, each before any a second time; these are exact. Rotation, zoom, shear,
    shift and crop are one affine map, with bilinear sampling. Colours are changed after it, then come RandAugment's operations,
    and a part is erased last.
    """
    if view == 0:
        return picture
    quarter_turns, mirrored = _symmetry(params, key, view)
    picture = np.rot90(picture[:, ::-1] if mirrored else picture, quarter_turns)
    draws = _uniform(key, b"view", view) * 2 - 1
    if params.rotation_degrees or params.zoom or params.shift or params.shear_degrees or params.random_resized_crop < 1:
        picture = _warp(picture, params, draws, _uniform(key, b"crop", view))
    if params.brightness:
        factor = 1 + params.brightness * draws[5]
        table = np.clip(np.rint(np.arange(256) * factor), 0, 255).astype(np.uint8)
        picture = table[picture]
    if params.contrast or params.saturation or params.hue or params.blur:
        picture = change_colors(picture, params, _uniform(key, b"colors", view) * 2 - 1)
    if params.rand_augment_ops:
        picture = rand_augment(picture, params, _rng(key, b"rand_augment", view))
    if params.erasing:
        picture = erase(picture, params, _rng(key, b"erasing", view))
    return np.ascontiguousarray(picture)


def symmetries(params: AugmentParams) -> list[tuple[int, bool]]:
    """The flips and turns that the policy allows, as (quarter turns, mirrored first), the identity first.

    What is `auto` counts as allowed; the stage `augment` answers it before (`thaw.augmentation.orientation`).
    """
    flip_both = params.horizontal_flip and params.vertical_flip
    turns = range(4) if params.right_angle_turns else (0, 2) if flip_both else (0,)
    found = [(turn, False) for turn in turns]
    if params.horizontal_flip or params.vertical_flip:
        first = 0 if params.horizontal_flip else 2  # a vertical flip is a horizontal one, turned upside down
        found += [((turn + first) % 4, True) for turn in turns]
    return found


def distinct_views(params: AugmentParams) -> int:
    """How many of the views that `params` asks for differ: where nothing is drawn, no more than there are flips and turns."""
    is_drawn = (
        params.rotation_degrees, params.zoom, params.shift, params.shear_degrees, params.random_resized_crop < 1,
        params.brightness, params.contrast, params.saturation, params.hue, params.blur, params.rand_augment_ops, params.erasing,
    )  # fmt: skip
    return params.views if any(is_drawn) else min(params.views, len(symmetries(params)))


def _symmetry(params: AugmentParams, key: bytes, view: int) -> tuple[int, bool]:
    found = symmetries(params)
    block, place = divmod(view, len(found))
    order = np.argsort(_uniform(key, b"turn", block)[: len(found)], kind="stable").tolist()
    if block == 0:
        order.remove(0)
        order.insert(0, 0)
    return found[order[place]]


def _warp(picture: np.ndarray, params: AugmentParams, draws: np.ndarray, crop: np.ndarray) -> np.ndarray:
    size = picture.shape[0]
    angle, shear = np.radians(params.rotation_degrees * draws[0]), np.radians(params.shear_degrees * draws[4])
    zoom = 1 + params.zoom * draws[1]
    linear = zoom * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = linear @ np.array([[1.0, np.tan(shear)], [0.0, 1.0]])
    middle = np.full(2, (size - 1) / 2)
    seen = middle
    if params.random_resized_crop < 1:
        shown, place = _crop(params, crop)
        seen = middle + place * (1 - shown) * size / 2
        linear = linear @ np.diag(1 / shown)
    offset = middle + params.shift * size * draws[2:4] - linear @ seen
    return warp(picture, linear, offset, params.fill_mode)


def _crop(params: AugmentParams, draws: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Width and height of a crop as shares of the picture's, and where it lies, each from -1 to 1 (Szegedy et al. 2015, arXiv
    1409.4842, section 6: any area within the bounds, an aspect of 3/4 to 4/3)."""
    area = params.random_resized_crop + (1 - params.random_resized_crop) * draws[0]
    aspect = np.exp((2 * draws[1] - 1) * np.log(4 / 3))
    return np.minimum(np.sqrt([area * aspect, area / aspect]), 1), 2 * draws[2:4] - 1


def _uniform(key: bytes, purpose: bytes, number: int) -> np.ndarray:
    """Eight numbers, uniform in [0, 1)."""
    return (np.frombuffer(_digest(key, purpose, number), "<u8") >> 11) * 2.0**-53


def _rng(key: bytes, purpose: bytes, number: int) -> np.random.Generator:
    return np.random.default_rng(np.frombuffer(_digest(key, purpose, number), np.uint32))


def _digest(key: bytes, purpose: bytes, number: int) -> bytes:
    return hashlib.blake2b(key + purpose + number.to_bytes(8, "little"), digest_size=8 * _DRAWS).digest()
