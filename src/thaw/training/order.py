"""Which image, in which view, at which step: a function of seed and epoch alone, so that resuming is exact."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np


@dataclass(frozen=True)
class Order:
    """The order of training. An epoch shows every image once, in one view, and the views take turns."""

    seed: int
    phase: int
    """Tells the phases of one pipeline run apart."""
    images: int
    views: int
    """0: view `epoch` in epoch `epoch`."""
    batch_size: int
    shares: np.ndarray | None = field(default=None, compare=False)
    """Of each image in what an epoch shows, float64 `(images,)`, 1 in sum; none: every image once."""

    @property
    def steps(self) -> int:
        """Steps of an epoch."""
        return -(-self.images // self.batch_size)

    def epoch(self, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """Images `(images,)` in the order of training, and the view of each."""
        rng = self.rng("order", epoch)
        images = rng.permutation(self.images)
        if self.shares is not None:
            images = rng.permutation(self._drawn(images, rng.random()))
        again = _occurrence(images)  # an image that is shown again is so in its next view
        if self.views == 0:
            return images, epoch * self._most + again
        turn, place = divmod(epoch * self._most, self.views)
        ranks = self.rng("views", turn).random((self.images, self.views)).argsort(axis=1)
        return images, ranks[images, (place + again) % self.views]

    def rng(self, purpose: str, *numbers: int) -> np.random.Generator:
        """A generator of its own for a purpose and a place in training."""
        return np.random.default_rng([self.seed, self.phase, *purpose.encode(), *numbers])

    @cached_property
    def _most(self) -> int:
        """How often an epoch may show an image."""
        return 1 if self.shares is None else max(1, int(np.ceil(self.images * self.shares.max())))

    def _drawn(self, images: np.ndarray, start: float) -> np.ndarray:
        """As many of `images` as there are, each as often as its share says, rounded up or down: systematic sampling (Madow
        and Madow 1944, Annals of Mathematical Statistics 15)."""
        assert self.shares is not None
        images = images[np.argsort(self.shares[images], kind="stable")]  # those of a class together: it is rounded as a whole
        places = (np.arange(self.images) + start) / self.images
        found = np.searchsorted(np.cumsum(self.shares[images]), places, side="right")
        return images[np.minimum(found, self.images - 1)]


def _occurrence(images: np.ndarray) -> np.ndarray:
    """How often each entry has stood before it."""
    order = np.argsort(images, kind="stable")
    ordered = images[order]
    first = np.searchsorted(ordered, ordered)
    again = np.empty_like(images)
    again[order] = np.arange(len(images)) - first
    return again
