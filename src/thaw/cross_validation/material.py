"""What heads are trained and judged on: the features and labels of train and validation together."""

import logging
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from thaw.arrays import Rows
from thaw.cross_validation.folds import assign_folds, count_folds, number_units
from thaw.cross_validation.joined import Joined
from thaw.errors import ThawError
from thaw.evaluation import Predictions
from thaw.files import read_json
from thaw.splitting.files import read_classes, read_split
from thaw.training.inputs import Inputs

_log = logging.getLogger("thaw.cross_validation")


class NothingToAudit(Exception):
    """Why heads cannot be trained on parts of the images."""


@dataclass(frozen=True)
class Material:
    """The images of train and then of validation, in the order of their CSVs."""

    features: Inputs
    """`(images, views, ...)`; a validation image has one view."""
    rows: pd.DataFrame
    """As `thaw.splitting.files.read_split` gives them."""
    classes: list[str]
    validation_images: int

    @cached_property
    def units(self) -> np.ndarray:
        """int `(images,)`: images of one number depend on each other."""
        return number_units(self.rows["group"])

    @property
    def labels(self) -> np.ndarray:
        """int `(images,)`."""
        return self.rows["label"].to_numpy()

    def predictions(self, probabilities: np.ndarray) -> Predictions:
        """Probabilities `(images, classes)` beside the labels."""
        return Predictions(
            self.classes, self.labels, probabilities, self.rows["confidence"].to_numpy(),
            groups=self.rows["group"].to_numpy(str),
        )  # fmt: skip


def read_images(train_path: Path, validation_path: Path, classes_path: Path) -> Material:
    """The images of both splits, without features."""
    splits = [read_split(train_path), read_split(validation_path)]
    return Material(Joined([]), pd.concat(splits, ignore_index=True), read_classes(classes_path), len(splits[1]))


def read_material(features_dir: Path, train_path: Path, validation_path: Path, classes_path: Path) -> Material:
    """Open what the stages `split` and `extract` wrote.

    Raises:
        NothingToAudit: no features are kept.
        ThawError: the features are not of these splits.
    """
    facts = read_json(features_dir / "features.json")
    if not facts["features"]:
        raise NothingToAudit(f"no features of a frozen network are kept: {facts['reason']}")
    material = read_images(train_path, validation_path, classes_path)
    features = [Rows(features_dir / f"{name}.npy") for name in ("train", "validation")]
    counts = len(material.rows) - material.validation_images, material.validation_images
    for count, values in zip(counts, features, strict=True):
        if values.count != count:
            raise ThawError(
                f"{values.path}: features of {values.count} images, the split has {count}", "Run extract again, with --force."
            )
    return replace(material, features=Joined([values for values in features if values.count]))


def choose_folds(material: Material, wanted: int, seed: int) -> np.ndarray:
    """The fold of each image, int `(images,)` from 0; fewer folds than `wanted` where classes are too small for them.

    Raises:
        NothingToAudit: there cannot be two.
    """
    try:
        count = count_folds(material.labels, material.units, wanted, len(material.classes))
    except ThawError as error:
        raise NothingToAudit(error.reason) from None
    if count < wanted:
        _log.warning("%d folds and not %d: the smaller classes have no more independent images", count, wanted)
    return assign_folds(material.labels, material.units, count, seed)
