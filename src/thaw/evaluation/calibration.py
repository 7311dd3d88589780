"""Whether the probabilities hold what they say, before and after the temperature: for `metrics.json` and the diagram."""

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from thaw.evaluation.metrics import LOWEST_PROBABILITY
from thaw.evaluation.predictions import Predictions
from thaw.statistics.calibration import (
    Reliability,
    brier_score,
    calibration_interval,
    reliability,
    smooth_calibration_error,
    top_label,
)
from thaw.statistics.temperature import temper

_DIGITS = 6


class Diagram(NamedTuple):
    """The smooth reliability diagram."""

    about: str
    """What the probability is of."""
    after: Reliability
    before: Reliability | None
    """None where no temperature was fitted."""


def diagram(predictions: Predictions, temperature: float) -> Diagram:
    """What the diagram shows of a model that was calibrated with `temperature`."""
    after = reliability(*top_label(predictions.probabilities, predictions.labels))
    plain = uncalibrated(predictions, temperature)
    before = None if temperature == 1 else reliability(*top_label(plain.probabilities, predictions.labels))
    return Diagram(_about(predictions), after, before)


def uncalibrated(predictions: Predictions, temperature: float) -> Predictions:
    """The predictions as the network had them before its logits were divided by `temperature`."""
    return replace(predictions, probabilities=temper(predictions.probabilities, 1 / temperature))


def report_calibration(
    predictions: Predictions, temperature: float, bootstrap_samples: int, coverage: float, seed: int
) -> dict[str, Any]:
    """What `metrics.json` holds under `calibration`: log loss, Brier score and smooth calibration error with its interval.

    Args:
        predictions: of the calibrated model.
        temperature: that it was calibrated with; 1: before and after are the same.
        bootstrap_samples, coverage, seed: of the interval, as `report_metrics` has them.
    """
    after = _measure(predictions, bootstrap_samples, coverage, seed)
    plain = uncalibrated(predictions, temperature)
    before = after if temperature == 1 else _measure(plain, bootstrap_samples, coverage, seed)
    return {"temperature": temperature, "probability_of": _about(predictions), "before": before, "after": after}


def _about(predictions: Predictions) -> str:
    return predictions.classes[1] if len(predictions.classes) == 2 else "the likeliest class"


def _measure(predictions: Predictions, samples: int, coverage: float, seed: int) -> dict[str, Any]:
    judged = top_label(predictions.probabilities, predictions.labels)
    measured = {
        "log_loss": float(-np.log(np.maximum(predictions.true_probability, LOWEST_PROBABILITY)).mean()),
        "brier_score": brier_score(predictions.probabilities, predictions.labels),
        "smooth_calibration_error": smooth_calibration_error(*judged),
    }
    ends = calibration_interval(*judged, predictions.units, coverage, samples, seed)
    interval = {"low": round(ends[0], _DIGITS), "high": round(ends[1], _DIGITS)} if ends else {}
    return {name: round(value, _DIGITS) for name, value in measured.items()} | {
        "interval": {"smooth_calibration_error": interval} if interval else {}
    }
