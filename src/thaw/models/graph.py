"""A functional model as a list of calls. The only module that reads Keras's graph."""

from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

import keras


class Call(NamedTuple):
    """One use of a layer (or operation) on symbolic tensors."""

    layer: Any
    inputs: list[Any]
    output: Any


def calls(model: keras.Model) -> list[Call]:
    """Every call of the model's graph, each after those it depends on. The first is the input."""
    found = []
    for depth in sorted(model._nodes_by_depth, reverse=True):
        for node in model._nodes_by_depth[depth]:
            found.append(Call(node.operation, list(node.input_tensors), node.output_tensors[0]))
    return found


def fronts(model: keras.Model) -> Iterator[tuple[Call, int]]:
    """Every call, with the number of tensors that are made by then and still to be used.

    Each call lies on a way from the input to the output, so whatever is made by then is an ancestor of one of these
    tensors, in whichever order the graph is walked; where there is one, the graph can be cut in two.
    """
    graph = calls(model)
    uses = Counter(id(tensor) for call in graph for tensor in call.inputs)
    pending = 0
    for call in graph:
        for tensor in call.inputs:
            uses[id(tensor)] -= 1
            pending -= uses[id(tensor)] == 0
        pending += uses[id(call.output)] > 0
        yield call, pending


def has_kernel(layer: Any) -> bool:
    """Whether the layer multiplies by a matrix: a convolution or a dense layer, whatever its class."""
    return any(len(weight.shape) > 1 for weight in getattr(layer, "weights", []))


def kernels_above(model: keras.Model) -> dict[str, int]:
    """How many layers with a kernel lie on the longest way from each layer to the output, itself not counted, by its name."""
    above: dict[int, int] = {}
    found: dict[str, int] = {}
    for call in reversed(calls(model)):
        own = above.get(id(call.output), 0)
        found[call.layer.name] = max(own, found.get(call.layer.name, 0))
        for tensor in call.inputs:
            above[id(tensor)] = max(above.get(id(tensor), 0), own + has_kernel(call.layer))
    return found


def descendants(model: keras.Model, layers: set[int]) -> Iterator[Any]:
    """The layers whose `id` is in `layers`, and all that depend on one of them, in the graph's order."""
    reached: set[int] = set()
    for call in calls(model):
        if id(call.layer) in layers or any(id(tensor) in reached for tensor in call.inputs):
            reached.add(id(call.output))
            yield call.layer
