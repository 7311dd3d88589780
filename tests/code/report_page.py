"""A report to look at, for the tests of its page."""

import json
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from thaw.decision import probabilities_of
from thaw.evaluation import Predictions, report_metrics
from thaw.evaluation.calibration import report_calibration
from thaw.evaluation.slices import divide_images, slice_table
from thaw.evaluation.tables import class_table, prediction_table
from thaw.params import ReportParams
from thaw.stages.report import ReportInputs, ReportOutputs, report

CURVE = "epoch,loss,accuracy,validation_loss,validation_accuracy,learning_rate\n1,0.7,0.5,0.8,0.5,0.1\n2,0.6,0.7,,,0.1\n"
AWKWARD = ["<script>alert(1)</script>", "NA", "猫 \"&'", "a name so long that it would not fit anywhere at all"]
SIZES = (2, 4, 20, 150)
"""Of classes, that reports are made of."""


def lay_out(root: Path, classes: list[str], images: int) -> ReportInputs:
    """What the stages before leave, of a model that is right four times in five, on random pictures."""
    random = np.random.default_rng(0)
    labels = np.arange(images) % len(classes)
    logits = random.normal(size=(images, len(classes)))
    logits[np.arange(images), labels] += 2.5
    paths = [f"class {label:03d}/Bild {number:03d} <é>.png" for number, label in enumerate(labels)]
    rows = pd.DataFrame({"path": paths, "class": [classes[label] for label in labels], "label": labels,
                         "target": "", "weight": 1,
                         "confidence": 1.0, "grey": 1, "group": "", "type": ["mono", "poly"] * (images // 2)})  # fmt: skip
    rows.loc[3, "group"] = "seen.png"
    predictions = Predictions(classes, labels, probabilities_of(logits), np.ones(images))
    metrics = report_metrics(predictions, {"type": rows["type"].to_numpy(str)}, 50, 0.95, 1)
    metrics["decision"] = {"threshold": 0.5, "aim": "recall of at least 0.9", "chosen_on": 1234, "answered": 0.9,
                           "answered_accuracy": 0.95, "least_certainty": 0.1,
                           "interval": {"threshold": {"low": 0.41, "high": 0.62},
                                        "answered_accuracy": {"low": 0.91, "high": 0.97}}}  # fmt: skip
    metrics["calibration"] = report_calibration(predictions, 1.5, 50, 0.95, 1)
    inputs = ReportInputs(
        root / "raw", root / "manifest.parquet", root / "findings.json", root / "train.csv", root / "validation.csv",
        root / "test.csv", root / "classes.json", root / "evaluated", root / "frozen.csv", root / "fine.csv",
        root / "metrics.json", root / "predictions.csv", root / "class_metrics.csv", root / "slices.csv", root / "pictures",
        root / "audit.json", root / "label_suspects.csv",
    )  # fmt: skip
    for path in [*paths, "seen.png"]:
        (inputs.raw_dir / path).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 255, (40, 60), np.uint8)).save(inputs.raw_dir / path)
    seen = rows[:1].assign(path="seen.png", group="seen.png")
    for path, table in ((inputs.test_path, rows), (inputs.train_path, seen), (inputs.validation_path, rows[:0])):
        table.to_csv(path, index=False)
    pd.DataFrame({"path": [*paths, "seen.png"], "sha256": "00"}).to_parquet(inputs.manifest_path)
    accuracy = {"mean": 0.81, "sd": 0.023, "low": 0.77, "high": 0.85}
    inputs.audit_path.write_text(json.dumps({"folds": 5, "images": 1968, "accuracy": accuracy}))
    suspects = rows[["path", "class"]].rename(columns={"class": "label"}).iloc[:: max(1, images // 120)]
    suspects = suspects.assign(suggested_label=classes[0], score=0.25, why="looks like <b>&.png")
    suspects.to_csv(inputs.label_suspects_path, index=False)
    findings = {"status": "warn", "totals": {"images": images + 1, "fit": images + 1}, "checks": {"near_duplicate": 1},
                "findings": [{"check": "near_duplicate", "severity": "warn", "cure": "See <them>: `thaw clean`."}]}  # fmt: skip
    model = {"model": {"architecture": "lenet5"}, "input_shape": [28, 28, 1], "phase": "fine_tuned", "weights_sha256": "ab12",
             "temperature": 1.5}
    inputs.evaluated_dir.mkdir()
    for path, value in ((inputs.findings_path, findings), (inputs.classes_path, classes), (inputs.metrics_path, metrics),
                        (inputs.evaluated_dir / "model.json", model)):  # fmt: skip
        path.write_text(json.dumps(value))
    inputs.frozen_curve_path.write_text(CURVE)
    inputs.fine_tuned_curve_path.write_text(CURVE)
    prediction_table(rows, predictions).to_csv(inputs.predictions_path, index=False)
    class_table(predictions, 0.95).to_csv(inputs.class_metrics_path, index=False)
    pictures = pd.DataFrame({"format": "PNG", "width": 60, "height": 40, "grey": True, "contrast": 20.0, "sharpness": 0.3,
                             "brightness": random.permutation(images) + 0.0})  # fmt: skip
    divisions = divide_images(pictures, labels, classes, {"type": rows["type"].to_numpy(str)})
    slice_table(predictions, divisions, 0.95).to_csv(inputs.slices_path, index=False)
    (inputs.pictures_dir / "heatmaps").mkdir(parents=True)
    for image in range(0, images, 2):
        Image.new("RGB", (60, 40), (image % 250, 0, 0)).save(inputs.pictures_dir / "heatmaps" / f"{image:05d}.png")
    return inputs


def write(inputs: ReportInputs, path: Path) -> str:
    report(ReportParams(), inputs, ReportOutputs(path, path.with_name("label_suspects.html"), path.with_suffix(".md")))
    return path.read_text(encoding="utf-8")


def make_report(folder: Path, classes: int) -> tuple[ReportInputs, Path]:
    """The inputs and the page, of so many classes."""
    names = AWKWARD if classes == 4 else [f"class {number}" for number in range(classes)]
    inputs = lay_out(folder, names, max(60, 2 * classes))
    write(inputs, folder / "index.html")
    return inputs, folder / "index.html"


class Reader(HTMLParser):
    """Start tags in their order, with their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def of(self, *names: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag in names]
