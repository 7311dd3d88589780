"""The optimizers of `thaw.training.optimizers` over many heads, each with its own learning rate, weight decay and clipping."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor

import numpy as np

from thaw.params import FitParams

_BLOCK_VALUES = 2**15
"""So many are updated at a time: what they need stays in the processor's cache."""
_BETA_1, _BETA_2, _RHO, _EPSILON = 0.9, 0.999, 0.9, 1e-7
"""Keras's defaults."""

_Slots = tuple[np.ndarray, ...]


class Optimizer:
    """Moves arrays `(heads, ...)` against their gradients.

    Args:
        heads: their params; `optimizer` and `momentum` are alike.
        arrays: kernels and biases in turn, float32 `(heads, ...)`; of kernels alone the weights decay.
        pool: threads among which large arrays are shared. Blocks have nothing in common: they become the same on any.
    """

    def __init__(self, heads: Sequence[FitParams], arrays: Sequence[np.ndarray], pool: Executor) -> None:
        self._pool = pool
        self._kind = heads[0].optimizer
        self._momentum = np.float32(heads[0].momentum)
        self._arrays = [array.reshape(len(heads), -1) for array in arrays]
        slots = {"adam": 2, "adamw": 2, "rmsprop": 2, "sgd": 1}[self._kind]
        self._slots = [tuple(np.zeros_like(array) for _ in range(slots)) for array in self._arrays]
        self._decay = np.array([0 if self._kind == "adam" else head.weight_decay for head in heads], np.float32)
        self._clip = np.array([head.clip_norm or np.inf for head in heads], np.float32)
        self._steps = 0

    def step(self, gradients: Sequence[np.ndarray], rates: np.ndarray, momentum: float) -> None:
        """Move the arrays.

        Args:
            gradients: in their order; they are changed.
            rates: learning rates, float32 `(heads,)`.
            momentum: of SGD, in this step.
        """
        self._steps += 1
        flat = [gradient.reshape(len(rates), -1) for gradient in gradients]
        self._clip_norms(flat)
        update, factors = self._update(rates, momentum)
        for number, (array, gradient, slots) in enumerate(zip(self._arrays, flat, self._slots, strict=True)):
            is_kernel = number % 2 == 0
            kept = 1 - rates * self._decay if is_kernel and self._decay.any() else None

            def move(block: tuple[slice, slice], array=array, gradient=gradient, slots=slots, kept=kept) -> None:  # type: ignore[no-untyped-def]
                part = array[block]
                if kept is not None:
                    part *= kept[block[0], None]
                update(part, gradient[block], tuple(slot[block] for slot in slots), factors[block[0], None])

            blocks = list(_blocks(*array.shape))
            list(self._pool.map(move, blocks) if len(blocks) > 1 else map(move, blocks))

    def _clip_norms(self, gradients: Sequence[np.ndarray]) -> None:
        """Scale each head's gradient down to the norm that it may have."""
        if not np.isfinite(self._clip).any():
            return
        squares = sum(np.einsum("hn,hn->h", gradient, gradient) for gradient in gradients)
        scale = np.minimum(1, self._clip / np.sqrt(np.maximum(squares, np.finfo(np.float32).tiny)))
        for gradient in gradients:
            gradient *= scale[:, None].astype(np.float32)

    def _update(self, rates: np.ndarray, momentum: float) -> tuple[Callable[..., None], np.ndarray]:
        """How a block moves, and the factor `(heads,)` that it is given."""
        if self._kind in ("adam", "adamw"):
            correction = np.sqrt(1 - _BETA_2**self._steps) / (1 - _BETA_1**self._steps)
            return _adam, rates * np.float32(correction)
        if self._kind == "rmsprop":
            return self._rmsprop, rates
        strength = np.float32(momentum)

        def nesterov(array: np.ndarray, gradient: np.ndarray, slots: _Slots, rate: np.ndarray) -> None:
            (velocity,) = slots
            gradient *= rate
            velocity *= strength
            velocity -= gradient
            array += velocity * strength
            array -= gradient

        return nesterov, rates

    def _rmsprop(self, array: np.ndarray, gradient: np.ndarray, slots: _Slots, rate: np.ndarray) -> None:
        square, velocity = slots
        square *= np.float32(_RHO)
        square += np.float32(1 - _RHO) * gradient * gradient
        gradient *= rate
        gradient /= np.sqrt(square + np.float32(_EPSILON))
        velocity *= self._momentum
        velocity += gradient
        array -= velocity


def _adam(array: np.ndarray, gradient: np.ndarray, slots: _Slots, rate: np.ndarray) -> None:
    mean, square = slots
    mean += (gradient - mean) * np.float32(1 - _BETA_1)
    gradient *= gradient
    gradient -= square
    gradient *= np.float32(1 - _BETA_2)
    square += gradient
    np.sqrt(square, out=gradient)
    gradient += np.float32(_EPSILON)
    array -= mean * rate / gradient


def _blocks(heads: int, values: int) -> Iterator[tuple[slice, slice]]:
    rows = max(1, _BLOCK_VALUES // values)
    for head in range(0, heads, rows):
        for value in range(0, values, _BLOCK_VALUES):
            yield slice(head, head + rows), slice(value, value + _BLOCK_VALUES)
