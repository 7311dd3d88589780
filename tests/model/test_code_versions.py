"""What is kept from one run to the next is never used after the code, the network or the libraries have changed."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import pytest

from tests.model.training_project import make_project
from thaw import models
from thaw.params import ModelParams

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    make_project(folder, images=16, side=32)
    keras.backend.clear_session()
    lenet = models.build(ModelParams(architecture="lenet5", weights="none"), (32, 32, 1), 2, seed=1)
    config = {"model": {"architecture": "lenet5", "weights": "none"}, "input_shape": (32, 32, 1), "classes": ["a", "b"]}
    models.save(lenet, folder / "lenet5", config)
    return folder


def edited(folder: Path, file: str, old: str, new: str) -> Path:
    """A copy of thaw's source code in which a file reads otherwise."""
    shutil.copytree(ROOT / "src", folder, ignore=shutil.ignore_patterns("__pycache__"))
    path = folder / "thaw" / file
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    return folder


def carry_out(folder: Path, *orders: tuple[Path, str, list[Any]]) -> list[Any]:
    """What the calls give, each of the source folder it names."""
    path = folder / "orders.json"
    path.write_text(
        json.dumps([{"source": str(source), "call": call, "arguments": given} for source, call, given in orders])
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    done = subprocess.run(
        [sys.executable, "-m", "tests.model.code_versions", str(path)],
        env=environment, cwd=folder, capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_compiled_network_of_older_code_is_not_used(project: Path, tmp_path: Path) -> None:
    source = ROOT / "src"
    other = edited(tmp_path / "other", "models/networks/lenet5.py", "tanh", "relu")
    model_dir, kept, fresh = str(project / "lenet5"), str(tmp_path / "kept"), str(tmp_path / "fresh")
    before, after, anew, back = carry_out(
        tmp_path,
        (source, "judge", [model_dir, kept]),
        (other, "judge", [model_dir, kept]),
        (other, "judge", [model_dir, fresh]),
        (source, "judge", [model_dir, kept]),
    )
    assert after == anew != before
    assert back == before


def test_a_checkpoint_of_older_code_is_not_taken_up(project: Path, tmp_path: Path) -> None:
    source = ROOT / "src"
    other = edited(tmp_path / "other", "training/optimizers.py", "factor = self.factors", "factor = 0.1 * self.factors")
    folder, kept = str(project), str(tmp_path / "kept")
    stopped, after, anew = carry_out(
        tmp_path,
        (source, "train", [folder, kept, 2, 2]),
        (other, "train", [folder, kept, 2, 0]),
        (other, "train", [folder, str(tmp_path / "fresh"), 2, 0]),
    )
    assert stopped == "stopped after 2 steps"
    assert after == anew and after.startswith("4 steps")


@pytest.mark.slow
def test_no_stage_uses_what_an_edited_network_left(project: Path, tmp_path: Path) -> None:
    source = ROOT / "src"
    other = edited(tmp_path / "other", "models/efficientnet_lite.py", "ReLU(6.0", "ReLU(0.5")
    folder, kept, fresh = str(project), str(tmp_path / "kept"), str(tmp_path / "fresh")
    before, after, anew, unit, unit_anew = carry_out(
        tmp_path,
        (source, "run", [folder, kept]),
        (other, "run", [folder, kept]),
        (other, "run", [folder, fresh]),
        (source, "run", [folder, kept, "unit"]),
        (source, "run", [folder, str(tmp_path / "unit"), "unit"]),
    )
    assert after == anew and unit == unit_anew
    for name in before:
        if name.endswith(("train.npy", ".h5")):
            assert len({before[name], after[name], unit[name]}) == 3, name
