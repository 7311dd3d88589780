"""JAX: `thaw.backends.Backend` says what each name stands for. Nothing here imports TensorFlow.

An epoch is a loop over Keras's own steps for JAX (`train_step`, `test_step`: functions from state and batch to logs and state),
and not `Model.fit`, which takes the state out of the variables for a whole epoch and lays every batch out as the first.
"""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import jax
import keras
import numpy as np

from thaw.backends import Steps
from thaw.backends.reading import Batch, read_ahead

NAME = "JAX"
JIT_COMPILE = True
DEPTHWISE_REPEATS = True


def count_gpus() -> int:
    return sum(device.platform == "gpu" for device in jax.local_devices())


def compute_capability() -> tuple[int, int]:
    major, _, minor = str(getattr(jax.local_devices()[0], "compute_capability", "0.0")).partition(".")
    return int(major), int(minor or 0)


@contextmanager
def computing_on(gpus: int) -> Iterator[None]:
    if gpus > 1:
        with replicated(jax.local_devices()[:gpus]):
            yield
    else:
        with jax.default_device(jax.local_devices(backend="gpu" if gpus else "cpu")[0]):
            yield


@contextmanager
def computing_on_group(rank: int, size: int, coordinator: str) -> Iterator[int]:
    jax.distributed.initialize(coordinator, size, rank)
    with replicated(jax.devices()):
        yield jax.device_count()


@contextmanager
def replicated(devices: list[Any]) -> Iterator[None]:
    """Train on all of these devices at once, those of other processes among them; each holds all weights."""
    names = [f"{device.platform}:{device.id}" for device in devices]
    with keras.distribution.DataParallel(devices=names, auto_shard_dataset=False).scope():
        yield


def compute_deterministically() -> None:
    """Said to XLA before it starts, by `thaw.devices.prepare_backend`."""


def exclude_tensor_float_32() -> None:
    jax.config.update("jax_default_matmul_precision", "float32")


def set_seed(seed: int) -> None:
    """Keras takes its seeds from Python's generator. Its own `set_random_seed` would import TensorFlow where there is one."""
    random.seed(seed)
    np.random.seed(seed)


def sum_gradients(gradients: list[Any]) -> tuple[list[Any], int]:
    return gradients, 1  # JAX's are of the whole batch


def apply_adam(*step: Any) -> bool:
    return False  # XLA makes one operation of Keras's


depthwise_conv = keras.ops.depthwise_conv


def runner(model: keras.Model) -> Callable[[np.ndarray], np.ndarray]:
    """By this process alone, also where others share the training."""
    weights = [[np.asarray(variable) for variable in group] for group in _variables(model)[:2]]

    @jax.jit
    def infer(weights: Any, images: Any) -> Any:
        return model.stateless_call(*weights, images.astype("float32"), training=False)[0]

    placed = jax.device_put(weights)

    def run(images: np.ndarray) -> np.ndarray:
        return np.asarray(infer(placed, images), dtype=np.float32)

    return run


def is_out_of_memory(error: BaseException) -> bool:
    return isinstance(error, jax.errors.JaxRuntimeError) and "RESOURCE_EXHAUSTED" in str(error)


class _Loop:
    def __init__(self, model: keras.Model, shapes: tuple[tuple[int, ...], ...]) -> None:
        self._model = model
        self._shapes = shapes
        self._train_step: Any = None
        self._test_step: Any = None

    def train(self, batches: Callable[[], Iterator[Batch]], count: int, steps: Steps) -> None:
        self._build()
        self._model.reset_metrics()
        steps.begin_epoch()
        groups = _variables(self._model)
        for batch in _placed_ahead(batches):
            steps.begin_step()
            logs, state = self._train_step(_values(groups), batch)
            _keep(groups, state)
            steps.end_step(logs)

    def evaluate(
        self, batches: Callable[[], Iterator[Batch]], count: int, after_batch: Callable[[], None]
    ) -> dict[str, float]:
        self._build()
        self._model.reset_metrics()
        groups = _variables(self._model)
        groups = [groups[0], groups[1], groups[3]]
        logs: dict[str, Any] = {}
        for batch in _placed_ahead(batches):
            logs, state = self._test_step(_values(groups), batch)
            _keep(groups, state)
            after_batch()
        return {name: float(value) for name, value in logs.items()}

    def _build(self) -> None:
        """Have the variables of the metrics made, and the steps compiled for the state that there is now."""
        if self._train_step is not None:
            return
        self._model._symbolic_build(data_batch=tuple(np.zeros((1, *shape), np.float32) for shape in self._shapes))
        train = [[variable.value.sharding for variable in group] for group in _variables(self._model)]
        test = [train[0], train[1], train[3]]
        self._train_step = jax.jit(self._model.train_step, donate_argnums=0, out_shardings=(None, tuple(train)))
        self._test_step = jax.jit(self._model.test_step, donate_argnums=0, out_shardings=(None, tuple(test)))


loop = _Loop


def _variables(model: keras.Model) -> list[list[Any]]:
    optimizer = model.optimizer.variables if getattr(model, "optimizer", None) else []
    return [model.trainable_variables, model.non_trainable_variables, list(optimizer), model.metrics_variables]


def _values(groups: list[list[Any]]) -> tuple[list[Any], ...]:
    return tuple([variable.value for variable in group] for group in groups)


def _keep(groups: list[list[Any]], state: tuple[list[Any], ...]) -> None:
    """Put what a step made into the variables. The step has used up what was there; `assign` would look at each for 30 us."""
    for group, values in zip(groups, state, strict=True):
        for variable, value in zip(group, values, strict=True):
            variable._value = value


def _placed_ahead(batches: Callable[[], Iterator[Batch]]) -> Iterator[Any]:
    """Batches on the devices; the next is read, and on its way there, while one is worked on."""
    return read_ahead(batches, partial(_place, distribution=keras.distribution.distribution()))  # that of this thread


def _place(batch: Batch, distribution: Any) -> Any:
    """Every process reads the whole batch, and hands its devices their shares of it.

    A batch that cannot be divided evenly (the last of an epoch) goes to every device whole: padding would count in
    BatchNorm's statistics and in the metrics.
    """
    if distribution is None:
        return jax.device_put(batch)
    whole = len(batch[0]) % distribution.num_model_replicas > 0
    axes = None if whole else distribution.batch_dim_name
    mesh = distribution.device_mesh.backend_mesh
    sharding = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec(axes))
    return tuple(jax.make_array_from_callback(array.shape, sharding, array.__getitem__) for array in batch)
