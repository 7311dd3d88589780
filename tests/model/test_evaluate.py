"""`evaluate` and `thaw predict` on a real network."""

import csv
import json
import shutil
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from typer.testing import CliRunner

from thaw import images, models
from thaw.cli import app
from thaw.errors import ThawError
from thaw.params import EvaluateParams, ExtractParams, ModelParams
from thaw.stages.evaluate import evaluate

ROOT = Path(__file__).parents[2]
CURVE = "epoch,loss,accuracy,validation_loss,validation_accuracy,learning_rate\n1,0.7,0.5,0.8,0.5,0.1\n2,0.6,0.7,,,0.1\n"
OUTPUTS = ("metrics.json", "predictions.csv", "pictures")


@pytest.fixture(
    scope="module", params=[("dark", "bright"), ("dark", "dim", "猫 bright")], ids=["two", "three"]
)
def project(request, tmp_path_factory):
    """A project with an untrained network and 30 test images."""
    folder, classes = tmp_path_factory.mktemp("project"), list(request.param)
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
    (folder / "classes.json").write_text(json.dumps(classes))
    (folder / "frozen.csv").write_text(CURVE)
    (folder / "fine.csv").write_text(CURVE)
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copy(ROOT / name, folder / name)
    params = ModelParams(architecture="lenet5", weights="none")
    network = models.build(params, (28, 28, 1), len(classes), seed=1)
    config = {"model": params.model_dump(), "input_shape": (28, 28, 1), "resize": "crop", "classes": classes}
    models.save(network, folder / "models" / "fine_tuned", config)
    return folder


def run(project, **change):
    names = {
        "params": EvaluateParams(bootstrap_samples=50), "seed": 1, "extract": ExtractParams(),
        "raw_dir": project / "data" / "raw", "test_path": project / "test.csv",
        "classes_path": project / "classes.json", "fine_tuned_dir": project / "models" / "fine_tuned",
        "frozen_curve_path": project / "frozen.csv", "fine_tuned_curve_path": project / "fine.csv",
        "metrics_path": project / "metrics.json", "predictions_path": project / "predictions.csv",
        "pictures_dir": project / "pictures", "scratch_dir": project / ".thaw" / "evaluate",
    }  # fmt: skip
    evaluate(**(names | change))
    files = [
        file for name in OUTPUTS for file in ([project / name] if "." in name else (project / name).iterdir())
    ]
    return {file.name: file.read_bytes() for file in files}


def test_predictions_are_those_of_keras(project):
    run(project)
    network, config = models.load(project / "models" / "fine_tuned")
    rows = pd.read_csv(project / "predictions.csv")
    pixels = np.stack(
        [images.load(project / "data" / "raw" / path, 28, 28, 1, "crop") for path in rows["path"]]
    )
    logits = network.predict(pixels, verbose=0)
    expected = keras.ops.softmax(np.column_stack([0 * logits, logits]) if logits.shape[1] == 1 else logits)
    written = rows[[f"probability_{name}" for name in config["classes"]]].to_numpy()
    assert written == pytest.approx(np.asarray(expected), abs=0.02)  # the engine may use bfloat16
    assert list(rows["class"]) == list(pd.read_csv(project / "test.csv")["class"])
    assert set(rows["predicted"]) <= set(config["classes"])


def test_metrics_agree_with_the_predictions_and_bytes_repeat(project):
    files = run(project)
    metrics, rows = json.loads(files["metrics.json"]), pd.read_csv(project / "predictions.csv")
    right = rows["class"] == rows["predicted"]
    confidence = pd.read_csv(project / "test.csv")["confidence"]
    assert metrics["accuracy"] == pytest.approx(right.mean(), abs=1e-6)
    assert metrics["confidence_weighted_accuracy"] == pytest.approx(
        (right * confidence).sum() / confidence.sum(), abs=1e-6
    )
    assert set(metrics["slices"]["kind"]) == {"a", "b"}
    assert set(files) == {
        "metrics.json", "predictions.csv", "learning_curves.png", "roc.png", "precision_recall.png", "confusion.png",
        "reliability.png", "mistakes.png", "explained.png",
    }  # fmt: skip
    assert run(project) == files


def test_wrong_input_is_named(project, tmp_path):
    (tmp_path / "classes.json").write_text('["other", "names"]')
    with pytest.raises(ThawError, match="trained on"):
        run(project, classes_path=tmp_path / "classes.json")
    pd.read_csv(project / "test.csv").head(0).to_csv(tmp_path / "empty.csv", index=False)
    with pytest.raises(ThawError, match="no test images"):
        run(project, test_path=tmp_path / "empty.csv")
    with pytest.raises(ThawError, match=r"model\.json"):
        run(project, fine_tuned_dir=tmp_path)


def predict(project, monkeypatch, *arguments):
    monkeypatch.chdir(project)
    return CliRunner().invoke(app, ["predict", *map(str, arguments)], catch_exceptions=False)


def test_predict_gives_what_evaluate_gave(project, monkeypatch):
    run(project)
    evaluated = {
        row["path"]: row for row in csv.DictReader((project / "predictions.csv").open(encoding="utf-8"))
    }
    done = predict(project, monkeypatch, "data/raw", "--json")
    assert done.exit_code == 0
    rows = json.loads(done.stdout)
    assert len(rows) == 30
    for row in rows:
        before = evaluated[row["path"].removeprefix("data/raw/")]
        assert row["predicted"] == before["predicted"]
        for name, share in row["probability"].items():
            assert share == pytest.approx(float(before[f"probability_{name}"]), abs=1e-5)


def test_predict_reports_what_it_cannot_read(project, monkeypatch, tmp_path):
    (tmp_path / "broken [bold].png").write_bytes(b"no picture")
    good = sorted((project / "data" / "raw").rglob("*.png"))[0]
    table = tmp_path / "new folder" / "out.csv"
    done = predict(project, monkeypatch, good, tmp_path, tmp_path / "absent.jpg", "--csv", table)
    assert done.exit_code == 1
    rows = list(csv.DictReader(table.open(encoding="utf-8")))
    assert [bool(row["error"]) for row in rows] == [False, True, True]
    assert rows[0]["predicted"]
    assert rows[2]["error"] == "no such file"
    shown = predict(project, monkeypatch, good, tmp_path)
    assert shown.exit_code == 1
    assert "broken [bold].png: cannot be read as an image" in shown.stderr
    assert rows[0]["predicted"] in shown.stdout


def test_predict_names_what_is_missing(project, monkeypatch, tmp_path):
    with pytest.raises(ThawError, match="no images in this folder"):
        predict(project, monkeypatch, tmp_path)
    with pytest.raises(ThawError, match="is no id of a run"):
        predict(project, monkeypatch, "x.png", "--run", "../../etc")
    shutil.copytree(project, tmp_path / "untrained", ignore=shutil.ignore_patterns("models", ".thaw"))
    with pytest.raises(ThawError, match="no trained model"):
        predict(tmp_path / "untrained", monkeypatch, "x.png")
