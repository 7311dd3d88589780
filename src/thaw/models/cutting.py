"""Cut a network between what is frozen and what trains."""

from typing import Any

import keras

from thaw.models.graph import calls


def cut(model: keras.Model) -> tuple[keras.Model | None, keras.Model]:
    """Divide `model` at the latest single tensor before which all is frozen and deterministic.

    Nothing before it has a trainable weight, draws a random number or is a BatchNorm in training mode, and
    whatever comes after depends on what comes before through this tensor only. Both parts share their layers
    with `model`.

    Returns:
        Prefix and suffix, with `suffix(prefix(x)) == model(x)`; no prefix where it would hold no weight at
        all: then the suffix is `model` itself.
    """
    tensor = _latest_cut(model)
    if tensor is None:
        return None, model
    prefix = keras.Model(model.inputs, tensor, name=f"{model.name}_prefix")
    if not prefix.weights:
        return None, model
    return prefix, keras.Model(tensor, model.outputs[0], name=f"{model.name}_suffix")


def _latest_cut(model: keras.Model) -> Any | None:
    """Walk the graph once; a tensor is a cut when, right after its call, no other tensor is still to be used.

    Each call lies on a way from the input to the output, so whatever is walked by then is an ancestor of that
    tensor, in whichever order the graph is walked.
    """
    graph = calls(model)
    uses: dict[int, int] = {}
    for call in graph:
        for tensor in call.inputs:
            uses[id(tensor)] = uses.get(id(tensor), 0) + 1
    latest, pending = None, 0
    for call in graph[:-1]:
        if _is_live(call.layer):
            break
        for tensor in call.inputs:
            uses[id(tensor)] -= 1
            pending -= uses[id(tensor)] == 0
        pending += 1
        if pending == 1:
            latest = call.output
    return latest


def _is_live(layer: Any) -> bool:
    """Whether what the layer gives may change from one training step to the next."""
    if not isinstance(layer, keras.layers.Layer):
        return False
    if layer.trainable_weights or (isinstance(layer, keras.layers.BatchNormalization) and layer.trainable):
        return True
    draws = len(layer.variables) > len(layer.weights)  # a seed generator's state is a variable and no weight
    return draws and getattr(layer, "rate", 1.0) > 0
