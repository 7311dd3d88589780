"""The images of several arrays as those of one."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from thaw.training.inputs import Inputs


@dataclass(frozen=True)
class Joined:
    """Images of `parts` in turn. One with fewer views than the first part is seen in each of its own as often."""

    parts: Sequence[Inputs]
    """Of one shape; the first has the most views."""

    @property
    def count(self) -> int:
        return sum(part.count for part in self.parts)

    @property
    def views(self) -> int:
        return self.parts[0].views

    @property
    def shape(self) -> tuple[int, ...]:
        return self.parts[0].shape

    @cached_property
    def _starts(self) -> np.ndarray:
        return np.cumsum([0, *(part.count for part in self.parts)])

    def gather(self, images: np.ndarray, views: np.ndarray) -> np.ndarray:
        """`(n, *shape)`: view `views[i]` of image `images[i]`."""
        part_of = np.searchsorted(self._starts, images, side="right") - 1
        rows: np.ndarray | None = None
        for number in np.unique(part_of):
            part, here = self.parts[number], part_of == number
            found = part.gather(images[here] - self._starts[number], views[here] % part.views)
            if rows is None:
                rows = np.empty((len(images), *self.shape), found.dtype)
            rows[here] = found
        return np.empty((0, *self.shape), np.float32) if rows is None else rows
