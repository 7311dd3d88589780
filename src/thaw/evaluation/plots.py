"""Pictures of predictions and of the training before them: PNG files, the same bytes for the same numbers."""

import csv
import logging
import warnings
from functools import partial
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter

from thaw.evaluation.calibration import diagram
from thaw.evaluation.confusion import confused_pairs, confusion, order_by_likeness
from thaw.evaluation.curves import MOST_CURVES, answered, average_roc, rankings, shown_classes
from thaw.evaluation.predictions import Predictions
from thaw.files import replacing

logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)

_MOST_NUMBERED_CLASSES, _MOST_NAMED_CLASSES = 20, 120
_LISTED_PAIRS, _MOST_CELLS = 30, 200
_TRAIN, _VALIDATION, _FAINT = "#2166ac", "#d6604d", "#999999"


def draw_learning_curves(frozen_curve_path: Path, fine_tuned_curve_path: Path, picture_path: Path) -> None:
    """Loss, its logarithm and accuracy over both phases, on one axis of epochs."""
    phases = [_read_curve(frozen_curve_path), _read_curve(fine_tuned_curve_path)]
    thaw_epoch = len(phases[0]["loss"])
    figure = Figure(figsize=(15, 4.4), layout="constrained")
    panels = figure.subplots(1, 3)
    for axes, metric, scale in zip(
        panels, ("loss", "loss", "accuracy"), ("linear", "log", "linear"), strict=True
    ):
        for column, colour, label in (
            (metric, _TRAIN, "train"),
            (f"validation_{metric}", _VALIDATION, "validation"),
        ):
            values = np.concatenate([phase[column] for phase in phases])
            known = np.flatnonzero(np.isfinite(values))
            if len(known):
                axes.plot(known + 1, values[known], color=colour, label=label, marker=".")
        axes.set(xlabel="epoch", ylabel=metric, title=f"{metric} ({scale})", yscale=scale)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        if scale == "log":
            axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5, 7)))
            axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
            axes.yaxis.set_minor_formatter(NullFormatter())
        if 0 < thaw_epoch < thaw_epoch + len(phases[1]["loss"]):
            axes.axvline(thaw_epoch + 0.5, color=_FAINT, linestyle="--", label="thawed")
        if axes.get_legend_handles_labels()[0]:
            axes.legend()
        axes.grid(alpha=0.3)
    _save(figure, picture_path)


def draw_predictions(predictions: Predictions, temperature: float, pictures_dir: Path) -> None:
    """Write `roc.png`, `precision_recall.png`, `confusion.png` and `reliability.png` of a model with this temperature."""
    for name, draw in (
        ("roc", _draw_roc),
        ("precision_recall", _draw_precision_recall),
        ("confusion", _draw_confusion),
        ("reliability", partial(_draw_reliability, temperature)),
    ):
        is_large = name == "confusion" and len(predictions.classes) > _MOST_NUMBERED_CLASSES
        side = 5.2 if name != "confusion" else float(np.clip(3.4 + 0.45 * len(predictions.classes), 4.6, 13))
        figure = Figure(figsize=(side + (4.4 if is_large else 0.6), side), layout="constrained")
        draw(predictions, figure.subplots())
        _save(figure, pictures_dir / f"{name}.png")


def draw_answered(predictions: Predictions, least_certainty: float, picture_path: Path) -> None:
    """The accuracy of the surest verdicts by how many of the images they answer, a mark where the bound is."""
    coverage, accuracy, certainty = answered(predictions)
    figure = Figure(figsize=(5.8, 5.2), layout="constrained")
    axes = figure.subplots()
    axes.plot(coverage, accuracy, color=_TRAIN, label="accuracy of what is answered")
    kept = int((certainty >= least_certainty).sum()) - 1
    if kept >= 0:
        axes.plot(coverage[kept], accuracy[kept], "o", color=_VALIDATION, label=f"answered: {coverage[kept]:.1%}")
    axes.set(xlabel="share of the images answered", ylabel="accuracy", title="Coverage and accuracy",
             xlim=(-0.01, 1.01), ylim=(max(0.0, float(accuracy.min()) - 0.05), 1.005))  # fmt: skip
    axes.grid(alpha=0.3)
    axes.legend(loc="lower left", fontsize="small")
    _save(figure, picture_path)


def _draw_roc(predictions: Predictions, axes: Axes) -> None:
    axes.plot([0, 1], [0, 1], color=_FAINT, linestyle="--")
    areas = predictions.ranking.measure(np.ones((1, len(predictions))))[0][0]
    is_large = len(predictions.classes) > MOST_CURVES
    if is_large:
        label = f"mean of all {len(areas)}: area {np.nanmean(areas):.3f}"
        axes.plot(*average_roc(predictions), color="black", linewidth=2, label=label)
    for name, hits, misses, _ in rankings(predictions, shown_classes(predictions, areas)):
        if hits[-1] and misses[-1]:
            rates = misses / misses[-1], hits / hits[-1]
            axes.plot(*rates, label=f"{_literal(name)}: area {np.trapezoid(rates[1], rates[0]):.3f}")
    title = "ROC, one class against the rest: the lowest" if is_large else "ROC"
    axes.set(xlabel="false positive rate", ylabel="true positive rate (recall)", title=title)
    _finish(axes, "lower right")


def _draw_precision_recall(predictions: Predictions, axes: Axes) -> None:
    precisions = predictions.ranking.measure(np.ones((1, len(predictions))))[1][0]
    shown = shown_classes(predictions, precisions)
    for name, hits, misses, share in rankings(predictions, shown):
        if hits[-1]:
            precision, recall = hits[1:] / (hits[1:] + misses[1:]), hits[1:] / hits[-1]
            average = float(np.sum(np.diff(recall, prepend=0) * precision))
            line = axes.step(
                np.append(0, recall),
                np.append(precision[0], precision),
                where="pre",
                label=f"{_literal(name)}: average precision {average:.3f}",
            )
            axes.axhline(share, color=line[0].get_color(), linestyle=":", alpha=0.6)
    lowest = " of the lowest classes" if 1 < len(shown) < len(precisions) else ""
    axes.set(xlabel="recall", ylabel="precision", title=f"Precision and recall{lowest} (dotted: by chance)")
    _finish(axes, "upper right" if lowest else "lower left")


def _draw_confusion(predictions: Predictions, axes: Axes) -> None:
    counts = confusion(predictions)
    if len(counts) > _MOST_NUMBERED_CLASSES:
        _draw_large_confusion(predictions, counts, axes)
        return
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    numbers = range(len(predictions.classes))
    names = [_shortened(name) for name in predictions.classes]
    steep = len(names) > 3 or max(map(len, names)) > 14
    axes.set_xticks(numbers, names, rotation=90 if steep else 0, parse_math=False)
    axes.set_yticks(numbers, names, parse_math=False)
    for row, column in np.ndindex(*counts.shape):
        share = f"\n{shares[row, column]:.1%}" if len(names) <= 8 else ""
        colour = "white" if shares[row, column] > 0.5 else "black"
        axes.text(column, row, f"{counts[row, column]}{share}", ha="center", va="center", color=colour)
    axes.set(xlabel="predicted", ylabel="true", title="Confusion (shares of the true class)")


def _draw_large_confusion(predictions: Predictions, counts: np.ndarray, axes: Axes) -> None:
    """The classes in an order that puts those together which are taken for each other; beside it the pairs by name."""
    order = order_by_likeness(counts)
    together = -(-len(order) // _MOST_CELLS)
    starts = np.arange(0, len(order), together)
    cells = np.add.reduceat(np.add.reduceat(counts[np.ix_(order, order)], starts, axis=0), starts, axis=1)
    shares = cells / np.maximum(cells.sum(axis=1, keepdims=True), 1)
    drawn = axes.imshow(shares, cmap="Blues", norm=PowerNorm(0.5, 0, 1), interpolation="nearest")
    names = [_shortened(predictions.classes[number]) for number in order]
    if len(names) <= _MOST_NAMED_CLASSES:
        size = float(np.clip(640 / len(names), 5, 10))
        axes.set_xticks(range(len(names)), names, rotation=90, parse_math=False, fontsize=size)
        axes.set_yticks(range(len(names)), names, parse_math=False, fontsize=size)
    else:
        axes.set_xticks([])
        axes.set_yticks([])
    pairs = confused_pairs(predictions)
    lines = [
        f"{_shortened(row['class'])}\n     for {_shortened(row['predicted'])}: {row['images']} ({row['share']:.0%})"
        for row in pairs.head(_LISTED_PAIRS).to_dict("records")
    ]
    text = "\n".join(["Most often mistaken", "", *lines])
    axes.text(1.02, 1, text, transform=axes.transAxes, va="top", fontsize=9, parse_math=False)
    scale = axes.figure.colorbar(drawn, ax=axes, orientation="horizontal", shrink=0.4, aspect=40, pad=0.01)
    scale.set_label("share of what it is")
    cell = f"; a cell: {together} of them" if together > 1 else ""
    title = f"Confusion of {len(names)} classes, those taken for each other together{cell}"
    axes.set(xlabel="predicted", ylabel="true", title=title)


def _draw_reliability(temperature: float, predictions: Predictions, axes: Axes) -> None:
    about, after, before = diagram(predictions, temperature)
    axes.fill_between(after.predicted, after.density / after.density.max(), color="#dddddd", label="density of the predictions")
    axes.plot([0, 1], [0, 1], color=_FAINT, linestyle="--")
    if before:
        axes.plot(before.predicted, before.observed, color=_VALIDATION, linestyle=":", label="before the temperature")
    axes.plot(after.predicted, after.observed, color=_TRAIN, label="observed")
    name = about if about not in predictions.classes else _literal(about)
    axes.set(xlabel=f"predicted probability of {name}", ylabel="observed share", title="Reliability (smooth)")
    _finish(axes, "upper left")


def _finish(axes: Axes, corner: str) -> None:
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.02))
    axes.grid(alpha=0.3)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc=corner, fontsize="small")


def _read_curve(path: Path) -> dict[str, np.ndarray]:
    """Columns of a curve, NaN where a cell is empty."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    names = ("loss", "validation_loss", "accuracy", "validation_accuracy")
    return {name: np.array([float(row.get(name) or "nan") for row in rows], np.float64) for name in names}


def _literal(name: str) -> str:
    """A class's name as a label that Matplotlib neither typesets as mathematics nor hides."""
    return ("\u200b" if name.startswith("_") else "") + _shortened(name).replace("$", r"\$")


def _shortened(name: str) -> str:
    return name if len(name) <= 28 else name[:27] + "…"


def _save(figure: Figure, path: Path) -> None:
    with replacing(path) as temporary, warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", "Glyph .* missing"
        )  # a name in a script the font lacks is drawn as boxes
        figure.savefig(temporary, format="png", dpi=110, metadata={"Software": None})
