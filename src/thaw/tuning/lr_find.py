"""The learning-rate range test: the rate rises from step to step, and the loss says how far one may go.

Smith 2017, arXiv 1506.01186. The suggestion is where the smoothed loss falls most steeply over the logarithm of the
rate, and no more than a tenth of the rate at which it is lowest.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from thaw.errors import ThawError
from thaw.files import replacing
from thaw.params import FitParams
from thaw.training.batches import Examples, train_batches
from thaw.training.compiling import compile_for_training
from thaw.training.devices import computing_in
from thaw.training.optimizers import PLAIN, Tuning, set_step
from thaw.training.order import Order

_SMOOTHING = 0.9
_DIVERGED = 4.0


@dataclass(frozen=True)
class RangeTest:
    """What the test measured, a value a step, and the learning rate it suggests."""

    rates: list[float]
    losses: list[float]
    """Smoothed."""
    suggestion: float


def find_learning_rate(
    model: keras.Model,
    params: FitParams,
    train: Examples,
    seed: int,
    lowest: float = 1e-6,
    highest: float = 1.0,
    steps: int = 100,
    tuning: Tuning = PLAIN,
) -> RangeTest:
    """Train `model` for `steps` steps at rates from `lowest` to `highest`, or until the loss is four times its best.

    The weights of `model` are changed.

    Args:
        tuning: as `fit` takes it.

    Raises:
        ThawError: the loss never fell.
    """
    order = Order(seed, 0, len(train), train.inputs.views, params.batch_size, train.shares)
    rates: list[float] = []
    losses: list[float] = []
    mean = 0.0
    with computing_in(params, model):
        compile_for_training(model, params, tuning)
        for step in range(steps):
            epoch, place = divmod(step, order.steps)
            rate = lowest * (highest / lowest) ** (step / (steps - 1))
            set_step(model.optimizer, rate, params.momentum)
            inputs, targets, weights = next(train_batches(train, order, epoch, place, params.mixup))
            loss = float(model.train_on_batch(inputs, targets, sample_weight=weights, return_dict=True)["loss"])
            model.reset_metrics()
            mean = _SMOOTHING * mean + (1 - _SMOOTHING) * loss
            smooth = mean / (1 - _SMOOTHING ** (step + 1))
            if not math.isfinite(smooth) or (losses and smooth > _DIVERGED * min(losses)):
                break
            rates.append(rate)
            losses.append(smooth)
    return RangeTest(rates, losses, suggest(rates, losses))


def suggest(rates: list[float], losses: list[float]) -> float:
    """The rate of the steepest fall of `losses`, at most a tenth of that of the lowest loss.

    Raises:
        ThawError: the losses never fall.
    """
    if len(losses) < 3 or min(losses) >= losses[0]:
        raise ThawError("the loss never fell at any learning rate", "Look at the labels, or try more steps.")
    lowest = int(np.argmin(losses))
    slope = np.gradient(losses[: lowest + 1], np.log(rates[: lowest + 1]))
    return float(min(rates[int(np.argmin(slope))], rates[lowest] / 10))


def draw(test: RangeTest, path: Path) -> None:
    """Draw loss over rate as PNG, with the suggestion."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot()
    axes.plot(test.rates, test.losses)
    axes.axvline(test.suggestion, color="tab:red", linestyle="--", label=f"suggestion {test.suggestion:.2g}")
    axes.set(xscale="log", xlabel="learning rate", ylabel="loss, smoothed", title="Learning-rate range test")
    axes.legend()
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=120)
