"""Keras's optimizers with a learning rate for each variable, momenta that move, and clipping by the whole batch."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from thaw.backends import backend
from thaw.params import FitParams


@dataclass(frozen=True)
class Tuning:
    """What the optimizer does beside what `FitParams` say."""

    rate_factors: Mapping[str, float] = field(default_factory=dict)
    """By layer, what its learning rate is multiplied by; 1 for those that are not named."""
    ema_momentum: float = 0.0
    """Of the exponential moving average of the weights, which replaces them at the end of training; 0: none."""
    swa_epoch_start: float = 0.0
    """The share of the epochs after which the weights at their ends are averaged instead; 0: none."""

    @property
    def averages(self) -> bool:
        """Whether an average replaces the weights."""
        return bool(self.ema_momentum or self.swa_epoch_start)

    def swa_first_epoch(self, epochs: int) -> int | None:
        """The first epoch, of so many and counted from 0, whose weights are averaged; None: none."""
        return int(self.swa_epoch_start * epochs) if self.swa_epoch_start else None


PLAIN = Tuning()


class _Averaging:
    """Keras's moving average of the weights (`use_ema`), with a momentum that `set_step` sets between steps."""

    def build(self, variables: list[Any]) -> None:
        super().build(variables)  # type: ignore[misc]
        own: Any = self
        if own.use_ema and not hasattr(own, "average_momentum"):
            own.average_momentum = own.add_variable((), initializer="zeros", dtype="float32", name="average_momentum")

    def _update_model_variables_moving_average(self, trainable_variables: list[Any]) -> None:
        own: Any = self
        for variable, average in zip(trainable_variables, own._model_variables_moving_average, strict=True):
            kept = keras.ops.cast(own.average_momentum, variable.dtype)
            average.assign(kept * average + (1 - kept) * variable)


class _PerVariable(_Averaging):
    """Multiplies the learning rate of trainable variable `i` by `factors[i]`, for its gradient and for weight decay."""

    factors: tuple[float, ...] = ()
    weight_decay: float | None
    global_clipnorm: float | None

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        factor = self.factors[self._get_variable_index(variable)]  # type: ignore[attr-defined]
        super().update_step(gradient, variable, learning_rate * factor)  # type: ignore[misc]

    def _clip_gradients(self, gradients: list[Any]) -> list[Any]:
        """Keras clips what each device has of its share, and sums it then: here the sum is clipped."""
        if not self.global_clipnorm:
            return gradients
        gradients, devices = backend.sum_gradients(gradients)
        return [gradient / devices for gradient in super()._clip_gradients(gradients)]  # type: ignore[misc]

    def _apply_weight_decay(self, variables: list[Any]) -> None:
        """Keras decays all by one learning rate: here once for each factor, those that have it."""
        decay = self.weight_decay
        if decay is None:
            return
        for factor in sorted(set(self.factors)):
            self.weight_decay = decay * factor
            alike = [v for v in variables if self.factors[self._get_variable_index(v)] == factor]  # type: ignore[attr-defined]
            super()._apply_weight_decay(alike)  # type: ignore[misc]
        self.weight_decay = decay


class _Fused:
    """Adam in one operation a variable where the backend has it: Keras's ten read and write all moments once each."""

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        own: Any = self
        index = own._get_variable_index(variable)
        moments = own._momentums[index], own._velocities[index]
        constants = own.beta_1, own.beta_2, own.epsilon
        if not backend.apply_adam(variable, *moments, gradient, learning_rate, own.iterations + 1, *constants):
            super().update_step(gradient, variable, learning_rate)  # type: ignore[misc]


class _Adam(_PerVariable, _Fused, keras.optimizers.Adam):
    pass


class _AdamW(_PerVariable, _Fused, keras.optimizers.AdamW):
    pass


class _RMSprop(_PerVariable, keras.optimizers.RMSprop):
    pass


class _AnnealedSGD(keras.optimizers.SGD):
    """Nesterov momentum whose strength is a variable: `anneal` sets it between steps."""

    def build(self, variables: list[Any]) -> None:
        super().build(variables)
        if not hasattr(self, "strength"):
            self.strength = self.add_variable((), initializer="zeros", dtype="float32", name="strength")

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        velocity = self.momentums[self._get_variable_index(variable)]
        strength = keras.ops.cast(self.strength, variable.dtype)
        step = keras.ops.cast(gradient, variable.dtype) * keras.ops.cast(learning_rate, variable.dtype)
        self.assign(velocity, velocity * strength - step)
        self.assign_add(variable, velocity * strength - step)


class _SGD(_PerVariable, _AnnealedSGD):
    pass


def build_optimizer(
    params: FitParams, variables: list[keras.Variable], tuning: Tuning = PLAIN
) -> keras.optimizers.Optimizer:
    """The optimizer that `params` describes, built for `variables`.

    Weight decay is decoupled (Loshchilov and Hutter 2019, arXiv 1711.05101), of every optimizer but `adam`; biases and
    normalization are left out of it.

    Args:
        variables: what is trained.
    """
    common: dict[str, Any] = {
        "name": params.optimizer, "learning_rate": params.learning_rate, "global_clipnorm": params.clip_norm or None,
    }  # fmt: skip
    if tuning.averages:
        common["use_ema"] = True
    decay = params.weight_decay or None
    optimizer: Any
    if params.optimizer == "adam":
        optimizer = _Adam(**common)
    elif params.optimizer == "adamw":
        optimizer = _AdamW(weight_decay=decay or 0.0, **common)
    elif params.optimizer == "rmsprop":
        optimizer = _RMSprop(momentum=params.momentum, weight_decay=decay, **common)
    else:
        optimizer = _SGD(momentum=params.momentum or 1e-9, nesterov=True, weight_decay=decay, **common)
    optimizer.factors = tuple(tuning.rate_factors.get(_layer(variable), 1.0) for variable in variables)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    optimizer.build(variables)
    return optimizer


def set_step(
    optimizer: keras.optimizers.Optimizer, learning_rate: float, momentum: float, average_momentum: float = 0.0
) -> None:
    """Set the learning rate of the next step, its momentum where the optimizer anneals it, and that of the weights' average
    where it has one."""
    optimizer.learning_rate = learning_rate
    inner = _inner(optimizer)
    if isinstance(inner, _SGD):
        inner.strength.assign(momentum)
    if inner.use_ema:
        inner.average_momentum.assign(average_momentum)


def average(model: keras.Model) -> None:
    """Replace the weights that train by their average, where the optimizer has one."""
    if _inner(model.optimizer).use_ema:
        model.optimizer.finalize_variable_values(model.trainable_variables)
        # Copies: on JAX a step uses up the buffers that it is given, and the average's shall not be among them.
        _assign(model.trainable_variables, _copies(model.trainable_variables))


@contextmanager
def averaged(model: keras.Model) -> Iterator[None]:
    """Have the average for weights meanwhile, where the optimizer has one."""
    own = _copies(model.trainable_variables) if _inner(model.optimizer).use_ema else []
    average(model)
    try:
        yield
    finally:
        _assign(model.trainable_variables[: len(own)], own)


def _copies(variables: list[keras.Variable]) -> list[np.ndarray]:
    return [np.array(keras.ops.convert_to_numpy(variable)) for variable in variables]


def _assign(variables: list[keras.Variable], values: list[np.ndarray]) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def _inner(optimizer: keras.optimizers.Optimizer) -> Any:
    """The optimizer itself, under the loss scaling of float16."""
    return getattr(optimizer, "inner_optimizer", optimizer)


def _layer(variable: keras.Variable) -> str:
    return str(variable.path).split("/")[0]
