"""Build a network: pixels in, logits out, one flat graph, every weight determined by the seed."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np

from thaw.errors import ThawError
from thaw.models import efficientnet_lite, networks
from thaw.models.applications import application
from thaw.models.catalog import BACKBONES, LITES, NETWORKS, check_architecture
from thaw.models.heads import add_head, is_head
from thaw.models.initial import draw_as_tensorflow
from thaw.models.layers import FeaturewiseStandardization
from thaw.models.normalization import normalize
from thaw.models.pretrained import load_given_weights
from thaw.params import ModelParams


def build(
    params: ModelParams,
    input_shape: tuple[int, int, int],
    num_classes: int,
    seed: int,
    pretrained: bool = True,
) -> keras.Model:
    """Build the network that `params` describes.

    Args:
        input_shape: height, width and channels (1 or 3) of the pictures, pixels 0 to 255, float32 or uint8.
        num_classes: two give one logit (of the positive class), more give one each.
        seed: of every initialiser and of dropout.
        pretrained: False leaves the backbone's random weights, for weights that are loaded afterwards.

    Returns:
        A flat functional model with float32 logits `(batch, outputs)`. Mixed precision follows Keras's global
        policy.

    Raises:
        ThawError: unknown name, input too small, weights that cannot be had or do not fit.
    """
    check_architecture(params.architecture)
    _check_shape(params.architecture, input_shape, num_classes)
    outputs = 1 if num_classes == 2 else num_classes
    pixels = keras.Input(input_shape, name="pixels", dtype="float32")
    if params.architecture in BACKBONES:
        logits = _transfer_network(pixels, params, outputs, seed, params.weights if pretrained else "none")
    else:
        x = normalize(pixels, params.normalization, "unit")
        with _seeded(seed):
            logits = getattr(networks, params.architecture)(x, outputs)
    model = keras.Model(pixels, logits, name=params.architecture)
    draw_as_tensorflow(layer for layer in model.layers if params.architecture in NETWORKS or is_head(layer))
    return model


def set_statistics(model: keras.Model, mean: np.ndarray, variance: np.ndarray) -> None:
    """Set mean and variance `(channels,)` of the train split's pixels for normalization `featurewise`.

    The channels are those the backbone sees: grey pictures are repeated to three where it wants three.

    Raises:
        ThawError: the model has another normalization.
    """
    for layer in model.layers:
        if isinstance(layer, FeaturewiseStandardization):
            shape = layer.mean.shape
            layer.set_weights([np.broadcast_to(mean, shape), np.broadcast_to(variance, shape)])
            return
    raise ThawError("the network keeps no statistics of its input", "Set model.normalization to featurewise.")


def _check_shape(architecture: str, input_shape: tuple[int, int, int], num_classes: int) -> None:
    height, width, channels = input_shape
    smallest = (BACKBONES | NETWORKS)[architecture].smallest
    if min(height, width) < smallest:
        raise ThawError(f"{architecture}: an input of {height}x{width} pixels is too small",
                        f"Give it {smallest}x{smallest} pixels or more (augment.image_size).")  # fmt: skip
    if channels not in (1, 3):
        raise ThawError(f"{architecture}: {channels} channels", "Give pictures with 1 or 3 channels.")
    if num_classes < 2:
        raise ThawError(f"{architecture}: {num_classes} classes", "Give at least two class folders.")


def _transfer_network(pixels: Any, params: ModelParams, outputs: int, seed: int, weights: str) -> Any:
    architecture = params.architecture
    x = pixels
    if pixels.shape[-1] == 1:
        x = keras.layers.Concatenate(name="grey_to_rgb", dtype="float32")([x, x, x])
    x = normalize(x, params.normalization, BACKBONES[architecture].scaling)
    with _seeded(seed):
        if architecture in LITES:
            features = efficientnet_lite.efficientnet_lite(x, architecture)
            _load_lite(keras.Model(x, features), architecture, weights)
        else:
            features = application(x, architecture, weights)
    with _seeded(seed):  # anew, so that a head starts the same on every backbone
        return add_head(features, params, outputs)


def _load_lite(part: keras.Model, architecture: str, weights: str) -> None:
    if weights == "imagenet":
        efficientnet_lite.load_imagenet(part, architecture)
    elif weights != "none":
        load_given_weights(part, weights)


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Determine what Keras draws in the block: it takes seeds from Python's generator."""
    state = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(state)
