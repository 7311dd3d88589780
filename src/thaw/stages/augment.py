"""Stage `augment`: lay the augmented views of the images out in shards, and a sheet to look at."""

from dataclasses import dataclass
from pathlib import Path

from thaw.augmentation.contact_sheet import draw_contact_sheet
from thaw.augmentation.shards import write_views
from thaw.compute import open_executor
from thaw.errors import ThawError
from thaw.params import AugmentParams, ComputeParams
from thaw.splitting.files import read_split


@dataclass(frozen=True)
class AugmentInputs:
    """What `augment` reads."""

    raw_dir: Path
    train_path: Path
    validation_path: Path


@dataclass(frozen=True)
class AugmentOutputs:
    """What `augment` writes."""

    views_dir: Path
    contact_sheet_path: Path


def augment(
    params: AugmentParams, seed: int, compute: ComputeParams, inputs: AugmentInputs, outputs: AugmentOutputs
) -> None:
    """Write the views of the training images, the validation images as they are, and the contact sheet.

    Raises:
        ThawError: an image cannot be read, or the disk has no room.
    """
    train, validation = read_split(inputs.train_path), read_split(inputs.validation_path)
    if train.empty:
        raise ThawError(f"{inputs.train_path}: no images to train on", "Lower split.test_fraction.")
    grey = params.color == "grey" or (
        params.color == "auto" and bool(train["grey"].all() and validation["grey"].all())
    )
    channels = 1 if grey else 3
    paths = list(train["path"]), list(validation["path"])
    with open_executor(compute) as executor:
        write_views(params, seed, inputs.raw_dir, *paths, channels, outputs.views_dir, executor)
    draw_contact_sheet(params, seed, inputs.raw_dir, train[["path", "class"]], channels, outputs.contact_sheet_path)
