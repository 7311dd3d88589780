"""Draw a network as SVG: a row a layer, arcs for the shortcuts."""

from html import escape

from thaw.inspecting.summary import LayerSummary

_ROW = 26
_BOX_LEFT, _BOX_WIDTH = 150, 330
_WIDTH = 980
_COLORS = (
    ("Conv", "#3b6ea8"), ("Pool", "#7d5ba6"), ("Dense", "#b5533c"), ("Norm", "#7a8b99"), ("Dropout", "#9a9a9a"),
    ("Add", "#3d8b5f"), ("Multiply", "#3d8b5f"), ("Concatenate", "#3d8b5f"), ("Input", "#222222"),
)  # fmt: skip
_OTHER_COLOR = "#7f868c"


def draw_diagram(title: str, layers: list[LayerSummary]) -> str:
    """The diagram as SVG text: name, kind, output shape and parameters of each layer; the same text every time."""
    row_of = {layer.name: row for row, layer in enumerate(layers)}
    height = _ROW * (len(layers) + 3)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" '
        f'viewBox="0 0 {_WIDTH} {height}" font-family="sans-serif" font-size="13">',
        f'<rect width="{_WIDTH}" height="{height}" fill="white"/>',
        f'<text x="{_BOX_LEFT}" y="{_ROW}" font-size="17" font-weight="bold">{escape(title)}</text>',
    ]
    for row, layer in enumerate(layers):
        parts += [_arc(row_of[name], row) for name in layer.inputs if row_of[name] < row - 1]
        parts.append(_row(row, layer))
    trainable, total = sum(layer.trainable for layer in layers), sum(layer.parameters for layer in layers)
    footer = f"{total:,} parameters: {trainable:,} trainable, {total - trainable:,} frozen"
    parts.append(f'<text x="{_BOX_LEFT}" y="{height - _ROW // 2}">{footer}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _top(row: int) -> float:
    return _ROW * (row + 1.5)


def _arc(start: int, end: int) -> str:
    """From one row's box round the left side to a later one's; the further it goes, the wider it bows."""
    bow = min(_BOX_LEFT - 10, 14 + 6 * (end - start))
    top, bottom = _top(start) + _ROW / 2, _top(end) + _ROW / 2
    left = _BOX_LEFT - bow * 4 / 3
    return (
        f'<path d="M{_BOX_LEFT} {top} C{left:.0f} {top} {left:.0f} {bottom} {_BOX_LEFT} {bottom}" '
        'fill="none" stroke="#3d8b5f" stroke-width="1.5"/>'
    )


def _row(row: int, layer: LayerSummary) -> str:
    top = _top(row)
    color = next((color for word, color in _COLORS if word in layer.kind), _OTHER_COLOR)
    shape = " × ".join(str(size) for size in layer.output_shape)
    frozen = layer.parameters > 0 and layer.trainable == 0
    opacity, ink = (' opacity="0.55"', "#111") if frozen else ("", "white")
    numbers = f"{layer.parameters:,}" if layer.parameters else ""
    baseline = top + _ROW - 9
    return (
        f'<rect x="{_BOX_LEFT}" y="{top + 2}" width="{_BOX_WIDTH}" height="{_ROW - 4}" rx="4" fill="{color}"{opacity}/>'
        f'<text x="{_BOX_LEFT + 10}" y="{baseline}" fill="{ink}">{escape(layer.name)}</text>'
        f'<text x="{_BOX_LEFT + _BOX_WIDTH + 15}" y="{baseline}" fill="#555">{escape(layer.kind)}</text>'
        f'<text x="{_WIDTH - 150}" y="{baseline}" text-anchor="end">{shape}</text>'
        f'<text x="{_WIDTH - 20}" y="{baseline}" text-anchor="end" fill="#555">{numbers}</text>'
    )
