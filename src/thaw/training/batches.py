"""Batches: what one step of training sees."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from thaw.training.inputs import Inputs
from thaw.training.labels import Labels
from thaw.training.order import Order

Batch = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Inputs float32 `(n, ...)`, targets float32 `(n, outputs)`, weights float32 `(n,)` with the mean's 1/n in them."""


@dataclass(frozen=True)
class Examples:
    """Inputs with their labels."""

    inputs: Inputs
    labels: Labels
    transform: Callable[[Batch, np.random.Generator], Batch] | None = None
    """What is done to each batch of training: where a view has other targets than its image."""
    shares: np.ndarray | None = None
    """How often training shows each image, as `Order` has it."""

    def __len__(self) -> int:
        return len(self.labels)


def train_batches(
    examples: Examples, order: Order, epoch: int, first_step: int = 0, mixup: float = 0.0
) -> Iterator[Batch]:
    """The batches of an epoch, from `first_step` on.

    Args:
        mixup: alpha of the Beta distribution that pairs of examples are mixed by (Zhang et al. 2018, arXiv
            1710.09412); on activations this is manifold mixup (Verma et al. 2019, arXiv 1806.05236). 0: none.
    """
    images, views = order.epoch(epoch)
    for step in range(first_step, order.steps):
        part = slice(step * order.batch_size, (step + 1) * order.batch_size)
        batch = _gather(examples, images[part], views[part])
        if examples.transform:
            batch = examples.transform(batch, order.rng("transform", epoch, step))
        yield _mix(batch, mixup, order.rng("mixup", epoch, step)) if mixup else batch


def plain_batches(examples: Examples, batch_size: int) -> Iterator[Batch]:
    """Every image in its first view, in order."""
    for start in range(0, len(examples), batch_size):
        images = np.arange(start, min(start + batch_size, len(examples)))
        yield _gather(examples, images, np.zeros_like(images))


def step_paths(examples: Examples, order: Order, epoch: int, step: int) -> list[str]:
    """The files of one training step."""
    images, _ = order.epoch(epoch)
    part = images[step * order.batch_size : (step + 1) * order.batch_size]
    return [examples.labels.paths[image] for image in part]


def _gather(examples: Examples, images: np.ndarray, views: np.ndarray) -> Batch:
    inputs = examples.inputs.gather(images, views).astype(np.float32)
    labels = examples.labels
    return inputs, labels.targets[images], labels.weights[images] / np.float32(len(images))


def _mix(batch: Batch, alpha: float, rng: np.random.Generator) -> Batch:
    """Mix each example with another."""
    inputs, targets, weights = batch
    share = np.float32(rng.beta(alpha, alpha))
    partner = rng.permutation(len(inputs))
    return share * inputs + (1 - share) * inputs[partner], *_mix_targets(targets, weights, partner, share)


def cut_mix(batch: Batch, rng: np.random.Generator, alpha: float) -> Batch:
    """Paste a rectangle of another example into each, and mix the target by its share (Yun et al. 2019, arXiv 1905.04899).

    Targets are mixed by their examples' weights, as in mixup. Of activations the rectangle is of their places.

    Args:
        batch: inputs `(n, height, width, channels)`.
        alpha: of the Beta distribution that the share is drawn from.
    """
    inputs, targets, weights = batch
    height, width = inputs.shape[1:3]
    side = np.sqrt(1 - rng.beta(alpha, alpha))
    middle = rng.integers(0, height), rng.integers(0, width)
    (top, bottom), (left, right) = (
        np.clip(np.rint([at - side * size / 2, at + side * size / 2]), 0, size).astype(int)
        for at, size in zip(middle, (height, width), strict=True)
    )
    partner = rng.permutation(len(inputs))
    pasted = inputs.copy()
    pasted[:, top:bottom, left:right] = inputs[partner, top:bottom, left:right]
    share = np.float32(1 - (bottom - top) * (right - left) / (height * width))
    return pasted, *_mix_targets(targets, weights, partner, share)


def _mix_targets(
    targets: np.ndarray, weights: np.ndarray, partner: np.ndarray, share: np.float32
) -> tuple[np.ndarray, np.ndarray]:
    """A target counts by its example's weight: the cross-entropy of a mixed example is the mixture of both weighted
    cross-entropies, and every class keeps its share of the batch."""
    first, second = share * weights, (1 - share) * weights[partner]
    mixed = first + second
    part = np.divide(first, mixed, out=np.full_like(mixed, share), where=mixed > 0)[:, None]
    return part * targets + (1 - part) * targets[partner], mixed
