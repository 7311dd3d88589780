"""Which layers train."""

import difflib
import hashlib
import re
from itertools import accumulate, takewhile
from typing import Literal

import keras
import numpy as np

from thaw.errors import ThawError
from thaw.models.graph import descendants, fronts, has_kernel, kernels_above
from thaw.models.heads import is_head

_BLOCK = re.compile(r"(.*(?:block|stage|mixed)_?\d+[a-z]?)(?:_|$)")
_BN_MOMENTUM = 0.9
_THAWED_SHARE = 1 / 3
_TOLERANCE = 0.1
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
            `auto`: the upper third of the backbone by depth, as near as its blocks allow: a third of its layers with
            a kernel (convolutions, dense layers) train.
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
        first = _upper_third(model) if from_layer == "auto" else _matching(model, from_layer)
        thawed = {id(layer) for layer in descendants(model, first)}
    else:
        thawed = {id(layer) for layer in model.layers}
    keep_statistics = batch_norm == "frozen" and strategy != "scratch"
    model.trainable = True
    for layer in model.layers:
        held = keep_statistics and isinstance(layer, keras.layers.BatchNormalization)
        layer.trainable = id(layer) in thawed and not held and layer.name not in _INPUT_LAYERS
        if layer.trainable and isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = min(layer.momentum, _BN_MOMENTUM)


def rate_factors(model: keras.Model, thawed_factor: float, layer_decay: float) -> dict[str, float]:
    """What the learning rate of each layer of the backbone is multiplied by; the head's is 1.

    Args:
        thawed_factor: of all of them.
        layer_decay: of a layer with a kernel and what follows it, as a share of the layer's above it: 1 for all alike
            (discriminative fine-tuning, Howard and Ruder 2018, arXiv 1801.06146, section 3.2).
    """
    above = kernels_above(model)
    lowest_of_head = max(above[layer.name] + has_kernel(layer) for layer in model.layers if is_head(layer))
    return {
        layer.name: thawed_factor * layer_decay ** (above[layer.name] - lowest_of_head + 1)
        for layer in model.layers
        if not is_head(layer)
    }


def block_names(model: keras.Model) -> list[str]:
    """The names that `from_layer` takes for whole blocks, in the network's order.

    Told by name, since a name is what they are for: the message that no layer or block is called so lists them. Where no
    name is given (`auto`) the graph tells; nothing is frozen or thawed by what is found here.
    """
    return list(dict.fromkeys(_block(layer.name) for layer in model.layers if layer.name not in _INPUT_LAYERS))


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


def _upper_third(model: keras.Model) -> set[int]:
    """The `id` of every layer of the backbone above the place that leaves about a third of its kernels.

    A place between two blocks, where the fewest tensors pass, is taken before one that is nearer to a third: blocks are
    told by the graph, since each family of networks names its layers in its own way.
    """
    backbone = list(takewhile(lambda front: not is_head(front[0].layer), fronts(model)))
    below = list(accumulate(has_kernel(call.layer) for call, _ in backbone))

    def rank(place: int) -> tuple[bool, int, float, int]:
        distance = abs(1 - below[place] / below[-1] - _THAWED_SHARE)
        return distance > _TOLERANCE, backbone[place][1], distance, -place

    best = min(range(len(backbone)), key=rank)
    return {id(call.layer) for call, _ in backbone[best + 1 :]}


def _matching(model: keras.Model, from_layer: str) -> set[int]:
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
