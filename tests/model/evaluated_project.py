"""A project with a network to evaluate, for the tests of `evaluate`."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from typer.testing import CliRunner

from thaw import models
from thaw.cli import app
from thaw.decision import probabilities_of
from thaw.params import ComputeParams, EvaluateParams, ExtractParams, ModelParams
from thaw.stages.evaluate import EvaluateInputs, EvaluateOutputs, evaluate

ROOT = Path(__file__).parents[2]
CURVE = "epoch,loss,accuracy,validation_loss,validation_accuracy,learning_rate\n1,0.7,0.5,0.8,0.5,0.1\n2,0.6,0.7,,,0.1\n"
OUTPUTS = (
    "headline.json", "metrics.json", "predictions.csv", "class_metrics.csv", "slices.csv", "confusion.csv",
    "confused_pairs.csv", "confusion_plot.csv", "pictures", "models/evaluated",
)  # fmt: skip


def make_project(folder, classes):
    """A project with an untrained network and 30 test images."""
    random = np.random.default_rng(0)
    rows = []
    for i in range(30):
        label = i % len(classes)
        path = folder / "data" / "raw" / classes[label] / f"Bild {i:02d} ü.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = random.integers(0, 100, (30, 60)) + 70 * label
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path)
        rows.append(
            (f"{classes[label]}/{path.name}", classes[label], label, "", 1, [1, 0.5][i % 2], 1, "", "ab"[i % 2])
        )
    columns = ["path", "class", "label", "target", "weight", "confidence", "grey", "group", "kind"]
    pd.DataFrame(rows, columns=columns).sort_values("path").to_csv(folder / "test.csv", index=False)
    pd.DataFrame([
        {"path": path, "format": "PNG", "width": 60, "height": 30, "grey": True, "contrast": 29.0, "sharpness": 0.5,
         "brightness": 50.0 + 70 * label}
        for path, _, label, *_ in rows
    ]).to_parquet(folder / "manifest.parquet")  # fmt: skip
    (folder / "classes.json").write_text(json.dumps(classes))
    (folder / "frozen.csv").write_text(CURVE)
    (folder / "fine.csv").write_text(CURVE)
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copy(ROOT / name, folder / name)
    params = ModelParams(architecture="lenet5", weights="none")
    network = models.build(params, (28, 28, 1), len(classes), seed=1)
    config = {"model": params.model_dump(), "input_shape": (28, 28, 1), "resize": "crop", "classes": classes}
    models.save(network, folder / "models" / "fine_tuned", config | {"temperature": 0.5})
    lay_out_of_fold(folder, classes, random)
    return folder


def lay_out_of_fold(folder, classes, random):
    """60 images that heads judged, of which 30 are of the validation split, which the model itself judged."""
    labels = np.arange(60) % len(classes)
    rows = pd.DataFrame({"path": [f"{number:02d}.png" for number in range(60)], "class": np.array(classes)[labels],
                         "label": labels, "target": "", "weight": 1, "confidence": 1, "grey": 1, "group": ""})  # fmt: skip
    rows[:30].to_csv(folder / "train.csv", index=False)
    rows[30:].to_csv(folder / "validation.csv", index=False)
    logits = random.normal(size=(60, len(classes))) + 2 * np.eye(len(classes))[labels]
    shares = pd.DataFrame(probabilities_of(logits).round(6), columns=[f"probability_{name}" for name in classes])
    judged = rows[["path", "class", "label"]].assign(fold=1, predicted=rows["class"])
    pd.concat([judged, shares], axis=1).to_csv(folder / "out_of_fold.csv", index=False)
    names = classes if len(classes) > 2 else classes[1:]
    said = logits[30:] if len(classes) > 2 else logits[30:, 1:] - logits[30:, :1]
    table = pd.DataFrame(said, columns=[f"logit_{name}" for name in names])
    table.insert(0, "path", rows["path"][30:].to_list())
    table.to_csv(folder / "validation_logits.csv", index=False)


PARAMS, EXTRACT = EvaluateParams(bootstrap_samples=50), ExtractParams()


def run(project, params=PARAMS, extract=EXTRACT, **change):
    """Evaluate the project's network; `change`: other inputs. The bytes of each output."""
    inputs = {
        "raw_dir": project / "data" / "raw", "manifest_path": project / "manifest.parquet", "test_path": project / "test.csv",
        "train_path": project / "train.csv", "validation_path": project / "validation.csv",
        "validation_logits_path": project / "validation_logits.csv", "out_of_fold_path": project / "out_of_fold.csv",
        "classes_path": project / "classes.json", "fine_tuned_dir": project / "models" / "fine_tuned",
        "frozen_curve_path": project / "frozen.csv", "fine_tuned_curve_path": project / "fine.csv",
    }  # fmt: skip
    outputs = EvaluateOutputs(*(project / name for name in OUTPUTS))
    evaluate(params, 1, extract, ComputeParams(), EvaluateInputs(**inputs | change), outputs, project / ".thaw" / "evaluate")
    found = [file for name in OUTPUTS for file in ([project / name] if "." in name else (project / name).rglob("*"))]
    return {file.name: file.read_bytes() for file in found if file.is_file()}


def predict(project, monkeypatch, *arguments):
    monkeypatch.chdir(project)
    return CliRunner().invoke(app, ["predict", *map(str, arguments)], catch_exceptions=False)
