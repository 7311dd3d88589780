"""Everything that training changes, as arrays: weights, seed generators, optimizer, running metrics."""

import keras
import numpy as np

_GROUPS = ("model", "optimizer", "metrics")
_GENERATOR = "seed_generator_state"
"""What `keras.random.SeedGenerator` calls its variable; of which type it is depends on the backend."""


def read_state(model: keras.Model) -> dict[str, np.ndarray]:
    """The value of every variable of a compiled model, its optimizer and its metrics."""
    return {
        f"{group}/{index:05d}": keras.ops.convert_to_numpy(variable)
        for group in _GROUPS
        for index, variable in enumerate(_variables(model, group))
    }


def write_state(model: keras.Model, arrays: dict[str, np.ndarray], groups: tuple[str, ...] = _GROUPS) -> None:
    """Set the variables of `groups` to the arrays that `read_state` gave."""
    for group in groups:
        for index, variable in enumerate(_variables(model, group)):
            variable.assign(arrays[f"{group}/{index:05d}"])


def seed_generators(model: keras.Model, seed: int, phase: int) -> None:
    """Set the state of every seed generator (dropout), so that it depends on the seed and not on what ran before."""
    generators = [variable for variable in model.variables if variable.name == _GENERATOR]
    for index, variable in enumerate(generators):
        rng = np.random.default_rng([seed, phase, index])
        variable.assign(rng.integers(0, 2**32, variable.shape).astype(variable.dtype))


def _variables(model: keras.Model, group: str) -> list[keras.Variable]:
    if group == "model":
        return list(model.variables)
    if group == "optimizer":
        return list(model.optimizer.variables)
    return list(model.metrics_variables)
