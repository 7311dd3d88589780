"""The metrics, over many weightings of the images at once: a bootstrap sample is a weighting by counts.

Definitions as in scikit-learn (a test holds them equal). Where a metric is not defined, it is NaN.
"""

import numpy as np
from scipy.sparse import csr_array

from thaw.evaluation.predictions import Predictions
from thaw.statistics.ranking import ratio

LOWEST_PROBABILITY = 1e-15  # log loss of a sure mistake stays finite

MOST_GUESSES = 5
TOP = f"top_{MOST_GUESSES}_accuracy"
"""Of more classes than that: the share of the images whose class is among the likeliest so many."""

UNDEFINED = {
    "precision": "no image was predicted to be positive",
    "recall": "no positive image",
    "f1": "no image is positive or predicted to be",
    "roc_auc": "needs images of two classes",
    "average_precision": "no positive image",
    "confidence_weighted_accuracy": "every label has confidence 0",
}
"""Why a metric is missing."""


def measure(predictions: Predictions, weights: np.ndarray) -> dict[str, np.ndarray]:
    """Each metric by name, float64 `(weightings,)`, NaN where undefined.

    `precision`, `recall`, `f1`, `roc_auc`, `average_precision` are of the positive class when there are two;
    else the plain mean over the classes present (macro average), each class against the rest. A class that is
    present and never predicted counts there with precision 0.

    Args:
        weights: `(weightings, images)`, not negative.
    """
    total = weights.sum(axis=1)
    right = predictions.correct.astype(np.float64)  # a product with truth values would not be one of BLAS
    measured = {"accuracy": ratio(weights @ right, total)}
    support, predicted, hits = _class_counts(predictions, weights)
    recall, precision = ratio(hits, support), ratio(hits, predicted)
    f1 = ratio(2 * hits, support + predicted)
    measured["balanced_accuracy"] = _mean(recall)
    if len(predictions.classes) > MOST_GUESSES:
        measured[TOP] = ratio(weights @ (predictions.likelier < MOST_GUESSES).astype(np.float64), total)
    if len(predictions.classes) == 2:
        measured |= {"precision": precision[:, 1], "recall": recall[:, 1], "f1": f1[:, 1]}
    else:
        present = np.where(support > 0, 1.0, np.nan)
        measured |= {
            "precision": _mean(np.nan_to_num(precision) * present),
            "recall": _mean(recall),
            "f1": _mean(f1 * present),
        }
    areas, precisions = predictions.ranking.measure(weights)
    measured |= {"roc_auc": _mean(areas), "average_precision": _mean(precisions)}
    surprise = -np.log(np.maximum(predictions.true_probability, LOWEST_PROBABILITY))
    measured["log_loss"] = ratio(weights @ surprise, total)
    if (predictions.confidence != 1).any():
        confident = weights * predictions.confidence
        measured["confidence_weighted_accuracy"] = ratio(confident @ right, confident.sum(axis=1))
    return measured


def shares(predictions: Predictions) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """The metrics that are weighted shares of the images: those that count, bool `(images,)`, and weights `(images,)`."""
    right = predictions.correct
    each_class = 1 / np.bincount(predictions.labels, minlength=len(predictions.classes))[predictions.labels]
    found = {"accuracy": (right, np.ones(len(predictions)))}
    found |= {"balanced_accuracy": (right, each_class), "recall": (right, each_class)}
    if len(predictions.classes) > MOST_GUESSES:
        found[TOP] = predictions.likelier < MOST_GUESSES, np.ones(len(predictions))
    if len(predictions.classes) == 2:
        found |= {"recall": (right, predictions.labels == 1), "precision": (right, predictions.predicted == 1)}
    if (predictions.confidence != 1).any():
        found["confidence_weighted_accuracy"] = right, predictions.confidence
    return {name: (hits, weights.astype(np.float64)) for name, (hits, weights) in found.items() if weights.any()}


def measure_classes(predictions: Predictions) -> list[dict[str, float]]:
    """Images, precision, recall, F1 and ROC-AUC against the rest of each class, NaN where undefined."""
    support, predicted, hits = (
        counts[0] for counts in _class_counts(predictions, np.ones((1, len(predictions))))
    )
    columns = {
        "images": support,
        "precision": ratio(hits, predicted),
        "recall": ratio(hits, support),
        "f1": ratio(2 * hits, support + predicted),
        "roc_auc": np.broadcast_to(predictions.ranking.measure(np.ones((1, len(predictions))))[0][0], support.shape),
    }
    return [{name: float(column[i]) for name, column in columns.items()} for i in range(len(support))]


def _class_counts(predictions: Predictions, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weight of each class's images, predictions and hits, `(weightings, classes)` each."""
    columns, images = np.ascontiguousarray(weights.T), np.arange(len(predictions))
    shape, right = (len(predictions.classes), len(predictions)), predictions.correct
    pairs = (predictions.labels, images), (predictions.predicted, images), (predictions.labels[right], images[right])
    support, predicted, hits = (
        (csr_array((np.ones(len(numbers)), (numbers, of)), shape=shape) @ columns).T for numbers, of in pairs
    )
    return support, predicted, hits


def _mean(columns: np.ndarray) -> np.ndarray:
    """The mean over the last axis of what is defined."""
    defined = ~np.isnan(columns)
    return ratio(np.nan_to_num(columns).sum(axis=-1), defined.sum(axis=-1))
