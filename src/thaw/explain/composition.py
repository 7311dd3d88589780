"""Sheets of labelled panels: every text stands over its own panel, in as many lines as it takes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import matplotlib
from PIL import Image, ImageDraw, ImageFont

_MARGIN, _LINE, _LETTERS = 10, 17, 13


@dataclass(frozen=True)
class Panel:
    """A picture, and what it shows."""

    caption: str
    picture: Image.Image


@dataclass(frozen=True)
class Row:
    """Panels side by side below a heading, which may be empty."""

    heading: str
    panels: Sequence[Panel]


def fit(picture: Image.Image, side: int) -> Image.Image:
    """A picture whose longer side is `side` pixels, or nearly so: a small one is enlarged in whole steps, without smoothing."""
    longest = max(picture.size)
    scale = side // longest if longest * 2 <= side else side / longest
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    return picture.resize(size, Image.Resampling.NEAREST if scale >= 2 else Image.Resampling.LANCZOS)


def compose(rows: Sequence[Row]) -> Image.Image:
    """Rows below one another, RGB on white."""
    width = max(sum(panel.picture.width + _MARGIN for panel in row.panels) for row in rows) + _MARGIN
    heights = [_height(row, width) for row in rows]
    sheet = Image.new("RGB", (width, sum(heights) + _MARGIN), "white")
    pen = ImageDraw.Draw(sheet)
    top = 0
    for row, height in zip(rows, heights, strict=True):
        _draw(row, sheet, pen, top, width)
        top += height
    return sheet


def _draw(row: Row, sheet: Image.Image, pen: ImageDraw.ImageDraw, top: int, width: int) -> None:
    headings = _lines(row.heading, width - 2 * _MARGIN)
    top += _MARGIN
    for line in headings:
        pen.text((_MARGIN, top), line, fill="black", font=_font(bold=True))
        top += _LINE
    captions = [_lines(panel.caption, panel.picture.width) for panel in row.panels]
    below = top + _LINE * max(map(len, captions))
    left = _MARGIN
    for panel, lines in zip(row.panels, captions, strict=True):
        for number, line in enumerate(lines):
            pen.text((left, below - _LINE * (len(lines) - number)), line, fill="black", font=_font())
        sheet.paste(panel.picture, (left, below))
        left += panel.picture.width + _MARGIN


def _height(row: Row, width: int) -> int:
    texts = len(_lines(row.heading, width - 2 * _MARGIN))
    texts += max(len(_lines(panel.caption, panel.picture.width)) for panel in row.panels)
    return _MARGIN + _LINE * texts + max(panel.picture.height for panel in row.panels)


def _lines(text: str, width: int) -> list[str]:
    """A text in lines no wider than `width` pixels, broken between words, and within one that is wider."""
    lines = [""]
    for piece in _pieces(text, width):
        if _width(lines[-1] + piece.rstrip()) > width and lines[-1]:
            lines.append("")
        lines[-1] += piece if lines[-1] else piece.lstrip()
    return [line.rstrip() for line in lines if line.strip()]


def _pieces(text: str, width: int) -> Iterator[str]:
    for word in text.split():
        while word:
            fitting = next(end for end in range(len(word), 0, -1) if end == 1 or _width(word[:end]) <= width)
            yield word[:fitting] + ("" if fitting < len(word) else " ")
            word = word[fitting:]


def _width(text: str) -> float:
    return _font(bold=True).getlength(text)


@cache
def _font(bold: bool = False) -> ImageFont.FreeTypeFont:
    name = f"DejaVuSans{'-Bold' if bold else ''}.ttf"
    return ImageFont.truetype(str(Path(matplotlib.get_data_path(), "fonts", "ttf", name)), _LETTERS)
