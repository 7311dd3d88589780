"""Predictions as tables: what each image was taken for, how well each class is told."""

import numpy as np
import pandas as pd

from thaw.evaluation.metrics import measure_classes
from thaw.evaluation.predictions import PROBABILITY_DIGITS, Predictions
from thaw.statistics.intervals import share_interval

_PROBABILITY = "probability_"
"""Prefix of the columns that hold the probability of a class."""
_ENDS = ("precision_low", "precision_high", "recall_low", "recall_high")
_DIGITS = 6


def prediction_table(images: pd.DataFrame, predictions: Predictions) -> pd.DataFrame:
    """A row an image: path, class, predicted class, then the probability of each class.

    Args:
        images: `path` and `class`, in the order of the predictions.
    """
    names = np.array(predictions.classes, object)
    probabilities = np.round(predictions.probabilities, PROBABILITY_DIGITS).T
    shares = {_PROBABILITY + name: column for name, column in zip(names, probabilities, strict=True)}
    columns = {"path": images["path"], "class": images["class"], "predicted": names[predictions.predicted]}
    return pd.DataFrame({**columns, **shares})


def class_table(predictions: Predictions, coverage: float) -> pd.DataFrame:
    """A row a class: images, precision, recall, F1 and ROC-AUC against the rest, and the intervals of precision and recall;
    empty where undefined."""
    rows = []
    for number, measured in enumerate(measure_classes(predictions)):
        predicted = _interval(predictions, predictions.predicted == number, coverage)
        found = _interval(predictions, predictions.labels == number, coverage)
        rows.append((*measured.values(), *predicted, *found))
    table = pd.DataFrame(rows, columns=["images", "precision", "recall", "f1", "roc_auc", *_ENDS]).round(_DIGITS)
    table.insert(0, "class", predictions.classes)
    return table.astype({"images": int})


def _interval(predictions: Predictions, chosen: np.ndarray, coverage: float) -> tuple[float, float]:
    """Of the share of the chosen images that are told rightly."""
    if not chosen.any():
        return np.nan, np.nan
    return share_interval(predictions.correct, chosen.astype(np.float64), predictions.units, coverage)
