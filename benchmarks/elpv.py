"""Accuracy on ELPV (Deitsch et al., Solar Energy 2019): functional against defective cells, 75/25 split by label and type.

    python -m benchmarks.elpv [--profile NAME] [--split-by near_duplicates] [--seeds 1 2 3 4 5] [--quick]

Each seed has a split and a training of its own, by the pipeline's stages from the gate's manifest on. Weighted: each
cell counts by the confidence of its label, as the authors do. Prints a Markdown table with the mean over the seeds and
its 95 % interval (Student's t). Cells of one module may stand on both sides of a split: the set has no module id. With
`--split-by near_duplicates` cells that the gate finds alike stand on one.
"""

import argparse
import math
import multiprocessing
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path
from typing import Any

from thaw.demo import lay_out
from thaw.devices import cpu_name

_LONGER: dict[str, Any] = {
    "augment.views": 8,
    "augment.contrast": 0.3,
    "augment.brightness": 0.3,
    "fine_tune.learning_rate": 2e-4,
    "fine_tune.test_time_augmentation": True,
}
PROFILES: dict[str, dict[str, Any]] = {
    "default": {},
    "five_minutes": _LONGER | {"fine_tune.epochs": 25},
    "long": _LONGER | {"model.architecture": "efficientnet_lite2", "augment.image_size": 300, "fine_tune.epochs": 20},
}
"""Chosen on validation images (docs/benchmarks.md)."""
COLUMNS = ("accuracy", "weighted", "mono", "poly")


def run_seed(profile: str, split_by: str, seed: int, root: Path) -> dict[str, float]:
    """Run the pipeline for one seed in the project at `root`: the accuracies on its test cells, minutes, peak memory in GB."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from thaw.stages import configure_logging

    configure_logging()
    shutil.rmtree(root / ".thaw")  # no seed gains by what another one kept
    began = time.perf_counter()
    params = params_with({"seed": seed, "split.by": split_by, **PROFILES[profile]}, profile)
    run_stages(params, root, "split", "evaluate")
    peak_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    minutes = (time.perf_counter() - began) / 60
    score = _score(root / "reports" / "predictions.csv", root / "data" / "splits" / "test.csv")
    return score | {"minutes": minutes, "peak_gb": peak_gb}


def params_with(overrides: dict[str, Any], source: str) -> Any:
    """The defaults, with other values for some dotted keys."""
    from thaw.params import Params, parse_params

    values = Params().model_dump(by_alias=True)
    for key, value in overrides.items():
        *parents, last = key.split(".")
        section = values
        for parent in parents:
            section = section[parent]
        section[last] = value
    return parse_params(values, source)


def run_stages(params: Any, root: Path, first: str, last: str, without: Collection[str] = ()) -> None:
    """The stages of the project's own graph from `first` to `last`, each on a clean place."""
    from thaw.stages import call_stage
    from thaw.versioning import DvcRepo

    specs = DvcRepo(root).stages()
    names = [spec.name for spec in specs]
    for spec in specs[names.index(first) : names.index(last) + 1]:
        if spec.name in without:
            continue
        for output in spec.outputs.values():
            shutil.rmtree(output) if output.is_dir() else output.unlink(missing_ok=True)
            output.parent.mkdir(parents=True, exist_ok=True)
        call_stage(spec, root, params)


def _score(predictions_path: Path, test_path: Path) -> dict[str, float]:
    import pandas as pd

    rows = pd.read_csv(test_path).merge(pd.read_csv(predictions_path), on="path", validate="1:1")
    right = (rows["class_x"] == rows["predicted"]).astype(float)
    by_type = right.groupby(rows["type"]).mean()
    weighted = (right * rows["confidence"]).sum() / rows["confidence"].sum()
    return {"accuracy": right.mean(), "weighted": weighted, "mono": by_type["mono"], "poly": by_type["poly"]}


def prepare(root: Path, lay_out: Callable[[Path], object]) -> None:
    """A project with what `lay_out` writes to its data folder, judged by the gate, which lets digits of 8 by 8 pixels pass."""
    shutil.copy(Path(__file__).parents[1] / "dvc.yaml", root)
    subprocess.run([sys.executable, "-m", "dvc", "init", "--quiet", "--no-scm"], cwd=root, check=True)
    for name in ("data/contract", "models/pretrained"):
        (root / name).mkdir(parents=True)
    lay_out(root / "data" / "raw")
    run_stages(params_with({"validate.limits.min_side_pixels": 8}, "benchmark"), root, "validate", "validate")


def interval(values: list[float]) -> float:
    """Half the width of the 95 % interval of the mean, by Student's t."""
    from scipy.stats import t

    if len(values) < 2:
        return math.nan
    return float(t.ppf(0.975, len(values) - 1)) * statistics.stdev(values) / math.sqrt(len(values))


def main() -> None:
    """Run the seeds, each in a process of its own, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--profile", choices=sorted(PROFILES), default="default")
    parser.add_argument("--split-by", choices=["groups", "near_duplicates"], default="groups")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    parser.add_argument("--quick", action="store_true", help="one seed")
    options = parser.parse_args()
    seeds = options.seeds[:1] if options.quick else options.seeds
    print(f"Profile {options.profile}, split by {options.split_by}. {cpu_name()}\n")
    print("| seed | accuracy | weighted | mono | poly | minutes | peak GB |\n|---|---:|---:|---:|---:|---:|---:|")
    results = []
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        prepare(root, partial(lay_out, "elpv"))
        for seed in seeds:
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                results.append(pool.apply(run_seed, (options.profile, options.split_by, seed, root)))
            shares = " | ".join(f"{results[-1][column]:.4f}" for column in COLUMNS)
            print(f"| {seed} | {shares} | {results[-1]['minutes']:.1f} | {results[-1]['peak_gb']:.1f} |", flush=True)
    if len(results) < 2:
        return
    columns = [[result[column] for result in results] for column in COLUMNS]
    means = " | ".join(f"{statistics.mean(column):.4f} ± {interval(column):.4f}" for column in columns)
    print(f"| mean | {means} | {statistics.mean(result['minutes'] for result in results):.1f} | |")


if __name__ == "__main__":
    main()
