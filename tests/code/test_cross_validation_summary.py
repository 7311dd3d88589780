"""The intervals of a mean over folds: beside a bootstrap, and on simulated sets whose truth is known."""

import numpy as np
import pytest
from scipy.stats import norm

from thaw.cross_validation.summary import summarize_folds
from thaw.evaluation import Predictions
from thaw.evaluation.metrics import measure


def simulate(rng, images, folds, classes=2, copies=1):
    """Scores of heads that each are a little off, of images that come `copies` times."""
    labels = np.arange(images) % classes
    fold = rng.permutation(np.arange(images) % folds)
    scores = rng.standard_normal((images, classes)) + 1.2 * np.eye(classes)[labels]
    probabilities = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    labels, fold, probabilities = (np.repeat(array, copies, axis=0) for array in (labels, fold, probabilities))
    groups = np.repeat(np.arange(images), copies).astype(str)
    names = [f"class {number}" for number in range(classes)]
    return Predictions(names, labels, probabilities, np.ones(len(labels)), groups=groups), fold


@pytest.mark.parametrize("classes", [2, 5])
def test_intervals_are_as_wide_as_a_bootstrap_says(classes):
    rng = np.random.default_rng(0)
    predictions, folds = simulate(rng, 600, 5, classes)
    drawn = {"log_loss": [], "roc_auc": []}
    for _ in range(600):
        weights = np.bincount(rng.integers(600, size=600), minlength=600)
        measured = measure(predictions, (folds == np.arange(5)[:, None]) * weights)
        for name, values in drawn.items():
            values.append(np.mean(measured[name]))
    summary = summarize_folds(predictions, folds, 0.95)
    for name, values in drawn.items():
        width = summary[name]["high"] - summary[name]["low"]
        assert width == pytest.approx(2 * 1.96 * np.std(values), rel=0.12)


def test_images_that_come_twice_tell_no_more():
    once = summarize_folds(*simulate(np.random.default_rng(1), 200, 4), 0.9)
    twice = summarize_folds(*simulate(np.random.default_rng(1), 200, 4, copies=2), 0.9)
    for name in ("log_loss", "roc_auc", "accuracy"):
        assert [twice[name][part] for part in ("mean", "low", "high")] == pytest.approx(
            [once[name][part] for part in ("mean", "low", "high")], abs=2e-3
        )


def test_intervals_hold_the_truth_about_as_often_as_they_say():
    rng = np.random.default_rng(2)
    # The class's own score less the other's: normal of mean 1.2 and variance 2 within a class, the AUC of two such.
    truth, held = norm.cdf(2 * 1.2 / np.sqrt(2 * 2)), 0
    for _ in range(300):
        found = summarize_folds(*simulate(rng, 120, 4), 0.95)["roc_auc"]
        held += found["low"] <= truth <= found["high"]
    assert 0.91 < held / 300 < 0.99


def test_a_fold_without_a_class_leaves_the_others_to_tell():
    predictions, folds = simulate(np.random.default_rng(3), 60, 3)
    labels = np.where(folds == 0, 0, predictions.labels)
    lacking = Predictions(predictions.classes, labels, predictions.probabilities, np.ones(60))
    summary = summarize_folds(lacking, folds, 0.95)
    assert summary["per_fold"][0]["roc_auc"] is None and "needs images of two classes" in summary["undefined"]["roc_auc"]
    known = [row["roc_auc"] for row in summary["per_fold"][1:]]
    assert summary["roc_auc"]["mean"] == pytest.approx(np.mean(known), abs=1e-6)
    assert summary["roc_auc"]["low"] < summary["roc_auc"]["mean"] < summary["roc_auc"]["high"]
