"""Write explanations as pictures: what the network saw in an image, and what its filters look for."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from PIL import Image

from thaw import images
from thaw.explain.composition import Panel, Row, compose, fit
from thaw.explain.drawing import draw_grid, overlay, place_heatmap
from thaw.explain.filters import find_patterns
from thaw.explain.grad_cam import normalize_maps, prepare_grad_cam
from thaw.explain.occlusion import occlude
from thaw.explain.tracing import find_spatial_layer, layer_outputs, spatial_layers
from thaw.files import replacing
from thaw.sources import File

_MOST_FILTERS = 64
_TILE, _PANEL = 200, 288  # of a panel, in pixels
_LIVELIEST = 36  # channels
_ABREAST = 4


@dataclass(frozen=True)
class InputImage:
    """An image to explain."""

    original: np.ndarray
    """uint8 `(height, width, 1 or 3)` as it is in its file."""
    pixels: np.ndarray
    """uint8, brought to the network's input."""
    resize: images.Resize
    """How it was brought there."""


def open_image(path: File, input_shape: tuple[int, int, int], resize: images.Resize) -> InputImage:
    """Read an image file, as it is and as a network of that input sees it.

    Raises:
        ThawError: it cannot be read.
    """
    height, width, channels = input_shape
    original = np.asarray(images.decode(path, channels))
    pixels = images.load(path, height, width, channels, resize)
    return InputImage(original.reshape(*original.shape[:2], channels), pixels, resize)


def draw_heatmaps(
    model: keras.Model,
    pictures: Iterable[InputImage],
    methods: Sequence[str],
    labels: Sequence[int],
    layer_name: str = "",
) -> Iterator[list[np.ndarray]]:
    """The heatmap of each method over each picture, uint8 RGB at the original's size.

    Args:
        methods: `grad_cam`, `grad_cam++`, `occlusion`.
        labels: the class of each picture that is looked for.

    Raises:
        ThawError: the layer is unknown or gives no maps.
    """
    by_gradient: list[Any] = [method for method in methods if method != "occlusion"]
    heat = prepare_grad_cam(model, layer_name, by_gradient) if by_gradient else None
    for picture, label in zip(pictures, labels, strict=True):
        found: dict[str, np.ndarray] = {}
        if heat:
            found |= {str(name): maps for name, maps in heat(picture.pixels[None], np.array(label)).maps.items()}
        if "occlusion" in methods:
            found["occlusion"] = occlude(model, picture.pixels, label)[None]
        yield [_lay_over(picture, found[method]) for method in methods]


def _lay_over(picture: InputImage, maps: np.ndarray) -> np.ndarray:
    height, width = picture.original.shape[:2]
    input_size = (picture.pixels.shape[0], picture.pixels.shape[1])
    return overlay(picture.original, place_heatmap(normalize_maps(maps)[0], (height, width), input_size, picture.resize))


def draw_activations(model: keras.Model, picture: InputImage, layer_names: Sequence[str] = ()) -> list[Row]:
    """The channels of each layer named; without names the liveliest of the last layer of each resolution, side by side.

    A channel that is the same everywhere shows nothing, and is left out.

    Raises:
        ThawError: a layer is unknown or gives no maps.
    """
    names = [find_spatial_layer(model, name).name for name in layer_names] or _last_of_each_size(model)
    outputs = layer_outputs(model, picture.pixels[None].astype("float32"))
    maps = {name: keras.ops.convert_to_numpy(keras.ops.cast(outputs[name][0], "float32")) for name in names}
    if layer_names:
        return [Row("", [_grid_panel(name, channels, channels.shape[-1])]) for name, channels in maps.items()]
    panels = [_grid_panel(name, channels, _LIVELIEST) for name, channels in maps.items()]
    fitted = [Panel(panel.caption, fit(panel.picture, _PANEL)) for panel in panels]
    return [Row("", fitted[start : start + _ABREAST]) for start in range(0, len(fitted), _ABREAST)]


def _grid_panel(name: str, maps: np.ndarray, most: int) -> Panel:
    """The channels `(height, width, channels)` that vary most over the picture, at most so many, in their order."""
    height, width, count = maps.shape
    spread = np.where(np.ptp(maps, axis=(0, 1)) > 0, maps.std(axis=(0, 1)), 0)
    lively = np.sort(np.argsort(-spread, kind="stable")[: min(most, np.count_nonzero(spread))])
    told = f"all {count} channels" if len(lively) == count else f"the {len(lively)} of {count} channels that vary most"
    grid = draw_grid(maps.transpose(2, 0, 1)[lively if len(lively) else [0]])
    return Panel(f"layer {name}, {height} x {width}: {told}", grid)


def draw_filters(model: keras.Model, layer_name: str, seed: int = 0) -> Image.Image:
    """A sheet of the patterns that the layer's filters respond to most: of its first 64.

    Raises:
        ThawError: the layer is unknown or gives no maps.
    """
    layers = spatial_layers(model)
    channels = layers[layer_name][2] if layer_name in layers else 1
    shown = range(min(channels, _MOST_FILTERS))
    grid = draw_grid(find_patterns(model, layer_name, shown, seed=seed))
    part = f"the first {len(shown)} of {channels}" if len(shown) < channels else f"all {channels}"
    return compose([Row("", [Panel(f"what the filters of layer {layer_name} respond to most: {part}", grid)])])


def shrink(picture: np.ndarray, side: int) -> Image.Image:
    """A uint8 RGB picture made at most `side` pixels a side."""
    image = Image.fromarray(picture)
    image.thumbnail((side, side))
    return image


def save_png(picture: Image.Image | np.ndarray, path: Path) -> None:
    """Write a PNG, whole or not at all."""
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    with replacing(path) as temporary:
        image.save(temporary, "PNG")


def _last_of_each_size(model: keras.Model) -> list[str]:
    last = {shape[:2]: name for name, shape in spatial_layers(model).items()}
    return list(last.values())


def draw_sheet(
    pictures: Sequence[InputImage], heatmaps: Mapping[str, Iterable[np.ndarray]], captions: Sequence[str]
) -> Image.Image:
    """One sheet for a report: of each picture the original and its heatmaps.

    Args:
        heatmaps: title to that of each picture.
        captions: what stands over each picture, in any language.
    """
    return compose(
        [
            Row(caption, picture_panels(picture, dict(zip(heatmaps, heat, strict=True)), _TILE))
            for picture, caption, *heat in zip(pictures, captions, *heatmaps.values(), strict=True)
        ]
    )


def picture_panels(picture: InputImage, heatmaps: Mapping[str, np.ndarray], side: int = _PANEL) -> list[Panel]:
    """The picture as it is, and each heatmap over it, by its caption; panels of `side` pixels."""
    plain = overlay(picture.original, np.zeros(picture.original.shape[:2], "float32"))
    shown = {"the picture": plain, **heatmaps}
    return [Panel(caption, fit(Image.fromarray(pixels), side)) for caption, pixels in shown.items()]
