"""Stage `report`: tell what came out as one page."""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from thaw import images
from thaw.decision import threshold_of
from thaw.evaluation import Predictions
from thaw.evaluation.curves import rankings, reliability
from thaw.evaluation.examples import examples_of, heatmap_path
from thaw.files import digest, read_json
from thaw.params import ReportParams
from thaw.reporting import Crossing, Curve, Measure, OutOfFold, Phase, Plot, Result
from thaw.reporting.page import write_page
from thaw.sources import File
from thaw.splitting.files import SPLITS, read_classes, read_split

log = logging.getLogger("thaw.report")

_THUMBNAIL_PIXELS = 134
_CURVE_COLUMNS = ("loss", "validation_loss", "accuracy", "validation_accuracy")


@dataclass(frozen=True)
class ReportInputs:
    """What `report` reads."""

    raw_dir: Path
    manifest_path: Path
    findings_path: Path
    train_path: Path
    validation_path: Path
    test_path: Path
    classes_path: Path
    evaluated_dir: Path
    frozen_curve_path: Path
    fine_tuned_curve_path: Path
    metrics_path: Path
    predictions_path: Path
    class_metrics_path: Path
    pictures_dir: Path
    audit_path: Path


@dataclass(frozen=True)
class ReportOutputs:
    """What `report` writes."""

    result_path: Path


def report(params: ReportParams, inputs: ReportInputs, outputs: ReportOutputs) -> None:
    """Write the page: what follows from the stage's inputs, and nothing of when or where it was made.

    Raises:
        ThawError: an image that is to be shown cannot be read.
    """
    write_page(outputs.result_path, _gather(inputs, params.pictures))
    log.info("the report, %.1f MB: %s", outputs.result_path.stat().st_size / 1e6, outputs.result_path.name)


def _gather(inputs: ReportInputs, count: int) -> Result:
    classes, metrics = read_classes(inputs.classes_path), read_json(inputs.metrics_path)
    splits = {name: read_split(getattr(inputs, f"{name}_path")) for name in SPLITS}
    model = read_json(inputs.evaluated_dir / "model.json")
    table = _read_text_table(inputs.predictions_path)
    test = splits["test"]
    predictions = Predictions(
        classes, test["label"].to_numpy(), table.iloc[:, 3:].to_numpy(np.float64), test["confidence"].to_numpy(),
        threshold_of(model),
    )  # fmt: skip
    number_of = {name: number for number, name in enumerate(classes)}
    return Result(
        classes=classes,
        paths=list(table["path"]),
        labels=predictions.labels,
        predicted=np.array([number_of[name] for name in table["predicted"]], np.int64),
        probabilities=predictions.probabilities,
        certainty=predictions.certainty,
        metrics={name: _measure(metrics, name) for name in _headline_names(metrics)},
        out_of_fold=_read_audit(inputs.audit_path),
        coverage=metrics["intervals"]["coverage"],
        class_measures=_class_measures(inputs.class_metrics_path),
        slices={
            column: {name: (values["images"], _measure(values, "accuracy")) for name, values in of_column.items()}
            for column, of_column in metrics["slices"].items()
        },
        phases=[_read_phase(inputs.frozen_curve_path), _read_phase(inputs.fine_tuned_curve_path)],
        plots=list(_plots(predictions)),
        crossings=list(_crossings(splits)),
        split_counts={
            name: np.bincount(rows["label"], minlength=len(classes)).tolist() for name, rows in splits.items()
        },
        findings=read_json(inputs.findings_path),
        model=model,
        digests=_digests(inputs, model),
        examples=examples_of(predictions, count)._asdict(),
        heatmap=cache(lambda image: _heatmap(heatmap_path(inputs.pictures_dir, image))),
        thumbnail=cache(lambda path: _thumbnail(images.inside(inputs.raw_dir, path))),
    )


def _headline_names(metrics: Mapping[str, Any]) -> list[str]:
    undefined = metrics.get("undefined", {})
    return [
        name
        for name, value in metrics.items()
        if name != "images" and (name in undefined or (isinstance(value, int | float) and not isinstance(value, bool)))
    ]


def _measure(metrics: Mapping[str, Any], name: str) -> Measure:
    interval = metrics["interval"].get(name, {})
    return Measure(metrics[name], interval.get("low"), interval.get("high"))


def _read_audit(path: Path) -> OutOfFold | None:
    facts = read_json(path)
    if not facts["folds"]:
        return None
    found = facts["accuracy"]
    return OutOfFold(Measure(found["mean"], found["low"], found["high"]), found["sd"], facts["folds"], facts["images"])


def _class_measures(path: Path) -> list[dict[str, Measure]]:
    return [
        {
            name: Measure(*(float(row[key]) if row[key] else None for key in (name, f"{name}_low", f"{name}_high")))
            for name in ("recall", "precision")
        }
        for row in _read_text_table(path).to_dict("records")
    ]


def _read_text_table(path: Path) -> pd.DataFrame:
    """A CSV with every cell as text: a class may be called `NA`."""
    return pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8")


def _read_phase(path: Path) -> Phase:
    rows = _read_text_table(path)
    columns = {name: rows[name] if name in rows else pd.Series([""] * len(rows)) for name in _CURVE_COLUMNS}
    return Phase({name: pd.to_numeric(column).to_numpy(np.float64) for name, column in columns.items()})


def _plots(predictions: Predictions) -> Iterator[Plot]:
    """ROC and precision by recall of two classes; the reliability of any number."""
    if len(predictions.classes) == 2:
        for name, hits, misses, _ in rankings(predictions):
            if hits[-1] and misses[-1]:
                recall, false_alarms = hits / hits[-1], misses / misses[-1]
                yield Plot(f"ROC of {name}", "false positive rate", "recall", [Curve("", false_alarms, recall)], True)
            if hits[-1]:
                precision, recall = hits[1:] / (hits[1:] + misses[1:]), hits / hits[-1]
                precision = np.concatenate([precision[:1], precision])  # as the average precision counts the first step
                yield Plot(f"Precision and recall of {name}", "recall", "precision", [Curve("", recall, precision)], False)
    found = reliability(predictions)
    about = found.about or "the likeliest class"
    yield Plot(
        "Reliability", f"predicted probability of {about}", "observed share (bars: images)",
        [Curve("", found.predicted, found.observed)], True, found.sizes.tolist(),
    )  # fmt: skip


def _crossings(splits: Mapping[str, pd.DataFrame]) -> Iterator[Crossing]:
    """Each test image of a group that training saw too, beside the first of the group there."""
    seen: dict[str, tuple[str, str]] = {}
    for split in ("train", "validation"):
        for path, group in zip(splits[split]["path"], splits[split]["group"], strict=True):
            if group:
                seen.setdefault(group, (path, split))
    for path, group in zip(splits["test"]["path"], splits["test"]["group"], strict=True):
        if group in seen:
            yield Crossing(path, *seen[group])


def _digests(inputs: ReportInputs, model: Mapping[str, Any]) -> dict[str, str]:
    return {
        "data/manifest.parquet, which holds the hash of every image": digest(inputs.manifest_path),
        **{f"data/splits/{name}.csv": digest(getattr(inputs, f"{name}_path")) for name in SPLITS},
        "weights of the model": str(model.get("weights_sha256", "")),
        "reports/predictions.csv": digest(inputs.predictions_path),
    }


def _thumbnail(path: File) -> str:
    side = _THUMBNAIL_PIXELS
    return images.data_address(images.decode(path, 3, at_least=(side, side), resize="pad"), side)


def _heatmap(path: Path) -> str:
    return images.data_address(images.decode(path, 3), _THUMBNAIL_PIXELS) if path.exists() else ""
