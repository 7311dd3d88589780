"""A small project on disk, bright squares against dark ones, and its three training stages."""

import csv
import os
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from thaw.augmentation.shards import write_views
from thaw.compute import Local
from thaw.files import write_json
from thaw.params import AugmentParams, ComputeParams, ExtractParams, FineTuneParams, FitParams, ModelParams


def make_project(folder: Path, images: int = 40, side: int = 64, views: int = 2) -> None:
    """Write pictures, splits and views: class `ring` has a bright square in the middle, class `plain` has not."""
    rng = np.random.default_rng(0)
    rows = []
    for number in range(images):
        pixels = rng.integers(60, 120, (side, side), dtype=np.uint8)
        label = number % 2
        if label:
            pixels[side // 4 : -side // 4, side // 4 : -side // 4] += 90
        name = f"{('plain', 'ring')[label]}/{number}é.png"
        (folder / "raw" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / "raw" / name)
        known = {"label": label, "target": "", "weight": 1, "confidence": 1, "grey": 1}
        rows.append({"path": name, "class": name.split("/")[0], **known})
    splits = {"train": rows[: images * 3 // 4], "validation": rows[images * 3 // 4 :]}
    for name, part in splits.items():
        with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(part)
    write_json(folder / "classes.json", ["plain", "ring"])
    paths = [[row["path"] for row in part] for part in splits.values()]
    write_views(AugmentParams(image_size=side, views=views), 1, folder / "raw", *paths, 1, folder / "views", Local())


def run_stages(
    folder: Path,
    out: Path,
    model: ModelParams,
    frozen: FitParams,
    tuned: FineTuneParams,
    engine: ExtractParams | None = None,
) -> None:
    """Run extract, train_frozen and fine_tune on the project in `folder`, with outputs in `out`."""
    extract_features(folder, out, model, engine)
    train_head(folder, out, model, frozen)
    tune(folder, out / "frozen", out, tuned, engine)


def extract_features(folder: Path, out: Path, model: ModelParams, engine: ExtractParams | None = None) -> None:
    """Run extract alone."""
    from thaw.stages.extract import ExtractInputs, ExtractOutputs, extract

    inputs = ExtractInputs(folder / "views", folder / "pretrained")
    features = ExtractOutputs(out / "features")
    extract(engine or ExtractParams(), model, ComputeParams(), inputs, features, out / "scratch/extract")


def train_head(folder: Path, out: Path, model: ModelParams, params: FitParams) -> None:
    """Run train_frozen alone, on the features in `out`."""
    from thaw.stages.train_frozen import TrainFrozenInputs, TrainFrozenOutputs, train_frozen

    inputs = TrainFrozenInputs(
        features_dir=out / "features", pretrained_dir=folder / "pretrained", **training_data(folder)
    )
    outputs = TrainFrozenOutputs(out / "frozen", out / "frozen.csv")
    train_frozen(params, 1, model, ComputeParams(), inputs, outputs, out / "scratch/train_frozen")


def tune(
    folder: Path,
    frozen_dir: Path,
    out: Path,
    params: FineTuneParams,
    engine: ExtractParams | None = None,
    cache_gb: float = 8.0,
) -> None:
    """Run fine_tune alone on a frozen network."""
    from thaw.stages.fine_tune import FineTuneOutputs, fine_tune

    outputs = FineTuneOutputs(out / "tuned", out / "tuned.csv", out / "validation_logits.csv")
    fine_tune(
        params, 1, engine or ExtractParams(), ComputeParams(cache_gb=cache_gb), fine_tune_inputs(folder, frozen_dir),
        outputs, out / "scratch/fine_tune",
    )  # fmt: skip


def fine_tune_inputs(folder: Path, frozen_dir: Path) -> Any:
    """The project's data, and a frozen network."""
    from thaw.stages.fine_tune import FineTuneInputs

    return FineTuneInputs(**training_data(folder), frozen_dir=frozen_dir)


def training_data(folder: Path) -> dict[str, Path]:
    """What both trainings read, by the name that their inputs have for it."""
    files = {"train_path": "train.csv", "validation_path": "validation.csv", "classes_path": "classes.json"}
    return {"views_dir": folder / "views"} | {name: folder / file for name, file in files.items()}


def outputs(out: Path) -> dict[str, bytes]:
    """The bytes of every output, scratch left out."""
    return {
        path.relative_to(out).as_posix(): path.read_bytes()
        for path in sorted(out.rglob("*"))
        if path.is_file() and "scratch" not in path.relative_to(out).parts
    }


def train_in_process(folder: Path, out: Path, epochs: int) -> None:
    """Train a small network from random weights, with a checkpoint at nearly every step. For a process of its own."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from thaw.training import fit

    fit.CHECKPOINT_SECONDS = 0.01
    model = ModelParams(architecture="lenet5", weights="none")
    run_stages(
        folder,
        out,
        model,
        FitParams(epochs=1),
        FineTuneParams(epochs=epochs, min_steps=0, batch_size=8, learning_rate=1e-3),
    )
