"""Save and load: the same bytes, the same answers, clear errors."""

import json

import numpy as np
import pytest

from thaw.decision import predict_labels, probabilities_of
from thaw.errors import ThawError
from thaw.models import build, load, save, set_statistics
from thaw.params import ModelParams

SHAPE = (28, 28, 1)
CLASSES = ["猫", "собака", "bo"]


def _save(model_dir, params=None, seed=1):
    params = params or ModelParams(architecture="lenet5", normalization="featurewise")
    model = build(params, SHAPE, len(CLASSES), seed=seed, pretrained=False)
    set_statistics(model, np.array([100.0]), np.array([50.0]))
    save(
        model,
        model_dir,
        {"model": params.model_dump(), "input_shape": SHAPE, "classes": CLASSES, "resize": "crop"},
    )
    return model


def test_round_trip(tmp_path):
    model = _save(tmp_path / "модель")
    loaded, config = load(tmp_path / "модель")
    pixels = np.random.default_rng(0).integers(0, 256, (4, *SHAPE)).astype("uint8")
    np.testing.assert_array_equal(loaded.predict(pixels, verbose=0), model.predict(pixels, verbose=0))
    assert config["classes"] == CLASSES
    assert config["resize"] == "crop"


def test_the_same_network_gives_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        _save(tmp_path / name)
    for name in ("model.json", "model.weights.h5"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["model.json", "model.weights.h5"]


@pytest.mark.parametrize("classes", [CLASSES, CLASSES[:2]])
def test_a_temperature_is_the_last_layer_and_turns_no_verdict(tmp_path, classes):
    params = ModelParams(architecture="lenet5")
    model = build(params, SHAPE, len(classes), seed=1, pretrained=False)
    config = {"model": params.model_dump(), "input_shape": SHAPE, "classes": classes}
    save(model, tmp_path / "plain", config)
    save(model, tmp_path / "calibrated", config | {"temperature": 1.7})
    assert len({(tmp_path / name / "model.weights.h5").read_bytes() for name in ("plain", "calibrated")}) == 1
    calibrated, kept = load(tmp_path / "calibrated")
    assert kept["temperature"] == 1.7 and [layer.name for layer in calibrated.layers][-2:] == ["logits", "temperature"]
    pixels = np.random.default_rng(0).integers(0, 256, (500, *SHAPE)).astype("uint8")
    plain, divided = (each.predict(pixels, verbose=0) for each in (model, calibrated))
    np.testing.assert_allclose(divided, plain / 1.7, rtol=1e-6)
    random = np.random.default_rng(1)
    near = random.normal(size=(100_000, plain.shape[1])) * 10.0 ** random.integers(-6, 3, (100_000, 1))
    for logits in (plain, near.astype(np.float32)):
        after = np.asarray(calibrated.layers[-1](logits))
        verdicts = [predict_labels(probabilities_of(each), 0.5) for each in (logits, after)]
        assert (verdicts[0] == verdicts[1]).all()


def test_no_path_is_kept(tmp_path):
    params = ModelParams(architecture="lenet5", normalization="featurewise", weights="/home/me/v.weights.h5")
    _save(tmp_path, params)
    assert "/home" not in (tmp_path / "model.json").read_text()
    load(tmp_path)


def _edit(path, **changes):
    config = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({key: value for key, value in config.items() if value is not None}))


@pytest.mark.parametrize(("changes", "reason"), [
    ({"classes": None}, "lacks classes"),
    ({"format": 99}, "another version"),
    ({"model": {"architecture": "lenet5", "depth": 3}}, "depth"),
    ({"model": {"architecture": "convnet_small"}}, "does not fit"),
    ({"weights_sha256": "0" * 64}, "SHA-256"),
])  # fmt: skip
def test_a_wrong_configuration_says_so(tmp_path, changes, reason):
    _save(tmp_path)
    _edit(tmp_path / "model.json", **changes)
    with pytest.raises(ThawError, match=reason):
        load(tmp_path)


def test_missing_and_torn_files_say_so(tmp_path):
    with pytest.raises(ThawError, match="no such file"):
        load(tmp_path)
    _save(tmp_path)
    weights_path = tmp_path / "model.weights.h5"
    weights_path.write_bytes(weights_path.read_bytes()[:1000])
    with pytest.raises(ThawError, match="SHA-256"):
        load(tmp_path)
    weights_path.unlink()
    with pytest.raises(ThawError, match="no such file"):
        load(tmp_path)
    (tmp_path / "model.json").write_text("{")
    with pytest.raises(ThawError, match="not JSON"):
        load(tmp_path)


def test_a_configuration_of_another_network_is_not_saved(tmp_path):
    model = build(ModelParams(architecture="lenet5"), SHAPE, 3, seed=1)
    config = {
        "model": ModelParams(architecture="lenet5").model_dump(),
        "input_shape": [32, 32, 1],
        "classes": CLASSES,
    }
    with pytest.raises(ThawError, match="input"):
        save(model, tmp_path, config)
