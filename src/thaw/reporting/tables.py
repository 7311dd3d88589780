"""The page's tables: classes as dots with intervals, the confusion, whose cells lead to their pictures."""

from collections.abc import Iterable, Sequence
from html import escape

import numpy as np

from thaw.reporting.charts import share
from thaw.reporting.gallery import linked_cells
from thaw.reporting.result import Measure, Result

OPEN_CLASSES = 12
"""So many classes, the worst first, are shown unfolded; so many have a confusion that fits a window."""
MOST_LISTED_CLASSES = 200
"""Of more classes no table names them all: a file does."""
_MATRIX_CLASSES = 30
_OPEN_CONFUSIONS = 12
_LISTED_CONFUSIONS = 200


def class_table(result: Result) -> str:
    """A row a class: images, recall and precision. Of many classes the worst are shown, the rest folded."""
    order = sorted(range(len(result.classes)), key=lambda at: (_value(result.class_measures[at]["recall"]), at))
    support = result.confusion.sum(axis=1)
    rows = [
        (result.classes[at], f"{support[at]:,}", [result.class_measures[at][name] for name in ("recall", "precision")])
        for at in order
    ]
    head = ("class", "images", "recall: found of the class", "precision: right when named")
    return _folded(head, rows)


def _value(measure: Measure) -> float:
    return 2.0 if measure.value is None else measure.value


def _folded(head: Sequence[str], rows: Sequence[tuple[str, str, Sequence[Measure]]]) -> str:
    if len(rows) <= OPEN_CLASSES:
        return _dots(head, rows)
    worst = f"<p>The {OPEN_CLASSES} lowest first.</p>{_dots(head, rows[:OPEN_CLASSES])}"
    if len(rows) <= MOST_LISTED_CLASSES:
        return f"{worst}<details><summary>all {len(rows)} classes</summary>{_dots(head, rows)}</details>"
    best = f"<details><summary>the {OPEN_CLASSES} highest</summary>{_dots(head, rows[-OPEN_CLASSES:])}</details>"
    return f"{worst}{best}<p>All {len(rows):,} classes are in <code>reports/class_metrics.csv</code>.</p>"


def _dots(head: Sequence[str], rows: Iterable[tuple[str, str, Sequence[Measure]]]) -> str:
    titles = "".join(f'<th scope="col">{escape(title)}</th>' for title in head)
    lines = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{images}</td>'
        + "".join(f"<td>{share(measure)}</td>" for measure in measures)
        + "</tr>"
        for name, images, measures in rows
    )
    return f'<div class="wide"><table class="dots"><thead><tr>{titles}</tr></thead><tbody>{lines}</tbody></table></div>'


def confusion(result: Result) -> str:
    """The matrix where it fits, else the most frequent confusions with the matrix folded away."""
    if len(result.classes) <= OPEN_CLASSES:
        return _matrix(result)
    wrong = np.argwhere((result.confusion > 0) & ~np.eye(len(result.classes), dtype=bool))
    cells = sorted(((int(a), int(b)) for a, b in wrong), key=lambda cell: (-result.confusion[cell], cell))
    parts = [f"<p>The most frequent of {len(cells):,}.</p>{_confusions(result, cells[:_OPEN_CONFUSIONS])}"]
    if len(cells) > _OPEN_CONFUSIONS:
        more = _confusions(result, cells[_OPEN_CONFUSIONS:_LISTED_CONFUSIONS])
        parts.append(f"<details><summary>more of them</summary>{more}</details>")
    if len(result.classes) <= _MATRIX_CLASSES:
        parts.append(f"<details class='screen'><summary>the whole matrix</summary>{_matrix(result)}</details>")
    return "".join(parts) + "<p>Every pair is in <code>reports/confused_pairs.csv</code>.</p>"


def _matrix(result: Result) -> str:
    shares = result.confusion / np.maximum(result.confusion.sum(axis=1, keepdims=True), 1)
    linked, numbers = set(linked_cells(result)), range(len(result.classes))
    names = [escape(name) for name in result.classes]
    head = "".join(f'<th scope="col">{name}</th>' for name in names)
    lines = "".join(
        f'<tr><th scope="row">{names[row]}</th>'
        + "".join(_cell(result, (row, column), float(shares[row, column]), linked) for column in numbers)
        + "</tr>"
        for row in numbers
    )
    return (
        '<div class="wide"><table class="matrix"><caption>Rows: what it is. Columns: what it was taken for. '
        f'A number leads to its pictures.</caption><thead><tr><td></td>{head}</tr></thead><tbody>{lines}</tbody></table></div>'
    )


def _cell(result: Result, cell: tuple[int, int], share: float, linked: set[tuple[int, int]]) -> str:
    if not share:
        return '<td class="none">0</td>'
    count = f"{result.confusion[cell]:,}"
    kind = "hit" if cell[0] == cell[1] else "miss"
    if cell in linked:
        count = f'<a href="#cell-{cell[0]}-{cell[1]}">{count}</a>'
    return f'<td class="{kind}" style="--share:{round(60 * share)}%">{count} <small>{100 * share:.0f} %</small></td>'


def _confusions(result: Result, cells: Sequence[tuple[int, int]]) -> str:
    linked, support = set(linked_cells(result)), result.confusion.sum(axis=1)
    lines = "".join(
        f'<tr><th scope="row">{escape(result.classes[true])}</th><td>{escape(result.classes[taken])}</td><td>'
        + (f'<a href="#cell-{true}-{taken}">' if (true, taken) in linked else "")
        + f"{result.confusion[true, taken]:,} of {support[true]:,}"
        + ("</a>" if (true, taken) in linked else "")
        + "</td></tr>"
        for true, taken in cells
    )
    head = "".join(f'<th scope="col">{title}</th>' for title in ("is", "taken for", "images"))
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table></div>'
