"""Measure batch sizes and precisions on this machine. A proposal for `params.yaml`: training itself never times."""

import time
from dataclasses import dataclass

import keras

from thaw.backends import backend
from thaw.params import FitParams
from thaw.training.batches import Examples, train_batches
from thaw.training.compiling import compile_for_training
from thaw.training.devices import computing_in
from thaw.training.order import Order

BATCH_SIZES = (8, 16, 32, 64, 128)
_SECONDS = 2.0
_NEAR_BEST = 0.95


@dataclass(frozen=True)
class Trial:
    """One setting, measured."""

    precision: str
    batch_size: int
    images_per_second: float
    """0 where memory ran out."""


def measure(
    model: keras.Model, params: FitParams, train: Examples, precisions: tuple[str, ...], seconds: float = _SECONDS
) -> list[Trial]:
    """Time training steps of `model` at every precision and batch size. Its weights are changed."""
    trials = []
    for precision in precisions:
        for batch_size in BATCH_SIZES:
            if batch_size > max(len(train), BATCH_SIZES[0]):
                break
            setting = params.model_copy(update={"precision": precision, "batch_size": batch_size})
            trials.append(Trial(precision, batch_size, _time_steps(model, setting, train, seconds)))
            if trials[-1].images_per_second == 0:
                break
    return trials


def propose(trials: list[Trial]) -> Trial:
    """The smallest batch within 5 % of the fastest setting: small batches learn more from an epoch."""
    best = max(trial.images_per_second for trial in trials)
    return min(
        (trial for trial in trials if trial.images_per_second >= _NEAR_BEST * best), key=lambda trial: trial.batch_size
    )


def _time_steps(model: keras.Model, params: FitParams, train: Examples, seconds: float) -> float:
    order = Order(0, 0, len(train), train.inputs.views, params.batch_size)
    inputs, targets, weights = next(train_batches(train, order, 0))
    with computing_in(params, model):
        compile_for_training(model, params)
        try:
            model.train_on_batch(inputs, targets, sample_weight=weights)
            began, count = time.perf_counter(), 0
            while time.perf_counter() - began < seconds:
                model.train_on_batch(inputs, targets, sample_weight=weights)
                count += len(inputs)
        except Exception as error:
            if isinstance(error, MemoryError) or backend.is_out_of_memory(error):
                return 0.0
            raise
        return count / (time.perf_counter() - began)
