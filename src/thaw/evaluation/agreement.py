"""Whether the model that is judged and the engine that `thaw predict` runs it on give the same answers."""

from collections.abc import Callable
from typing import Any

import numpy as np

from thaw.decision import predict_labels, probabilities_of
from thaw.errors import ThawError

BOUND = 1e-3
"""Largest difference of a probability. Engines in float32 differ by the order of their sums, some 1e-6; one in bfloat16
differed by 0.086."""

Run = Callable[[np.ndarray], np.ndarray]


class Comparison:
    """A network that is run on images; the engine is run beside it, and how far the two are apart is kept.

    Args:
        network, engine: from uint8 `(n, height, width, channels)` to logits `(n, 1)` or `(n, classes)`.
        threshold: of two classes.
    """

    def __init__(self, network: Run, engine: Run, threshold: float) -> None:
        self._network, self._engine, self._threshold = network, engine, threshold
        self._difference = 0.0
        self._verdicts = 0

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        """The network's logits."""
        logits = self._network(pixels)
        pair = [probabilities_of(each) for each in (logits, self._engine(pixels))]
        labels = [predict_labels(each, self._threshold) for each in pair]
        self._difference = float(np.maximum(self._difference, np.abs(pair[0] - pair[1]).max()))
        self._verdicts += int((labels[0] != labels[1]).sum())
        return logits

    def report(self) -> dict[str, Any]:
        """The largest difference of a probability so far, its bound, and how many images got another class.

        Raises:
            ThawError: the difference is over `BOUND`.
        """
        if not self._difference <= BOUND:
            raise ThawError(
                f"evaluate: the engine's probabilities differ from the model's by up to {self._difference:.2g}, over the bound "
                f"of {BOUND:g}: `thaw predict` would not give what is judged",
                "Set extract.engine: tensorflow.",
            )
        return {
            "largest_difference": float(f"{self._difference:.1g}"),
            "bound": BOUND,
            "other_verdicts": self._verdicts,
        }
