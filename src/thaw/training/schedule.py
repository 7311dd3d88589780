"""How the learning rate and the momenta move, step by step."""

import math
from dataclasses import dataclass

from thaw.params import FitParams


@dataclass(frozen=True)
class Annealing:
    """A quantity that goes from `start` to `stop` after a linear rise from 0 over the warm-up."""

    start: float
    stop: float
    kind: str
    """constant, cosine or linear."""
    warmup_steps: int
    total_steps: int
    held_from: int | None = None
    """The step whose value all later ones have; None: it goes on to `stop`."""

    def at(self, step: int) -> float:
        """The value in step `step`, the first being 0; the last of `total_steps` is nearly `stop`."""
        if self.held_from is not None:
            step = min(step, self.held_from)
        if step < self.warmup_steps:
            return self.start * (step + 1) / (self.warmup_steps + 1)
        if self.kind == "constant":
            return self.start
        done = min(1.0, (step - self.warmup_steps) / max(1, self.total_steps - self.warmup_steps))
        share = 0.5 * (1 + math.cos(math.pi * done)) if self.kind == "cosine" else 1 - done
        return self.stop + (self.start - self.stop) * share

    def values(self) -> list[float]:
        """The value in each step."""
        return [self.at(step) for step in range(self.total_steps)]


@dataclass(frozen=True)
class Averaging:
    """How much of itself the average of the weights keeps in each step; the rest is the weights after that step.

    An exponential moving average keeps the same share always. Stochastic weight averaging (Izmailov et al. 2018,
    arXiv 1803.05407, algorithm 1) takes the mean of the weights at the ends of the epochs from one on.
    """

    ema_momentum: float
    """Of the exponential moving average; 0: none."""
    swa_first_epoch: int | None
    """The first epoch, counted from 0, whose weights go into the mean; None: no such mean."""
    steps_per_epoch: int

    def at(self, step: int) -> float:
        """The share in step `step`, the first being 0."""
        if self.swa_first_epoch is None:
            return self.ema_momentum if step else 0.0
        epoch, within = divmod(step, self.steps_per_epoch)
        taken = epoch - self.swa_first_epoch
        if taken <= 0:
            return 0.0
        return taken / (taken + 1) if within == self.steps_per_epoch - 1 else 1.0


def anneal_learning_rate(params: FitParams, steps_per_epoch: int, held_from: int | None = None) -> Annealing:
    """The learning rate of every step of a `fit`; from the epoch `held_from` on, counted from 0, it stays as it is."""
    return Annealing(
        params.learning_rate,
        params.final_learning_rate,
        params.schedule,
        round(params.warmup_epochs * steps_per_epoch),
        params.epochs_of(steps_per_epoch) * steps_per_epoch,
        None if held_from is None else held_from * steps_per_epoch,
    )


def anneal_momentum(params: FitParams, steps_per_epoch: int) -> Annealing:
    """The momentum of every step: linear from start to stop, whatever the learning rate does."""
    return Annealing(params.momentum, params.final_momentum, "linear", 0, params.epochs_of(steps_per_epoch) * steps_per_epoch)
