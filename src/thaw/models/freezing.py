"""Which layers train."""

import difflib
import hashlib
import math
import re
from typing import Literal

import keras
import numpy as np

from thaw.errors import ThawError
from thaw.models.graph import descendants
from thaw.models.heads import is_head

_BLOCK = re.compile(r"(.*(?:block|stage|mixed)_?\d+[a-z]?)(?:_|$)")
_BN_MOMENTUM = 0.9
_INPUT_LAYERS = {"pixels", "grey_to_rgb", "rgb_to_bgr", "center", "rescale", "standardize"}


def freeze(
    model: keras.Model,
    strategy: Literal["head", "partial", "full", "scratch"],
    from_layer: str,
    batch_norm: Literal["frozen", "train"],
) -> None:
    """Set which layers of `model` train. Compile the model afterwards.

    Args:
        strategy: `head`: the classifier alone; `partial`: the layer or block `from_layer` and all that
            depends on it; `full`: all; `scratch`: all, BatchNorm always included: there are no statistics to
            keep.
        from_layer: a layer's name, or a block's: `block11` stands for `block11_expand_conv` and its fellows;
            `auto`: the block with two thirds of the backbone's blocks before it.
        batch_norm: `frozen`: no BatchNorm layer trains, and all use the statistics they have; `train`: those
            among thawed layers train, and update their statistics, with a momentum of 0.9 at most: with the
            0.99 or 0.999 that large networks are published with, the statistics of a few hundred steps still
            are what they began as.

    Raises:
        ThawError: no layer or block has this name.
    """
    if strategy == "head":
        thawed = {id(layer) for layer in model.layers if is_head(layer)}
    elif strategy == "partial":
        thawed = {id(layer) for layer in descendants(model, _matching(model, from_layer))}
    else:
        thawed = {id(layer) for layer in model.layers}
    keep_statistics = batch_norm == "frozen" and strategy != "scratch"
    model.trainable = True
    for layer in model.layers:
        held = keep_statistics and isinstance(layer, keras.layers.BatchNormalization)
        layer.trainable = id(layer) in thawed and not held and layer.name not in _INPUT_LAYERS
        if layer.trainable and isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = min(layer.momentum, _BN_MOMENTUM)


def block_names(model: keras.Model, with_head: bool = True) -> list[str]:
    """The names that `from_layer` takes for whole blocks, in the network's order."""
    layers = [layer for layer in model.layers if layer.name not in _INPUT_LAYERS and (with_head or not is_head(layer))]
    return list(dict.fromkeys(_block(layer.name) for layer in layers))


def frozen_digest(model: keras.Model) -> str:
    """SHA-256 of the name, shape and values of every weight of every layer that does not train, as hex."""
    digest = hashlib.sha256()
    for layer in model.layers:
        if layer.trainable:
            continue
        for index, weight in enumerate(layer.weights):
            values = np.ascontiguousarray(keras.ops.convert_to_numpy(weight))
            digest.update(f"{layer.name}/{index} {values.dtype} {values.shape}\n".encode())
            digest.update(values.tobytes())
    return digest.hexdigest()


def _matching(model: keras.Model, from_layer: str) -> set[int]:
    if from_layer == "auto":
        backbone = block_names(model, with_head=False)
        from_layer = backbone[min(math.ceil(len(backbone) * 2 / 3), len(backbone) - 1)]
    found = {id(layer) for layer in model.layers
             if layer.name == from_layer or layer.name.startswith(f"{from_layer}_")}  # fmt: skip
    if found:
        return found
    blocks = block_names(model)
    near = difflib.get_close_matches(from_layer, [*blocks, *(layer.name for layer in model.layers)], n=1)
    hint = f"Did you mean {near[0]}? " if near else ""
    raise ThawError(f"fine_tune.from_layer: {model.name} has no layer or block {from_layer!r}",
                    f"{hint}Its blocks: {', '.join(blocks)}.")  # fmt: skip


def _block(name: str) -> str:
    match = _BLOCK.match(name)
    return match.group(1) if match else name.split("_")[0]
