"""Grids of channels, and heat laid over a picture at its own size."""

import math
from typing import Literal

import cv2
import matplotlib
import numpy as np
from PIL import Image

_GAP = 2
_SMALLEST_TILE, _LARGEST_TILE = 24, 128
_OPACITY = 0.6


def draw_grid(tiles: np.ndarray) -> Image.Image:
    """Tiles `(count, height, width)` in colours of their own range, or uint8 `(count, height, width, 1 or 3)` as they are.

    Small tiles are enlarged without smoothing, large ones reduced.
    """
    if tiles.ndim == 3:
        tiles = _colored(tiles)
    elif tiles.shape[-1] == 1:
        tiles = np.repeat(tiles, 3, -1)
    count, height, width, _ = tiles.shape
    scale = max(1, -(-_SMALLEST_TILE // min(height, width))) if min(height, width) < _SMALLEST_TILE else 1
    ratio = min(scale, _LARGEST_TILE / max(height, width)) if scale == 1 else scale
    size = (max(1, round(width * ratio)), max(1, round(height * ratio)))
    columns = math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    grid = Image.new("RGB", (columns * (size[0] + _GAP) + _GAP, rows * (size[1] + _GAP) + _GAP), "white")
    resample = Image.Resampling.NEAREST if ratio >= 1 else Image.Resampling.BOX
    for number, tile in enumerate(tiles):
        row, column = divmod(number, columns)
        place = (_GAP + column * (size[0] + _GAP), _GAP + row * (size[1] + _GAP))
        grid.paste(Image.fromarray(tile).resize(size, resample), place)
    return grid


def place_heatmap(
    heat: np.ndarray,
    size: tuple[int, int],
    input_size: tuple[int, int],
    resize: Literal["stretch", "crop", "pad"],
) -> np.ndarray:
    """A heatmap over the network's input as one over the original picture.

    Args:
        heat: of the input's size, 0 to 1.
        size: height and width of the original.
        input_size: height and width of the network's input.
        resize: how the original was brought to the input's size.

    Returns:
        float32 of the original's size, 0 to 1; 0 where `crop` cut the picture off.
    """
    height, width = size
    if resize == "stretch":
        return _resize(heat, height, width)
    choose = min if resize == "crop" else max
    scale = choose(height / input_size[0], width / input_size[1])
    covered = (round(input_size[0] * scale), round(input_size[1] * scale))
    spread = _resize(heat, *covered)
    top, left = ((covered[0] - height) // 2, (covered[1] - width) // 2)
    if resize == "pad":
        return spread[max(0, top) :, max(0, left) :][:height, :width]
    placed = np.zeros(size, "float32")
    placed[-top : covered[0] - top, -left : covered[1] - left] = spread
    return placed


def overlay(picture: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """A heatmap, 0 to 1, over a uint8 picture `(height, width, 1 or 3)`; where there is no heat the picture shows as it is."""
    shown = np.repeat(picture, 3, -1) if picture.shape[-1] == 1 else picture
    share = _OPACITY * np.sqrt(heat)[..., None]
    colors = matplotlib.colormaps["turbo"](heat)[..., :3] * 255
    return np.rint((1 - share) * shown + share * colors).astype("uint8")


def _resize(heat: np.ndarray, height: int, width: int) -> np.ndarray:
    return np.clip(cv2.resize(heat.astype("float32"), (width, height), interpolation=cv2.INTER_LINEAR), 0, 1)


def _colored(tiles: np.ndarray) -> np.ndarray:
    low = tiles.min((1, 2), keepdims=True)
    spread = tiles.max((1, 2), keepdims=True) - low
    scaled = np.divide(tiles - low, spread, out=np.zeros(tiles.shape, "float32"), where=spread > 0)
    return (matplotlib.colormaps["viridis"](scaled)[..., :3] * 255).astype("uint8")
