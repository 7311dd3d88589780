"""The page's pictures: what the model was sure of and wrong, what it could not tell, and those of each confusion."""

from collections.abc import Iterable
from html import escape

import numpy as np

from thaw.reporting.charts import percent
from thaw.reporting.result import Result

_MOST_CELLS = 40
_MOST_PICTURES = 200
"""Of all confusions together: the page stays small however large the test split is."""
_PICTURES_A_CELL, _RIGHT_A_CELL = 24, 8


_KINDS = (
    ("mistakes", "Surest mistakes", "Look here first: is the label right, and could you tell yourself?"),
    ("unsure", "Least sure", "What the model could hardly decide; more images like these help it most."),
    ("right", "Surest right answers", "What it takes for typical of each class."),
)


def galleries(result: Result) -> str:
    """The surest mistakes, the least sure verdicts and the surest right answers, each beside where the model looked."""
    parts = [
        f'<h3 id="{key}">{title}</h3><p>{text}</p><div class="twins">'
        f"{''.join(_picture(result, image, result.heatmap(image)) for image in result.examples[key])}</div>"
        for key, title, text in _KINDS
        if result.examples[key]
    ]
    drawn = any(result.heatmap(image) for images in result.examples.values() for image in images)
    note = "<p>Beside each picture is where the model looked (Grad-CAM): warm is what spoke most for its verdict.</p>"
    return note * drawn + "".join(parts)


def linked_cells(result: Result) -> list[tuple[int, int]]:
    """The cells (true, predicted) of the confusion that have pictures: mistakes first, the most frequent first."""
    counts = result.confusion
    cells = [(int(true), int(taken)) for true, taken in np.argwhere(counts > 0)]
    return sorted(cells, key=lambda cell: (cell[0] == cell[1], -counts[cell], cell))[:_MOST_CELLS]


def cell_galleries(result: Result) -> str:
    """The pictures of each cell of the confusion, the surest verdict first, so many as the page has room for."""
    cells = linked_cells(result)
    room = int(np.clip(_MOST_PICTURES // max(len(cells), 1), 4, _PICTURES_A_CELL))
    surest, parts = np.argsort(-result.certainty, kind="stable"), []
    for true, taken in cells:
        images = surest[(result.labels[surest] == true) & (result.predicted[surest] == taken)]
        verdict = "classified correctly" if true == taken else f"taken for {result.classes[taken]}"
        title = f"{result.classes[true]}, {verdict}"
        most = min(room, _RIGHT_A_CELL) if true == taken else room
        shown = f", {most} of them shown" if len(images) > most else ""
        parts.append(
            f'<section id="cell-{true}-{taken}"><h3>{escape(title)}: {len(images):,}{shown}</h3>'
            f"{_pictures(result, images[:most])}</section>"
        )
    return "".join(parts)


def _pictures(result: Result, images: Iterable[int]) -> str:
    return f'<div class="pictures">{"".join(_picture(result, int(image)) for image in images)}</div>'


def _picture(result: Result, image: int, heatmap: str = "") -> str:
    path, true, taken = result.paths[image], result.labels[image], result.predicted[image]
    name, verdict = escape(result.classes[true]), escape(result.classes[taken])
    sure = percent(float(result.probabilities[image, taken]))
    said = f"is {name}" if true == taken else f"is <b>{name}</b>"
    file = path.rsplit("/", 1)[-1]
    looked = f'<img loading="lazy" src="{heatmap}" alt="{escape(file)}: where the model looked">' if heatmap else ""
    return (
        f'<figure class="{"good" if true == taken else "bad"}"><img loading="lazy" src="{result.thumbnail(path)}" '
        f'alt="{escape(file)}: is {name}, judged {verdict}" title="{escape(path)}">{looked}'
        f"<figcaption>{said}<br>judged {verdict}, {sure}<br><small>{escape(file)}</small></figcaption></figure>"
    )


def crossings(result: Result, count: int) -> str:
    """Test images beside what they look like among the images trained on, the first `count` pairs."""
    pairs = "".join(
        f'<div class="pair">{_side(result, pair.tested, "test")}{_side(result, pair.seen, pair.split)}</div>'
        for pair in result.crossings[:count]
    )
    return f'<div class="twins">{pairs}</div>' if pairs else ""


def _side(result: Result, path: str, split: str) -> str:
    return (
        f'<figure><img loading="lazy" src="{result.thumbnail(path)}" alt="{escape(path)}, in {split}">'
        f"<figcaption>{split}<br><small>{escape(path).replace('/', '/<wbr>')}</small></figcaption></figure>"
    )
