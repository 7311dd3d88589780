"""Charts of the page, as inline SVG: bars and histograms, no library, no script."""

from collections.abc import Mapping, Sequence
from html import escape

import numpy as np

from thaw.gate.report.classes import shown_classes

_BINS = 40


def bar_chart(groups: Mapping[str, Mapping[str, int]]) -> str:
    """Images a class, a row each; the splits of a class stand below one another in their own colours."""
    splits, (labels, left_out) = list(groups), shown_classes(groups)
    most = max((count for counts in groups.values() for count in counts.values()), default=0)
    rows = []
    for label in labels:
        bars = "".join(
            f'<div class="bar c{number % 4}" style="width:{100 * groups[split][label] / max(most, 1):.2f}%">'
            f"</div><span>{groups[split][label]:,}</span>"
            for number, split in enumerate(splits)
            if label in groups[split]
        )
        rows.append(f'<dt>{escape(label)}</dt><dd><div class="bars">{bars}</div></dd>')
    note = f"<p><small>The fewest and the most images; {left_out:,} classes between them: see findings.json.</small></p>"
    return f'{_legend(splits)}<dl class="chart">{"".join(rows)}</dl>{note * bool(left_out)}'


def histogram(title: str, series: Mapping[str, np.ndarray], unit: str) -> str:
    """The distribution of a measure, one line a split, as shares of the split; empty without values."""
    series = {name: values[np.isfinite(values)] for name, values in series.items()}
    series = {name: values for name, values in series.items() if len(values)}
    if not series:
        return ""
    every = np.concatenate(list(series.values()))
    low, high = float(every.min()), float(every.max())
    if high - low < 1e-9:
        low, high = low - 0.5, high + 0.5
    shares = {
        name: np.histogram(values, bins=_BINS, range=(low, high))[0] / len(values)
        for name, values in series.items()
    }
    top = max(float(share.max()) for share in shares.values())
    lines = "".join(_steps(share / top, number) for number, share in enumerate(shares.values()))
    return (
        f"<figure><figcaption>{escape(title)}</figcaption>{_legend(list(series))}"
        f'<svg viewBox="0 0 400 130" role="img" aria-label="{escape(title)}">{lines}'
        f'<line class="axis" x1="0" y1="110" x2="400" y2="110"/>'
        f'<text x="0" y="126">{low:.4g}</text><text x="400" y="126" text-anchor="end">{high:.4g} {escape(unit)}</text>'
        "</svg></figure>"
    )


def _steps(heights: Sequence[float] | np.ndarray, number: int) -> str:
    width = 400 / _BINS
    points = [
        f"{at * width:.1f},{110 - 100 * height:.1f} {(at + 1) * width:.1f},{110 - 100 * height:.1f}"
        for at, height in enumerate(heights)
    ]
    return f'<polyline class="l{number % 4}" points="0,110 {" ".join(points)} 400,110"/>'


def _legend(names: Sequence[str]) -> str:
    if len(names) < 2:
        return ""
    keys = "".join(
        f'<span class="key c{number % 4}"></span>{escape(name)} ' for number, name in enumerate(names)
    )
    return f'<p class="legend">{keys}</p>'
