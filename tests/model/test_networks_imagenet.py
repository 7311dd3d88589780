"""The port of EfficientNet-Lite is right: real pictures get their right names."""

import cv2
import keras
import numpy as np
import pytest
from skimage import data

from thaw import models
from thaw.models.pretrained import lite_weights_path
from thaw.models.torch_pickle import read_state
from thaw.params import ModelParams


def _square(picture: np.ndarray, side: int) -> np.ndarray:
    height, width = picture.shape[:2]
    crop = min(height, width)
    top, left = (height - crop) // 2, (width - crop) // 2
    return cv2.resize(
        picture[top : top + crop, left : left + crop], (side, side), interpolation=cv2.INTER_AREA
    )


def _imagenet_classifier(architecture: str, side: int) -> keras.Model:
    """The network that thaw builds, with ImageNet's 1,000 classes in place of the head: as it was trained."""
    network = models.build(ModelParams(architecture=architecture), (side, side, 3), 2, seed=1)
    logits = keras.layers.Dense(1000)(network.get_layer("pool").output)
    state = read_state(lite_weights_path(architecture))
    model = keras.Model(network.inputs, logits)
    model.layers[-1].set_weights([state["_fc.weight"].T, state["_fc.bias"]])
    return model


@pytest.fixture(scope="module", params=[("efficientnet_lite0", 224), ("efficientnet_lite1", 240),
                                        ("efficientnet_lite2", 260)], ids=lambda param: param[0])  # fmt: skip
def ranked(request):
    """The network's name, and for each picture the classes from the likeliest on."""
    architecture, side = request.param
    network = _imagenet_classifier(architecture, side)
    pictures = np.stack([_square(getattr(data, name)(), side) for name in ("chelsea", "coffee", "rocket")])
    return architecture, np.argsort(-np.asarray(network(pictures, training=False)), axis=1)


def test_cat_and_espresso_come_first(ranked):
    _, order = ranked
    assert order[:2, 0].tolist() == [285, 967]


def test_the_rocket_is_a_missile(ranked):
    """The larger two see the launch tower (540, a drilling platform) or a space shuttle (812) before it."""
    architecture, order = ranked
    assert 657 in order[2, : 1 if architecture == "efficientnet_lite0" else 5]


def test_parameters_with_the_classifier():
    assert _imagenet_classifier("efficientnet_lite0", 224).count_params() == 4_694_024
