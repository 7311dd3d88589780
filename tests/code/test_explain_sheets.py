"""`thaw explain` on a saved model, from files to pictures; what it refuses."""

import json

import keras
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from thaw.cli import app
from thaw.explain.composition import Panel, Row, compose
from thaw.explain.drawing import draw_grid
from thaw.explain.sheets import InputImage, draw_activations, draw_heatmaps, draw_sheet
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


def test_there_is_one_sheet_a_picture(project, tmp_path):
    result = _explain(project, "--out", str(tmp_path / "out"), "--json")
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert [row["predicted"] in CLASSES for row in report["images"]] == [True, True]
    written = sorted((tmp_path / "out").rglob("*.*"))
    assert [path.name for path in written] == ["001-写真.png", "002-写真.png"]
    assert report["pictures"] == [str(path) for path in written]
    # Four panels side by side, and below them the channels of both layers.
    assert all(Image.open(path).width >= 4 * 180 for path in written)


def test_no_text_of_a_sheet_is_wider_than_its_panel():
    """Held against a rendering of each text by itself."""
    words = "defective " * 9 + "averyveryverylongnamewithnoplacetobreakit" * 3
    small, large = Image.new("RGB", (90, 60), "red"), Image.new("RGB", (150, 40), "blue")
    sheet = compose([Row(words, [Panel(words, small), Panel("short", large)]), Row("", [Panel(words, large)])])
    pixels = np.asarray(sheet).astype(int)
    left, gap, right = pixels[:, 10:100], pixels[:, 101:109], pixels[:, -9:]
    red = np.flatnonzero((left == (255, 0, 0)).all(axis=(1, 2)))
    assert len(red) == 60, "the panel is whole: nothing is written over it"
    blue = (pixels == (0, 0, 255)).all(axis=2).sum()
    assert blue == 2 * 150 * 40
    assert (right == 255).all(), "no text runs out of the sheet"
    rows = slice(red[0] - 17, red[0])  # the last line of both captions
    assert (gap[rows] == 255).all(), "no caption runs into the next one's place"
    assert (pixels[rows, 110:150] < 128).any(), "the short caption stands right over its own panel"


def test_a_channel_that_shows_nothing_is_left_out_and_counted():
    model = build(ModelParams(architecture="lenet5"), (28, 28, 1), 3, seed=1)
    layer = model.get_layer("block0_conv")
    kernel, *bias = layer.get_weights()
    kernel[..., [0, 2]], bias[0][[0, 2]] = 0, 0.1
    layer.set_weights([kernel, *bias])
    pixels = np.random.default_rng(0).integers(0, 256, (28, 28, 1)).astype("uint8")
    (row,) = draw_activations(model, InputImage(pixels, pixels, "stretch"), ["block0_conv"])
    (panel,) = row.panels
    channels = np.asarray(keras.Model(model.input, layer.output).predict(pixels[None], verbose=0))[0].transpose(2, 0, 1)
    speaking = np.delete(channels, [0, 2], axis=0)
    assert panel.caption == f"layer block0_conv, 28 x 28: the {len(speaking)} of {len(channels)} channels that vary most"
    assert panel.picture.tobytes() == draw_grid(speaking).tobytes()


def test_a_sheet_says_which_class_is_the_positive_one(project, tmp_path):
    params = ModelParams(architecture="lenet5")
    facts = {"model": params.model_dump(), "input_shape": [28, 28, 1], "classes": ["fine", "broken"], "threshold": 0.25}
    save(build(params, (28, 28, 1), 2, seed=1), tmp_path / "two", facts)
    file = str(project / "a" / "写真.png")
    result = CliRunner().invoke(app, ["explain", str(tmp_path / "two"), file, "--out", str(tmp_path), "--methods", "grad_cam"])
    assert result.exit_code == 0, result.output
    assert "positive class: broken" in result.stdout and "needed 25%" in result.stdout


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
    methods = ("grad_cam", "grad_cam++")
    first, second = (
        draw_sheet(
            pictures,
            dict(zip(methods, zip(*draw_heatmaps(model, pictures, methods, [1, 0]), strict=True), strict=True)),
            ["猫: dog 0.9", "b"],
        )
        for _ in range(2)
    )  # fmt: skip
    assert first.tobytes() == second.tobytes()
    assert first.width > 3 * 190
