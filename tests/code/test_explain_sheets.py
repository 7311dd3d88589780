"""`thaw explain` on a saved model, from files to pictures; what it refuses."""

import json

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from thaw.cli import app
from thaw.explain.sheets import InputImage, draw_sheet
from thaw.models import build, save
from thaw.params import ModelParams

CLASSES = ["猫", "dog", "bo"]


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A model's folder, and two pictures of one name in two folders."""
    root = tmp_path_factory.mktemp("projekt ünïcode")
    params = ModelParams(architecture="lenet5")
    model = build(params, (28, 28, 1), 3, seed=1)
    save(model, root / "model", {"model": params.model_dump(), "input_shape": [28, 28, 1], "classes": CLASSES,
                                 "resize": "crop"})  # fmt: skip
    generator = np.random.default_rng(1)
    for folder, size in (("a", (60, 90)), ("b", (90, 60))):
        (root / folder).mkdir()
        Image.fromarray(generator.integers(0, 256, size).astype("uint8")).save(root / folder / "写真.png")
    return root


def _explain(project, *arguments):
    images = [str(project / folder / "写真.png") for folder in ("a", "b")]
    return CliRunner().invoke(app, ["explain", str(project / "model"), *images, *arguments])


def test_pictures_are_written_at_the_originals_size(project, tmp_path):
    result = _explain(project, "--out", str(tmp_path / "out"), "--json")
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert [row["predicted"] in CLASSES for row in report["images"]] == [True, True]
    for folder, size in (("001-写真", (90, 60)), ("002-写真", (60, 90))):
        for method in ("grad_cam", "grad_cam++", "occlusion"):
            assert Image.open(tmp_path / "out" / folder / f"{method}.png").size == size
        grids = {path.name for path in (tmp_path / "out" / folder).glob("activations-*.png")}
        assert grids == {"activations-block0_conv.png", "activations-block1_conv.png"}
    assert len(report["pictures"]) == 10


def test_filters_of_a_named_layer_and_a_named_class(project, tmp_path):
    arguments = ("--methods", "filters,grad_cam", "--layers", "block1_conv", "--class", "猫")
    assert _explain(project, "--out", str(tmp_path), *arguments).exit_code == 0
    assert (tmp_path / "filters-block1_conv.png").is_file()


@pytest.mark.parametrize(("arguments", "reason"), [
    (("--methods", "gradcam"), "no method 'gradcam'"),
    (("--class", "cow"), "no class 'cow'"),
    (("--layers", "hidden"), "no spatial output"),
])  # fmt: skip
def test_what_cannot_be_explained_says_why(project, tmp_path, arguments, reason):
    result = _explain(project, "--out", str(tmp_path / "out"), *arguments)
    assert reason in str(result.exception)
    assert not (tmp_path / "out").exists()


def test_a_missing_image_and_a_missing_model(project, tmp_path):
    for arguments in ([str(project / "model"), "no.png"], ["no/model", str(project / "a/写真.png")]):
        result = CliRunner().invoke(app, ["explain", *arguments, "--out", str(tmp_path / "out")])
        assert type(result.exception).__name__ == "ThawError"


def test_a_sheet_for_a_report():
    model = build(ModelParams(architecture="lenet5"), (28, 28, 1), 3, seed=1)
    pixels = np.random.default_rng(0).integers(0, 256, (2, 28, 28, 1)).astype("uint8")
    pictures = [InputImage(each, each, "stretch") for each in pixels]
    first, second = (draw_sheet(model, pictures, [1, 0], ["猫: dog 0.9", "b"]) for _ in range(2))
    assert first.tobytes() == second.tobytes()
    assert first.width > 3 * 200
