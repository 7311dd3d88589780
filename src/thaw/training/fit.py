"""The one `fit` of both phases: an epoch is a loop of its backend over the batches that are left of it."""

import logging
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import keras
import numpy as np

from thaw.backends import backend
from thaw.errors import NotFinite, ThawError
from thaw.params import FitParams
from thaw.project import CHECKPOINTS
from thaw.training.batches import Examples, plain_batches, step_paths, train_batches
from thaw.training.checkpoints import Checkpoint, Checkpoints
from thaw.training.compiling import Objective, compile_for_training
from thaw.training.devices import compute_deterministically, computing_in
from thaw.training.guard import Stop, Stopped
from thaw.training.journal import Journal, Row, new_row
from thaw.training.optimizers import PLAIN, Tuning, average, averaged, set_step
from thaw.training.order import Order
from thaw.training.schedule import Averaging, anneal_learning_rate, anneal_momentum
from thaw.training.state import read_state, seed_generators, write_state
from thaw.training.stopping import best_epoch, is_worse_for_long

_log = logging.getLogger("thaw.training")
CHECKPOINT_SECONDS = 15.0
"""At most this much training is lost when the process is killed."""


@dataclass(frozen=True)
class Job:
    """Which training this is, and where it keeps what is not an output."""

    seed: int
    phase: int
    """Tells the phases of one pipeline run apart."""
    key: str
    """All that decides the result; a checkpoint of another key is never taken up."""
    scratch_dir: Path
    stop: Stop
    leads: bool = True
    """Whether this process writes checkpoints and the journal; of a group that trains together one does."""

    @property
    def checkpoints(self) -> Checkpoints:
        """Of this training; `finish` them once its result is saved."""
        return Checkpoints(self.scratch_dir / CHECKPOINTS, self.key)


def fit(
    model: keras.Model,
    params: FitParams,
    train: Examples,
    validation: Examples,
    job: Job,
    tuning: Tuning = PLAIN,
    objective: Objective | None = None,
) -> list[Row]:
    """Train `model`, from its last checkpoint where there is one. The result depends on the arguments alone.

    Args:
        model: float32 inputs to logits `(batch, outputs)`; its trainable weights are changed.
        train, validation: what it is trained on, and what it is watched on (may be empty).
        objective: loss, summed over the batch, and metrics; else those of classes, as `params` has them.

    Returns:
        A row an epoch, as the journal has it. With early stopping the model has the weights of the best one.

    Raises:
        ThawError: the loss is not finite, memory runs out, or early stopping has nothing to watch.
        Stopped: on request; a checkpoint holds the state.
    """
    if params.early_stopping_patience and not len(validation):
        raise ThawError(
            "early_stopping_patience needs validation images",
            "Raise split.validation_fraction, or set it to 0.",
        )
    compute_deterministically(params, model)
    with computing_in(params, model):
        compile_for_training(model, params, tuning, objective)
        training = _Training(model, params, train, validation, job, tuning)
        training.begin()
        return training.run()


def predict(model: keras.Model, examples: Examples, batch_size: int) -> np.ndarray:
    """Logits float32 `(images, outputs)` for the first view of every image, computed in float32."""
    run = backend.runner(model)
    batches = [run(inputs) for inputs, _, _ in plain_batches(examples, batch_size)]
    return np.concatenate([np.zeros((0, model.output_shape[-1]), np.float32), *batches])


class _Training:
    def __init__(
        self, model: keras.Model, params: FitParams, train: Examples, validation: Examples, job: Job, tuning: Tuning
    ) -> None:
        self.model = model
        self.params = params
        self.train = train
        self.validation = validation
        self.job = job
        self.order = Order(job.seed, job.phase, len(train), train.inputs.views, params.batch_size, train.shares)
        self.epochs = params.epochs_of(self.order.steps)
        self.journal = Journal(job.scratch_dir / "journal.jsonl")
        swa_first_epoch = tuning.swa_first_epoch(self.epochs)
        self.averaging = Averaging(tuning.ema_momentum, swa_first_epoch, self.order.steps)
        self.learning_rate = anneal_learning_rate(params, self.order.steps, held_from=swa_first_epoch)
        self.momentum = anneal_momentum(params, self.order.steps)
        self.rows: list[Row] = []
        self.step = 0  # done, over all epochs
        # The best epoch's variables, where early stopping wants them back.
        self.best: dict[str, np.ndarray] = {}
        # The running metrics of an epoch that was left in its middle, and what they amount to.
        self.metrics: dict[str, np.ndarray] = {}
        self.means: dict[str, float] = {}
        self.saved_at = time.monotonic()
        shapes = train.inputs.shape, train.labels.targets.shape[1:], ()
        self.loop = backend.loop(model, shapes)

    def begin(self) -> None:
        """Take up the last checkpoint, where there is one."""
        seed_generators(self.model, self.job.seed, self.job.phase)
        checkpoint = self.job.checkpoints.load()
        if checkpoint is not None:
            self._restore(checkpoint)
        if self.job.leads:
            self.journal.start(self.rows)

    def run(self) -> list[Row]:
        """Train to the end."""
        while len(self.rows) < self.epochs and not is_worse_for_long(self.rows, self.params):
            self._run_epoch()
        if self.rows:
            self.save()
            average(self.model)
        if self.best:
            write_state(self.model, self.best, ("model",))
        return self.rows

    def _run_epoch(self) -> None:
        epoch = len(self.rows)
        first = self.step - epoch * self.order.steps
        if first < self.order.steps:  # else it was left between its last step and its end
            batches = partial(train_batches, self.train, self.order, epoch, first, self.params.mixup)
            with self._plain_errors():
                self.loop.train(batches, self.order.steps - first, self)
        metrics = self._judge_epoch(epoch)
        _log.info("epoch %d of %d: %s", epoch + 1, self.epochs, _say(metrics))
        if self._is_due():
            self.save()

    def _judge_epoch(self, epoch: int) -> dict[str, float]:
        """Add the row of the epoch, with what the weights that would be kept now do; keep them where they are the best."""
        try:
            with averaged(self.model):
                metrics = self.means | self._validate() | {"learning_rate": self.learning_rate.at(self.step - 1)}
                self.rows.append(new_row(epoch + 1, self.step, metrics))
                if best_epoch(self.rows, self.params) == epoch:
                    self.best = _group(read_state(self.model), "model/")
        except Stopped:
            self.save()
            raise
        return metrics

    def _validate(self) -> dict[str, float]:
        if not len(self.validation):
            return {}
        batches = partial(plain_batches, self.validation, self.params.batch_size)
        count = -(-len(self.validation) // self.params.batch_size)
        with self._plain_errors():
            result = self.loop.evaluate(batches, count, self.job.stop.check)
        return {f"validation_{name}": value for name, value in result.items()}

    @contextmanager
    def _plain_errors(self) -> Iterator[None]:
        """Say what memory lacked."""
        try:
            yield
        except Exception as error:
            if isinstance(error, MemoryError) or backend.is_out_of_memory(error):
                raise _out_of_memory(self.params.batch_size) from error
            raise

    def begin_step(self) -> None:
        """Set what the schedules say for the next step."""
        moving = self.learning_rate, self.momentum, self.averaging
        set_step(self.model.optimizer, *(each.at(self.step) for each in moving))

    def end_step(self, logs: dict[str, Any]) -> None:
        """Count the step; stop at a loss that is not finite, or on request."""
        epoch, step = divmod(self.step, self.order.steps)
        self.means = {name: float(value) for name, value in logs.items()}
        if not math.isfinite(self.means["loss"]):
            raise self._not_finite(epoch, step)
        self.step += 1
        counts = {"done": self.step, "total": self.epochs * self.order.steps}
        _log.info("epoch %d of %d, step %d of %d", epoch + 1, self.epochs, step + 1, self.order.steps, extra=counts)
        if self._is_due():
            self.save()
        self.heed_stop()

    def heed_stop(self) -> None:
        """End here, with a checkpoint, if that was asked for."""
        if self.job.stop():
            self.save()
            self.job.stop.check()

    def begin_epoch(self) -> None:
        """Put back the running metrics of an epoch that was left in its middle."""
        if self.metrics:
            write_state(self.model, self.metrics, ("metrics",))
            self.metrics = {}

    def save(self) -> None:
        """Save a checkpoint, and then the journal's rows that are in it."""
        if not self.job.leads:
            return
        best = {f"best/{name}": array for name, array in self.best.items()}
        arrays = read_state(self.model) | best
        self.job.checkpoints.save(Checkpoint(self.step, arrays, {"rows": self.rows, "means": self.means}))
        self.journal.write(self.rows)
        self.saved_at = time.monotonic()

    def _restore(self, checkpoint: Checkpoint) -> None:
        write_state(self.model, checkpoint.arrays, ("model", "optimizer"))
        self.step = checkpoint.step
        self.rows, self.means = checkpoint.facts["rows"], checkpoint.facts["means"]
        self.best = _group(checkpoint.arrays, "best/", keep_prefix=False)
        if 0 < self.step - len(self.rows) * self.order.steps < self.order.steps:
            self.metrics = _group(checkpoint.arrays, "metrics/")
            # Keras makes the metrics' variables when it first uses them.
            with self._plain_errors():
                self.loop.evaluate(lambda: islice(plain_batches(self.train, 1), 1), 1, lambda: None)
        _log.info("going on from step %d, after %d epochs", self.step, len(self.rows))

    def _is_due(self) -> bool:
        return time.monotonic() - self.saved_at > CHECKPOINT_SECONDS

    def _not_finite(self, epoch: int, step: int) -> NotFinite:
        paths = step_paths(self.train, self.order, epoch, step)
        images, views = self.order.epoch(epoch)
        part = slice(step * self.params.batch_size, (step + 1) * self.params.batch_size)
        inputs = self.train.inputs.gather(images[part], views[part])
        if not np.isfinite(inputs).all():
            cause, cure = "what the frozen layers give for these images is not finite", "Look at these images."
        else:
            rate = self.learning_rate.at(self.step)
            cause = f"the inputs are finite, so the learning rate of {rate:.2g} is probably too high"
            cure = "Lower learning_rate, set clip_norm: 1, or precision: float32; `thaw lr-find` suggests a rate."
        names = ", ".join(paths[:8]) + (f" and {len(paths) - 8} more" if len(paths) > 8 else "")
        return NotFinite(
            f"the loss is not finite in epoch {epoch + 1}, step {step + 1} (images {names}): {cause}", cure
        )


def _group(arrays: dict[str, np.ndarray], prefix: str, keep_prefix: bool = True) -> dict[str, np.ndarray]:
    return {
        name if keep_prefix else name.removeprefix(prefix): array
        for name, array in arrays.items()
        if name.startswith(prefix)
    }


def _out_of_memory(batch_size: int) -> ThawError:
    smaller = max(1, batch_size // 2)
    return ThawError(
        f"out of memory with a batch of {batch_size} images",
        f"Try batch_size: {smaller}; `thaw doctor --tune` measures.",
    )


def _say(metrics: dict[str, float]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value:.4g}" for name, value in metrics.items())
