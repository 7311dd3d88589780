"""`evaluate` and `thaw predict` on a real network."""

import csv
import io
import json
import shutil

import keras
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.model.evaluated_project import make_project, predict, run
from thaw import images, models
from thaw.decision import probabilities_of
from thaw.engines import Engine
from thaw.errors import ThawError
from thaw.evaluation.agreement import BOUND, compare
from thaw.explain.sheets import draw_heatmaps, open_image
from thaw.inference import run_in_float32
from thaw.params import EvaluateParams, ExtractParams
from thaw.serving import _load_pyfunc
from thaw.stages import evaluate as stage
from thaw.stages.evaluate import open_classifier


@pytest.fixture(
    scope="module", params=[("dark", "bright"), ("dark", "dim", "猫 bright")], ids=["two", "three"]
)
def project(request, tmp_path_factory):
    return make_project(tmp_path_factory.mktemp("project"), list(request.param))


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
    assert written == pytest.approx(np.asarray(expected), abs=2e-6)  # they are written with six digits
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
    assert json.loads(files["headline.json"])["accuracy"] == metrics["accuracy"]
    assert set(metrics["slices"]["kind"]) == {"a", "b"}
    assert {name for name in files if not name[0].isdigit()} == {
        "headline.json", "metrics.json", "predictions.csv", "class_metrics.csv", "slices.csv", "confusion.csv",
        "confused_pairs.csv", "confusion_plot.csv", "learning_curves.png", "roc.png", "precision_recall.png", "confusion.png",
        "reliability.png", "mistakes.png", "explained.png", "model.json", "model.weights.h5",
    }  # fmt: skip
    assert run(project) == files


def test_what_the_report_shows_has_a_heatmap_of_the_verdicts_class(project):
    """The images by `predictions.csv` alone; the heat by the tool of `thaw explain`."""
    shutil.rmtree(project / "pictures", ignore_errors=True)
    files = run(project, params=EvaluateParams(bootstrap_samples=0, explained_images=2))
    rows = pd.read_csv(project / "predictions.csv")
    sure = rows[[f"probability_{name}" for name in json.loads((project / "classes.json").read_text())]].max(axis=1)
    order, wrong = sure.sort_values(ascending=False, kind="stable").index, rows["class"] != rows["predicted"]
    expected = {*[row for row in order if wrong[row]][:2], *order[:-3:-1]}
    drawn = {int(name.removesuffix(".png")): content for name, content in files.items() if name[0].isdigit()}
    assert expected <= set(drawn) <= {*expected, *[row for row in order if not wrong[row]]} and len(drawn) <= 6
    network, config = models.load(project / "models" / "fine_tuned")
    for row, content in drawn.items():
        file = project / "data" / "raw" / rows["path"][row]
        label = config["classes"].index(rows["predicted"][row])
        ((heat,),) = draw_heatmaps(network, [open_image(file, (28, 28, 1), "crop")], ["grad_cam"], [label])
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(content))), heat)


def test_wrong_input_is_named(project, tmp_path):
    (tmp_path / "classes.json").write_text('["other", "names"]')
    with pytest.raises(ThawError, match="trained on"):
        run(project, classes_path=tmp_path / "classes.json")
    pd.read_csv(project / "test.csv").head(0).to_csv(tmp_path / "empty.csv", index=False)
    with pytest.raises(ThawError, match="no test images"):
        run(project, test_path=tmp_path / "empty.csv")
    with pytest.raises(ThawError, match=r"model\.json"):
        run(project, fine_tuned_dir=tmp_path)


def test_what_is_served_is_what_was_judged(project):
    """On the engine that `thaw predict` uses, whatever precision features are made in."""
    run(project, extract=ExtractParams(precision="auto"))
    served = json.loads((project / "metrics.json").read_text())["served"]
    assert served["precision"] == "float32"
    assert served["bound"] == BOUND
    assert served["largest_difference"] < 1e-5
    assert served["other_verdicts"] == 0
    assert served["images"] == 30
    rows = pd.read_csv(project / "predictions.csv")
    files = [project / "data" / "raw" / path for path in rows["path"]]
    classifier = open_classifier(project / "models" / "evaluated", ExtractParams(), project / ".thaw" / "evaluate")
    probabilities, _ = classifier.predict(files)
    table = rows[[f"probability_{name}" for name in classifier.classes]].to_numpy()
    assert probabilities == pytest.approx(table, abs=1e-5)
    pixels = np.stack([images.load(file, *classifier.shape, classifier.resize) for file in files])
    in_mlflow = _load_pyfunc(str(project / "models" / "evaluated")).predict({"pixels": pixels})
    assert in_mlflow["probabilities"] == pytest.approx(table, abs=1e-5)


def test_of_many_test_images_a_sample_of_every_class_is_held_against_the_network(project, monkeypatch):
    monkeypatch.setattr(stage, "_COMPARED_VIEWS", 6)
    seen = []

    def run_and_note(network, views):
        return lambda pixels: seen.append(pixels) or run_in_float32(network, views)(pixels)

    monkeypatch.setattr(stage, "run_in_float32", run_and_note)
    run(project, extract=ExtractParams(engine="openvino"))
    assert json.loads((project / "metrics.json").read_text())["served"]["images"] == 6
    rows = pd.read_csv(project / "predictions.csv")
    files = [project / "data" / "raw" / path for path in rows["path"]]
    config = json.loads((project / "models" / "evaluated" / "model.json").read_text())
    pixels = [images.load(file, *config["input_shape"], config["resize"]) for file in files]
    [compared] = [[np.all(batch[i] == pixels, axis=(1, 2, 3)).argmax() for i in range(6)] for batch in seen]
    assert len(set(compared)) == 6 and set(rows["class"].iloc[compared]) == set(rows["class"])


def test_a_network_that_answers_otherwise_than_the_engine_is_refused(project, monkeypatch):
    def run_otherwise(network, views):
        return lambda pixels: 2 * run_in_float32(network, views)(pixels)

    monkeypatch.setattr(stage, "run_in_float32", run_otherwise)
    with pytest.raises(ThawError, match="would not give what is judged"):
        run(project, extract=ExtractParams(engine="openvino"))


@pytest.mark.parametrize(("engine", "compared"), [("openvino", True), ("tensorflow", False)])
def test_the_network_is_loaded_once_and_the_engine_runs_each_image_once(project, monkeypatch, engine, compared):
    """TensorFlow's engine is the network itself: nothing is held against it."""
    loaded, pixels = [], []

    def load_and_note(model_dir):
        loaded.append(model_dir)
        return models.load(model_dir)

    def run_and_note(self, images):
        pixels.append(len(images))
        return self.run(images)

    shutil.rmtree(project / ".thaw", ignore_errors=True)  # nothing is kept compiled
    monkeypatch.setattr(stage, "load", load_and_note)
    monkeypatch.setattr(Engine, "__call__", run_and_note)
    run(project, extract=ExtractParams(engine=engine))
    served = json.loads((project / "metrics.json").read_text())["served"]
    assert len(loaded) == 1
    assert sum(pixels) == 30
    assert served["engine"] == engine
    assert ("largest_difference" in served) is compared
    rows = pd.read_csv(project / "predictions.csv")
    other_batches = ExtractParams(engine=engine, batch_size=7)
    classifier = open_classifier(project / "models" / "evaluated", other_batches, project / ".thaw")
    probabilities, _ = classifier.predict([project / "data" / "raw" / path for path in rows["path"]])
    assert probabilities == pytest.approx(rows[[f"probability_{name}" for name in classifier.classes]].to_numpy(), abs=2e-6)


def test_an_engine_that_gives_other_probabilities_is_refused():
    network, engine = (probabilities_of(np.array(logits)) for logits in ([[0.0], [0.0]], [[0.001], [-0.003]]))
    assert compare(network, engine, 0.5) == {"largest_difference": 0.0007, "bound": BOUND, "images": 2, "other_verdicts": 1}
    for other in (0.005, np.nan):
        far = probabilities_of(np.array([[other], [0.0]]))
        with pytest.raises(ThawError, match=r"differ.*over the bound of 0\.001"):
            compare(network, far, 0.5)


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
            assert share == pytest.approx(float(before[f"probability_{name}"]), abs=BOUND)


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
