"""Exports in whole numbers are small and near Keras; each format runs in an environment that holds its runtime and no thaw."""

import subprocess
import venv
from pathlib import Path

import numpy as np
import pytest

from tests.code.test_exporting import FORMATS, make_project, open_export
from thaw import images
from thaw.augmentation.shards import write_views
from thaw.compute import Local
from thaw.errors import ThawError
from thaw.exporting import ExportData, export
from thaw.models import load
from thaw.params import AugmentParams, ModelParams
from thaw.splitting.files import read_split

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ExportData]:
    """A project whose training images are its test images: whole numbers are judged on the ranges they were made for."""
    root = tmp_path_factory.mktemp("int8")
    data = make_project(root, ModelParams(architecture="mobilenet", weights="none"), (64, 64, 3), ["a", "b", "c"])
    (data.splits_dir / "train.csv").write_bytes((data.splits_dir / "test.csv").read_bytes())
    paths = list(read_split(data.splits_dir / "train.csv")["path"])
    params = AugmentParams(image_size=64, views=1, resize="pad")
    write_views(params, 1, data.raw_dir, paths, [], 3, data.views_dir, Local())
    return root, data


@pytest.mark.parametrize("kind", ["onnx", "openvino", "litert"])
def test_whole_numbers_are_small_and_near_keras(
    project: tuple[Path, ExportData], kind: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    root, data = project
    found = export(root / "models" / "evaluated", tmp_path / "shipped", kind, data, int8=True)
    assert capfd.readouterr().out == "", "what `--json` answers is alone on stdout"
    models = found["models"]
    assert found["precision"] == "int8" and found["calibration_images"] == 21
    assert models["export"]["bytes"] < 0.4 * models["float32"]["bytes"]
    assert models["float32"]["other_verdicts"] == 0 and models["float32"]["largest_logit_difference"] < 1e-3
    pixels = np.stack([images.load(path, 64, 64, 3, "pad") for path in sorted(data.raw_dir.rglob("*.png"))])
    logits = load(root / "models" / "evaluated")[0].predict(pixels, verbose=0)
    got, _ = open_export(tmp_path / "shipped")[1](pixels)
    assert np.linalg.norm(got - logits) < 0.25 * np.linalg.norm(logits)
    assert [path.name for path in tmp_path.iterdir()] == ["shipped"]


def test_views_of_another_size_are_refused(project: tuple[Path, ExportData], tmp_path: Path) -> None:
    _, data = project
    other = make_project(tmp_path / "other", ModelParams(architecture="separable"), (16, 16, 3), ["a", "b", "c"])
    place = ExportData(data.raw_dir, data.splits_dir, data.views_dir, other.seed)
    with pytest.raises(ThawError, match=r"views of \(64, 64, 3\), the model takes \(16, 16, 3\)"):
        export(tmp_path / "other" / "models" / "evaluated", tmp_path / "shipped", "onnx", place, int8=True)
    assert not (tmp_path / "shipped").exists()


@pytest.mark.parametrize(
    ("kind", "int8"), [*((kind, False) for kind in FORMATS), ("onnx", True), ("openvino", True), ("litert", True)]
)
def test_an_export_runs_in_an_environment_of_its_own(
    project: tuple[Path, ExportData], kind: str, int8: bool, tmp_path: Path
) -> None:
    root, data = project
    target = tmp_path / "shipped"
    export(root / "models" / "evaluated", target, kind, data, int8=int8)
    venv.create(tmp_path / "venv", with_pip=True)
    python = str(tmp_path / "venv" / "bin" / "python")
    done = subprocess.run([python, "-m", "pip", "install", "-q", "-r", target / "requirements.txt"], capture_output=True)
    if done.returncode:
        pytest.skip(f"the package index does not give it: {done.stderr.decode()[-200:]}")
    picture = str(next(data.raw_dir.rglob("*.png")))
    lacks = subprocess.run([python, "-c", "import thaw"], capture_output=True, cwd=tmp_path)
    assert b"No module named 'thaw'" in lacks.stderr
    said = subprocess.run([python, target / "predict.py", picture], capture_output=True, text=True, check=True, cwd=tmp_path)
    path, predicted, *shares = said.stdout.strip().split("\t")
    _, probabilities = open_export(target)[1](images.load(Path(picture), 64, 64, 3, "pad")[None])
    assert path == picture and predicted == "abc"[int(probabilities[0].argmax())]
    told = [float(share.split("=")[1]) for share in shares]
    np.testing.assert_allclose(told, probabilities[0], atol=2e-6)
