"""`evaluate` and `thaw predict` on a real network."""

import csv
import io
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
from thaw.decision import probabilities_of
from thaw.engines import Engine
from thaw.errors import ThawError
from thaw.evaluation.agreement import BOUND, compare
from thaw.explain.sheets import draw_heatmaps, open_image
from thaw.params import ComputeParams, EvaluateParams, ExtractParams, ModelParams
from thaw.serving import _load_pyfunc
from thaw.stages import evaluate as stage
from thaw.stages.evaluate import EvaluateInputs, EvaluateOutputs, evaluate, open_classifier
from thaw.statistics.temperature import fit_temperature
from thaw.tracking.outbox import create_outbox
from thaw.tracking.shipper import Shipper
from thaw.tracking.store import Store

ROOT = Path(__file__).parents[2]
CURVE = "epoch,loss,accuracy,validation_loss,validation_accuracy,learning_rate\n1,0.7,0.5,0.8,0.5,0.1\n2,0.6,0.7,,,0.1\n"
OUTPUTS = (
    "headline.json", "metrics.json", "predictions.csv", "class_metrics.csv", "slices.csv", "confusion.csv",
    "confused_pairs.csv", "confusion_plot.csv", "pictures", "models/evaluated",
)  # fmt: skip


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
    rows = pd.read_csv(project / "predictions.csv")
    files = [project / "data" / "raw" / path for path in rows["path"]]
    classifier = open_classifier(project / "models" / "evaluated", ExtractParams(), project / ".thaw" / "evaluate")
    probabilities, _ = classifier.predict(files)
    assert probabilities == pytest.approx(rows[[f"probability_{name}" for name in classifier.classes]].to_numpy(), abs=1e-5)


@pytest.mark.parametrize(("engine", "compared"), [("openvino", True), ("tensorflow", False)])
def test_the_network_is_loaded_once_and_run_beside_no_engine_but_another(project, monkeypatch, engine, compared):
    """TensorFlow's engine is the network itself: it gives the probabilities that were judged, and is not run for them."""
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
    assert sum(pixels) == 30 * compared
    assert served["engine"] == engine
    assert ("largest_difference" in served) is compared
    rows = pd.read_csv(project / "predictions.csv")
    other_batches = ExtractParams(engine=engine, batch_size=7)
    classifier = open_classifier(project / "models" / "evaluated", other_batches, project / ".thaw")
    probabilities, _ = classifier.predict([project / "data" / "raw" / path for path in rows["path"]])
    assert probabilities == pytest.approx(rows[[f"probability_{name}" for name in classifier.classes]].to_numpy(), abs=2e-6)


def test_an_engine_that_gives_other_probabilities_is_refused():
    network, engine = (probabilities_of(np.array(logits)) for logits in ([[0.0], [0.0]], [[0.001], [-0.003]]))
    assert compare(network, engine, 0.5) == {"largest_difference": 0.0007, "bound": BOUND, "other_verdicts": 1}
    for other in (0.005, np.nan):
        far = probabilities_of(np.array([[other], [0.0]]))
        with pytest.raises(ThawError, match=r"differ.*over the bound of 0\.001"):
            compare(network, far, 0.5)


def verdicts(project, monkeypatch, model_dir):
    """The class of every test image by path: in the table of `evaluate`, by predict, by explain, and by MLflow's model."""
    table = pd.read_csv(project / "predictions.csv")
    files = [f"data/raw/{path}" for path in table["path"]]
    told = json.loads(predict(project, monkeypatch, *files, "--json").stdout)
    arguments = ["explain", str(model_dir), *files, "--out", str(project / "explained"), "--methods", "grad_cam", "--json"]
    done = CliRunner().invoke(app, arguments, catch_exceptions=False)
    pixels = np.stack([images.load(project / file, 28, 28, 1, "crop") for file in files])
    served = _load_pyfunc(str(model_dir)).predict({"pixels": pixels})
    assert np.allclose(served["probabilities"].sum(axis=1), 1)
    return [
        list(table["predicted"]),
        [row["predicted"] for row in told],
        [row["predicted"] for row in json.loads(done.stdout)["images"]],
        list(served["predicted"]),
    ]


def run_at_another_threshold(project):
    """Evaluate with a threshold that parts the images otherwise than 0.5; it, and the predictions at 0.5."""
    run(project)
    rows = pd.read_csv(project / "predictions.csv")
    threshold = float(rows.iloc[:, 4].quantile(0.8))
    run(project, params=EvaluateParams(bootstrap_samples=0, explained_images=0, threshold=threshold))
    return threshold, rows


def test_a_threshold_without_effect_is_said(project, caplog):
    with caplog.at_level("WARNING", "thaw"):
        run(project, params=EvaluateParams(bootstrap_samples=0, explained_images=0, threshold=0.7))
    of_two = len(json.loads((project / "classes.json").read_text())) == 2
    assert ("evaluate.threshold: 0.7 has no effect on 3 classes" in caplog.text) is not of_two


def test_the_threshold_belongs_to_the_model(project, monkeypatch):
    """All decide by the threshold that the model was evaluated with, never by that of today's params.yaml."""
    threshold, rows = run_at_another_threshold(project)
    classes = json.loads((project / "classes.json").read_text())
    said = verdicts(project, monkeypatch, project / "models" / "evaluated")
    assert said[0] == said[1] == said[2] == said[3]
    if len(classes) == 2:
        assert said[0] == [classes[int(share >= threshold)] for share in rows[f"probability_{classes[1]}"]]
        assert set(said[0]) == set(classes)
        assert said[0] != list(rows["predicted"])
    unjudged = _load_pyfunc(str(project / "models" / "fine_tuned"))
    assert unjudged.decision == (0.5, 0.0)


LEAN = {"bootstrap_samples": 50, "explained_images": 0}


def test_a_threshold_is_chosen_for_its_aim_and_never_on_the_test_split(project, tmp_path, caplog):
    """On the validation images by the model, and on those of training out of fold: by hand, the highest that finds enough."""
    aim = EvaluateParams(threshold="auto", least_recall=0.9, **LEAN)
    classes = json.loads((project / "classes.json").read_text())
    if len(classes) > 2:
        with pytest.raises(ThawError, match="threshold: auto is of two classes, and there are 3"):
            run(project, aim)
        return
    files = run(project, aim)
    told, kept = json.loads(files["metrics.json"])["decision"], json.loads(files["model.json"])
    threshold = told["threshold"]
    assert kept["threshold"] == threshold and "least_certainty" not in kept and told["chosen_on"] == 60
    assert told["aim"] == "recall of at least 0.9" and kept["decision"] == told
    assert told["interval"]["threshold"]["low"] <= threshold <= told["interval"]["threshold"]["high"]
    shares = pd.read_csv(project / "out_of_fold.csv").iloc[:, -1].to_numpy()
    heads = np.log(shares / (1 - shares))
    heads /= fit_temperature(heads[:, None], np.arange(60)[:, None] % 2, np.ones(60)).value
    model = pd.read_csv(project / "validation_logits.csv").iloc[:, 1].to_numpy() / 0.5
    positives = np.concatenate([heads[:30], model])[np.arange(60) % 2 == 1]
    assert ((1 / (1 + np.exp(-positives))) >= threshold).sum() == round(30 * 0.9)
    rows = pd.read_csv(project / "predictions.csv")
    assert list(rows["predicted"]) == [classes[int(share >= threshold)] for share in rows.iloc[:, 4]]
    turned = pd.read_csv(project / "test.csv", keep_default_na=False)
    turned["label"] = 1 - turned["label"]
    turned.to_csv(tmp_path / "test.csv", index=False)
    again = json.loads(run(project, aim, test_path=tmp_path / "test.csv")["model.json"])
    assert again == kept


@pytest.mark.parametrize(
    ("change", "reason", "cure"),
    [
        ({"threshold": "auto", "least_recall": 0.999}, "0.999 cannot be told from 1 by 30 images of 'bright'", "0.967"),
        ({"threshold": "auto", "least_precision": 0.999}, "0.999 is reached by no threshold on the 60", "least_precision"),
        ({"cost_unsure": 1e-9}, "every image that the model is chosen on would be answered by 'unsure'", "cost_unsure"),
    ],
)
def test_a_decision_that_cannot_be_had_is_refused_and_nothing_changes(project, change, reason, cure):
    if len(json.loads((project / "classes.json").read_text())) > 2 and "threshold" in change:
        pytest.skip("of two classes")
    kept = {path: path.read_bytes() for path in project.rglob("*") if path.is_file()}
    with pytest.raises(ThawError, match=reason) as caught:
        run(project, EvaluateParams(**change, **LEAN))
    assert cure in caught.value.cure
    assert {path: path.read_bytes() for path in project.rglob("*") if path.is_file()} == kept


def test_without_images_to_choose_on_it_says_so(project, tmp_path):
    for name in ("validation_logits", "out_of_fold", "validation"):
        pd.read_csv(project / f"{name}.csv")[:0].to_csv(tmp_path / f"{name}.csv", index=False)
    none = {f"{name}_path": tmp_path / f"{name}.csv" for name in ("validation_logits", "out_of_fold", "validation")}
    with pytest.raises(ThawError, match=r"evaluate\.unsure is chosen on validation images and out of fold") as caught:
        run(project, EvaluateParams(unsure=0.1, **LEAN), **none)
    assert "audit.folds" in caught.value.cure
    few = EvaluateParams(cost_unsure=0.499 if len(json.loads((project / "classes.json").read_text())) == 2 else 0.66, **LEAN)
    found = run(project, few, out_of_fold_path=none["out_of_fold_path"])
    assert json.loads(found["metrics.json"])["decision"]["chosen_on"] == 30


def test_all_say_unsure_of_the_same_images(project, monkeypatch):
    """The network is hardly sure of anything: the bound is that of images a head is sure of, so put where it parts these."""
    run(project)
    rows = pd.read_csv(project / "predictions.csv")
    shares = rows.iloc[:, 3:].to_numpy()
    sure = np.abs(2 * shares[:, 1] - 1) if shares.shape[1] == 2 else shares.max(axis=1)
    bound = float(np.median(sure))
    cost = (1 - bound) / (2 if shares.shape[1] == 2 else 1)
    files = run(project, EvaluateParams(cost_unsure=cost, **LEAN))
    told = json.loads(files["metrics.json"])["decision"]
    assert json.loads(files["model.json"])["least_certainty"] == pytest.approx(bound)
    assert told["answered"] == pytest.approx((sure >= bound).mean(), abs=0.04) and "answered.png" in files
    right = (rows["class"] == rows["predicted"])[sure >= bound + 1e-6]
    assert told["answered_accuracy"] == pytest.approx(right.mean(), abs=0.04)
    assert told["interval"]["answered_accuracy"]["low"] <= told["answered_accuracy"]
    predicted, listed, _, served = verdicts(project, monkeypatch, project / "models" / "evaluated")
    assert listed == served and set(served) > {"unsure"} and "unsure" not in predicted
    near = np.abs(sure - bound) < 1e-5  # `predictions.csv` has six digits
    expected = np.where(sure >= bound, predicted, "unsure")
    assert list(np.array(served)[~near]) == list(expected[~near])
    shown = predict(project, monkeypatch, "data/raw")
    assert shown.exit_code == 0 and "unsure" in shown.stdout


def test_another_temperature_is_never_taken_from_what_was_compiled(project, tmp_path):
    """The weights are the same file: only the temperature tells the networks apart."""
    files, said = sorted((project / "data" / "raw").rglob("*.png"))[:4], []
    for temperature in (1.0, 4.0):
        model_dir = shutil.copytree(project / "models" / "fine_tuned", tmp_path / str(temperature))
        config = json.loads((model_dir / "model.json").read_text()) | {"temperature": temperature}
        (model_dir / "model.json").write_text(json.dumps(config))
        said.append(np.log(open_classifier(model_dir, EXTRACT, tmp_path / "scratch").predict(files)[0]))
    assert np.diff(said[0][:, :2]) == pytest.approx(4 * np.diff(said[1][:, :2]), rel=1e-3)


def test_mlflows_model_decides_by_the_models_threshold(project, tmp_path):
    """Logged, registered and loaded by MLflow, as a server does."""
    import mlflow

    run_at_another_threshold(project)
    model_dir = project / "models" / "evaluated"
    outbox = create_outbox(tmp_path)
    outbox.open_run("pipeline", "served")
    outbox.log_model("pipeline", model_dir, "thaw", "v1", {})
    outbox.close_run("pipeline")
    outbox.finish()
    store = Store(tmp_path)
    Shipper(outbox, store).ship()
    assert outbox.refused() == []
    served = mlflow.pyfunc.load_model("models:/thaw/1")
    files = [project / "data" / "raw" / path for path in pd.read_csv(project / "predictions.csv")["path"]]
    said = served.predict({"pixels": np.stack([images.load(file, 28, 28, 1, "crop") for file in files])})
    assert list(said["predicted"]) == list(pd.read_csv(project / "predictions.csv")["predicted"])
    assert [column.name for column in served.metadata.signature.outputs.inputs] == ["predicted", "probabilities"]


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
