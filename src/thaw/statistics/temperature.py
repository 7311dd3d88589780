"""The temperature that calibrates a network's logits."""

from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq, minimize_scalar
from scipy.special import log_softmax

_LOWEST, _HIGHEST = 0.05, 20.0
_STANDARD_ERROR = 0.5
"""What one standard error costs of the log likelihood, in nats."""
_DIGITS = 6


class Temperature(NamedTuple):
    """What logits are divided by before they become probabilities."""

    value: float
    """Above 1 where the network is too sure; 1 leaves it as it is."""
    likeliest: float
    """The temperature of largest likelihood."""
    images: int
    """By how many it was judged; those of weight 0 do not count."""
    why_one: str
    """Why it is 1; empty where it is not."""


def fit_temperature(logits: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> Temperature:
    """The temperature nearest to 1 within one standard error of the likeliest.

    One number for all classes, so that no image gets another likeliest class (Guo et al., "On calibration of modern
    neural networks", ICML 2017, 4.2). They take the temperature of largest likelihood; of a few hundred images that is
    uncertain by a tenth and more, and does a calibrated network harm as often as not. So what changes least among those that
    do as well is taken, by the rule of one standard error (Breiman et al., "Classification and Regression Trees", 1984, 3.4.3):
    the end nearest to 1 of the 68 % likelihood interval (Wilks, Annals of Mathematical Statistics 9, 1938), and 1 where that
    is in the interval. Many images bring it to the likeliest one.

    Args:
        logits: `(images, outputs)`; one output is the logit of the positive of two classes.
        targets: `(images, outputs)`: of one output the probability of the positive class, else a probability a class. Labels
            are 0 and 1; soft targets are taken as they are.
        weights: `(images,)`, not negative.
    """
    used = weights > 0
    logits, targets, weights = logits[used].astype(np.float64), targets[used].astype(np.float64), weights[used]
    if logits.shape[1] == 1:
        logits, targets = np.hstack([np.zeros_like(logits), logits]), np.hstack([1 - targets, targets])
    images = len(logits)
    if not images:
        return Temperature(1.0, 1.0, 0, "there are no validation images")
    if (targets.argmax(axis=1) == targets[0].argmax()).all():
        return Temperature(1.0, 1.0, images, "the validation images are of one class")
    weights = weights * weights.sum() / (weights**2).sum()  # they add up to the effective number of images (Kish)

    def surprise(log_temperature: float) -> float:
        return -float(weights @ (targets * log_softmax(logits / np.exp(log_temperature), axis=1)).sum(axis=1))

    found = minimize_scalar(surprise, bounds=(np.log(_LOWEST), np.log(_HIGHEST)), method="bounded")
    likeliest, bound = float(np.exp(found.x)), found.fun + _STANDARD_ERROR
    if surprise(0.0) <= bound:
        return Temperature(1.0, likeliest, images, "1 is within a standard error of the likeliest")
    nearest = brentq(lambda log_temperature: surprise(log_temperature) - bound, found.x, 0.0)
    return Temperature(float(f"{np.exp(nearest):.{_DIGITS}g}"), likeliest, images, "")


def temper(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """The probabilities `(images, classes)` that the same logits, divided by `temperature`, give."""
    tiny = np.finfo(np.float64).tiny
    return np.exp(log_softmax(np.log(np.maximum(probabilities, tiny)) / temperature, axis=1))
