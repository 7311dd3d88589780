"""Whether the model that is judged and the engine that `thaw predict` runs it on give the same answers."""

from typing import Any

import numpy as np

from thaw.decision import predict_labels
from thaw.errors import ThawError

BOUND = 1e-3
"""Largest difference of a probability. Engines in float32 differ by the order of their sums, some 1e-6; one in bfloat16
differed by 0.086."""


def compare(network: np.ndarray, engine: np.ndarray, threshold: float) -> dict[str, Any]:
    """The largest difference of a probability, its bound, on how many images, and how many of them got another class.

    Args:
        network, engine: what each gives, float64 `(images, classes)`.
        threshold: of two classes.

    Raises:
        ThawError: the difference is over `BOUND`.
    """
    difference = float(np.abs(network - engine).max())
    if not difference <= BOUND:
        raise ThawError(
            f"evaluate: the engine's probabilities differ from the model's by up to {difference:.2g}, over the bound "
            f"of {BOUND:g}: `thaw predict` would not give what is judged",
            "Set extract.engine: tensorflow.",
        )
    labels = [predict_labels(each, threshold) for each in (network, engine)]
    return {
        "largest_difference": float(f"{difference:.1g}"),
        "bound": BOUND,
        "images": len(network),
        "other_verdicts": int((labels[0] != labels[1]).sum()),
    }
