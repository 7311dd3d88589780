"""What a network is taught: targets and weights, from the rows of a split."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from thaw.errors import ThawError
from thaw.params import FitParams


@dataclass(frozen=True)
class Labels:
    """The targets of a split, in the order of its rows."""

    paths: list[str]
    targets: np.ndarray
    """float32 `(images, outputs)`: of two classes the probability of the positive one, else a probability a class."""
    weights: np.ndarray
    """float32 `(images,)`: of each image in the loss."""

    def __len__(self) -> int:
        return len(self.paths)


def make_labels(rows: pd.DataFrame, num_classes: int, params: FitParams, balance: bool = False) -> Labels:
    """What the images of a split are taught.

    Args:
        rows: with `path`, `label`, `target` (NaN without a probability) and `weight`.
        num_classes: from two.
        params: `labels` says whether the metadata's probability is the target; an image without one has its label.
        balance: multiply the weights so that every class has the same sum, where `params.class_weights` asks for it.

    Raises:
        ThawError: soft labels were asked for and some image has none, or a class to be balanced has no weight at all.
    """
    labels, weights = rows["label"].to_numpy(np.int64), rows["weight"].to_numpy(np.float64)
    if balance and params.class_weights == "balanced":
        weights = weights * _class_weights(rows, num_classes)[labels]
    targets = _targets(rows, labels, num_classes, params)
    return Labels(list(rows["path"]), targets.astype(np.float32), weights.astype(np.float32))


def balanced_shares(rows: pd.DataFrame) -> np.ndarray:
    """Shares of the images of a split, float64 `(images,)`, that have every class shown equally often."""
    counts = rows.groupby("label")["label"].transform("size").to_numpy(np.float64)
    return 1 / (counts * rows["label"].nunique())


def _targets(rows: pd.DataFrame, labels: np.ndarray, num_classes: int, params: FitParams) -> np.ndarray:
    if num_classes > 2:
        if params.labels == "soft":
            raise ThawError(f"labels: soft needs two classes, and there are {num_classes}", "Set labels: auto or hard.")
        return np.eye(num_classes)[labels]
    soft = rows["target"].to_numpy(np.float64)
    missing = np.isnan(soft)
    if params.labels == "soft" and missing.any():
        first = rows["path"].iloc[int(missing.argmax())]
        raise ThawError(
            f"labels: soft: {first} has no probability{_and_more(int(missing.sum()) - 1)}",
            "Complete the column in data/raw/metadata.csv, or set labels: auto, which teaches such an image its label.",
        )
    hard = missing | (params.labels == "hard")
    return np.where(hard, labels, soft)[:, None]


def _and_more(count: int) -> str:
    return f", nor have {count} others" if count > 1 else ", nor has another image" if count else ""


def _class_weights(rows: pd.DataFrame, num_classes: int) -> np.ndarray:
    """Factors that give every class the same sum of weights, and leave the sum over all of them as it is."""
    sums = np.bincount(rows["label"], rows["weight"], minlength=num_classes)
    if not sums.all():
        name = rows["class"][rows["label"] == sums.argmin()].iloc[0]
        raise ThawError(
            f"class_weights: balanced: every image of class {name!r} has weight 0",
            "Give some of them a `weight` in data/raw/metadata.csv, or set class_weights: none.",
        )
    return sums.sum() / (num_classes * sums)
