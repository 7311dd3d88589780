"""A judgement as tables: what each image was taken for, how well each class is told, which are taken for each other."""

import numpy as np
import pandas as pd

from thaw.evaluation.intervals import share_interval
from thaw.evaluation.judgement import Judgement
from thaw.evaluation.metrics import confusion, measure_classes

_PROBABILITY = "probability_"
"""Prefix of the columns that hold the probability of a class."""
_ENDS = ("precision_low", "precision_high", "recall_low", "recall_high")
_DIGITS = 6


def prediction_table(images: pd.DataFrame, judgement: Judgement) -> pd.DataFrame:
    """A row an image: path, class, predicted class, then the probability of each class.

    Args:
        images: `path` and `class`, in the order of the judgement.
    """
    names = np.array(judgement.classes, object)
    probabilities = np.round(judgement.probabilities, _DIGITS).T
    shares = {_PROBABILITY + name: column for name, column in zip(names, probabilities, strict=True)}
    said = {"path": images["path"], "class": images["class"], "predicted": names[judgement.predicted]}
    return pd.DataFrame({**said, **shares})


def class_table(judgement: Judgement, coverage: float) -> pd.DataFrame:
    """A row a class: images, precision, recall and F1, and the intervals of precision and recall; empty where undefined."""
    rows = []
    for number, measured in enumerate(measure_classes(judgement)):
        predicted = _interval(judgement, judgement.predicted == number, coverage)
        found = _interval(judgement, judgement.labels == number, coverage)
        rows.append((*measured.values(), *predicted, *found))
    table = pd.DataFrame(rows, columns=["images", "precision", "recall", "f1", *_ENDS]).round(_DIGITS)
    table.insert(0, "class", judgement.classes)
    return table.astype({"images": int})


def _interval(judgement: Judgement, chosen: np.ndarray, coverage: float) -> tuple[float, float]:
    """Of the share of the chosen images that are told rightly."""
    if not chosen.any():
        return np.nan, np.nan
    return share_interval(judgement.correct, chosen.astype(np.float64), judgement.units, coverage)


def confusion_table(judgement: Judgement) -> pd.DataFrame:
    """A row a true class, a column a predicted one: how many images."""
    table = pd.DataFrame(confusion(judgement), columns=judgement.classes)
    table.insert(0, "class", judgement.classes, allow_duplicates=True)
    return table
