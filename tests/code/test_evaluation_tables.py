"""What `evaluate` writes of images and classes, of two classes and of 150."""

import io
import json
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.stats import beta
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support, roc_auc_score

from thaw.evaluation import Predictions, report_metrics
from thaw.evaluation.confusion import OTHERS, confused_pairs, confusion_table, plotted_verdicts
from thaw.evaluation.tables import class_table, prediction_table


def judge(names, count, seed=0):
    random = np.random.default_rng(seed)
    labels = np.arange(count) % len(names)
    shares = random.dirichlet(np.full(len(names), 0.1), count)
    shares[np.arange(count), labels] += 0.4
    return Predictions(list(names), labels, shares / shares.sum(axis=1, keepdims=True), np.ones(count))


def read(table):
    return pd.read_csv(io.StringIO(table.to_csv(index=False)), keep_default_na=False, dtype=str)


def test_the_classes_are_those_of_scikit_learn():
    predictions = judge(["class", "NA", "C#", "C+"], 200)
    table = class_table(predictions, 0.9)
    precision, recall, f1, images = precision_recall_fscore_support(predictions.labels, predictions.predicted)
    areas = roc_auc_score(np.eye(4)[predictions.labels], predictions.probabilities, average=None)
    for name, values in (
        ("precision", precision), ("recall", recall), ("f1", f1), ("images", images), ("roc_auc", areas)
    ):  # fmt: skip
        assert table[name].to_numpy() == pytest.approx(values, abs=1e-6)
    hits = int(((predictions.predicted == 2) & predictions.correct).sum())
    wanted = beta.ppf([0.05, 0.95], hits + 0.5, (predictions.labels == 2).sum() - hits + 0.5)  # Jeffreys
    assert table.loc[2, ["recall_low", "recall_high"]].tolist() == pytest.approx(list(wanted), abs=1e-6)
    counts = read(confusion_table(predictions))
    assert list(counts.iloc[:, 0]) == ["class", "NA", "C#", "C+"]
    written = counts.iloc[:, 1:].to_numpy(int)
    assert (written == confusion_matrix(predictions.labels, predictions.predicted)).all()


def test_the_pairs_are_the_mistakes_the_most_frequent_first():
    predictions = judge(["class", "NA", "C#", "C+"], 200)
    pairs = read(confused_pairs(predictions))
    counts = confusion_matrix(predictions.labels, predictions.predicted)
    named = {name: number for number, name in enumerate(predictions.classes)}
    for row in pairs.to_dict("records"):
        count = counts[named[row["class"]], named[row["predicted"]]]
        assert row["class"] != row["predicted"] and int(row["images"]) == count > 0
        assert float(row["share"]) == pytest.approx(count / counts[named[row["class"]]].sum(), abs=1e-6)
    images = pairs["images"].astype(int)
    assert (images.diff().dropna() <= 0).all() and images.sum() == (~predictions.correct).sum()


@pytest.mark.parametrize("classes", [4, 100])
def test_what_dvc_plots_counts_every_image_and_names_no_more_classes_than_a_plot_can_show(classes):
    predictions = judge([f"class {number}" for number in range(classes)], 600)
    table = plotted_verdicts(predictions)
    assert list(table.columns) == ["class", "predicted"] and len(table) == 600
    names = set(table["class"]) | set(table["predicted"])
    assert len(names) == min(classes, 31) and (OTHERS in names) is (classes > 30)
    for column, numbers in (("class", predictions.labels), ("predicted", predictions.predicted)):
        whole = np.array(predictions.classes)[numbers]
        assert ((table[column] == whole) | (table[column] == OTHERS)).all()


def test_what_is_undefined_is_an_empty_cell():
    alone = Predictions(["a", "b"], np.array([0]), np.array([[0.9, 0.1]]), np.ones(1))
    row = read(class_table(alone, 0.95)).iloc[1]
    assert row["images"] == "0"
    assert row["recall"] == row["precision"] == row["recall_low"] == row["precision_high"] == row["f1"] == ""


def test_150_classes_warn_of_nothing_and_leave_the_metrics_small():
    names = [f"Klasse {number} ü" for number in range(148)] + ["C#", "C+"]
    predictions = judge(names, 600)
    images = pd.DataFrame({"path": [f"{i}.png" for i in range(600)], "class": np.array(names)[predictions.labels]})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = prediction_table(images, predictions)
        assert len(class_table(predictions, 0.95)) == len(confusion_table(predictions)) == 150
        metrics = report_metrics(predictions, {"kind": np.resize(["a", "b"], 600)}, 20, 0.95, 1)
    assert table.iloc[:, 3:].to_numpy() == pytest.approx(predictions.probabilities, abs=1e-6)
    assert list(table.columns[-2:]) == ["probability_C#", "probability_C+"]
    assert list(table["predicted"]) == [names[label] for label in predictions.probabilities.argmax(axis=1)]
    assert len(json.dumps(metrics, indent=2)) < 8_000
