"""What thaw asks of the library that Keras computes with, beyond Keras itself: a module a library.

`KERAS_BACKEND` says which one it is (`thaw.devices.keras_backend`). Nothing else in a stage imports TensorFlow or JAX, but for
OpenVINO's converter and the heatmaps of `thaw.explain`, which are TensorFlow's.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any, Protocol

import keras
import numpy as np

from thaw.backends.reading import Batch


class Steps(Protocol):
    """Who is told of the steps of an epoch. Whatever it reads of the model, or assigns to it, holds."""

    def begin_epoch(self) -> None:
        """Before the first step, when the running metrics stand at zero."""

    def begin_step(self) -> None:
        """Before each step."""

    def end_step(self, logs: dict[str, Any]) -> None:
        """After each step, with the running metrics."""


class Loop(Protocol):
    """The steps of a compiled model, whose state is in the model's variables between any two of them."""

    def train(self, batches: Callable[[], Iterator[Batch]], count: int, steps: Steps) -> None:
        """Take a step for each of `count` batches; they are read ahead, in another thread. `batches` may be called twice."""

    def evaluate(
        self, batches: Callable[[], Iterator[Batch]], count: int, after_batch: Callable[[], None]
    ) -> dict[str, float]:
        """The loss and the metrics over `count` batches, each by its number of images."""


class Backend(Protocol):
    """A library that Keras computes with."""

    NAME: str
    """What messages call it."""
    JIT_COMPILE: bool
    """Whether Keras compiles a model's steps by XLA. TensorFlow's are graphs without it, and slower with it on a processor."""
    DEPTHWISE_REPEATS: bool
    """Whether the gradient of a depthwise kernel can be had in one order of adding on a GPU."""

    def count_gpus(self) -> int:
        """The GPUs that the library sees."""

    def compute_capability(self) -> tuple[int, int]:
        """Of the first GPU; `(0, 0)` where it is not known."""

    def computing_on(self, gpus: int) -> AbstractContextManager[None]:
        """Build and train models on the CPU (0), the first GPU (1), or this number of GPUs, which share every batch."""

    def computing_on_group(self, rank: int, size: int, coordinator: str) -> AbstractContextManager[int]:
        """Build and train models on the devices of all processes of a group, which share every batch; gives their number.

        The first thing that a process computes.

        Args:
            rank, size: which process this is, and of how many.
            coordinator: where the first waits for the others, `host:port`.

        Raises:
            NotImplementedError: the library has no such way.
        """

    def compute_deterministically(self) -> None:
        """Have GPUs add in one order for the rest of this process."""

    def exclude_tensor_float_32(self) -> None:
        """Compute in float32 on GPUs too, which round factors to 10 bits by default (TensorFloat-32)."""

    def set_seed(self, seed: int) -> None:
        """Determine what Keras draws from here on."""

    def sum_gradients(self, gradients: list[Any]) -> tuple[list[Any], int]:
        """In a step: the sum of the devices' gradients, where each has its share's alone, and how many devices these are."""

    def apply_adam(
        self,
        variable: Any,
        momentum: Any,
        velocity: Any,
        gradient: Any,
        learning_rate: Any,
        step: Any,
        beta_1: float,
        beta_2: float,
        epsilon: float,
    ) -> bool:
        """In a step: update a variable and its two moments as `keras.optimizers.Adam` does, in one operation.

        Args:
            step: the number of this step, from 1.

        Returns:
            Whether it did; not where the library has no such operation for what it trains on.
        """

    def depthwise_conv(
        self,
        inputs: Any,
        kernel: Any,
        strides: tuple[int, int],
        padding: str,
        data_format: str,
        dilation_rate: tuple[int, int],
    ) -> Any:
        """`keras.ops.depthwise_conv`, by the fastest gradient that the library has on a processor."""

    def runner(self, model: keras.Model) -> Callable[[np.ndarray], np.ndarray]:
        """A function from uint8 images `(n, ...)` to the model's outputs, float32 `(n, ...)`, with the weights it has now."""

    def loop(self, model: keras.Model, shapes: tuple[tuple[int, ...], ...]) -> Loop:
        """The steps of a compiled model; `shapes` are those of one image's inputs, targets and weight."""

    def is_out_of_memory(self, error: BaseException) -> bool:
        """Whether the library says that memory ran out."""


backend: Backend
if keras.backend.backend() == "jax":
    from thaw.backends import jax

    backend = jax
else:
    from thaw.backends import tensorflow

    backend = tensorflow
