"""Stage `train_frozen`: train the head on the frozen network's features."""

import logging
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import keras

from thaw import engines
from thaw.arrays import Rows
from thaw.augmentation.views import FreshViews, StoredViews, open_views
from thaw.backends import backend
from thaw.errors import ThawError
from thaw.files import digest, digest_folder, read_json
from thaw.models.cutting import cut
from thaw.models.freezing import freeze, frozen_digest
from thaw.models.network import build, set_statistics
from thaw.models.pretrained import is_pretrained, locate_weights, pretrained_digest
from thaw.models.saving import save
from thaw.params import ComputeParams, ExtractParams, FitParams, ModelParams
from thaw.splitting.files import read_classes, read_split
from thaw.training.activations import sample_pictures, storage_dtype
from thaw.training.batches import Examples
from thaw.training.checkpoints import training_key
from thaw.training.devices import training_on
from thaw.training.fit import Job, fit
from thaw.training.groups import Member
from thaw.training.groups.machines import train_on_machines
from thaw.training.guard import Stop, guarded
from thaw.training.inputs import Computed, Inputs, measure_pixels
from thaw.training.journal import Row, write_curve
from thaw.training.labels import make_labels

_log = logging.getLogger("thaw.train_frozen")
_PHASE = 0


@dataclass(frozen=True)
class TrainFrozenInputs:
    """What `train_frozen` reads."""

    features_dir: Path
    views_dir: Path
    train_path: Path
    validation_path: Path
    classes_path: Path
    pretrained_dir: Path
    """Holds the file that `model.weights` names."""


@dataclass(frozen=True)
class TrainFrozenOutputs:
    """What `train_frozen` writes."""

    frozen_dir: Path
    frozen_curve_path: Path


def train_frozen(
    params: FitParams,
    seed: int,
    model: ModelParams,
    compute: ComputeParams,
    inputs: TrainFrozenInputs,
    outputs: TrainFrozenOutputs,
    scratch_dir: Path,
) -> None:
    """Build the network, train its head, and save both; a network without pretrained weights is saved as it was built.

    Raises:
        ThawError: the data do not fit, the loss is not finite, memory runs out, or a frozen weight moved.
        Stopped: on request; a checkpoint holds where it stood.
    """
    work = partial(_train, params, seed, model, inputs, outputs, scratch_dir)
    with guarded(scratch_dir) as stop:
        train_on_machines(params, compute, work, stop, scratch_dir)


def _train(
    params: FitParams,
    seed: int,
    model: ModelParams,
    inputs: TrainFrozenInputs,
    outputs: TrainFrozenOutputs,
    scratch_dir: Path,
    member: Member,
    stop: Stop,
) -> None:
    located = locate_weights(model, inputs.pretrained_dir)
    classes, pictures = read_classes(inputs.classes_path), open_views(inputs.views_dir, "train")
    facts = read_json(inputs.features_dir / "features.json")
    key = training_key(
        "train_frozen", params, seed, model, pretrained_digest(located), digest_folder(inputs.features_dir),
        *map(digest, (inputs.train_path, inputs.validation_path, inputs.classes_path)),
        *_view_digests(facts, inputs.views_dir),
    )  # fmt: skip
    with training_on(params.devices, member):
        network = _build(located, pictures, len(classes), seed)
        job = Job(seed, _PHASE, key, scratch_dir, stop, member.leads)
        rows: list[Row] = []
        prefix, suffix = cut(network)
        if prefix is None:
            _log.info("nothing to freeze: the network goes on to fine_tune as it was built")
        else:
            features = _open_features(facts, prefix, inputs, scratch_dir)
            train_rows, validation_rows = read_split(inputs.train_path), read_split(inputs.validation_path)
            train = Examples(features["train"], make_labels(train_rows, len(classes), params, balance=True))
            watched = Examples(features["validation"], make_labels(validation_rows, len(classes), params))
            rows = _fit_head(network, suffix, params, train, watched, job)
        if not member.leads:
            return
        shape, resize = pictures.shape, pictures.resize
        config = {"model": model.model_dump(), "input_shape": shape, "resize": resize, "classes": classes}
        save(network, outputs.frozen_dir, config)
        write_curve(outputs.frozen_curve_path, rows)
        job.checkpoints.finish()


def _build(model: ModelParams, pictures: StoredViews | FreshViews, num_classes: int, seed: int) -> keras.Model:
    backend.set_seed(seed)
    network = build(model, pictures.shape, num_classes, seed)
    if model.normalization == "featurewise":
        set_statistics(network, *measure_pixels(pictures))
    if is_pretrained(model):
        freeze(network, "head", "", "frozen")
    return network


def _fit_head(
    network: keras.Model, suffix: keras.Model, params: FitParams, train: Examples, watched: Examples, job: Job
) -> list[Row]:
    before = frozen_digest(network)
    rows = fit(suffix, params, train, watched, job)
    if frozen_digest(network) != before:
        raise ThawError("train_frozen: a frozen weight moved", "This is a fault of thaw: please report it.")
    _log.debug("frozen weights before and after: %s", before)
    return rows


def _view_digests(facts: dict[str, Any], views_dir: Path) -> list[str]:
    return [] if facts["features"] else [digest_folder(views_dir)]


def _open_features(
    facts: dict[str, Any], prefix: keras.Model, inputs: TrainFrozenInputs, scratch_dir: Path
) -> dict[str, Inputs]:
    """The features of both splits, from their files or, with views made on the fly, computed as they are needed."""
    shape = tuple(prefix.output_shape[1:])
    if not facts["features"]:
        pictures = {name: open_views(inputs.views_dir, name) for name in ("train", "validation")}
        sample = sample_pictures(pictures["train"])
        engine = engines.compile(prefix, ExtractParams(**facts["extract"]), scratch_dir, sample)
        dtype = storage_dtype(engine(sample))
        return {name: Computed(views, engine, shape, dtype) for name, views in pictures.items()}
    rows = {name: Rows(inputs.features_dir / f"{name}.npy") for name in ("train", "validation")}
    if rows["train"].shape != shape:
        raise ThawError(
            f"{inputs.features_dir}: features of {rows['train'].shape}, the network makes {shape}",
            "Run extract again, with --force.",
        )
    return dict(rows)
