import json

import numpy as np
import pytest

from thaw.evaluation import Predictions, headline, report, report_metrics
from thaw.statistics import intervals


def coin(count, accuracy, seed=0):
    """Of two classes in equal parts, a share judged right."""
    random = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    right = np.where(random.random(count) < accuracy, labels, 1 - labels)
    shares = np.column_stack([1 - right, right]) * 0.8 + 0.1
    return Predictions(["no", "yes"], labels, shares, np.ones(count))


def test_the_report_is_plain_json_the_same_every_time():
    predictions, slices = coin(200, 0.8), {"type": np.resize(["mono", "poly", ""], 200)}
    reports = [json.dumps(report_metrics(predictions, slices, 50, 0.95, 7), allow_nan=False) for _ in range(2)]
    assert reports[0] == reports[1]
    assert reports[0] != json.dumps(report_metrics(predictions, slices, 50, 0.95, 8))
    read = json.loads(reports[0])
    assert read["images"] == 200
    assert {name: part["images"] for name, part in read["slices"]["type"].items()} == {
        "(none)": 66, "mono": 67, "poly": 67,
    }  # fmt: skip


def test_a_column_of_many_values_gives_no_metrics_of_each():
    slices = {"few": np.resize(np.arange(20).astype(str), 200), "many": np.resize(np.arange(21).astype(str), 200)}
    assert set(report_metrics(coin(200, 0.8), slices, 0, 0.95, 7)["slices"]) == {"few"}


def test_the_headline_is_a_few_numbers_of_the_report():
    whole = report_metrics(coin(200, 0.8), {}, 50, 0.95, 7)
    told = headline(whole)
    assert list(told) == [
        "accuracy", "accuracy_low", "accuracy_high", "balanced_accuracy", "roc_auc", "log_loss", "images"
    ]  # fmt: skip
    assert told["accuracy"] == whole["accuracy"] and told["accuracy_low"] == whole["interval"]["accuracy"]["low"]
    one_class = Predictions(["no", "yes"], np.ones(4, int), np.full((4, 2), 0.5), np.ones(4))
    assert "roc_auc" not in headline(report_metrics(one_class, {}, 0, 0.95, 7)), "an undefined one is none"


def test_the_size_of_a_batch_changes_no_interval(monkeypatch):
    """How many bootstrap samples are in memory at a time is no matter of the result."""
    predictions = coin(300, 0.9)
    whole = report_metrics(predictions, {}, 101, 0.95, 1)
    assert len(whole["interval"]) > 4
    for samples in (1, 7, 100):
        monkeypatch.setattr(intervals, "_BATCH_CELLS", samples * 300)
        assert report_metrics(predictions, {}, 101, 0.95, 1) == whole


def test_intervals_cover_the_truth_as_often_as_they_say():
    """80 % intervals of 300 simulated test splits hold the true accuracy in 80 % of the cases."""
    covered = 0
    for seed in range(300):
        interval = report_metrics(coin(200, 0.85, seed), {}, 200, 0.8, seed)["interval"]["accuracy"]
        covered += interval["low"] <= 0.85 <= interval["high"]
    assert 0.72 < covered / 300 < 0.88


def test_the_width_is_that_of_the_binomial():
    interval = report_metrics(coin(1000, 0.8), {}, 1000, 0.95, 1)["interval"]["accuracy"]
    assert interval["high"] - interval["low"] == pytest.approx(2 * 1.96 * np.sqrt(0.8 * 0.2 / 1000), rel=0.15)


def test_resampling_keeps_the_class_sizes(monkeypatch):
    monkeypatch.setattr(intervals, "_BATCH_CELLS", 500)
    labels = np.array([0] * 30 + [2] * 70)
    batches = list(intervals.resample(labels, np.arange(100), 12, seed=1))
    assert [len(batch) for batch in batches] == [5, 5, 2]
    counts = np.concatenate(batches)
    assert (counts[:, :30].sum(axis=1) == 30).all()
    assert (counts[:, 30:].sum(axis=1) == 70).all()
    assert len(np.unique(counts, axis=0)) == 12


@pytest.mark.parametrize(
    ("labels", "missing"),
    [
        ([0, 0, 0], {"precision", "recall", "f1", "roc_auc", "average_precision"}),
        ([1, 1, 1], {"precision", "roc_auc"}),
        ([0, 1, 0], {"precision"}),
    ],
)
def test_degenerate_splits_give_null_and_a_reason(labels, missing):
    predictions = Predictions(["no", "yes"], np.array(labels), np.tile([0.9, 0.1], (3, 1)), np.ones(3))
    written = report_metrics(predictions, {}, 20, 0.95, 1)
    assert json.loads(json.dumps(written, allow_nan=False))
    assert {name for name in ("accuracy", *report.UNDEFINED) if written.get(name, 0) is None} == missing
    assert set(written["undefined"]) == missing
    assert not set(written["interval"]) & missing
    assert all(written["undefined"].values())


def test_one_image_of_many_classes_is_reported():
    predictions = Predictions(["a", "b", "c"], np.array([1]), np.array([[0.2, 0.5, 0.3]]), np.array([0.0]))
    written = report_metrics(predictions, {"kind": np.array(["x"])}, 10, 0.9, 1)
    assert written["accuracy"] == 1
    assert written["roc_auc"] is None
    assert written["confidence_weighted_accuracy"] is None
    assert written["slices"]["kind"]["x"]["accuracy"] == 1
