"""Charts as inline SVG: colours come from the page's style, so that they are right in the dark and on paper."""

from collections.abc import Sequence
from html import escape

import numpy as np

from thaw.reporting.result import Curve, Measure

_WIDTH, _HEIGHT = 420, 270
_LEFT, _TOP, _RIGHT, _BOTTOM = 46, 18, 10, 42
_MOST_DOTS = 12
"""A curve of so few points shows each of them."""
_NO_BREAK = "\u00a0"


def percent(value: float | None) -> str:
    """A share in words; a dash where there is none."""
    return "–" if value is None else f"{100 * value:.1f}{_NO_BREAK}%"


def interval_bar(measure: Measure, chance: float, label: str) -> str:
    """A share and its interval on a line from 0 to 1, a dashed mark at what chance gives."""
    low, high = _ends(measure)
    point = 600 * (measure.value or 0.0)
    return (
        f'<svg class="bar" viewBox="0 0 600 30" preserveAspectRatio="none" role="img" aria-label="{escape(label)}">'
        '<rect class="track" x="0" y="9" width="600" height="12"/>'
        f'<rect class="range" x="{600 * low:.1f}" y="5" width="{max(600 * (high - low), 1):.1f}" height="20"/>'
        f'<line class="point" x1="{point:.1f}" x2="{point:.1f}" y1="0" y2="30"/>'
        f'<line class="chance" x1="{600 * chance:.1f}" x2="{600 * chance:.1f}" y1="0" y2="30"/></svg>'
    )


def share(measure: Measure) -> str:
    """A share in words with its interval, and as a dot."""
    ends = "" if measure.low is None else f" <small>{100 * measure.low:.1f} to {percent(measure.high)}</small>"
    return f"<b>{percent(measure.value)}</b>{ends}{dot(measure)}"


def dot(measure: Measure) -> str:
    """A share as a dot with its interval as a line; its number stands beside it, so it is hidden from readers aloud."""
    if measure.value is None:
        return ""
    low, high = _ends(measure)
    return (
        '<svg class="dot" viewBox="0 0 200 16" preserveAspectRatio="none" aria-hidden="true">'
        '<line class="axis" x1="0" x2="200" y1="8" y2="8"/>'
        f'<line class="whisker" x1="{200 * low:.1f}" x2="{200 * high:.1f}" y1="8" y2="8"/>'
        f'<path class="mark" d="M{200 * measure.value:.1f} 8h.01"/></svg>'
    )


def _ends(measure: Measure) -> tuple[float, float]:
    value = measure.value or 0.0
    return value if measure.low is None else measure.low, value if measure.high is None else measure.high


def line_chart(
    title: str,
    curves: Sequence[Curve],
    labels: tuple[str, str],
    ranges: tuple[tuple[float, float], tuple[float, float]],
    *,
    mark: tuple[float, str] | None = None,
    has_diagonal: bool = False,
) -> str:
    """A figure of curves.

    Args:
        labels: of the x axis and the y axis; so are `ranges`.
        mark: where on the x axis a line stands, and what it means.
        has_diagonal: whether a dashed line goes from corner to corner.
    """
    scale = _Scale(*ranges)
    parts = [_grid(scale, ranges)]
    if has_diagonal:
        parts.append(_line("chance", scale.point(ranges[0][0], ranges[1][0]), scale.point(ranges[0][1], ranges[1][1])))
    if mark:
        top, bottom = scale.point(mark[0], ranges[1][1]), scale.point(mark[0], ranges[1][0])
        parts.append(_line("thawed", top, bottom))
        parts.append(f'<text x="{top[0] + 5:.1f}" y="{top[1] + 11:.1f}">{escape(mark[1])}</text>')
    parts += [_curve(scale, curve, number) for number, curve in enumerate(curves)]
    axes = escape(f"{labels[1]} by {labels[0]}")
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    parts.append(f'<text x="{middle}" y="{_HEIGHT - 6}" text-anchor="middle">{escape(labels[0])}</text>')
    return (
        f"<figure><figcaption><b>{escape(title)}</b> {_legend(curves)} <small>{axes}</small></figcaption>"
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(title)}: {axes}">'
        f"{''.join(parts)}</svg></figure>"
    )


class _Scale:
    """From values to places in the chart."""

    def __init__(self, x_range: tuple[float, float], y_range: tuple[float, float]) -> None:
        self._x, self._y = x_range, y_range

    def point(self, x: float, y: float) -> tuple[float, float]:
        across = (x - self._x[0]) / ((self._x[1] - self._x[0]) or 1)
        up = (y - self._y[0]) / ((self._y[1] - self._y[0]) or 1)
        return _LEFT + across * (_WIDTH - _LEFT - _RIGHT), _HEIGHT - _BOTTOM - up * (_HEIGHT - _TOP - _BOTTOM)


def _line(kind: str, start: tuple[float, float], end: tuple[float, float]) -> str:
    return f'<line class="{kind}" x1="{start[0]:.1f}" y1="{start[1]:.1f}" x2="{end[0]:.1f}" y2="{end[1]:.1f}"/>'


def _grid(scale: _Scale, ranges: tuple[tuple[float, float], tuple[float, float]]) -> str:
    (left, right), (bottom, top) = ranges
    parts = []
    for value in ticks(bottom, top):
        start, end = scale.point(left, value), scale.point(right, value)
        parts.append(_line("axis", start, end))
        parts.append(f'<text x="{_LEFT - 6}" y="{start[1] + 4:.1f}" text-anchor="end">{value:.4g}</text>')
    for value in ticks(left, right):
        x, y = scale.point(value, bottom)
        parts.append(f'<text x="{x:.1f}" y="{y + 16:.1f}" text-anchor="middle">{value:.4g}</text>')
    return "".join(parts)


def ticks(low: float, high: float) -> list[float]:
    """Round numbers from `low` to `high`, four to nine of them: steps of 1, 2 or 5 times a power of ten."""
    raw = (high - low) / 5 or 1.0
    power = 10.0 ** np.floor(np.log10(raw))
    step = float(power * min((1, 2, 5, 10), key=lambda factor: abs(factor * power - raw)))
    first = np.ceil(low / step - 1e-9) * step
    return [round(float(value), 10) + 0.0 for value in np.arange(first, high + step * 1e-6, step)]


def _curve(scale: _Scale, curve: Curve, number: int) -> str:
    """The line, points that fall together drawn once: a long ranking takes no more room than the chart can show."""
    known = np.flatnonzero(np.isfinite(curve.y))
    points = ["{:.1f},{:.1f}".format(*scale.point(curve.x[at], curve.y[at])) for at in known]
    points = [point for at, point in enumerate(points) if not at or point != points[at - 1]]
    dots = "".join('<circle class="k{}" cx="{}" cy="{}" r="3.5"/>'.format(number % 4, *point.split(",")) for point in points)
    line = f'<polyline class="l{number % 4}" points="{" ".join(points)}"/>' if points else ""
    return line + dots * (len(points) <= _MOST_DOTS)


def _legend(curves: Sequence[Curve]) -> str:
    if len(curves) < 2:
        return escape(curves[0].name) if curves else ""
    return " ".join(
        f'<span class="key k{number % 4}"></span>{escape(curve.name)}' for number, curve in enumerate(curves)
    )
