"""Gate, training, evaluation and prediction read every variant of a file alike, and as its formula says."""

from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import xxhash
from PIL import Image

from tests.data.variants import SIDE, Variant, variants
from thaw import images
from thaw.augmentation.views import open_views
from thaw.decision import Decision
from thaw.evaluation.inference import predict_files
from thaw.gate.scan.image import Bounds, inspect
from thaw.params import AugmentParams, ComputeParams
from thaw.serving import ServedModel
from thaw.stages.augment import AugmentInputs, AugmentOutputs, augment

BOUNDS = Bounds(images.FORMATS, 10**6, 10**7)


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> tuple[Path, dict[str, Variant]]:
    """A folder of all variants, two classes of them."""
    raw, made = tmp_path_factory.mktemp("variants") / "raw", {}
    for number, variant in enumerate(variants()):
        path = f"{('cat', 'dog')[number % 2]}/{variant.name}"
        assert path not in made
        (raw / path).parent.mkdir(parents=True, exist_ok=True)
        (raw / path).write_bytes(variant.data)
        made[path] = variant
    assert len(made) >= 400
    return raw, made


@pytest.fixture(scope="module")
def trained(files, tmp_path_factory) -> dict[str, np.ndarray]:
    """What `augment` laid out of each, uint8 `(SIDE, SIDE, 3)`."""
    (raw, made), out = files, tmp_path_factory.mktemp("views")
    columns = {"class": [path.split("/")[0] for path in made], "label": 0, "target": "", "weight": 1}
    columns |= {"confidence": 1, "grey": 0}
    rows = pd.DataFrame({"path": list(made)} | columns)
    rows.to_csv(out / "train.csv", index=False)
    rows.head(2).to_csv(out / "validation.csv", index=False)
    params = AugmentParams(image_size=SIDE, views=1, color="rgb")
    inputs = AugmentInputs(raw, out / "train.csv", out / "validation.csv")
    augment(params, 1, ComputeParams(), inputs, AugmentOutputs(out / "views", out / "sheet.png"), out)
    every = np.arange(len(made))
    return dict(zip(made, open_views(out / "views", "train").gather(every, 0 * every), strict=True))


def test_training_sees_what_the_file_shows(files, trained):
    _, made = files
    wrong = {path: np.abs(trained[path] - made[path].shows).max() for path in made}
    assert {path: error for path, error in wrong.items() if error > made[path].bound} == {}


def test_the_gate_sees_what_training_sees(files, trained):
    _, made = files
    for path, variant in made.items():
        facts = inspect(variant.data, BOUNDS)
        assert facts["problem"] == "", (path, facts)
        seen, sample = trained[path], facts["sample"]
        if sample.colors:  # of a grid that holds each pixel of so small a picture
            grid = Image.fromarray(seen).resize((64, 64), Image.Resampling.NEAREST)
            assert np.dstack(sample.colors).tobytes() == grid.tobytes(), path
        levels = cv2.cvtColor(seen, cv2.COLOR_RGB2GRAY) if sample.colors else seen[:, :, 0].copy()
        if not sample.colors:
            assert (seen == seen[:, :, :1]).all(), path
        digest = xxhash.xxh3_128(f"{SIDE} {SIDE} ".encode())
        digest.update(levels.data)
        assert sample.digest.digest() == digest.digest(), path


@pytest.mark.parametrize("channels", [1, 3])
def test_evaluation_prediction_and_serving_see_what_training_sees(files, trained, channels):
    """`evaluate` and `thaw predict` read by one function; MLflow's model is given its pixels."""
    raw, made = files
    seen: list[np.ndarray] = []

    def run(pixels: np.ndarray) -> np.ndarray:
        seen.extend(pixels)
        return np.zeros((len(pixels), 1), np.float32)

    _, failures = predict_files(run, [raw / path for path in made], (SIDE, SIDE, channels), "stretch", 64)
    assert failures == {}
    for path, pixels in zip(made, seen, strict=True):
        if channels == 3:
            assert np.array_equal(pixels, trained[path]), path
        else:
            grey = np.asarray(Image.fromarray(trained[path]).convert("L")).astype(int)
            assert np.abs(pixels[:, :, 0] - grey).max() <= 3, path  # a JPEG's own grey is not rounded twice
    passed: list[np.ndarray] = []
    served = ServedModel.__new__(ServedModel)
    served._run, served.classes, served.decision = lambda pixels: passed.append(pixels) or run(pixels), ["a", "b"], Decision()
    served.predict({"pixels": np.stack(seen[: len(made)])})
    assert passed[0].dtype == np.uint8


def test_opencv_sees_the_same_where_it_reads_by_the_same_rules(files, trained):
    """Without profiles, transparency and depth; it heeds EXIF."""
    _, made = files
    compared = 0
    for path, variant in made.items():
        is_plain = not any(word in path for word in ("P3", "Adobe", "A ", "P ", "xmp", "bits", "int", "float", "RGB 1023"))
        if not is_plain or "CMYK" in path or path.endswith((".avif", ".gif")) or " 65535 " in path:
            continue
        other = cv2.imdecode(np.frombuffer(variant.data, np.uint8), cv2.IMREAD_COLOR)
        if other is not None:
            compared += 1
            assert np.abs(other[:, :, ::-1].astype(int) - trained[path]).max() <= variant.bound, path
    assert compared > 120
