"""Write explanations as pictures: what the network saw in an image, and what its filters look for."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps

from thaw import images
from thaw.explain.drawing import draw_grid, overlay, place_heatmap
from thaw.explain.filters import find_patterns
from thaw.explain.grad_cam import normalize_maps, prepare_grad_cam
from thaw.explain.occlusion import occlude
from thaw.explain.tracing import find_spatial_layer, layer_outputs, spatial_layers
from thaw.files import replacing

_MOST_FILTERS = 64
_TILE, _CAPTION, _MARGIN = 200, 22, 10  # of a sheet, in pixels


@dataclass(frozen=True)
class InputImage:
    """An image to explain."""

    original: np.ndarray
    """uint8 `(height, width, 1 or 3)` as it is in its file."""
    pixels: np.ndarray
    """uint8, brought to the network's input."""
    resize: images.Resize
    """How it was brought there."""


def open_image(path: Path, input_shape: tuple[int, int, int], resize: images.Resize) -> InputImage:
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
    method: str,
    labels: Sequence[int],
    layer_name: str = "",
) -> Iterator[np.ndarray]:
    """The heatmap of one method over each picture, uint8 RGB at the original's size.

    Args:
        labels: the class of each picture that is looked for.

    Raises:
        ThawError: the layer is unknown or gives no maps.
    """
    heat = None if method == "occlusion" else prepare_grad_cam(model, layer_name, method)  # type: ignore[arg-type]
    for picture, label in zip(pictures, labels, strict=True):
        if heat is None:
            found = occlude(model, picture.pixels, label)[None]
        else:
            found = heat(picture.pixels[None], np.array(label)).maps
        height, width = picture.original.shape[:2]
        input_size = (picture.pixels.shape[0], picture.pixels.shape[1])
        placed = place_heatmap(normalize_maps(found)[0], (height, width), input_size, picture.resize)
        yield overlay(picture.original, placed)


def draw_activations(
    model: keras.Model, picture: InputImage, layer_names: Sequence[str] = ()
) -> dict[str, Image.Image]:
    """A grid of every channel of each layer named; without names of the last layer of each resolution.

    Raises:
        ThawError: a layer is unknown or gives no maps.
    """
    names = [find_spatial_layer(model, name).name for name in layer_names] or _last_of_each_size(model)
    outputs = layer_outputs(model, picture.pixels[None].astype("float32"))
    maps = {name: keras.ops.convert_to_numpy(keras.ops.cast(outputs[name][0], "float32")) for name in names}
    return {name: draw_grid(channels.transpose(2, 0, 1)) for name, channels in maps.items()}


def draw_filters(model: keras.Model, layer_name: str, seed: int = 0) -> Image.Image:
    """A grid of the patterns that the layer's filters respond to most: of its first 64.

    Raises:
        ThawError: the layer is unknown or gives no maps.
    """
    layers = spatial_layers(model)
    channels = layers[layer_name][2] if layer_name in layers else 1
    return draw_grid(find_patterns(model, layer_name, range(min(channels, _MOST_FILTERS)), seed=seed))


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
    model: keras.Model, pictures: Sequence[InputImage], labels: Sequence[int], captions: Sequence[str]
) -> Image.Image:
    """One sheet for a report: of each picture the original, Grad-CAM and Grad-CAM++ of its class in `labels`.

    Args:
        labels: the class of each picture that is looked for.
        captions: what stands over each picture, in any language.
    """
    methods = [list(draw_heatmaps(model, pictures, method, labels)) for method in ("grad_cam", "grad_cam++")]
    sheet = Image.new("RGB", (3 * _TILE + 2 * _MARGIN, len(pictures) * (_TILE + _CAPTION) + _MARGIN), "white")
    pen = ImageDraw.Draw(sheet)
    font = ImageFont.truetype(str(Path(matplotlib.get_data_path(), "fonts/ttf/DejaVuSans.ttf")), 13)
    for row, (picture, caption) in enumerate(zip(pictures, captions, strict=True)):
        top = row * (_TILE + _CAPTION) + _MARGIN // 2
        pen.text((_MARGIN, top + 3), caption, fill="black", font=font)
        plain = overlay(picture.original, np.zeros(picture.original.shape[:2], "float32"))
        for column, shown in enumerate((plain, *(drawn[row] for drawn in methods))):
            tile = ImageOps.contain(Image.fromarray(shown), (_TILE - 4, _TILE - 4))
            sheet.paste(tile, (_MARGIN + column * _TILE, top + _CAPTION))
    return sheet
