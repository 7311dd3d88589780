"""What a network is taught: targets and weights, read from a split's CSV."""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from thaw.errors import ThawError
from thaw.files import read_json
from thaw.params import FitParams


@dataclass(frozen=True)
class Labels:
    """The targets of a split, in the order of its CSV."""

    paths: list[str]
    targets: np.ndarray
    """float32 `(images, outputs)`: of two classes the probability of the positive one, else a probability a class."""
    weights: np.ndarray
    """float32 `(images,)`: of each image in the loss."""

    def __len__(self) -> int:
        return len(self.paths)


def read_classes(classes_path: Path) -> list[str]:
    """The class names, in the order of the labels."""
    return [str(name) for name in read_json(classes_path)]


def read_labels(split_path: Path, num_classes: int, params: FitParams, balance: bool = False) -> Labels:
    """Read a split.

    Args:
        split_path: CSV with `path`, `label`, `target` and `weight`.
        num_classes: from two.
        params: `labels` says whether the metadata's probability is the target.
        balance: multiply the weights so that every class has the same sum, where `params.class_weights` asks for it.

    Raises:
        ThawError: soft labels were asked for and some image has none, or a value is out of range.
    """
    with split_path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    labels = np.array([int(row["label"]) for row in rows], dtype=np.int64)
    weights = np.array([float(row["weight"] or 1) for row in rows], dtype=np.float64)
    if balance and params.class_weights == "balanced":
        weights *= _class_weights(labels, num_classes)[labels]
    targets = _targets(rows, labels, num_classes, params, split_path)
    return Labels([row["path"] for row in rows], targets.astype(np.float32), weights.astype(np.float32))


def _targets(
    rows: list[dict[str, str]], labels: np.ndarray, num_classes: int, params: FitParams, split_path: Path
) -> np.ndarray:
    if num_classes > 2:
        if params.labels == "soft":
            raise ThawError("labels: soft needs two classes", "Set labels to auto or hard.")
        return np.eye(num_classes)[labels]
    soft = [row["target"] for row in rows]
    if params.labels == "soft" and not all(soft):
        raise ThawError(
            f"{split_path}: {soft.count('')} images have no `probability`",
            "Complete metadata.csv, or set labels to auto or hard.",
        )
    if params.labels == "hard" or not rows or not all(soft):
        return labels[:, None].astype(np.float64)
    targets = np.array([float(value) for value in soft])[:, None]
    if targets.min() < 0 or targets.max() > 1:
        raise ThawError(f"{split_path}: a `target` lies outside 0 to 1", "Mend `probability` in metadata.csv.")
    return targets


def _class_weights(labels: np.ndarray, num_classes: int) -> np.ndarray:
    counts = np.bincount(labels, minlength=num_classes)
    return len(labels) / (num_classes * np.maximum(counts, 1))
