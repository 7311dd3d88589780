"""Which image, in which view, at which step: a function of seed and epoch alone, so that resuming is exact."""

from dataclasses import dataclass

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

    @property
    def steps(self) -> int:
        """Steps of an epoch."""
        return -(-self.images // self.batch_size)

    def epoch(self, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """Images `(images,)` in the order of training, and the view of each."""
        images = self.rng("order", epoch).permutation(self.images)
        if self.views == 0:
            return images, np.full(self.images, epoch, dtype=np.int64)
        turn, place = divmod(epoch, self.views)
        ranks = self.rng("views", turn).random((self.images, self.views)).argsort(axis=1)
        return images, ranks[images, place]

    def rng(self, purpose: str, *numbers: int) -> np.random.Generator:
        """A generator of its own for a purpose and a place in training."""
        return np.random.default_rng([self.seed, self.phase, *purpose.encode(), *numbers])
