"""Exports say what Keras's network says, tell what they are, and never cost what was there."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image
from scipy.special import expit, softmax

from thaw import images
from thaw.errors import ThawError
from thaw.exporting import ExportData, agreement, export
from thaw.exporting.calibration import draw
from thaw.exporting.formats import onnx as onnx_format
from thaw.exporting.served import serve
from thaw.models import build, save
from thaw.models.saving import save_evaluated
from thaw.params import ModelParams

FORMATS = ("onnx", "openvino", "litert", "saved_model")
OWN_FILES = {
    "onnx": {"model.onnx"},
    "openvino": {"model.xml", "model.bin"},
    "litert": {"model.tflite"},
    "saved_model": {"saved_model"},
}


def make_project(
    root: Path, network: ModelParams, shape: tuple[int, int, int], classes: list[str], **told: object
) -> ExportData:
    """A project with test images, and a model whose weights are random and whose logits spread over both sides."""
    random = np.random.default_rng(3)
    rows = []
    for number in range(21):
        name = classes[number % len(classes)]
        path = root / "data" / "raw" / name / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = random.integers(0, 256, (40, 30, 3), np.uint8) // (1 + number % 5)
        Image.fromarray(pixels).save(path)
        rows.append(f"{name}/{number}.png,{name},{number % len(classes)},,1,1,0,")
    splits = root / "data" / "splits"
    splits.mkdir()
    head = "path,class,label,target,weight,confidence,grey,group"
    (splits / "test.csv").write_text("\n".join([head, *sorted(rows)]) + "\n")
    (splits / "classes.json").write_text(json.dumps(classes))
    model = build(network, shape, len(classes), seed=1, pretrained=False)
    for layer in model.layers:  # statistics that are not those of an untrained network
        if isinstance(layer, keras.layers.BatchNormalization):
            gamma, beta, mean, _ = layer.get_weights()
            drawn = (random.normal(0, 0.1, mean.shape), random.uniform(0.5, 2, mean.shape))
            layer.set_weights([gamma, beta, *drawn])
    config = {"model": network.model_dump(), "input_shape": shape, "classes": classes, "resize": "pad"} | told
    save(model, root / "models" / "fine_tuned", config)
    save_evaluated(root / "models" / "fine_tuned", root / "models" / "evaluated", {"threshold": 0.4})
    return ExportData(root / "data" / "raw", splits, root / "data" / "views", seed=1)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ExportData]:
    root = tmp_path_factory.mktemp("project")
    return root, make_project(root, ModelParams(architecture="separable"), (16, 12, 3), ["a", "b"])


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ExportData]:
    root = tmp_path_factory.mktemp("many")
    return root, make_project(root, ModelParams(architecture="lenet5"), (28, 28, 1), ["x", "y", "zé"])


@pytest.fixture(scope="module")
def averaged(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ExportData]:
    root, symmetries = tmp_path_factory.mktemp("averaged"), [(turns, flip) for flip in (False, True) for turns in range(4)]
    network = ModelParams(architecture="separable")
    return root, make_project(root, network, (16, 16, 3), ["a", "b"], symmetries=symmetries)


def open_export(folder: Path) -> tuple[dict, object]:
    spec = importlib.util.spec_from_file_location(f"runtime_{folder.name}", folder / "runtime.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.open_model(folder)


def check_export(root: Path, data: ExportData, kind: str, target: Path) -> None:
    """An export's own file, opened by what lies beside it, against Keras's network and SciPy."""
    found = export(root / "models" / "evaluated", target, kind, data)
    metadata, run = open_export(target)
    config = json.loads((target / "model.json").read_text())
    told = {name: metadata[name] for name in ("classes", "threshold", "input_shape", "resize")}
    assert told == {name: config[name] for name in told} and metadata["temperature"] == 1
    height, width, channels = config["input_shape"]
    files = sorted(data.raw_dir.rglob("*.png"))
    pixels = np.stack([images.load(path, height, width, channels, "pad") for path in files])
    from thaw.models import load

    logits = load(root / "models" / "evaluated")[0].predict(pixels, verbose=0)
    wanted = softmax(logits, axis=1) if logits.shape[1] > 1 else np.hstack([expit(-logits), expit(logits)])
    for part in (slice(0, 1), slice(1, 8), slice(None)):  # any number of images
        got_logits, got = run(pixels[part])
        np.testing.assert_allclose(got_logits, logits[part], atol=1e-4, rtol=1e-4)
        np.testing.assert_allclose(got, wanted[part], atol=1e-5)
    row = found["models"]["export"]
    assert found["images"] == len(files) and row["other_verdicts"] == 0
    assert row["largest_logit_difference"] < 1e-3 and row["images_per_second"] > 0
    assert json.loads((target / "agreement.json").read_text()) == found


@pytest.mark.parametrize("kind", FORMATS)
def test_an_export_says_what_keras_says_of_two_classes(project: tuple[Path, ExportData], kind: str, tmp_path: Path) -> None:
    target = tmp_path / "shipped"
    check_export(*project, kind, target)
    beside = {"README.md", "agreement.json", "model.json", "predict.py", "requirements.txt", "runtime.py"}
    assert {path.name for path in target.iterdir()} == OWN_FILES[kind] | beside
    assert [path.name for path in tmp_path.iterdir()] == ["shipped"]


@pytest.mark.parametrize("kind", FORMATS)
def test_an_export_says_what_keras_says_of_three_classes(many: tuple[Path, ExportData], kind: str, tmp_path: Path) -> None:
    check_export(*many, kind, tmp_path / "shipped")


@pytest.mark.parametrize("kind", FORMATS)
def test_an_export_averages_over_flips_and_turns(averaged: tuple[Path, ExportData], kind: str, tmp_path: Path) -> None:
    check_export(*averaged, kind, tmp_path / "shipped")


BACKBONES = (
    ("efficientnet_lite0", "gap", 64),
    ("mobilenet_v3_small", "flatten", 64),
    ("resnet50_v2", "dense", 64),
    ("vgg16", "gap", 48),
    ("densenet121", "gap", 64),
    ("efficientnet_b0", "gap", 64),
    ("convnext_tiny", "gap", 64),
)


@pytest.mark.slow
@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize(("architecture", "head", "side"), BACKBONES)
def test_every_family_of_networks_can_be_exported(
    architecture: str, head: str, side: int, kind: str, tmp_path: Path
) -> None:
    params = ModelParams(architecture=architecture, head=head, weights="none")
    data = make_project(tmp_path, params, (side, side, 3), ["a", "b", "c"])
    if (architecture, kind) == ("convnext_tiny", "onnx"):
        with pytest.raises(ThawError, match="operations that ONNX has not"):
            check_export(tmp_path, data, kind, tmp_path / "shipped")
        return
    check_export(tmp_path, data, kind, tmp_path / "shipped")


def test_what_onnx_does_not_know_is_one_sentence(tmp_path: Path) -> None:
    """Keras has its grouped convolutions compiled by XLA on a CPU, and ConvNeXt has them."""
    pixels = keras.Input((8, 8, 4))
    pooled = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3, groups=2)(pixels))
    network = keras.Model(pixels, keras.layers.Dense(1)(pooled))
    config = {"model": ModelParams().model_dump(), "classes": ["a", "b"], "input_shape": [8, 8, 4]}
    served = serve(network, config)
    with pytest.raises(ThawError, match="operations that ONNX has not: StatefulPartitionedCall") as caught:
        onnx_format.write(served, tmp_path, None)
    assert "--format openvino" in caught.value.cure and not list(tmp_path.iterdir())


def test_the_reader_beside_it_runs_without_thaw(project: tuple[Path, ExportData], tmp_path: Path) -> None:
    root, data = project
    target = tmp_path / "shipped"
    export(root / "models" / "evaluated", target, "onnx", data)
    picture = next(data.raw_dir.rglob("*.png"))
    program = (
        "import sys; sys.modules['thaw'] = None; sys.path.insert(0, sys.argv[1]); sys.argv[1:] = sys.argv[2:];"
        "import runpy; runpy.run_path(sys.path[0] + '/predict.py', run_name='__main__')"
    )
    command = [sys.executable, "-I", "-c", program, str(target), str(picture)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    path, predicted, *shares = done.stdout.strip().split("\t")
    _, run = open_export(target)
    probability = run(images.load(picture, 16, 12, 3, "pad")[None])[1][0]
    assert path == str(picture) and predicted == "ab"[int(probability[1] >= 0.4)]
    assert shares == [f"{name}={share:.6f}" for name, share in zip("ab", probability, strict=True)]


@pytest.mark.parametrize("resize", ["stretch", "crop", "pad"])
@pytest.mark.parametrize("channels", [1, 3])
def test_the_reader_brings_pictures_to_size_as_thaw_does(resize: str, channels: int, tmp_path: Path) -> None:
    from thaw.exporting import readers

    sys.modules["runtime"] = importlib.import_module("thaw.exporting.readers.saved_model")
    try:
        spec = importlib.util.spec_from_file_location("predict", Path(readers.__path__[0], "predict.py"))
        predict = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(predict)
    finally:
        del sys.modules["runtime"]
    random = np.random.default_rng(0)
    smooth = Image.fromarray(random.integers(0, 256, (9, 11, 3), np.uint8)).resize((331, 270), Image.Resampling.BICUBIC)
    turned = Image.Exif()
    turned[0x0112] = 6
    for name, options in (("a.png", {}), ("b.jpg", {}), ("c.jpg", {"exif": turned}), ("d.bmp", {})):
        path = tmp_path / name
        smooth.save(path, **options)
        grey = path.with_suffix(f".grey{path.suffix}")
        smooth.convert("L").save(grey, **options)
        for source in (path, grey):
            wanted = images.load(source, 48, 64, channels, resize)
            np.testing.assert_array_equal(predict.read_picture(source, (48, 64, channels), resize), wanted)


def test_a_folder_that_is_there_is_refused_and_with_force_moved_aside(
    project: tuple[Path, ExportData], tmp_path: Path
) -> None:
    root, data = project
    target = tmp_path / "shipped"
    target.mkdir()
    (target / "mine.txt").write_text("mine")
    with pytest.raises(ThawError, match="shipped: is there already"):
        export(root / "models" / "evaluated", target, "onnx", data)
    assert [path.name for path in target.iterdir()] == ["mine.txt"]
    export(root / "models" / "evaluated", target, "onnx", data, force=True)
    assert (tmp_path / "shipped.old-1" / "mine.txt").read_text() == "mine"
    assert (target / "model.onnx").exists() and not (target / "mine.txt").exists()


def test_what_fails_at_the_end_leaves_nothing(project: tuple[Path, ExportData], tmp_path: Path) -> None:
    root, data = project
    with pytest.raises(FileNotFoundError):
        export(root / "models" / "evaluated", tmp_path / "a", "onnx", data, card_path=tmp_path / "no.md")
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_had_is_said_before_anything_is_written(
    project: tuple[Path, ExportData], many: tuple[Path, ExportData], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, data = project
    model_dir, target = root / "models" / "evaluated", tmp_path / "a"
    with pytest.raises(ThawError, match="--int8: saved_model has no arithmetic of whole numbers"):
        export(model_dir, target, "saved_model", data, int8=True)
    with pytest.raises(ThawError, match=r"(?s)views.*`augment` again"):
        export(model_dir, target, "onnx", data, int8=True)
    with pytest.raises(ThawError, match=r"trained on \['a', 'b'\], the data has \['x', 'y', 'zé'\]"):
        export(model_dir, target, "onnx", many[1])
    with pytest.raises(ThawError, match="no test split to hold the export against"):
        export(model_dir, target, "onnx", ExportData(data.raw_dir, tmp_path, data.views_dir, 1))
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    with pytest.raises(ThawError, match="KERAS_BACKEND is jax"):
        export(model_dir, target, "onnx", data)
    assert list(tmp_path.iterdir()) == []


def test_a_model_in_float32_that_says_something_else_is_refused() -> None:
    def record(probability: float) -> agreement.Record:
        share = np.array([[1 - probability, probability]])
        made = agreement.Record(lambda pixels: (np.log(share[:, 1:] / share[:, :1]), share))
        made.add(np.zeros((1, 2, 2, 1), np.uint8))
        return made

    labels = np.array([1])
    close = agreement.compare(record(0.4999), record(0.5001), labels, 0.5)
    assert close["other_verdicts"] == 1 and close["accuracy"] == 1
    agreement.check(close, "onnx")  # an image on the very threshold
    for other in (0.51, float("nan")):
        with pytest.raises(ThawError, match="onnx: its probabilities differ"):
            agreement.check(agreement.compare(record(0.5), record(other), labels, 0.5), "onnx")


def test_calibration_images_are_of_each_class_its_share() -> None:
    labels = np.array([0] * 900 + [1] * 99 + [2])
    chosen = draw(labels, 100, seed=4)
    assert np.bincount(labels[chosen]).tolist() == [90, 10, 1]
    assert len(set(chosen.tolist())) == len(chosen) and chosen.tolist() == sorted(chosen.tolist())
    assert draw(labels, 100, seed=4).tolist() == chosen.tolist() != draw(labels, 100, seed=5).tolist()
