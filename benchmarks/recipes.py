"""Two recipes of training on folders of classes: the defaults, and the defaults with other values of some parameters.

    python -m benchmarks.recipes FOLDER [FOLDER ...] --against KEY=VALUE [KEY=VALUE ...] [--seeds 1 2 3]

Each seed has a training of its own, and a split of its own where a folder has none; both recipes are judged on the same test
images. Prints a Markdown table for each folder: accuracy and log loss of both, and the mean of the differences with its 95 %
interval (Student's t).
"""

import argparse
import json
import multiprocessing
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.elpv import interval, params_with, prepare, run_stages
from thaw.devices import cpu_name

COLUMNS = {"accuracy": ".4f", "log_loss": ".4f", "seconds": ".0f"}


def run_recipe(overrides: dict[str, Any], seed: int, root: Path) -> dict[str, float]:
    """Run the stages from `split` on; the metrics of the test images, and the seconds."""
    from thaw.stages import configure_logging

    configure_logging()
    shutil.rmtree(root / ".thaw")  # nothing is taken from another run
    began = time.perf_counter()
    run_stages(params_with({"seed": seed, **overrides}, "--against"), root, "split", "evaluate")
    seconds = time.perf_counter() - began
    found = json.loads((root / "reports/headline.json").read_text(encoding="utf-8"))
    return {"accuracy": found["accuracy"], "log_loss": found["log_loss"], "seconds": seconds}


def measure(folder: Path, other: dict[str, Any], seeds: list[int]) -> None:
    """Run both recipes for each seed, and print the table."""
    print(f"\n{folder.name}\n\n| seed | default | other | log loss, default | other | seconds, default | other |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    gains = []
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        prepare(root, lambda raw_dir: shutil.copytree(folder, raw_dir))
        for seed in seeds:
            found = []
            for overrides in ({}, other):
                with multiprocessing.get_context("spawn").Pool(1) as pool:
                    found.append(pool.apply(run_recipe, (overrides, seed, root)))
            cells = [f"{one[key]:{form}}" for key, form in COLUMNS.items() for one in found]
            print("|", " | ".join([str(seed), *cells]), "|", flush=True)
            gains.append(found[0]["accuracy"] - found[1]["accuracy"])
    print(f"\nThe default's accuracy is {statistics.mean(gains):+.4f} ± {interval(gains):.4f} beside the other's.", flush=True)


def main() -> None:
    """Measure every folder."""
    from thaw.params.editing import parse_overrides

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--against", nargs="+", required=True, metavar="KEY=VALUE")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    options = parser.parse_args()
    print(f"Beside the defaults: {', '.join(options.against)}. {cpu_name()}")
    for folder in options.folders:
        measure(folder, parse_overrides(options.against), options.seeds)


if __name__ == "__main__":
    main()
