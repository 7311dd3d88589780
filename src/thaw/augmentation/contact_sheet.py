"""A sheet to look at: originals beside their views."""

from functools import cache
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
from PIL import Image, ImageDraw, ImageFont, ImageOps

from thaw import images
from thaw.augmentation.policy import make_view, picture_key
from thaw.files import replacing
from thaw.params import AugmentParams
from thaw.pixels import Reading

_TILE, _GAP, _CAPTION, _HEADER = 128, 6, 22, 30  # pixels
_MOST_VIEWS = 12
_PAPER, _INK, _FAINT = (255, 255, 255), (30, 30, 30), (120, 120, 120)


def draw_contact_sheet(
    params: AugmentParams, seed: int, raw_dir: Path, rows: pd.DataFrame, channels: int, sheet_path: Path
) -> None:
    """Write a PNG: a row an image, drawn from all classes in turn, its original at the left, then its views.

    Args:
        rows: the training images, columns `path` and `class`.
    """
    chosen = _choose(rows, params.contact_sheet_images)
    views = min(params.views or 8, _MOST_VIEWS)
    step = _TILE + _GAP
    width = (views + 1) * step + 3 * _GAP
    sheet = Image.new("RGB", (width, _HEADER + len(chosen) * (step + _CAPTION) + _GAP), _PAPER)
    pen = ImageDraw.Draw(sheet)
    for column in range(views + 1):
        pen.text((_left(column), 9), f"view {column - 1}" if column else "original", _FAINT, _font(12))
    for i, path in enumerate(chosen["path"]):
        top = _HEADER + i * (step + _CAPTION)
        file = images.inside(raw_dir, path)
        original = images.open_picture(file, 3, at_least=(_TILE, _TILE), resize="pad")
        caption = "; ".join([path, *tell_rules(original)])
        pen.text((_left(0), top), _shortened(caption, width - 2 * _GAP), _INK, _font(13))
        sheet.paste(ImageOps.contain(original.image, (_TILE, _TILE)), (_left(0), top + _CAPTION))
        size = params.image_size
        picture = images.load(file, size, size, channels, params.resize)
        key = picture_key(seed, path)
        for view in range(views):
            sheet.paste(_tile(make_view(picture, params, key, view)), (_left(view + 1), top + _CAPTION))
    with replacing(sheet_path) as temporary:
        sheet.save(temporary, "PNG")


def tell_rules(original: Reading) -> list[str]:
    """What was done to a picture besides decoding it, in words."""
    told = []
    if original.bits > 8:
        told.append(f"{original.bits} bits, {original.black:g} is black and {original.white:g} white")
    if original.paper:
        told.append(f"transparent, on {original.paper}")
    if original.colors:
        told.append(original.colors)
    if original.orientation > 1:
        told.append("turned upright")
    return told


def _choose(rows: pd.DataFrame, count: int) -> pd.DataFrame:
    """Images evenly spread over each class, the classes in turn."""
    classes = sorted(rows["class"].unique())[:count]
    each = -(-count // len(classes))
    spread = []
    for name in classes:
        members = rows[rows["class"] == name]
        spread.append(members.iloc[np.unique(np.linspace(0, len(members) - 1, each).round().astype(int))])
    turn = pd.concat([part.assign(turn=range(len(part))) for part in spread])
    return turn.sort_values("turn", kind="stable").head(count)


def _left(column: int) -> int:
    return _GAP + column * (_TILE + _GAP) + (_GAP if column else 0)


def _tile(pixels: np.ndarray) -> Image.Image:
    grey = pixels.shape[2] == 1
    return Image.fromarray(pixels[:, :, 0] if grey else pixels).convert("RGB").resize((_TILE, _TILE))


def _shortened(text: str, width: int) -> str:
    while _font(13).getlength(text) > width:
        text = text[:-2] + "…"
    return text


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(Path(matplotlib.get_data_path(), "fonts/ttf/DejaVuSans.ttf")), size)
