"""The mean over flips and turns, inside the network, against the network's own answers to pictures that NumPy turned."""

import warnings
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from thaw.augmentation.policy import symmetries
from thaw.decision import views_of
from thaw.models import build, load, save
from thaw.models.averaging import average_over
from thaw.models.cutting import cut
from thaw.params import AugmentParams, ExtractParams, ModelParams
from thaw.stages.evaluate import open_classifier

SIDE = 28
NETWORK = ModelParams(architecture="lenet5")


def turned(pictures: np.ndarray, turns: int, mirrored: bool) -> np.ndarray:
    return np.rot90(pictures[:, :, ::-1] if mirrored else pictures, turns, axes=(1, 2))


def mean_of(network: keras.Model, pictures: np.ndarray, allowed: list[tuple[int, bool]]) -> np.ndarray:
    return np.mean([network.predict(turned(pictures, *symmetry), verbose=0) for symmetry in allowed], axis=0)


@pytest.fixture(scope="module")
def network() -> keras.Model:
    """What it answers depends on how a picture lies, by much."""
    network = build(NETWORK, (SIDE, SIDE, 3), 3, seed=1, pretrained=False)
    kernel, bias = network.layers[-1].get_weights()
    network.layers[-1].set_weights([20 * kernel, bias])
    return network


@pytest.fixture(scope="module")
def pictures() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (5, SIDE, SIDE, 3)).astype(np.float32)


@pytest.mark.parametrize("horizontal", [False, True])
@pytest.mark.parametrize("vertical", [False, True])
@pytest.mark.parametrize("turns", [False, True])
def test_the_answer_is_the_mean_over_what_is_allowed(network, pictures, horizontal, vertical, turns):
    params = AugmentParams(horizontal_flip=horizontal, vertical_flip=vertical, right_angle_turns=turns)
    allowed = symmetries(params)
    averaged = average_over(network, allowed)
    got, wanted = averaged.predict(pictures, verbose=0), mean_of(network, pictures, allowed)
    np.testing.assert_allclose(got, wanted, atol=2e-5)
    if turns and horizontal:
        for number in range(4):  # what is averaged over is a group: the answer does not depend on how a picture lies
            np.testing.assert_allclose(averaged.predict(turned(pictures, number, True), verbose=0), got, atol=2e-5)
    if len(allowed) > 1:
        assert np.abs(got - network.predict(pictures, verbose=0)).max() > 0.05


def test_a_model_keeps_it_and_every_engine_gives_it(network, pictures, tmp_path: Path):
    config = {"model": NETWORK.model_dump(), "input_shape": (SIDE, SIDE, 3), "classes": ["a", "b", "c"]}
    allowed = symmetries(AugmentParams())
    save(network, tmp_path / "model", config | {"symmetries": allowed, "temperature": 2.0})
    averaged, kept = load(tmp_path / "model")
    assert views_of(kept) == 8 and views_of(config) == 1
    wanted = mean_of(network, pictures, allowed) / 2
    np.testing.assert_allclose(averaged.predict(pictures, verbose=0), wanted, atol=2e-5)
    alone, _ = load(tmp_path / "model", averaged=False)
    np.testing.assert_allclose(alone.predict(pictures, verbose=0), network.predict(pictures, verbose=0) / 2, atol=2e-5)
    for engine in ("openvino", "tensorflow"):
        opened = open_classifier(tmp_path / "model", ExtractParams(engine=engine), tmp_path / engine)
        assert opened.engine.name == engine and opened.batch_size == ExtractParams().batch_size // 8
        np.testing.assert_allclose(opened.run(pictures.astype(np.uint8)), wanted, atol=1e-4)
    save(network, tmp_path / "model", config | {"temperature": 2.0})  # the same weights
    opened = open_classifier(tmp_path / "model", ExtractParams(engine="openvino"), tmp_path / "openvino")
    np.testing.assert_allclose(opened.run(pictures.astype(np.uint8)), network.predict(pictures, verbose=0) / 2, atol=1e-4)


@pytest.mark.parametrize(
    "facts", [{}, {"temperature": 2.0}, {"symmetries": [(0, False), (0, True)]}], ids=["plain", "calibrated", "averaged"]
)
def test_a_model_takes_pictures_as_they_are_without_a_warning(network, pictures, tmp_path: Path, facts: dict[str, Any]):
    """Keras warns of a tensor where a network was made with a list of one."""
    save(network, tmp_path, {"model": NETWORK.model_dump(), "input_shape": (SIDE, SIDE, 3), "classes": ["a", "b", "c"]} | facts)
    loaded, _ = load(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        got = loaded(pictures)
    wanted = mean_of(network, pictures, facts.get("symmetries", [(0, False)])) / facts.get("temperature", 1.0)
    np.testing.assert_allclose(got, wanted, atol=2e-5)


def test_a_prefix_takes_pictures_as_they_are_without_a_warning(pictures):
    whole = build(NETWORK, (SIDE, SIDE, 3), 3, seed=1, pretrained=False)
    for layer in whole.layers[:3]:
        layer.trainable = False
    prefix, suffix = cut(whole)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_allclose(suffix(prefix(pictures)), whole(pictures), atol=1e-5)
