"""How many planted wrong labels the audit finds, and how many of those that it names are planted ones.

    python -m benchmarks.labels [--quick] [--seeds 0 1 2]

One label in twenty is changed to another class at random, of the digits and of ELPV's certain cells (defect probability 0
or 1). The stages up to `extract` run once a set, with EfficientNet-Lite0; then, for each seed, `audit` on splits whose labels
are changed. Nearly all images are audited: 2 % are left as test split. Prints a Markdown table; --quick: the digits, one seed.
"""

import argparse
import csv
import os
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pandas as pd

from benchmarks.staged import Staged
from thaw.demo import lay_out
from thaw.params import Params
from thaw.splitting.files import read_classes, read_split, write_split
from thaw.stages.audit import AuditInputs, AuditOutputs, audit

SHARE = 0.05
WANTED = {"digits": (0.9, 0.8), "elpv": (0.7, 0.5)}
"""Recall and precision, as means over the seeds."""
_SPLIT = {"split": {"test_fraction": 0.02}}
OVERRIDES: dict[str, dict[str, Any]] = {
    "digits": _SPLIT
    | {
        "validate": {"limits": {"min_side_pixels": 8}},
        "augment": {"image_size": 96, "views": 1, "horizontal_flip": False, "vertical_flip": False, "right_angle_turns": False},
    },
    "elpv": _SPLIT | {"augment": {"views": 8}},
}
"""Where the defaults of `params.yaml` do not fit; eight views are all symmetries of a square."""


class Project(Staged):
    """A set, and what the stages make of it."""

    def __init__(self, name: str, root: Path) -> None:
        super().__init__(root, Params(**OVERRIDES[name]))
        lay_out(name, root / "raw_dir")
        if name == "elpv":
            _keep_certain(root / "raw_dir")
        for stage in self.stages().values():
            stage()

    def measure(self, seed: int) -> tuple[float, float, float]:
        """Recall, precision, and the seconds that `audit` took, on labels of which some are changed."""
        classes = read_classes(self.root / "classes_path")
        tables = {name: read_split(self.root / f"{name}_path") for name in ("train", "validation")}
        rows = pd.concat(tables)
        random = np.random.default_rng(seed)
        chosen = random.choice(len(rows), round(SHARE * len(rows)), replace=False)
        labels = rows["label"].to_numpy(copy=True)
        labels[chosen] = (labels[chosen] + random.integers(1, len(classes), len(chosen))) % len(classes)
        changed = rows.assign(label=labels, **{"class": np.array(classes)[labels]})
        inputs, outputs, params = self.paths(AuditInputs), self.paths(AuditOutputs), self.params
        try:
            for name in tables:
                write_split(self.root / f"{name}_path", changed.loc[name])
            began = time.perf_counter()
            audit(
                params.audit, params.seed, params.model, params.train_frozen, params.evaluate, inputs, outputs,
                self.root / "scratch",
            )  # fmt: skip
            seconds = time.perf_counter() - began
        finally:
            for name, table in tables.items():
                write_split(self.root / f"{name}_path", table)
        found = set(pd.read_csv(outputs.label_suspects_path)["path"])
        hits = len(found & set(rows["path"].to_numpy()[chosen]))
        return hits / len(chosen), hits / max(len(found), 1), seconds


def _keep_certain(raw_dir: Path) -> None:
    """Remove the cells of which the experts were not sure, and the table, which would tell the truth of the others."""
    with (raw_dir / "metadata.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if float(row["probability"]) not in (0.0, 1.0):
                (raw_dir / row["path"]).unlink()
    (raw_dir / "metadata.csv").unlink()


def main() -> None:
    """Measure every set; exit code 1 where one has less than is wanted."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="the digits alone, one seed")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options = parser.parse_args()
    missed = []
    print("| set | seed | recall | precision | audit |\n|---|---|---|---|---|")
    for name, wanted in WANTED.items():
        if options.quick and name != "digits":
            continue
        with tempfile.TemporaryDirectory(prefix="thaw-labels-") as folder:
            project = Project(name, Path(folder))
            measured = []
            for seed in options.seeds[:1] if options.quick else options.seeds:
                measured.append(project.measure(seed))
                recall, precision, seconds = measured[-1]
                print(f"| {name} | {seed} | {recall:.2f} | {precision:.2f} | {seconds:.1f} s |", flush=True)
        mean = np.mean(measured, axis=0)
        print(f"| {name} | mean | {mean[0]:.3f} (wanted {wanted[0]}) | {mean[1]:.3f} (wanted {wanted[1]}) | {mean[2]:.1f} s |")
        missed += [name] if mean[0] < wanted[0] or mean[1] < wanted[1] else []
    if missed:
        raise SystemExit(f"less than is wanted: {', '.join(missed)}")


if __name__ == "__main__":
    main()
