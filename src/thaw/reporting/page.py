"""The page: one file that asks for nothing else; every name in it is escaped."""

import re
from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from thaw.files import write_text
from thaw.reporting.charts import line_chart
from thaw.reporting.gallery import cell_galleries, crossings, galleries
from thaw.reporting.headline import count_alike, headline, next_steps
from thaw.reporting.result import Curve, Result
from thaw.reporting.slices import slices
from thaw.reporting.style import style
from thaw.reporting.tables import MOST_LISTED_CLASSES, OPEN_CLASSES, class_table, confusion

_UNIT = (0.0, 1.0)
_SHOWN_PAIRS = 8
_VERDICTS = {"pass": "Passed", "warn": "Passed, with warnings", "block": "Blocked"}
_PARTS = (("classes", "Classes"), ("confusion", "Confusion"), ("slices", "Slices"), ("pictures", "Pictures"),
          ("training", "Training"), ("probabilities", "Probabilities"), ("gate", "Data"), ("again", "Reproduce"),
          ("cells", "Confusion in pictures"))  # fmt: skip


def write_page(path: Path, result: Result) -> None:
    """Write the page, whole or not at all."""
    write_text(path, page(result))


def page(result: Result) -> str:
    """The page as HTML: the same text for the same result."""
    sections = "".join(
        (
            _headed("classes", class_table(result)),
            _headed("confusion", confusion(result)),
            _headed("slices", slices(result)),
            _headed("pictures", galleries(result)),
            _headed("training", _training(result)),
            _headed("probabilities", _plots(result)),
            _headed("gate", _gate(result)),
            _headed("again", _again(result)),
            _headed("cells", cell_galleries(result)),
        )
    )
    links = "".join(f'<a href="#{key}">{title}</a>' for key, title in _PARTS)
    return _PAGE.format(
        style=style(), headline=headline(result), links=links, next_steps=next_steps(result), sections=sections
    )


def _headed(key: str, content: str) -> str:
    return f'<h2 id="{key}">{dict(_PARTS)[key]}</h2>{content}'


def _training(result: Result) -> str:
    """Loss and accuracy over both phases, a line where the network was thawed."""
    epochs = [len(phase.columns["loss"]) for phase in result.phases]
    last = max(sum(epochs), 2)
    mark = (epochs[0] + 0.5, "thawed") if 0 < epochs[0] < sum(epochs) else None
    charts = []
    for metric in ("loss", "accuracy"):
        curves = []
        for name, column in (("training", metric), ("validation", f"validation_{metric}")):
            values = np.concatenate([phase.columns[column] for phase in result.phases])
            if np.isfinite(values).any():
                curves.append(Curve(name, np.arange(1, len(values) + 1, dtype=np.float64), values))
        known = np.concatenate([curve.y[np.isfinite(curve.y)] for curve in curves] or [np.array([0.0])])
        top = 1.0 if metric == "accuracy" else float(known.max()) * 1.05 or 1.0
        bottom = float(np.floor(known.min() * 10) / 10) if metric == "accuracy" else 0.0
        charts.append(line_chart(metric.title(), curves, ("epoch", metric), ((1.0, float(last)), (bottom, top)), mark=mark))
    note = "The head alone first, on a frozen network; then, from the dashed line on, the upper layers with it." if mark else ""
    shown = f" Pictures were shown {result.trained_on}." if result.trained_on else ""
    return f'<p>{note}{shown}</p><div class="plots">{"".join(charts)}</div>'


def _plots(result: Result) -> str:
    charts = "".join(
        line_chart(
            plot.title,
            plot.curves,
            (plot.x_label, plot.y_label),
            (_UNIT, _UNIT),
            has_diagonal=plot.has_diagonal,
        )
        for plot in result.plots
    )
    return f'{_calibration(result.calibration)}<div class="plots">{charts}</div>'


def _calibration(values: Mapping[str, Any]) -> str:
    """Whether a probability holds what it says, in words and numbers."""
    rows = "".join(
        f"<tr><th scope='row'>{when}</th>"
        + "".join(f"<td>{of[name]:.4f}</td>" for name in ("log_loss", "brier_score", "smooth_calibration_error"))
        + f"<td>{_ends(of)}</td></tr>"
        for when, of in (("before", values["before"]), ("after", values["after"]))
    )
    told = (
        f"The logits are divided by a temperature of {values['temperature']:g}, fitted on the validation images; the model has "
        "it inside."
        if values["temperature"] != 1
        else "The probabilities are the network's own: the validation images give no reason to change them."
    )
    head = ("temperature", "log loss", "Brier score", "calibration error (smooth)", "interval")
    return f"<p>{told} No verdict at one half changes by it.</p>{_table(head, rows)}"


def _ends(measured: Mapping[str, Any]) -> str:
    ends = measured["interval"].get("smooth_calibration_error")
    return f"{ends['low']:.4f} to {ends['high']:.4f}" if ends else "–"


def _gate(result: Result) -> str:
    """What the gate found in brief, and first of all whether the test is an honest one."""
    findings = result.findings
    totals = findings["totals"]
    honest = (
        f"<p><b>{count_alike(result)} one that the model saw in training.</b> What it scores there says little"
        f"{f'; the first {_SHOWN_PAIRS}' * (len(result.crossings) > _SHOWN_PAIRS)}:</p>{crossings(result, _SHOWN_PAIRS)}"
        if result.crossings
        else "<p>No test image looks like one that the model saw in training, as far as the gate can tell.</p>"
    )
    cures = {row["check"]: row for row in reversed(findings["findings"])}
    checks = "".join(
        f"<tr><th scope='row'>{escape(name.replace('_', ' '))}</th><td>{count:,}</td><td>{escape(cures[name]['severity'])}</td>"
        f"<td>{_with_code(cures[name]['cure'])}</td></tr>"
        for name, count in findings["checks"].items()
    )
    table = _table(("finding", "times", "severity", "cure"), checks) if checks else ""
    return (
        f'<p><b class="is-{escape(findings["status"])}">{_VERDICTS[findings["status"]]}.</b> {totals["images"]:,} images, '
        f'{totals["fit"]:,} fit to use.</p>{honest}{table}<h3>Images of each class in each split</h3>'
        f"{_split_counts(result)}<p>All of it: <code>reports/gate.html</code>.</p>"
    )


def _split_counts(result: Result) -> str:
    """A row a class; of many the fewest to learn from, the rest folded as far as the page has room."""
    splits, classes = list(result.split_counts), len(result.classes)
    order = sorted(range(classes), key=lambda number: result.split_counts[splits[0]][number])

    def table(numbers: Iterable[int]) -> str:
        rows = "".join(
            f"<tr><th scope='row'>{escape(result.classes[number])}</th>"
            + "".join(f"<td>{result.split_counts[split][number]:,}</td>" for split in splits)
            + "</tr>"
            for number in numbers
        )
        return _table(("class", *splits), rows)

    if classes <= OPEN_CLASSES:
        return table(range(classes))
    fewest = f"<p>The {OPEN_CLASSES} with the fewest to learn from.</p>{table(order[:OPEN_CLASSES])}"
    if classes > MOST_LISTED_CLASSES:
        most = table(order[-OPEN_CLASSES:])
        return (
            f"{fewest}<details><summary>the {OPEN_CLASSES} with the most</summary>{most}</details>"
            f"<p>All {classes:,} classes are in <code>data/splits</code>.</p>"
        )
    return f"{fewest}<details><summary>all {classes} classes</summary>{table(range(classes))}</details>"


def _with_code(text: str) -> str:
    """A sentence as HTML, what stands between backticks as code."""
    return re.sub("`([^`]+)`", r"<code>\1</code>", escape(text))


def _again(result: Result) -> str:
    """How to get the same numbers, and by which hashes to see that they are."""
    network = result.model.get("model", {}).get("architecture", "")
    size = " × ".join(str(side) for side in result.model.get("input_shape", ()))
    rows = "".join(
        f"<tr><th scope='row'>{escape(name)}</th><td><code>{escape(digest)}</code></td></tr>"
        for name, digest in result.digests.items()
    )
    return (
        f"<p>Network <code>{escape(str(network))}</code> on {escape(size)} pixels. <code>thaw runs</code> tells its number. "
        "<code>dvc.lock</code>, which comes back with the run, names the hash of every input, "
        "parameter, source file and output.</p>"
        "<pre>thaw restore NUMBER   # parameters, data, model and results as they were; it tells how the code comes back\n"
        "dvc repro --force     # the same bytes again</pre>"
        f"{_table(('what', 'SHA-256'), rows)}"
    )


def _table(head: tuple[str, ...], rows: str) -> str:
    titles = "".join(f'<th scope="col">{escape(title)}</th>' for title in head)
    return f'<div class="wide"><table><thead><tr>{titles}</tr></thead><tbody>{rows}</tbody></table></div>'


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Result: how well the model does</title>
<meta name="viewport" content="width=device-width,initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<link rel="icon" href="data:,"><style>{style}</style></head><body><main>
{headline}<nav aria-label="Sections">{links}</nav>{next_steps}
{sections}</main></body></html>
"""
