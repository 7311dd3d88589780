"""The training of heads."""

import logging
import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from thaw.cross_validation.heads.head import Head, TrainedHead, apply_first, apply_next, forward
from thaw.cross_validation.heads.losses import disagree, loss_and_gradient
from thaw.cross_validation.heads.updates import Optimizer
from thaw.devices import available_cpus
from thaw.errors import NotFinite, ThawError
from thaw.training.inputs import Inputs
from thaw.training.order import Order
from thaw.training.schedule import anneal_learning_rate, anneal_momentum

_log = logging.getLogger("thaw.training")
_PHASE = 0
"""As of `train_frozen`: the same seed, the same order."""
_OWN = frozenset(
    {"learning_rate", "final_learning_rate", "weight_decay", "clip_norm", "label_smoothing", "early_stopping_patience",
     "labels", "class_weights", "precision", "devices"}
)  # fmt: skip
"""Of the params what heads of a batch may differ in, or what is in their targets and weights, or says where Keras computes."""
_WATCHED_IMAGES = 1024


def train_heads(inputs: Inputs, heads: Sequence[Head], heed_stop: Callable[[], None] = lambda: None) -> list[TrainedHead]:
    """Train heads on the features of frozen layers, as `train_frozen` trains one.

    Heads that see the same inputs are one batch: they have the params that shape a training, the seed and the dropout in
    common, and with mixup the images, and differ in images, labels, weights, learning rate, weight decay, clipping, label
    smoothing and patience. A step's images are the same for all of them, and so many more than `batch_size` that about
    `batch_size` are each head's own, whose mean is its loss. What a head becomes depends on the heads of its own batch by no
    more than the rounding of sums, and on others not at all.

    Args:
        inputs: float features `(images, views, ...)`.
        heads: with arrays over all of its images.
        heed_stop: called between steps; what it raises ends the training.

    Returns:
        A trained head for each, in their order.

    Raises:
        NotFinite: a loss is not.
        ThawError: early stopping has nothing to watch.
    """
    batches: dict[tuple[object, ...], list[int]] = {}
    for number, head in enumerate(heads):
        batches.setdefault(_common(head), []).append(number)
    trained: dict[int, TrainedHead] = {}
    with ThreadPoolExecutor(available_cpus(), "heads") as pool:
        for done, numbers in enumerate(batches.values()):
            batch = _Batch(inputs, [heads[number] for number in numbers])
            trained |= zip(numbers, _Training(batch, pool, heed_stop).run(done, len(batches)), strict=True)
    return [trained[number] for number in range(len(heads))]


def _common(head: Head) -> tuple[object, ...]:
    """What heads of one batch have in common."""
    params = head.params.model_dump(exclude=set(_OWN))
    stops = head.params.early_stopping_patience > 0
    if stops and (head.watched is None or not head.watched.any()):
        raise ThawError("early_stopping_patience needs images to watch", "Set it to 0.")
    images = head.trains.tobytes() if head.params.mixup else b""
    return (*params.items(), stops, head.seed, head.dropout, head.hidden_units, head.targets.shape, images)


@dataclass(frozen=True)
class _Batch:
    """Heads that see the same inputs, and what they see in each step."""

    inputs: Inputs
    heads: Sequence[Head]

    @cached_property
    def order(self) -> Order:
        """Of the images of all heads."""
        params, count = self.heads[0].params, self.inputs.count
        own = float(self._trains.sum(axis=1).mean())
        size = round(params.batch_size * count / max(own, 1.0))
        return Order(self.heads[0].seed, _PHASE, count, self.inputs.views, min(max(size, 1), count))

    @cached_property
    def _trains(self) -> np.ndarray:
        return np.stack([head.trains for head in self.heads])

    @cached_property
    def _weights(self) -> np.ndarray:
        return np.stack([head.weights for head in self.heads]) * self._trains

    @cached_property
    def targets(self) -> np.ndarray:
        """`(1, images, outputs)` where all heads have the same, else `(heads, images, outputs)`."""
        different = {id(head.targets): head.targets for head in self.heads}
        return np.stack([head.targets for head in self.heads] if len(different) > 1 else list(different.values()))

    def steps(self, epoch: int) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Features `(n, width)`, targets `(n, heads or 1, outputs)` and weights `(n, heads)`, which hold the means' 1/n."""
        images, views = self.order.epoch(epoch)
        for step in range(self.order.steps):
            part = slice(step * self.order.batch_size, (step + 1) * self.order.batch_size)
            rows = self.inputs.gather(images[part], views[part])
            features = rows.astype(np.float32).reshape(len(rows), -1)
            own = self._trains[:, images[part]].T
            weights = self._weights[:, images[part]].T / np.maximum(own.sum(axis=0), 1).astype(np.float32)
            targets = self.targets[:, images[part]].transpose(1, 0, 2)
            if self.heads[0].params.mixup:
                features, targets, weights = self._mix(features, targets, weights, own[:, 0], epoch, step)
            yield features, targets, weights

    def _mix(
        self, features: np.ndarray, targets: np.ndarray, weights: np.ndarray, own: np.ndarray, epoch: int, step: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """As `thaw.training.batches` mixes examples, among the images that the heads train on."""
        rng, alpha = self.order.rng("mixup", epoch, step), self.heads[0].params.mixup
        share, partner = np.float32(rng.beta(alpha, alpha)), np.arange(len(features))
        partner[own] = rng.permutation(partner[own])
        first, second = share * weights, (1 - share) * weights[partner]
        mixed = first + second
        part = np.divide(first, mixed, out=np.full_like(mixed, share), where=mixed > 0)[..., None]
        return (
            share * features + (1 - share) * features[partner],
            part * targets + (1 - part) * targets[partner],
            mixed,
        )


class _Training:
    def __init__(self, batch: _Batch, pool: Executor, heed_stop: Callable[[], None]) -> None:
        heads, params = batch.heads, batch.heads[0].params
        self.batch = batch
        self.heed_stop = heed_stop
        self.layers = _first_weights(batch)
        self.epochs = params.epochs_of(batch.order.steps)
        self.smoothing = np.array([head.params.label_smoothing for head in heads], np.float32)
        self.rates = np.array([anneal_learning_rate(head.params, batch.order.steps).values() for head in heads], np.float32)
        self.momentum = anneal_momentum(params, batch.order.steps)
        self.optimizer = Optimizer([head.params for head in heads], [array for layer in self.layers for array in layer], pool)
        self.best = _Best(np.array([head.params.early_stopping_patience for head in heads]), self.layers)
        self.step = 0  # done, over all epochs

    def run(self, done: int, total: int) -> list[TrainedHead]:
        """Train to the end; `done` of `total` batches of heads were trained before."""
        stops = self.batch.heads[0].params.early_stopping_patience > 0
        for epoch in range(self.epochs):
            for features, targets, weights in self.batch.steps(epoch):
                self.heed_stop()
                self._take_step(features, targets, weights)
            counts = {"done": done * self.epochs + epoch + 1, "total": total * self.epochs}
            _log.info("heads: epoch %d of %d", epoch + 1, self.epochs, extra=counts)
            if stops and not self._watch(epoch):
                break
        layers, kept = (self.best.layers, self.best.epochs) if stops else (self.layers, None)
        return [
            TrainedHead(
                tuple((kernel[number], bias[number]) for kernel, bias in layers),
                self.epochs if kept is None else int(kept[number]),
            )
            for number in range(len(self.batch.heads))
        ]

    def _take_step(self, features: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> None:
        kind = self.batch.heads[0].params.loss
        if len(self.layers) == 1:
            features = self._drop(features)
            logits = apply_first(*self.layers[0], features)
            losses, slopes = loss_and_gradient(kind, logits, targets, self.smoothing)
            gradients = _gradients_of_first(features, slopes * weights[..., None])
        else:
            hidden = apply_first(*self.layers[0], features)
            active = hidden > 0
            dropped = self._drop(np.where(active, hidden, np.float32(0)), like=(len(features), 1, hidden.shape[-1]))
            losses, slopes = loss_and_gradient(kind, apply_next(*self.layers[1], dropped), targets, self.smoothing)
            slopes = (slopes * weights[..., None]).transpose(1, 0, 2)
            last = [np.matmul(slopes.transpose(0, 2, 1), dropped.transpose(1, 0, 2)), slopes.sum(axis=1)]
            back = np.matmul(slopes, self.layers[1][0]).transpose(1, 0, 2)
            back = self._drop(back, like=(len(features), 1, hidden.shape[-1])) * active
            gradients = [*_gradients_of_first(features, back), *last]
        self._require_finite((losses * weights).sum(axis=0))
        self.optimizer.step(gradients, self.rates[:, self.step], self.momentum.at(self.step))
        self.step += 1

    def _drop(self, values: np.ndarray, like: tuple[int, ...] | None = None) -> np.ndarray:
        """Dropout (Srivastava et al. 2014, JMLR 15), the same for all heads; drawn again in one step it is the same."""
        rate = round(self.batch.heads[0].dropout * 2**16)
        if not rate:
            return values
        rng = self.batch.order.rng("dropout", self.step)
        shape = like or values.shape
        kept = np.frombuffer(rng.bytes(2 * math.prod(shape)), np.uint16).reshape(shape) >= rate
        return values * (kept * np.float32(1 / (1 - self.batch.heads[0].dropout)))

    def _watch(self, epoch: int) -> bool:
        """Keep what the heads are, where they were never better; whether any may still become so."""
        heads = self.batch.heads
        losses, seen = np.zeros(len(heads)), np.zeros(len(heads))
        watched = np.stack([head.watched for head in heads if head.watched is not None])
        weights = np.stack([head.weights for head in heads])
        images = np.flatnonzero(watched.any(axis=0))
        for start in range(0, len(images), _WATCHED_IMAGES):
            part = images[start : start + _WATCHED_IMAGES]
            rows = self.batch.inputs.gather(part, np.zeros_like(part)).astype(np.float32).reshape(len(part), -1)
            logits, targets = forward(self.layers, rows)[-1], self.batch.targets[:, part].transpose(1, 0, 2)
            if heads[0].params.early_stopping_monitor == "accuracy":
                losses += np.einsum("nh,hn->h", disagree(logits, targets), watched[:, part])
            else:
                found, _ = loss_and_gradient(heads[0].params.loss, logits, targets, self.smoothing)
                losses += np.einsum("nh,hn->h", found, weights[:, part] * watched[:, part])
            seen += watched[:, part].sum(axis=1)
        return self.best.keep(losses / seen, self.layers, epoch + 1)

    def _require_finite(self, losses: np.ndarray) -> None:
        if not np.isfinite(losses).all():
            rate = self.rates[int(np.argmin(np.isfinite(losses))), self.step]
            raise NotFinite(
                f"the loss of a head is not finite in step {self.step + 1}, at a learning rate of {rate:.2g}",
                "Lower train_frozen.learning_rate, or set train_frozen.clip_norm: 1.",
            )


class _Best:
    """The weights of each head after the epoch with the lowest watched loss, or share of errors."""

    def __init__(self, patience: np.ndarray, layers: Sequence[tuple[np.ndarray, ...]]) -> None:
        self.patience = patience
        self.losses = np.full(len(patience), np.inf)
        self.epochs = np.zeros(len(patience), np.int64)
        self.layers = [tuple(array.copy() for array in layer) for layer in layers]

    def keep(self, losses: np.ndarray, layers: Sequence[tuple[np.ndarray, ...]], epoch: int) -> bool:
        """Take over the heads that are better than before and were not worse for too long; whether any may become better."""
        better = (losses < self.losses) & (epoch - 1 - self.epochs < self.patience)
        self.losses[better], self.epochs[better] = losses[better], epoch
        for kept, layer in zip(self.layers, layers, strict=True):
            for best, array in zip(kept, layer, strict=True):
                best[better] = array[better]
        return bool((epoch - self.epochs < self.patience).any())


def _first_weights(batch: _Batch) -> list[tuple[np.ndarray, np.ndarray]]:
    """Glorot and Bengio's (2010) uniform kernels, biases of 0: the heads of a batch begin alike."""
    first, heads = batch.heads[0], len(batch.heads)
    widths = [int(np.prod(batch.inputs.shape)), *([first.hidden_units] if first.hidden_units else []), first.targets.shape[1]]
    rng = batch.order.rng("kernels")
    layers = []
    for inputs, outputs in pairwise(widths):
        limit = np.sqrt(6 / (inputs + outputs))
        kernel = rng.uniform(-limit, limit, (outputs, inputs)).astype(np.float32)
        layers.append((np.repeat(kernel[None], heads, axis=0), np.zeros((heads, outputs), np.float32)))
    return layers


def _gradients_of_first(features: np.ndarray, slopes: np.ndarray) -> list[np.ndarray]:
    """Of kernel and bias `(heads, units, width)`, `(heads, units)`, from slopes `(images, heads, units)`."""
    count, heads, units = slopes.shape
    kernel = slopes.reshape(count, heads * units).T @ features
    return [kernel.reshape(heads, units, -1), slopes.sum(axis=0)]
