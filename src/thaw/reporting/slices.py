"""The page's section on slices: where the model is worse than elsewhere, said only where the test set can show it."""

from html import escape

from thaw.reporting.charts import percent, share
from thaw.reporting.result import Result, Slice

_OPEN_SLICES, _LISTED_SLICES = 12, 60
_NOTE = (
    "<p><small>p: of so low an accuracy by chance, corrected for looking at all of them. Could show: the smallest difference "
    "that a slice of its size would show in four of five test sets. Every slice is in <code>reports/slices.csv</code>."
    "</small></p>"
)


def slices(result: Result) -> str:
    """Which slices are worse, and the table of the lowest of all; the rest folded."""
    if not result.slices:
        return "<p>The test images have no metadata and no property by which they could be divided.</p>"
    rows = sorted(result.slices, key=lambda part: (part.adjusted_p is None, part.adjusted_p, part.difference.value or 0.0))
    table = _table(rows[:_OPEN_SLICES])
    if len(rows) > _OPEN_SLICES:
        table = f"<p>The {_OPEN_SLICES} most doubtful first.</p>{table}"
        rest = rows[_OPEN_SLICES:_LISTED_SLICES]
        table += f"<details><summary>{len(rest)} more of {len(rows):,}</summary>{_table(rest)}</details>"
    return f"{_verdict(result)}{table}{_NOTE}"


def _verdict(result: Result) -> str:
    """What survived the correction for looking at many, in words."""
    tested = sum(part.adjusted_p is not None for part in result.slices)
    worse = sorted((part for part in result.slices if part.is_worse), key=lambda part: part.adjusted_p or 0.0)
    looked = (
        f"{tested:,} slices were held against the rest of the test images"
        + f"; {len(result.slices) - tested:,} more are too small for it" * (tested < len(result.slices))
    )
    if not worse:
        return f"<p><b>No slice is worse than the rest beyond chance.</b> {looked}.</p>"
    lines = "".join(f"<li>{_sentence(part)}</li>" for part in worse[:_OPEN_SLICES])
    more = f"<p>{len(worse) - _OPEN_SLICES:,} more of them.</p>" * (len(worse) > _OPEN_SLICES)
    count = f"{len(worse):,} slices are" if len(worse) > 1 else "One slice is"
    return (
        f"<p><b>{count} worse than the rest, beyond chance.</b> {looked}, and the tests corrected for looking at that many "
        f"(Benjamini and Hochberg).</p><ul>{lines}</ul>{more}"
    )


def _sentence(part: Slice) -> str:
    difference, low, high = (100 * abs(value or 0.0) for value in part.difference)
    return (
        f"<b>{escape(part.name)}: {escape(part.value)}</b>: {percent(part.accuracy.value)} of {part.images:,} images right, "
        f"{difference:.1f} points fewer than of the rest ({min(low, high):.1f} to {max(low, high):.1f})"
    )


def _table(rows: list[Slice]) -> str:
    titles = ("slice", "images", "accuracy", "points to the rest")
    head = "".join(f'<th scope="col">{title}</th>' for title in titles)
    lines = "".join(
        f'<tr><th scope="row">{escape(part.name)}: {escape(part.value)}</th><td>{part.images:,}</td>'
        f"<td>{share(part.accuracy)}</td>{_test(part)}</tr>"
        for part in rows
    )
    return f'<div class="wide"><table class="slices"><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table></div>'


def _test(part: Slice) -> str:
    """The difference with its interval, p after correction, and what a slice of that size could show at all."""
    if part.adjusted_p is None or part.difference.value is None:
        return "<td><small>too small to be tested</small></td>"
    low, high = (100 * (end or 0.0) for end in part.difference[1:])
    p = "p &lt; 0.001" if part.adjusted_p < 0.001 else f"p = {part.adjusted_p:.3f}"
    could = "could show none" if part.detectable is None else f"could show {_signed(-100 * part.detectable)}"
    mark = ' class="worse"' if part.is_worse else ""
    difference = f"{_signed(100 * part.difference.value)} <small>{_signed(low)} to {_signed(high)}; {p}; {could}</small>"
    return f"<td{mark}>{difference}</td>"


def _signed(points: float) -> str:
    return f"{points:+.1f}".replace("-", "−")
