"""What each image is taught and counted as: the rows of the splits' CSVs."""

import difflib

import numpy as np
import pandas as pd

from thaw.errors import ThawError
from thaw.params import SplitParams
from thaw.splitting.columns import METADATA, slice_columns


def label_images(images: pd.DataFrame, params: SplitParams) -> tuple[pd.DataFrame, list[str]]:
    """The rows of the CSVs (docs/architecture.md), and the classes in the order of their labels.

    `target` is the probability of the positive class where the metadata has a `probability`. `confidence` is
    the probability of the label that an image carries, by which Deitsch et al. (Solar Energy 2019) count
    uncertain cells; with more than two classes `probability` is that confidence itself.

    Raises:
        ThawError: a probability or weight is no such number, or `positive_class` is no class.
    """
    classes = sorted(images["class"].unique())
    probability = _numbers(images, "probability", 0.0, 1.0)
    means = probability.groupby(images["class"]).mean()
    likelier = str(means.idxmax()) if means.max() > means.min() else classes[-1]
    positive = likelier if params.positive_class == "auto" else params.positive_class
    if positive not in classes:
        near = difflib.get_close_matches(positive, classes, n=1, cutoff=0.0)
        raise ThawError(
            f"params.yaml: split.positive_class: no class {positive!r}", f"Did you mean {near[0]!r}?"
        )
    target = pd.Series(np.nan, images.index)
    confidence = probability.fillna(1.0)
    if len(classes) == 2:
        classes = [name for name in classes if name != positive] + [positive]
        target = probability if positive == likelier else 1 - probability
        confidence = target.where(images["class"] == positive, 1 - target).fillna(1.0)
    rows = {
        "path": images["path"],
        "class": images["class"],
        "label": images["class"].map({name: i for i, name in enumerate(classes)}),
        "target": target,
        "weight": _numbers(images, "weight", 0.0, np.inf).fillna(1.0),
        "confidence": confidence,
        "grey": images["grey"].astype(int),
    }
    slices = {name: images[METADATA + name] for name in slice_columns(images, params.slices)}
    return pd.DataFrame({**rows, **slices}), classes


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
