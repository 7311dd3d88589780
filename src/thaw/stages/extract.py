"""Stage `extract`: run the frozen network over every view."""

import logging
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from thaw.augmentation.views import FreshViews, StoredViews, open_views
from thaw.compute import Portable, open_executor
from thaw.engines import Compilation, Engine, compile_cached
from thaw.files import digest_folder, write_json
from thaw.models.pretrained import is_pretrained, locate_weights, prefix_key
from thaw.params import ComputeParams, ExtractParams, ModelParams
from thaw.training.activations import sample_pictures, storage_dtype, write_activations
from thaw.training.guard import guarded
from thaw.training.inputs import Inputs, measure_pixels

if TYPE_CHECKING:
    import keras

_log = logging.getLogger("thaw.extract")


@dataclass(frozen=True)
class ExtractInputs:
    """What `extract` reads."""

    views_dir: Path
    pretrained_dir: Path
    """Holds the file that `model.weights` names."""


@dataclass(frozen=True)
class ExtractOutputs:
    """What `extract` writes."""

    features_dir: Path


def extract(
    params: ExtractParams,
    model: ModelParams,
    compute: ComputeParams,
    inputs: ExtractInputs,
    outputs: ExtractOutputs,
    scratch_dir: Path,
) -> None:
    """Write `train.npy` and `validation.npy`, float16 or float32 `(images, views, ...)`, and `features.json`.

    A network without pretrained weights has no features, nor have views that are made on the fly: `features.json`
    says so. TensorFlow is imported only where no compiled network is kept, or it was not yet checked on these images.

    Raises:
        ThawError: the weights cannot be had, no engine is right within `params.tolerance`, or the disk is full.
    """
    train, validation = (open_views(inputs.views_dir, split) for split in ("train", "validation"))
    model = locate_weights(model, inputs.pretrained_dir)
    facts_path = outputs.features_dir / "features.json"
    missing = _why_none(model, train)
    if missing:
        _log.info("no features: %s", missing)
        write_json(facts_path, {"features": False, "reason": missing, "extract": params.model_dump()})
        return
    pixels = digest_folder(inputs.views_dir) if model.normalization == "featurewise" else ""
    key = prefix_key(model, train.shape, pixels)
    build = _BuildPrefix(model, train)
    with open_executor(compute) as executor, guarded(scratch_dir) as stop:
        sample = sample_pictures(train)
        engine = compile_cached(key, build, params, scratch_dir, sample)
        run = Portable(engine, Compilation(engine.name, engine.precision, key, build, params, scratch_dir))
        values = engine(sample)
        shape, dtype = values.shape[1:], storage_dtype(values)
        for name, pictures in (("train", train), ("validation", validation)):
            write_activations(outputs.features_dir / f"{name}.npy", pictures, run, shape, dtype, stop, executor)
    write_json(facts_path, _facts(engine, key, shape, dtype))


def _facts(engine: Engine, key: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> dict[str, Any]:
    return {
        "features": True, "engine": engine.name, "precision": engine.precision,
        "relative_error": engine.relative_error, "network": key, "shape": list(shape), "dtype": dtype.name,
    }  # fmt: skip


def _why_none(model: ModelParams, train: Inputs) -> str:
    if not is_pretrained(model):
        return "the network has no pretrained weights"
    return "views are made on the fly" if train.views == 0 else ""


@dataclass(frozen=True)
class _BuildPrefix:
    """Builds the frozen part of the network."""

    model: ModelParams
    pictures: StoredViews | FreshViews

    def __call__(self) -> "keras.Model":
        from thaw.models.cutting import build_prefix

        return build_prefix(self.model, self.pictures.shape, partial(measure_pixels, self.pictures))
