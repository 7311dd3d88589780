"""Stage `split`: divide the images that passed the gate into train, validation and test."""

import logging
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from thaw.errors import ThawError
from thaw.files import read_json
from thaw.params import SplitParams
from thaw.splitting.division import assign_splits
from thaw.splitting.files import SPLITS, write_classes, write_split
from thaw.splitting.labelling import label_images

log = logging.getLogger("thaw.split")


@dataclass(frozen=True)
class SplitInputs:
    """What `split` reads."""

    manifest_path: Path
    findings_path: Path


@dataclass(frozen=True)
class SplitOutputs:
    """What `split` writes."""

    train_path: Path
    validation_path: Path
    test_path: Path
    classes_path: Path


def split(params: SplitParams, seed: int, inputs: SplitInputs, outputs: SplitOutputs) -> None:
    """Write a CSV a split, and the classes in the order of their labels. No image is moved.

    Raises:
        ThawError: the gate is shut, or the images cannot be divided.
    """
    images = _read_fit(inputs)
    splits = assign_splits(images, params, seed)
    rows, classes = label_images(images, params)
    for name, path in zip(SPLITS, (outputs.train_path, outputs.validation_path, outputs.test_path), strict=True):
        write_split(path, rows[splits == name])
        log.info("%s: %d images", name, int((splits == name).sum()))
    write_classes(outputs.classes_path, classes)
    _warn_of_near_duplicates(rows["group"], splits, images["split"].eq("") & (params.by == "groups"))
    _warn_of_colour(rows["grey"].eq(0), splits)


def _read_fit(inputs: SplitInputs) -> pd.DataFrame:
    """The rows of the manifest that are fit to use, by path."""
    if read_json(inputs.findings_path)["status"] == "block":
        raise ThawError(
            f"{inputs.findings_path}: the data gate is shut", "Mend what reports/gate.md names, then run again."
        )
    images = pd.read_parquet(inputs.manifest_path)
    images = images[images["verdict"] == "ok"].sort_values("path", ignore_index=True)
    if images["class"].nunique() < 2:
        raise ThawError(
            f"{inputs.manifest_path}: fewer than two classes have images fit to use",
            "Lay the images out as data/raw/<class>/<image>.",
        )
    images["split"] = images["split"].fillna("")
    return images


def _warn_of_near_duplicates(groups: pd.Series, splits: pd.Series, by_lot: pd.Series) -> None:
    """What is near a picture that was trained on says little of how good the model is on others."""
    trained_on = set(groups[splits != "test"]) - {""}
    near = (splits == "test") & by_lot & groups.isin(trained_on)
    if near.any():
        log.warning(
            "%d of %d test images have a near duplicate among those that are trained on, which flatters the result: "
            "split.by: near_duplicates keeps them together",
            int(near.sum()),
            int((splits == "test").sum()),
        )


def _warn_of_colour(coloured: pd.Series, splits: pd.Series) -> None:
    """The test split decides nothing about the network, not even its channels: it may have colour that is not seen."""
    in_test = splits == "test"
    if coloured[in_test].any() and not coloured[~in_test].any():
        log.warning(
            "%d images of the test split have colour, none of the others has: with augment.color: auto the network sees "
            "grey alone; set augment.color: rgb if colour counts",
            int(coloured[in_test].sum()),
        )
