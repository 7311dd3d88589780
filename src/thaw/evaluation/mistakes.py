"""The surest mistakes as a sheet of thumbnails."""

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps

from thaw.evaluation.predictions import Predictions
from thaw.files import replacing

_COLUMNS, _ROWS, _TILE, _GAP, _CAPTION, _HEADER = 6, 4, 160, 10, 54, 40  # the last four in pixels
_PAPER, _INK, _FAINT = (255, 255, 255), (30, 30, 30), (110, 110, 110)


def draw_mistakes(
    predictions: Predictions, paths: Sequence[str], decode: Callable[[str], Image.Image], picture_path: Path
) -> None:
    """Write a PNG: the wrongly judged images, the surest mistake first.

    Args:
        paths: of the images, in the order of the predictions.
        decode: opens the picture of a path, in mode RGB.
    """
    wrong = np.flatnonzero(~predictions.correct)
    worst = wrong[np.argsort(-predictions.certainty[wrong], kind="stable")][: _COLUMNS * _ROWS]
    rows = max(1, -(-len(worst) // _COLUMNS))
    step = _TILE + _GAP
    size = (_COLUMNS * step + _GAP, _HEADER + rows * (step + _CAPTION))
    sheet = Image.new("RGB", size, _PAPER)
    pen = ImageDraw.Draw(sheet)
    title = f"{len(wrong)} of {len(predictions)} images judged wrongly" + (
        ", the surest first" if len(wrong) else ""
    )
    pen.text((_GAP, 11), title, _INK, _font(15))
    for place, image in enumerate(worst):
        row, column = divmod(place, _COLUMNS)
        left, top = _GAP + column * step, _HEADER + row * (step + _CAPTION)
        sheet.paste(ImageOps.contain(decode(paths[image]), (_TILE, _TILE)), (left, top))
        lines = (
            f"is {predictions.classes[predictions.labels[image]]}",
            predictions.describe(image),
            paths[image].split("/")[-1],
        )
        for line, text in enumerate(lines):
            pen.text(
                (left, top + _TILE + 2 + 16 * line), _shortened(text), _INK if line < 2 else _FAINT, _font(12)
            )
    with replacing(picture_path) as temporary:
        sheet.save(temporary, "PNG")


def _shortened(text: str) -> str:
    while _font(12).getlength(text) > _TILE:
        text = text[:-2] + "…"
    return text


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(Path(matplotlib.get_data_path(), "fonts/ttf/DejaVuSans.ttf")), size)
