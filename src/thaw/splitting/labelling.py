"""What each image is taught and counted as: the rows of the splits' CSVs."""

import difflib

import numpy as np
import pandas as pd

from thaw.errors import ThawError
from thaw.params import SplitParams
from thaw.splitting.columns import METADATA, PROBABILITY, slice_columns
from thaw.splitting.grouping import first_of_linked


def label_images(images: pd.DataFrame, params: SplitParams) -> tuple[pd.DataFrame, list[str]]:
    """The rows of the CSVs (docs/architecture.md), and the classes in the order of their labels.

    `target` is the probability of the positive class where the metadata has a `probability_<class>`. `confidence` is
    the metadata's, else the probability of the label that an image carries, by which Deitsch et al. (Solar Energy 2019)
    count uncertain cells, else 1. `group` is the path of the first of the images that do not count as independent: of one
    metadata group, of equal bytes, or alike for the gate.

    Raises:
        ThawError: a probability, confidence or weight is no such number, or `positive_class` is no class.
    """
    classes = sorted(images["class"].unique())
    likelihood, of_class = _probability(images, classes)
    positive = _positive_class(params, classes, of_class or classes[-1])
    if len(classes) == 2:
        classes = [name for name in classes if name != positive] + [positive]
    target = likelihood if positive == of_class else 1 - likelihood
    of_label = target.where(images["class"] == positive, 1 - target)
    rows = {
        "path": images["path"],
        "class": images["class"],
        "label": images["class"].map({name: i for i, name in enumerate(classes)}),
        "target": target,
        "weight": _numbers(images, "weight", 0.0, np.inf).fillna(1.0),
        "confidence": _numbers(images, "confidence", 0.0, 1.0).fillna(of_label).fillna(1.0),
        "grey": images["grey"].astype(int),
        "group": first_of_linked(images),
    }
    slices = {name: images[METADATA + name] for name in slice_columns(images, params.slices)}
    return pd.DataFrame({**rows, **slices}), classes


def _probability(images: pd.DataFrame, classes: list[str]) -> tuple[pd.Series, str]:
    """The probabilities and the class that they are of; NaN, and no class, where there are none of one of two classes."""
    named = [name for name in classes if METADATA + PROBABILITY + name in images]
    if len(classes) != 2 or len(named) != 1:
        return pd.Series(np.nan, images.index), ""
    return _numbers(images, PROBABILITY + named[0], 0.0, 1.0), named[0]


def _positive_class(params: SplitParams, classes: list[str], otherwise: str) -> str:
    if params.positive_class == "auto":
        return otherwise
    if params.positive_class not in classes:
        near = difflib.get_close_matches(params.positive_class, classes, n=1, cutoff=0.0)
        raise ThawError(
            f"params.yaml: split.positive_class: no class {params.positive_class!r}", f"Did you mean {near[0]!r}?"
        )
    return params.positive_class


def _numbers(images: pd.DataFrame, name: str, low: float, high: float) -> pd.Series:
    column = METADATA + name
    if column not in images:
        return pd.Series(np.nan, images.index)
    given = images[column].replace("", np.nan)
    numbers = pd.to_numeric(given, errors="coerce").astype(np.float64)
    wrong = given.notna() & ~((numbers >= low) & (numbers <= high) & np.isfinite(numbers))
    if wrong.any():
        first = images[wrong].iloc[0]
        raise ThawError(
            f"metadata.csv: {first['path']}: {name} is {first[column]!r}",
            f"Give a number from {low:g} to {high:g}." if np.isfinite(high) else "Give a number from 0 on.",
        )
    return numbers
