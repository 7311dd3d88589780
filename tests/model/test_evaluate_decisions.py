"""What a model decides: threshold, certainty and temperature, the same wherever it is asked."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from tests.model.evaluated_project import EXTRACT, make_project, predict, run
from thaw import images
from thaw.cli import app
from thaw.errors import ThawError
from thaw.params import EvaluateParams
from thaw.serving import _load_pyfunc
from thaw.stages.evaluate import open_classifier
from thaw.statistics.temperature import fit_temperature
from thaw.tracking.outbox import create_outbox
from thaw.tracking.shipper import Shipper
from thaw.tracking.store import Store


@pytest.fixture(
    scope="module", params=[("dark", "bright"), ("dark", "dim", "猫 bright")], ids=["two", "three"]
)
def project(request, tmp_path_factory):
    return make_project(tmp_path_factory.mktemp("project"), list(request.param))


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
