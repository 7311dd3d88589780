"""Stage `report`: tell what came out as one page."""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import csv

from thaw import images
from thaw.decision import temperature_of, threshold_of
from thaw.evaluation import Predictions
from thaw.evaluation.calibration import diagram
from thaw.evaluation.curves import average_roc, rankings
from thaw.evaluation.examples import examples_of, heatmap_path
from thaw.files import digest, read_json
from thaw.licences import digest_images, images_licence, weights_licence
from thaw.params import ReportParams
from thaw.reporting import Crossing, Curve, Measure, OutOfFold, Phase, Plot, Result, Slice
from thaw.reporting.card import Standing, write_card
from thaw.reporting.page import write_page
from thaw.reporting.suspects import Suspect, Suspects, write_suspects
from thaw.sources import File
from thaw.splitting.files import SPLITS, read_classes, read_split

log = logging.getLogger("thaw.report")

_THUMBNAIL_PIXELS = 134
_LOWEST_CURVES = 3
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
    slices_path: Path
    pictures_dir: Path
    audit_path: Path
    label_suspects_path: Path


@dataclass(frozen=True)
class ReportOutputs:
    """What `report` writes."""

    result_path: Path
    label_suspects_path: Path
    """The page of the labels that are probably wrong."""
    model_card_path: Path


def report(params: ReportParams, inputs: ReportInputs, outputs: ReportOutputs) -> None:
    """Write the page and the model card: what follows from the stage's inputs, and nothing of when or where it was made.

    Raises:
        ThawError: an image that is to be shown cannot be read.
    """
    suspects = _read_suspects(inputs)
    write_suspects(outputs.label_suspects_path, suspects)
    result = _gather(inputs, params.pictures, len(suspects.rows))
    write_page(outputs.result_path, result)
    write_card(outputs.model_card_path, result, _standing(params, inputs, result.model))
    log.info("the report, %.1f MB: %s", outputs.result_path.stat().st_size / 1e6, outputs.result_path.name)


def _gather(inputs: ReportInputs, count: int, suspects: int) -> Result:
    classes, metrics = read_classes(inputs.classes_path), read_json(inputs.metrics_path)
    splits = {name: read_split(getattr(inputs, f"{name}_path")) for name in SPLITS}
    model = read_json(inputs.evaluated_dir / "model.json")
    paths, predicted, probabilities = _read_predictions(inputs.predictions_path)
    test = splits["test"]
    predictions = Predictions(
        classes, test["label"].to_numpy(), probabilities, test["confidence"].to_numpy(), threshold_of(model),
    )  # fmt: skip
    number_of = {name: number for number, name in enumerate(classes)}
    return Result(
        classes=classes,
        paths=paths,
        labels=predictions.labels,
        predicted=np.array([number_of[name] for name in predicted], np.int64),
        probabilities=predictions.probabilities,
        certainty=predictions.certainty,
        metrics={name: _measure(metrics, name) for name in _headline_names(metrics)},
        out_of_fold=_read_audit(inputs.audit_path),
        suspects=suspects,
        coverage=metrics["intervals"]["coverage"],
        class_measures=_class_measures(inputs.class_metrics_path),
        slices=_slices(inputs.slices_path),
        phases=[_read_phase(inputs.frozen_curve_path), _read_phase(inputs.fine_tuned_curve_path)],
        plots=list(_plots(predictions, temperature_of(model))),
        calibration=metrics["calibration"],
        decision=metrics["decision"],
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


def _standing(params: ReportParams, inputs: ReportInputs, model: Mapping[str, Any]) -> Standing:
    rows = pd.read_parquet(inputs.manifest_path, columns=["path", "sha256"])
    images_digest = digest_images(zip(rows["path"], rows["sha256"], strict=True))
    network = model.get("model", {})
    return Standing(
        params.intended_use,
        images_licence(images_digest) if params.data_licence == "auto" else params.data_licence,
        weights_licence(network.get("architecture", ""), network.get("weights", "none")),
        images_digest,
        read_json(inputs.metrics_path).get("calibration", {}),
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


def _read_suspects(inputs: ReportInputs) -> Suspects:
    rows = [
        Suspect(row["path"], row["label"], row["suggested_label"], float(row["score"]), row["why"])
        for row in _read_text_table(inputs.label_suspects_path).to_dict("records")
    ]
    images_asked = read_json(inputs.audit_path).get("images", 0)
    return Suspects(rows, images_asked, lambda path: _thumbnail(images.inside(inputs.raw_dir, path)))


def _class_measures(path: Path) -> list[dict[str, Measure]]:
    return [
        {name: _read_measure(row, name, f"{name}_low", f"{name}_high") for name in ("recall", "precision")}
        for row in _read_text_table(path).to_dict("records")
    ]


def _slices(path: Path) -> list[Slice]:
    return [
        Slice(
            row["slice"],
            row["value"],
            int(row["images"]),
            _read_measure(row, "accuracy", "low", "high"),
            _read_measure(row, "difference", "difference_low", "difference_high"),
            _number(row["adjusted_p"]),
            _number(row["detectable"]),
            row["worse"] == "1",
        )
        for row in _read_text_table(path).to_dict("records")
    ]


def _read_measure(row: Mapping[Any, Any], *columns: str) -> Measure:
    return Measure(*(_number(row[name]) for name in columns))


def _number(cell: str) -> float | None:
    return float(cell) if cell else None


def _read_predictions(path: Path) -> tuple[list[str], list[str], np.ndarray]:
    """Paths, predicted classes and probabilities `(images, classes)`; as text a table of 1,000 classes would take long."""
    texts = dict.fromkeys(("path", "class", "predicted"), pa.string())
    table = csv.read_csv(
        path,
        read_options=csv.ReadOptions(use_threads=False, block_size=1 << 26),
        parse_options=csv.ParseOptions(newlines_in_values=True),
        convert_options=csv.ConvertOptions(column_types=texts, strings_can_be_null=False),
    )
    columns = [column.to_numpy() for column in table.columns[len(texts) :]]
    probabilities = np.column_stack(columns).astype(np.float64, copy=False)
    return table["path"].to_pylist(), table["predicted"].to_pylist(), probabilities


def _read_text_table(path: Path) -> pd.DataFrame:
    """A CSV with every cell as text: a class may be called `NA`."""
    return pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8")


def _read_phase(path: Path) -> Phase:
    rows = _read_text_table(path)
    columns = {name: rows[name] if name in rows else pd.Series([""] * len(rows)) for name in _CURVE_COLUMNS}
    return Phase({name: pd.to_numeric(column).to_numpy(np.float64) for name, column in columns.items()})


def _plots(predictions: Predictions, temperature: float) -> Iterator[Plot]:
    """ROC and precision by recall of two classes, the mean ROC and the lowest of more; the reliability of any number."""
    if len(predictions.classes) == 2:
        for name, hits, misses, _ in rankings(predictions, [1]):
            if hits[-1] and misses[-1]:
                recall, false_alarms = hits / hits[-1], misses / misses[-1]
                yield Plot(f"ROC of {name}", "false positive rate", "recall", [Curve("", false_alarms, recall)], True)
            if hits[-1]:
                precision, recall = hits[1:] / (hits[1:] + misses[1:]), hits / hits[-1]
                precision = np.concatenate([precision[:1], precision])  # as the average precision counts the first step
                yield Plot(f"Precision and recall of {name}", "recall", "precision", [Curve("", recall, precision)], False)
    else:
        areas = predictions.ranking.measure(np.ones((1, len(predictions))))[0][0]
        lowest = [int(number) for number in np.argsort(areas)[:_LOWEST_CURVES] if not np.isnan(areas[number])]
        curves = [Curve(f"mean of all {len(areas):,}", *average_roc(predictions))]
        curves += [Curve(name, misses / misses[-1], hits / hits[-1]) for name, hits, misses, _ in rankings(predictions, lowest)]
        title = "ROC of each class against the rest: mean and the lowest"
        yield Plot(title, "false positive rate", "recall", curves, True)
    about, after, before = diagram(predictions, temperature)
    curves = [Curve("observed", after.predicted, after.observed),
              Curve("density of the predictions", after.predicted, after.density / after.density.max())]  # fmt: skip
    curves += [Curve("before the temperature", before.predicted, before.observed)] if before else []
    yield Plot("Reliability", f"predicted probability of {about}", "observed share", curves, True)


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
