"""A project of its own in a temporary folder: the tracked files of this repository, and a small real data set."""

import csv
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
CLASSES = ("functional", "defective")
IMAGES_PER_CLASS_AND_TYPE = 24
SMALL = (
    "augment.image_size=96", "augment.views=2", "train_frozen.epochs=3", "fine_tune.epochs=2", "fine_tune.min_steps=0",
    "evaluate.bootstrap_samples=50"
)  # fmt: skip


@dataclass
class Project:
    """Runs the commands that a user types."""

    root: Path

    def run(
        self, *command: str, check: bool = True, **environment: str
    ) -> "subprocess.CompletedProcess[str]":
        done = subprocess.run(
            command,
            cwd=self.root,
            env=self.environment(**environment),
            capture_output=True,
            text=True,
            timeout=600,
        )
        if check and done.returncode:
            raise AssertionError(f"{command} ended with {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    def thaw(
        self, *arguments: str, check: bool = True, **environment: str
    ) -> "subprocess.CompletedProcess[str]":
        return self.run(sys.executable, "-m", "thaw", *arguments, check=check, **environment)

    def dvc(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return self.run(sys.executable, "-m", "dvc", *arguments)

    def environment(self, **extra: str) -> dict[str, str]:
        bin_dir = str(Path(sys.executable).parent)
        own = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("MLFLOW_", "PREFECT_", "DVC_"))
        }
        return {
            **own,
            "PATH": os.pathsep.join([bin_dir, os.environ["PATH"]]),
            "PYTHONPATH": str(self.root / "src"),
            "PREFECT_HOME": str(self.root / ".prefect"),
            "DVC_NO_ANALYTICS": "1",
            **extra,
        }

    @property
    def deployment(self) -> str:
        """What `thaw deploy` is called by in Prefect."""
        return f"thaw/{json.loads((self.root / '.thaw' / 'project.json').read_text())['name']}"

    def runs(self, **environment: str) -> list[dict[str, Any]]:
        found = json.loads(self.thaw("runs", "--json", **environment).stdout)
        assert isinstance(found, list)
        return found

    def outcomes(self, run: dict[str, Any]) -> dict[str, str]:
        return {
            key.removeprefix("stage."): value
            for key, value in run["tags"].items()
            if key.startswith("stage.")
        }


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    pytest.importorskip("elpv_dataset")
    root = tmp_path_factory.mktemp("projekt å") / "thaw"
    check_out(root)
    lay_out(root / "data" / "raw")
    project = Project(root)
    project.run("git", "init", "-q")
    project.dvc("add", "-q", "data/raw")
    project.run("git", "add", "-A")
    project.run("git", "-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "start")
    yield project


def check_out(root: Path) -> None:
    """The tracked files of this repository, without data and results."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    for name in filter(None, listed.stdout.decode().split("\0")):
        if not name.startswith(("data/raw", "tests/", "reports/")) and name != "dvc.lock":
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, root / name)


def lay_out(raw_dir: Path) -> None:
    """Real cells, as many of each class and type, with the demo's metadata and names of several scripts."""
    import elpv_dataset

    source = Path(elpv_dataset.__file__).parent / "data"
    names = {"functional": "целый", "defective": "défaut"}
    left = {(kind, label): IMAGES_PER_CLASS_AND_TYPE for kind in ("mono", "poly") for label in CLASSES}
    rows = []
    for line in (source / "labels.csv").read_text(encoding="utf-8").splitlines():
        path, probability, kind = line.split()
        label = CLASSES[float(probability) > 0.5]
        if left[kind, label]:
            left[kind, label] -= 1
            target = f"{names[label]}/{Path(path).stem} 画像.png"
            (raw_dir / target).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / path, raw_dir / target)
            rows.append({"path": target, "probability": probability, "type": kind})
    with (raw_dir / "metadata.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["path", "probability", "type"])
        writer.writeheader()
        writer.writerows(rows)
