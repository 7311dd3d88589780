"""Stage `augment`: lay the augmented views of the images out in shards, and a sheet to look at."""

from pathlib import Path

from thaw.augmentation.contact_sheet import draw_contact_sheet
from thaw.augmentation.shards import write_views
from thaw.errors import ThawError
from thaw.params import AugmentParams
from thaw.splitting.files import read_split


def augment(
    params: AugmentParams,
    seed: int,
    raw_dir: Path,
    train_path: Path,
    validation_path: Path,
    views_dir: Path,
    contact_sheet_path: Path,
) -> None:
    """Write the views of the training images, the validation images as they are, and the contact sheet.

    Raises:
        ThawError: an image cannot be read, or the disk has no room.
    """
    train, validation = read_split(train_path), read_split(validation_path)
    if train.empty:
        raise ThawError(f"{train_path}: no images to train on", "Lower split.test_fraction.")
    grey = params.color == "grey" or (
        params.color == "auto" and bool(train["grey"].all() and validation["grey"].all())
    )
    channels = 1 if grey else 3
    write_views(params, seed, raw_dir, list(train["path"]), list(validation["path"]), channels, views_dir)
    draw_contact_sheet(params, seed, raw_dir, train[["path", "class"]], channels, contact_sheet_path)
