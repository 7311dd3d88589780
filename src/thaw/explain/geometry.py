"""Where in the input the cells of a layer's maps lie. Stretching the maps is right only where all padding is `same`."""

from dataclasses import dataclass
from typing import Any

import cv2
import keras
import numpy as np

from thaw.explain.tracing import input_shape, run_hooked


@dataclass(frozen=True)
class Grid:
    """Centres of the cells of a map, in input pixels; height, then width."""

    start: tuple[float, float] = (0.0, 0.0)
    """Centre of the first cell's field; the first pixel's is 0."""
    step: tuple[float, float] = (1.0, 1.0)
    """From one cell to the next."""


def find_grid(model: keras.Model, layer_name: str) -> Grid:
    """The grid of a layer's maps, from kernels, strides and padding of the layers before it.

    Where something other than a layer stands between (a model written as a subclass), that is taken to keep the grid.
    """
    grids: dict[int, Grid] = {}
    kept: list[Any] = []  # while they live, no other tensor has their id
    found: dict[str, Grid] = {}
    latest = Grid()

    def locate(layer: Any, inputs: Any, output: Any) -> None:
        nonlocal latest
        tensors = inputs if isinstance(inputs, list | tuple) else [inputs]
        known = [grids[id(tensor)] for tensor in tensors if id(tensor) in grids]
        before = known[0] if known else latest
        latest = found[layer.name] = _after(layer, before, tensors[0].shape)
        grids[id(output)] = latest
        kept.append((tensors, output))

    run_hooked(model, np.zeros((1, *input_shape(model)), "float32"), locate)
    return found[layer_name]


def spread_maps(maps: np.ndarray, grid: Grid, size: tuple[int, int]) -> np.ndarray:
    """Maps `(images, rows, columns)` over the input's height and width: bilinear between the cells' centres."""
    rows, columns = (
        ((np.arange(size[axis]) - grid.start[axis]) / grid.step[axis]).astype("float32") for axis in (0, 1)
    )
    x, y = np.meshgrid(columns, rows)
    spread = [cv2.remap(each, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) for each in maps]
    return np.stack(spread)


def _after(layer: Any, grid: Grid, shape: Any) -> Grid:
    kind = type(layer).__name__
    if kind in ("ZeroPadding2D", "Cropping2D"):
        sign = -1 if kind == "ZeroPadding2D" else 1
        edges = layer.padding if kind == "ZeroPadding2D" else layer.cropping
        return _moved(grid, (sign * edges[0][0], sign * edges[1][0]), (1, 1))
    kernel = getattr(layer, "kernel_size", None) or getattr(layer, "pool_size", None)
    if kernel is None or len(kernel) != 2 or len(shape) != 4:
        return grid
    dilation = getattr(layer, "dilation_rate", (1, 1))
    sides = [(kernel[axis] - 1) * dilation[axis] + 1 for axis in (0, 1)]
    before = [0, 0]
    if layer.padding == "same":
        for axis in (0, 1):
            cells = -(-shape[axis + 1] // layer.strides[axis])
            before[axis] = max(0, (cells - 1) * layer.strides[axis] + sides[axis] - shape[axis + 1]) // 2
    shift = [(sides[axis] - 1) / 2 - before[axis] for axis in (0, 1)]
    return _moved(grid, (shift[0], shift[1]), (layer.strides[0], layer.strides[1]))


def _moved(grid: Grid, cells: tuple[float, float], strides: tuple[int, int]) -> Grid:
    start = [grid.start[axis] + cells[axis] * grid.step[axis] for axis in (0, 1)]
    return Grid((start[0], start[1]), (grid.step[0] * strides[0], grid.step[1] * strides[1]))
