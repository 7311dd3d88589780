import warnings

import numpy as np
import pytest
from sklearn import metrics as reference

from thaw.decision import probabilities_of
from thaw.evaluation import Predictions
from thaw.evaluation.confusion import confusion
from thaw.evaluation.metrics import measure, measure_classes


def judge(classes, count, seed=0, tied=False, threshold=0.5):
    """A predictions better than chance."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, classes, count)
    logits = random.normal(size=(count, classes))
    logits[np.arange(count), labels] += 1
    probabilities = probabilities_of(logits)
    if tied:
        coarse = np.round(probabilities * 4) + 0.5
        probabilities = coarse / coarse.sum(axis=1, keepdims=True)
    names = [f"class {i}" for i in range(classes)]
    return Predictions(names, labels, probabilities, random.choice([1.0, 2 / 3], count), threshold)


def expected(predictions, weights):
    """The same by scikit-learn, one weighting at a time."""
    labels, said, shares = predictions.labels, predictions.predicted, predictions.probabilities
    binary = len(predictions.classes) == 2
    average = {"average": "binary" if binary else "macro", "sample_weight": weights, "zero_division": 0}
    truth = np.eye(len(predictions.classes))[labels]
    ranked = {"sample_weight": weights} if binary else {"sample_weight": weights, "average": "macro"}
    scores = (labels, shares[:, 1]) if binary else (truth, shares)
    guesses = {}
    if len(predictions.classes) > 5:  # of equally likely classes the first in order is, scikit-learn's is the last
        in_order = shares - 1e-9 * np.arange(len(predictions.classes))
        guesses["top_5_accuracy"] = reference.top_k_accuracy_score(labels, in_order, k=5, sample_weight=weights)
    return guesses | {
        "accuracy": reference.accuracy_score(labels, said, sample_weight=weights),
        "balanced_accuracy": reference.balanced_accuracy_score(labels, said, sample_weight=weights),
        "precision": reference.precision_score(labels, said, **average),
        "recall": reference.recall_score(labels, said, **average),
        "f1": reference.f1_score(labels, said, **average),
        "roc_auc": reference.roc_auc_score(*scores, **ranked),
        "average_precision": reference.average_precision_score(*scores, **ranked),
        "log_loss": reference.log_loss(labels, shares, sample_weight=weights),
        "confidence_weighted_accuracy": reference.accuracy_score(
            labels, said, sample_weight=weights * predictions.confidence
        ),
    }


@pytest.mark.parametrize("classes", [2, 3, 7])
@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("threshold", [0.5, 0.3])
def test_metrics_are_those_of_scikit_learn(classes, tied, threshold):
    predictions = judge(classes, 300, seed=classes, tied=tied, threshold=threshold)
    random = np.random.default_rng(1)
    weights = np.vstack([np.ones(300), random.integers(0, 4, (3, 300)), random.random((2, 300))])
    measured = measure(predictions, weights)
    for number, row in enumerate(weights):
        wanted = expected(predictions, row)
        assert {name: values[number] for name, values in measured.items()} == pytest.approx(wanted, abs=1e-12)


def test_confusion_and_classes_are_those_of_scikit_learn():
    predictions = judge(4, 200)
    assert np.array_equal(
        confusion(predictions), reference.confusion_matrix(predictions.labels, predictions.predicted)
    )
    rows = measure_classes(predictions)
    wanted = reference.precision_recall_fscore_support(predictions.labels, predictions.predicted)
    for name, values in zip(("precision", "recall", "f1", "images"), wanted, strict=True):
        assert [row[name] for row in rows] == pytest.approx(values)


def test_sure_labels_need_no_confidence_weighted_accuracy():
    predictions = judge(2, 20)
    sure = Predictions(predictions.classes, predictions.labels, predictions.probabilities, np.ones(20))
    assert "confidence_weighted_accuracy" not in measure(sure, np.ones((1, 20)))


def test_what_is_undefined_is_nan_without_a_warning():
    alone = Predictions(["a", "b"], np.array([0]), np.array([[0.9, 0.1]]), np.ones(1))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        measured = {name: float(values[0]) for name, values in measure(alone, np.ones((1, 1))).items()}
        assert measured["accuracy"] == 1
        assert measured["balanced_accuracy"] == 1
        assert measured["log_loss"] == pytest.approx(-np.log(0.9))
        for name in ("precision", "recall", "f1", "roc_auc", "average_precision"):
            assert np.isnan(measured[name])
        assert np.isnan(measure_classes(alone)[1]["recall"])


def test_a_sure_mistake_has_a_finite_log_loss():
    wrong = Predictions(["a", "b"], np.array([0]), np.array([[0.0, 1.0]]), np.ones(1))
    assert 30 < measure(wrong, np.ones((1, 1)))["log_loss"][0] < 40


def test_a_class_never_predicted_counts_with_precision_0():
    shares = np.tile([0.6, 0.3, 0.1], (6, 1))
    predictions = Predictions(["a", "b", "c"], np.array([0, 0, 1, 1, 2, 2]), shares, np.ones(6))
    measured = measure(predictions, np.ones((1, 6)))
    assert measured["precision"][0] == pytest.approx(1 / 9)
    assert measured["roc_auc"][0] == pytest.approx(0.5)


def test_a_class_without_images_does_not_count_though_it_is_predicted():
    labels, said = np.array([0, 0, 1, 1, 1]), np.array([0, 2, 1, 1, 0])
    predictions = Predictions(["a", "b", "c"], labels, np.eye(3)[said] * 0.8 + 0.05, np.ones(5))
    measured = measure(predictions, np.ones((1, 5)))
    options = {"labels": [0, 1], "average": "macro"}  # the classes present
    for name in ("precision", "recall", "f1"):
        wanted = getattr(reference, f"{name}_score")(labels, said, **options)
        assert measured[name][0] == pytest.approx(wanted)
    assert measured["balanced_accuracy"][0] == measured["recall"][0]


@pytest.mark.parametrize("logits", [np.array([[-800.0], [0.0], [800.0]]), np.array([-800.0, 0.0, 800.0])])
def test_one_logit_is_the_positive_class(logits):
    assert np.allclose(probabilities_of(logits), [[1, 0], [0.5, 0.5], [0, 1]])


def test_logits_a_class_become_probabilities():
    shares = probabilities_of(np.array([[1000.0, 1000.0, -1000.0], [0, 0, 0]], np.float32))
    assert np.allclose(shares, [[0.5, 0.5, 0], [1 / 3] * 3])
    assert probabilities_of(np.zeros((0, 3))).shape == (0, 3)


def test_the_threshold_is_where_positive_begins():
    shares = np.array([[0.5, 0.5], [0.51, 0.49]])
    assert list(Predictions(["a", "b"], np.zeros(2, int), shares, np.ones(2)).predicted) == [1, 0]
