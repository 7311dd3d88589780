"""How far predicted probabilities are from what is observed: the smooth calibration error, its interval and its diagram.

Blasiok and Nakkiran, "Smooth ECE: principled reliability diagrams via kernel smoothing", ICLR 2024 (arXiv 2309.12236): the
differences between what was observed and what was predicted are smoothed by a Gaussian that is reflected at 0 and 1, and the
error is the integral of their absolute value, at the width of the Gaussian that equals this error (their section 3). There are
no bins. The Gaussian reflected at both ends is diagonal in cosines, so that a smoothing is two cosine transforms.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.fft import dct, idct
from scipy.sparse import csr_array

from thaw.statistics.intervals import Interval, resample

CELLS = 1024
"""Of the grid from 0 to 1 that the smoothed differences stand on; a difference is divided between the two nearest."""
_HALVINGS = 20
_NOTHING = 2e-3
"""A lower end below the width of two cells is 0."""


class Reliability(NamedTuple):
    """The smooth reliability diagram, by the same smoothing as the error."""

    predicted: np.ndarray
    """Probabilities from 0 to 1, `(CELLS,)`."""
    observed: np.ndarray
    """The share that is observed there, `(CELLS,)`; NaN where no prediction is near."""
    density: np.ndarray
    """Of the predictions, `(CELLS,)`: its mean is 1."""


def top_label(probabilities: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The probability whose calibration is judged, float64 `(images,)`, and whether it came true, bool `(images,)`.

    Of two classes the probability of the positive one (1); of more that of the likeliest class, "top-label" calibration (Guo et
    al. 2017, section 2).

    Args:
        probabilities: `(images, classes)`.
        labels: int `(images,)`.
    """
    if probabilities.shape[1] == 2:
        return probabilities[:, 1], labels == 1
    return probabilities.max(axis=1), probabilities.argmax(axis=1) == labels


def brier_score(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """The mean squared difference from the truth: of two classes the positive one's, else summed over the classes.

    Brier, Monthly Weather Review 78 (1950); of two classes half of his sum, as is usual.
    """
    missed = probabilities - (labels[:, None] == np.arange(probabilities.shape[1]))
    return float((missed**2).sum(axis=1).mean()) / (2 if probabilities.shape[1] == 2 else 1)


def smooth_calibration_error(predicted: np.ndarray, observed: np.ndarray) -> float:
    """The smooth calibration error, 0 to 1.

    Args:
        predicted: probabilities `(images,)`, from one image on.
        observed: what they are of, 0 or 1, `(images,)`.
    """
    weights = np.ones((1, len(predicted)))
    return _width_of(_residuals(predicted, observed, weights)[0])


def reliability(predicted: np.ndarray, observed: np.ndarray) -> Reliability:
    """What the diagram draws; arguments as `smooth_calibration_error`."""
    alone = np.ones((1, len(predicted)))
    width = max(_width_of(_residuals(predicted, observed, alone)[0]), 2 / CELLS)
    density = _smooth(_transform(predicted, np.ones(len(predicted)), alone)[0], width) * CELLS
    seen = _smooth(_transform(predicted, np.asarray(observed, np.float64), alone)[0], width) * CELLS
    near = density > _NOTHING
    share = np.divide(seen, density, out=np.full(CELLS, np.nan), where=near).clip(0, 1)
    return Reliability((np.arange(CELLS) + 0.5) / CELLS, share, density)


def _width_of(residuals: np.ndarray) -> float:
    """The smooth calibration error of one row of `_residuals`."""
    return _fixed_point(lambda width: float(_distances(residuals, width)))


def _residuals(predicted: np.ndarray, observed: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """What was observed less what was predicted, as `_transform` has it."""
    return _transform(predicted, np.asarray(observed, np.float64) - predicted, weights)


def _transform(places: np.ndarray, values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The cosine transform `(weightings, CELLS)` of the weighted mean of point masses `values` at `places`, 0 to 1."""
    count = len(places)
    position = np.clip(places * CELLS - 0.5, 0, CELLS - 1)
    cell = np.minimum(position.astype(np.int64), CELLS - 2)
    right = position - cell
    rows = np.concatenate([cell, cell + 1]), np.tile(np.arange(count), 2)
    spread = csr_array((np.concatenate([values * (1 - right), values * right]), rows), shape=(CELLS, count))
    return dct((spread @ weights.T).T / weights.sum(axis=1, keepdims=True), type=2, axis=1)


def _smooth(transformed: np.ndarray, width: float) -> np.ndarray:
    """Masses of the cells, smoothed by the reflected Gaussian of this standard deviation."""
    return idct(transformed * np.exp(-((np.pi * width * np.arange(CELLS)) ** 2) / 2), type=2, axis=-1)


def _distances(transformed: np.ndarray, width: float) -> np.ndarray:
    return np.abs(_smooth(transformed, width)).sum(axis=-1)


def _fixed_point(error_at: Callable[[float], float]) -> float:
    """Where a function of the width that does not rise meets the width."""
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if error_at(middle) > middle else (low, middle)
    return (low + high) / 2


def calibration_interval(
    predicted: np.ndarray, observed: np.ndarray, units: np.ndarray, coverage: float, samples: int, seed: int
) -> Interval | None:
    """An interval of the smooth calibration error; None where there is but one unit, or there are no samples.

    The error of a sample is above that of the population, most of all where the latter is 0, so that percentiles of the error
    itself miss it. What is resampled is therefore the smoothed differences: at one width the error is their norm, and two norms
    differ by no more than the norm of the difference (the triangle inequality). The interval is the error plus and minus
    the quantile of that norm between a resample and the sample, at the width of the error. Since the error at a width does not
    rise with it, that holds for the errors at their own widths as well.

    Args:
        predicted, observed: as of `smooth_calibration_error`.
        units: int `(images,)`: images of one number depend on each other, and are drawn together.
        coverage: 0.95 for example; it holds more often.
    """
    if not samples or len(np.unique(units)) < 2:
        return None
    sample = _residuals(predicted, observed, np.ones((1, len(predicted))))
    error = _width_of(sample[0])
    noise = [
        _distances(_residuals(predicted, observed, weights) - sample, error)
        for weights in resample(np.zeros(len(predicted), np.int64), units, samples, seed)
    ]
    margin = float(np.quantile(np.concatenate(noise), coverage))
    low = error - margin
    return low if low > _NOTHING else 0.0, min(error + margin, 1.0)
