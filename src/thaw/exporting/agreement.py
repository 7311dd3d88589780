"""An exported model held against Keras's network: the same images, logit by logit, and both against the clock."""

import time
from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Any

import numpy as np

from thaw.decision import predict_labels
from thaw.errors import ThawError

Run = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
"""From uint8 `(n, height, width, channels)` to logits `(n, outputs)` and probabilities `(n, classes)`."""
BOUND = 1e-3
"""Largest difference of a probability in float32, as `evaluate` has it of the engine that `thaw predict` uses."""
INT8_LOSS = 0.005
"""The accuracy that whole numbers may lose before it is told as a fault: half a point."""
_ROUNDS = 5
_TIMED_BATCHES = 2


class Record:
    """What a model gave for images that came in batches."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._logits: list[np.ndarray] = []
        self._probabilities: list[np.ndarray] = []

    def add(self, pixels: np.ndarray) -> None:
        """Run the model over a batch more."""
        logits, probabilities = self._run(pixels)
        self._logits.append(logits)
        self._probabilities.append(probabilities)

    @property
    def logits(self) -> np.ndarray:
        """float64 `(images, outputs)`."""
        return np.concatenate(self._logits).astype(np.float64)

    @property
    def probabilities(self) -> np.ndarray:
        """float64 `(images, classes)`."""
        return np.concatenate(self._probabilities).astype(np.float64)


def compare(keras: Record, exported: Record, labels: np.ndarray, threshold: float) -> dict[str, Any]:
    """How far an export is from Keras's network.

    Args:
        labels: of the images, int `(images,)`.
        threshold: of two classes.

    Returns:
        `largest_logit_difference`, `largest_probability_difference`, `other_verdicts` (images with another class) and
        `accuracy`.
    """
    verdicts = [predict_labels(record.probabilities, threshold) for record in (keras, exported)]
    return {
        "largest_logit_difference": _largest(keras.logits, exported.logits),
        "largest_probability_difference": _largest(keras.probabilities, exported.probabilities),
        "other_verdicts": int((verdicts[0] != verdicts[1]).sum()),
        "accuracy": float((verdicts[1] == labels).mean()),
    }


def _largest(one: np.ndarray, other: np.ndarray) -> float:
    difference = float(np.abs(one - other).max())
    return difference if np.isfinite(difference) else float("inf")


def check(row: Mapping[str, Any], name: str) -> None:
    """Refuse an export in float32 that does not say what Keras's network says.

    A verdict may differ where the probabilities differ by no more than the bound, that is of an image on the very threshold.

    Raises:
        ThawError: a probability differs by more than `BOUND`.
    """
    difference = row["largest_probability_difference"]
    if not difference <= BOUND:
        raise ThawError(
            f"{name}: its probabilities differ from Keras's by up to {difference:.2g}, over the bound of {BOUND:g}, and "
            f"{row['other_verdicts']} verdicts; nothing was written",
            "Choose another --format, and report the network's name.",
        )


def measure(runs: Mapping[str, Run], batches: Sequence[np.ndarray]) -> dict[str, float]:
    """Images a second of each model: the median of rounds in which all take turns, so that what else the machine does hits all.

    Args:
        batches: uint8, of equal size; a few are enough.
    """
    timed = list(batches[:_TIMED_BATCHES])
    images = sum(map(len, timed))
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for run in runs.values():
        run(timed[0])
    for _ in range(_ROUNDS):
        for name, run in runs.items():
            start = time.perf_counter()
            for batch in timed:
                run(batch)
            seconds[name].append(time.perf_counter() - start)
    return {name: images / median(values) for name, values in seconds.items()}
