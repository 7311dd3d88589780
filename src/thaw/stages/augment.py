"""Stage `augment`: lay the augmented views of the images out in shards, and a sheet to look at."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from thaw import images
from thaw.augmentation import orientation
from thaw.augmentation.contact_sheet import draw_contact_sheet
from thaw.augmentation.policy import distinct_views
from thaw.augmentation.shards import write_views
from thaw.compute import open_executor
from thaw.engines import compile_cached
from thaw.errors import ThawError
from thaw.models.pretrained import prefix_key
from thaw.params import AugmentParams, ComputeParams, ExtractParams, ModelParams
from thaw.params.effects import no_effect
from thaw.sources import READERS
from thaw.splitting.files import read_split

if TYPE_CHECKING:
    import keras

# Through which flips and turns are judged, whatever network is to be trained: it is fast, and comes with thaw.
_JUDGE = ModelParams(architecture="efficientnet_lite0", weights="imagenet", head="gap", normalization="auto")
_JUDGE_PIXELS = 224


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
    params: AugmentParams,
    seed: int,
    compute: ComputeParams,
    inputs: AugmentInputs,
    outputs: AugmentOutputs,
    scratch_dir: Path,
) -> None:
    """Write the views of the training images, the validation images as they are, and the contact sheet.

    Flips and turns that are `auto` are decided by the training images first; the policy that is written has the answers.
    No more views are written than differ.

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
    for name in ("saturation", "hue"):
        if grey and getattr(params, name):
            cure = "set augment.color: rgb, where colour is to come in later"
            raise no_effect(f"augment.{name}", getattr(params, name), "on pictures that are all grey", 0.0, cure)
    if orientation.undecided(params):
        params = _decide(params, inputs.raw_dir, train, channels, scratch_dir)
    params = params.model_copy(update={"views": distinct_views(params)})
    paths = list(train["path"]), list(validation["path"])
    with open_executor(compute) as executor:
        write_views(params, seed, inputs.raw_dir, *paths, channels, outputs.views_dir, executor)
    draw_contact_sheet(params, seed, inputs.raw_dir, train[["path", "class"]], channels, outputs.contact_sheet_path)


def _decide(params: AugmentParams, raw_dir: Path, train: pd.DataFrame, channels: int, scratch_dir: Path) -> AugmentParams:
    """`params` with every flip and turn answered."""
    labels = train["label"].to_numpy()
    chosen = orientation.choose_images(labels)
    if not len(chosen):
        return orientation.allow(params)
    shape = (_JUDGE_PIXELS, _JUDGE_PIXELS, channels)

    def load(path: str) -> np.ndarray:
        return images.load(images.inside(raw_dir, path), *shape, params.resize)

    with ThreadPoolExecutor(READERS) as pool:
        pictures = list(pool.map(load, train["path"].to_numpy()[chosen]))
    # Kept where `extract` looks for it: most often it runs the same network.
    kept_dir = scratch_dir.with_name("extract")
    judge = compile_cached(prefix_key(_JUDGE, shape), partial(_build_judge, shape), ExtractParams(), kept_dir)
    return orientation.decide(params, np.array(pictures), labels[chosen], judge)


def _build_judge(shape: tuple[int, int, int]) -> "keras.Model":
    from thaw.models.cutting import build_prefix

    return build_prefix(_JUDGE, shape)
