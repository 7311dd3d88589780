"""A head: what it is to learn from, and what it has learnt."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from thaw.params import FitParams
from thaw.training.inputs import Inputs

_BLOCK_VALUES = 2**22
"""Features in memory at a time where heads are asked what they say."""


@dataclass(frozen=True, eq=False)
class Head:
    """A head to be trained, as `train_frozen` would on some of the images."""

    params: FitParams
    seed: int
    """Of its first weights, its order of images and views, its dropout and its mixup."""
    targets: np.ndarray
    """float32 `(images, outputs)`, as `thaw.training.labels.Labels` has them."""
    weights: np.ndarray
    """float32 `(images,)`: of each image in the loss."""
    trains: np.ndarray
    """bool `(images,)`: the images that it learns from; the others have no part in it."""
    watched: np.ndarray | None = None
    """bool `(images,)`: by whose loss training stops early, where `params` asks for that."""
    dropout: float = 0.0
    hidden_units: int = 0
    """Of a ReLU layer before the output; 0: none."""


@dataclass(frozen=True, eq=False)
class TrainedHead:
    """A head's weights, float32, a kernel `(outputs, inputs)` and a bias `(outputs,)` for each layer in turn."""

    layers: tuple[tuple[np.ndarray, np.ndarray], ...]
    epochs: int
    """After how many it is kept: with early stopping the best."""


def predict_logits(heads: Sequence[TrainedHead], inputs: Inputs, images: np.ndarray) -> np.ndarray:
    """What heads of one shape say of images in their first view: float32 `(heads, len(images), outputs)`.

    Args:
        inputs: features; read in blocks.
        images: int, which of them.
    """
    layers = [
        tuple(np.stack(arrays) for arrays in zip(*alike, strict=True))
        for alike in zip(*(head.layers for head in heads), strict=True)
    ]
    outputs = heads[0].layers[-1][1].shape[0]
    logits = np.empty((len(heads), len(images), outputs), np.float32)
    rows = max(1, _BLOCK_VALUES // int(np.prod(inputs.shape)))
    for start in range(0, len(images), rows):
        part = images[start : start + rows]
        features = inputs.gather(part, np.zeros_like(part)).astype(np.float32).reshape(len(part), -1)
        logits[:, start : start + rows] = forward(layers, features)[-1].transpose(1, 0, 2)
    return logits


def forward(layers: Sequence[tuple[np.ndarray, ...]], features: np.ndarray) -> list[np.ndarray]:
    """What each layer of a batch of heads gives, the first by one product for all of them.

    Args:
        layers: kernels `(heads, units, inputs)` and biases `(heads, units)`.
        features: `(images, inputs)`.

    Returns:
        `(images, heads, units)` of each layer; all but the last through a ReLU.
    """
    (kernel, bias), *rest = layers
    given = [apply_first(kernel, bias, features)]
    for kernel, bias in rest:
        np.maximum(given[-1], 0, out=given[-1])
        given.append(apply_next(kernel, bias, given[-1]))
    return given


def apply_first(kernel: np.ndarray, bias: np.ndarray, features: np.ndarray) -> np.ndarray:
    """A layer whose inputs are the same for all heads: `(images, heads, units)`."""
    heads, units, width = kernel.shape
    product = features @ kernel.reshape(heads * units, width).T
    return product.reshape(len(features), heads, units) + bias


def apply_next(kernel: np.ndarray, bias: np.ndarray, given: np.ndarray) -> np.ndarray:
    """A layer on what each head's layer before gave, `(images, heads, inputs)`: `(images, heads, units)`."""
    return np.matmul(given.transpose(1, 0, 2), kernel.transpose(0, 2, 1)).transpose(1, 0, 2) + bias
