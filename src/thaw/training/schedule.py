"""Annealing: how the learning rate and the momentum move from start to stop."""

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

    def at(self, step: int) -> float:
        """The value in step `step`, the first being 0; the last of `total_steps` is nearly `stop`."""
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


def anneal_learning_rate(params: FitParams, steps_per_epoch: int) -> Annealing:
    """The learning rate of every step of a `fit`."""
    return Annealing(
        params.learning_rate,
        params.final_learning_rate,
        params.schedule,
        round(params.warmup_epochs * steps_per_epoch),
        params.epochs_of(steps_per_epoch) * steps_per_epoch,
    )


def anneal_momentum(params: FitParams, steps_per_epoch: int) -> Annealing:
    """The momentum of every step: linear from start to stop, whatever the learning rate does."""
    return Annealing(params.momentum, params.final_momentum, "linear", 0, params.epochs_of(steps_per_epoch) * steps_per_epoch)
