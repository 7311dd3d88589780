"""A network layer by layer: shapes, parameters, multiply-adds, receptive field."""

import math
from dataclasses import dataclass
from typing import Any

import keras

from thaw.models.graph import Call, calls

_WHOLE = math.inf


@dataclass(frozen=True)
class LayerSummary:
    """One layer of a network."""

    name: str
    kind: str
    """The layer's class."""
    output_shape: tuple[int | None, ...]
    """Without the batch."""
    weights: dict[str, tuple[int, ...]]
    """Shape of each weight by its name: `kernel`, `bias`, `gamma`..."""
    parameters: int
    trainable: int
    """How many of the parameters train."""
    multiply_adds: int
    """On one picture; biases, normalisation and activations are left out."""
    receptive_field: tuple[int, int] | None
    """Height and width in input pixels that one position of the output sees; None: the whole picture."""
    inputs: tuple[str, ...]
    """The layers it takes its input from."""


def summarize(model: keras.Model) -> list[LayerSummary]:
    """Every layer of `model`, each after those it depends on.

    The receptive field is that of Araujo et al. 2019 (Distill, "Computing Receptive Fields of Convolutional Neural
    Networks"): it grows by (kernel - 1) times the strides so far, and a merge takes its widest branch.
    """
    fields: dict[int, _Field] = {}
    makers: dict[int, str] = {}
    layers = []
    for call in calls(model):
        field = _trace(call, [fields[id(tensor)] for tensor in call.inputs])
        fields[id(call.output)] = field
        layers.append(_summarize_call(call, field, tuple(makers[id(tensor)] for tensor in call.inputs)))
        makers[id(call.output)] = call.layer.name
    return layers


@dataclass(frozen=True)
class _Field:
    """Receptive field and step between neighbours, in input pixels, along height and width."""

    size: tuple[float, float] = (1, 1)
    step: tuple[float, float] = (1, 1)


def _trace(call: Call, inputs: list[_Field]) -> _Field:
    layer = call.layer
    if not inputs:
        return _Field()
    size = tuple(max(field.size[axis] for field in inputs) for axis in (0, 1))
    step = tuple(max(field.step[axis] for field in inputs) for axis in (0, 1))
    if len(call.output.shape) != 4 or isinstance(layer, keras.layers.GlobalAveragePooling2D):
        return _Field((_WHOLE, _WHOLE), (1, 1))
    kernel = getattr(layer, "kernel_size", None) or getattr(layer, "pool_size", None)
    if kernel is None:
        return _Field((size[0], size[1]), (step[0], step[1]))
    dilation = getattr(layer, "dilation_rate", (1, 1))
    grown = tuple(size[axis] + (kernel[axis] - 1) * dilation[axis] * step[axis] for axis in (0, 1))
    stepped = tuple(step[axis] * layer.strides[axis] for axis in (0, 1))
    return _Field((grown[0], grown[1]), (stepped[0], stepped[1]))


def _summarize_call(call: Call, field: _Field, inputs: tuple[str, ...]) -> LayerSummary:
    layer, shape = call.layer, tuple(call.output.shape[1:])
    weights = {weight.name: tuple(weight.shape) for weight in getattr(layer, "weights", [])}
    positions = math.prod(size or 1 for size in shape[:-1])
    kernels = [math.prod(shape) for shape in weights.values() if len(shape) > 1]
    seen = None if _WHOLE in field.size else (int(field.size[0]), int(field.size[1]))
    return LayerSummary(
        name=layer.name,
        kind=type(layer).__name__,
        output_shape=shape,
        weights=weights,
        parameters=sum(math.prod(shape) for shape in weights.values()),
        trainable=_count(getattr(layer, "trainable_weights", [])),
        multiply_adds=positions * sum(kernels),
        receptive_field=seen,
        inputs=inputs,
    )


def _count(weights: list[Any]) -> int:
    return sum(math.prod(weight.shape) for weight in weights)
