"""The sheet of the surest mistakes: which, in which order, where; and the captions below them."""

import numpy as np
import pytest
from PIL import Image

from thaw.evaluation import Predictions
from thaw.evaluation.mistakes import draw_mistakes

TILE, GAP, ACROSS, HEADER, CAPTION = 160, 10, 6, 40, 54


def colour(image):
    """A colour of its own, as bright as the others, so that it can be found again on the sheet."""
    return (200, 8 * image, 255 - 8 * image)


def draw(path, count, size=(TILE, TILE)):
    """`count` mistakes, the surest the last image."""
    shares = np.column_stack([0.6 + 0.01 * np.arange(count), 0.4 - 0.01 * np.arange(count)])
    predictions = Predictions(["a", "b"], np.ones(count, int), shares, np.ones(count))
    draw_mistakes(
        predictions,
        [f"b/{i}.png" for i in range(count)],
        lambda name: Image.new("RGB", size, colour(int(name[2:-4]))),
        path,
    )
    return np.asarray(Image.open(path))


@pytest.mark.parametrize(("count", "rows"), [(1, 1), (6, 1), (7, 2), (24, 4), (30, 4)])
def test_the_24_surest_stand_in_rows_of_six(tmp_path, count, rows):
    sheet = draw(tmp_path / "sheet.png", count)
    assert sheet.shape == (HEADER + rows * (TILE + GAP + CAPTION), GAP + ACROSS * (TILE + GAP), 3)
    for place, image in enumerate(list(range(count))[::-1][:24]):
        row, column = divmod(place, ACROSS)
        top, left = HEADER + row * (TILE + GAP + CAPTION), GAP + column * (TILE + GAP)
        assert (sheet[top : top + TILE, left : left + TILE] == colour(image)).all()
        below = sheet[top + TILE : top + TILE + GAP + CAPTION, left : left + TILE]
        lines = np.flatnonzero((below < 128).all(axis=2).any(axis=1))  # rows of dark pixels
        assert lines.min() < 16 < 3 * 16 < lines.max() + 6  # three lines of text
        assert below[:2].min() == below[-GAP:].min() == 255


def test_a_wide_picture_keeps_its_shape(tmp_path):
    sheet = draw(tmp_path / "sheet.png", 1, size=(40, 20))
    assert (sheet == colour(0)).all(axis=2).sum() == TILE * TILE // 2


def test_the_title_counts_all_mistakes_and_captions_stay_below_their_picture(tmp_path, monkeypatch):
    from PIL import ImageDraw

    texts = []
    write = ImageDraw.ImageDraw.text
    monkeypatch.setattr(
        ImageDraw.ImageDraw,
        "text",
        lambda pen, xy, text, *rest: (texts.append((xy, text, rest)), write(pen, xy, text, *rest)),
    )
    shares = np.array([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7]])
    predictions = Predictions(["a" * 60, "b"], np.array([1, 1, 0]), shares, np.ones(3))
    paths = [f"b/{'long' * 20}.png", "b/1.png", "a/2.png"]
    draw_mistakes(predictions, paths, lambda name: Image.new("RGB", (8, 8)), tmp_path / "sheet.png")
    (_, title, _), *captions = texts
    assert title == "2 of 3 images judged wrongly, the surest first"
    assert [text for _, text, _ in captions[:1]] == ["is b"] and captions[1][1].startswith("90% aaaa")
    assert (
        captions[2][1].startswith("longlong") and captions[4][1:2] == ("70% b",) and captions[5][1] == "2.png"
    )
    for (left, _), text, (_, font) in captions:
        assert font.getlength(text) <= TILE
        assert left in (GAP, GAP + TILE + GAP)
        if text.endswith("…"):
            assert font.getlength(text) > TILE - 2 * font.getlength("a…")  # no more is cut than has to be
    assert sum(text.endswith("…") for _, text, _ in captions) == 3
    inks = [ink for _, _, (ink, _) in captions]
    assert inks[0] == inks[1] != inks[2]  # the file's name is fainter
