"""What each ingredient of the recipe adds alone, on data that the choice may be made on: the test split is never looked at.

    python -m benchmarks.ingredients SET [SET ...] [--only NAME ...] [--seeds 1 2 3 4 5] [--quick] [--epochs 9]
                                     [--validation-fraction 0.2]

A set is `elpv`, `digits` or a folder of classes. Each seed has a division of its own: a quarter is set aside unseen (or the
folder's `test`), and of the rest a share (a fifth) is validated on. The pipeline's stages train, the default and then the
default with one ingredient; both have the validation images in common. Prints a Markdown table for each set: the mean of
accuracy and of log loss, with the model's temperature and before it, and of the differences to the default with their 95 %
interval (Student's t). The temperature is of the same images: one number, of hundreds.
"""

import argparse
import multiprocessing
import shutil
import statistics
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.elpv import interval, params_with, prepare, run_stages
from thaw.demo import SETS, lay_out
from thaw.devices import cpu_name

INGREDIENTS: dict[str, dict[str, Any]] = {
    "mixup 0.2": {"fine_tune.mixup": 0.2},
    "CutMix 1": {"fine_tune.cutmix": 1.0},
    "label smoothing 0.1": {"fine_tune.label_smoothing": 0.1},
    "layer-wise decay 0.9": {"fine_tune.layer_decay": 0.9},
    "thawed layers at a third": {"fine_tune.thawed_learning_rate_factor": 1 / 3},
    "EMA 0.99": {"fine_tune.ema_momentum": 0.99},
    "EMA 0.99, constant rate": {
        "fine_tune.ema_momentum": 0.99, "fine_tune.schedule": "constant", "fine_tune.learning_rate": 1e-4
    },
    "SWA from half on": {"fine_tune.swa_epoch_start": 0.5},
    "classes sampled alike": {"fine_tune.class_sampling": "balanced"},
    "early stopping by loss, patience 3": {"fine_tune.early_stopping_patience": 3},
    "early stopping by accuracy, patience 3": {
        "fine_tune.early_stopping_patience": 3, "fine_tune.early_stopping_monitor": "accuracy"
    },
    "answers averaged over flips and turns": {"fine_tune.test_time_augmentation": True},
    "300 pixels": {"augment.image_size": 300},
    "EfficientNet-Lite2, 300 pixels": {"model.architecture": "efficientnet_lite2", "augment.image_size": 300},
    "eight views": {"augment.views": 8},
    "random resized crop 0.5": {"augment.views": 8, "augment.random_resized_crop": 0.5},
    "contrast and brightness 0.3": {"augment.views": 8, "augment.contrast": 0.3, "augment.brightness": 0.3},
    "saturation 0.3 and hue 0.05": {"augment.views": 8, "augment.saturation": 0.3, "augment.hue": 0.05},
    "blur 1.5": {"augment.views": 8, "augment.blur": 1.5},
    "random erasing 0.5": {"augment.views": 8, "augment.erasing": 0.5},
    "RandAugment 2, 9": {"augment.views": 8, "augment.rand_augment_ops": 2},
}  # fmt: skip
"""By the papers' names (docs/training.md). What changes pictures has eight views, and is to be held against `eight views`."""


def train(overrides: dict[str, Any], seed: int, first: str, root: Path) -> dict[str, float]:
    """Run the stages from `first` to `fine_tune`; what the validation images say of the result."""
    from thaw.stages import configure_logging

    configure_logging()
    params = params_with({"seed": seed, **overrides}, "ingredients")
    run_stages(params, root, first, "fine_tune", without=("audit",))
    return _judge(root)


def _judge(root: Path) -> dict[str, float]:
    import pandas as pd
    from sklearn.metrics import log_loss

    from thaw.decision import probabilities_of
    from thaw.files import read_json
    from thaw.versioning import DvcRepo

    [stage] = [spec for spec in DvcRepo(root).stages() if spec.name == "fine_tune"]
    rows = pd.read_csv(root / "data/splits/validation.csv").merge(
        pd.read_csv(stage.outputs["validation_logits_path"]), on="path", validate="1:1"
    )
    logits, labels = rows.filter(like="logit_").to_numpy(), rows["label"].to_numpy()
    temperature = read_json(stage.outputs["fine_tuned_dir"] / "model.json")["temperature"]
    plain, tempered = probabilities_of(logits), probabilities_of(logits / temperature)
    return {
        "accuracy": (plain.argmax(axis=1) == labels).mean(),
        "log loss": log_loss(labels, tempered, labels=range(plain.shape[1])),
        "before the temperature": log_loss(labels, plain, labels=range(plain.shape[1])),
    }


def measure(source: str, names: list[str], seeds: list[int], common: dict[str, Any]) -> None:
    """Train with each ingredient for each seed, and print the table."""
    found: dict[str, list[dict[str, float]]] = {}
    place = partial(lay_out, source) if source in SETS else partial(shutil.copytree, Path(source))
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        prepare(root, place)
        for seed in seeds:
            upstream: dict[str, Any] = {}  # of the stages before, as they stand
            for ingredient in ["default", *names]:
                overrides = common | INGREDIENTS.get(ingredient, {})
                pictures = {key: value for key, value in overrides.items() if not key.startswith("fine_tune.")}
                begins = "split" if ingredient == "default" else "fine_tune" if pictures == upstream else "augment"
                upstream = pictures
                with multiprocessing.get_context("spawn").Pool(1) as pool:
                    found.setdefault(ingredient, []).append(pool.apply(train, (overrides, seed, begins, root)))
                last = found[ingredient][-1]
                values = " ".join(f"{value:.4f}" for value in last.values())
                print(f"<!-- {source} {seed} {ingredient}: {values} -->", flush=True)
    print(f"\n{Path(source).name}, seeds {', '.join(map(str, seeds))}\n")
    metrics = list(found["default"][0])
    print("| ingredient |", " | ".join(f"{metric} | difference" for metric in metrics), "|")
    print("|---" + "|---:" * 2 * len(metrics) + "|")
    for ingredient, results in found.items():
        cells = []
        for metric in metrics:
            own = [result[metric] for result in results]
            gains = [value - usual[metric] for value, usual in zip(own, found["default"], strict=True)]
            cells += [f"{statistics.mean(own):.4f}", f"{statistics.mean(gains):+.4f} ± {interval(gains):.4f}"]
        if ingredient == "default":
            cells[1::2] = [""] * len(metrics)
        print("|", " | ".join([ingredient, *cells]), "|", flush=True)


def main() -> None:
    """Measure every set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="+", help="elpv, digits, or a folder of classes")
    parser.add_argument("--only", nargs="+", choices=sorted(INGREDIENTS), default=list(INGREDIENTS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    parser.add_argument("--quick", action="store_true", help="one seed")
    parser.add_argument("--epochs", type=int, default=9)
    parser.add_argument("--validation-fraction", type=float, default=0.2, help="share of what is not set aside (default: 0.2)")
    options = parser.parse_args()
    seeds = options.seeds[:1] if options.quick else options.seeds
    common = {"fine_tune.epochs": options.epochs, "split.validation_fraction": options.validation_fraction}
    print(f"{options.epochs} epochs, {options.validation_fraction:g} validated on. {cpu_name()}")
    for source in options.sets:
        measure(source, options.only, seeds, common)


if __name__ == "__main__":
    main()
