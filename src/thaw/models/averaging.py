"""Test-time augmentation, inside the network: the mean over the flips and turns that leave a picture's class as it is."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

Symmetry = tuple[int, bool]
"""Quarter turns counterclockwise, and whether the picture is mirrored before them."""


class _Symmetries(keras.layers.Layer):
    """Each picture in every flip and turn: `(n, side, side, channels)` to `(symmetries * n, side, side, channels)`."""

    def __init__(self, symmetries: Sequence[Symmetry], **kwargs: Any) -> None:
        super().__init__(dtype="float32", trainable=False, **kwargs)
        self.symmetries = [(int(turns), bool(mirrored)) for turns, mirrored in symmetries]

    def call(self, pictures: Any) -> Any:
        return ops.concatenate([_view(pictures, *symmetry) for symmetry in self.symmetries], axis=0)


class _Mean(keras.layers.Layer):
    """The mean over the symmetries: `(symmetries * n, outputs)` to `(n, outputs)`."""

    def __init__(self, count: int, **kwargs: Any) -> None:
        super().__init__(dtype="float32", trainable=False, **kwargs)
        self.count = count

    def call(self, outputs: Any) -> Any:
        return ops.mean(ops.reshape(outputs, (self.count, -1, outputs.shape[-1])), axis=0)


def average_over(network: keras.Model, symmetries: Sequence[Symmetry]) -> keras.Model:
    """The network with the mean of its outputs over `symmetries` of a picture (Simonyan and Zisserman 2015, arXiv 1409.1556,
    section 3.2, of flips).

    It is part of the graph, so that whatever runs or exports the network gives the same answer. One picture is as
    much work as so many.

    Args:
        network: `(n, side, side, channels)` to `(n, outputs)`; it is not changed, and shares its weights.
    """
    seen = _Symmetries(symmetries, name="symmetries")(network.inputs[0])
    mean = _Mean(len(symmetries), name="mean_of_symmetries")(network(seen))
    return keras.Model(network.inputs[0], mean, name=network.name)


def _view(pictures: Any, turns: int, mirrored: bool) -> Any:
    if mirrored:
        pictures = _reversed(pictures, 2)
    if turns % 2:
        pictures = ops.transpose(pictures, (0, 2, 1, 3))
    if turns in (1, 2):
        pictures = _reversed(pictures, 1)
    return _reversed(pictures, 2) if turns in (2, 3) else pictures


def _reversed(pictures: Any, axis: int) -> Any:
    """Turned round along an axis; by indices, which every runtime that thaw exports to knows."""
    return ops.take(pictures, np.arange(pictures.shape[axis])[::-1].copy(), axis=axis)
