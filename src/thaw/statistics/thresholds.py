"""The threshold of two classes by what a user aims at: least cost, least recall or least precision."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np


@dataclass(frozen=True)
class Aim:
    """What a threshold is chosen for."""

    kind: Literal["cost", "recall", "precision"]
    least: float = 0.0
    """Of `recall` and `precision`: the value to reach."""
    false_positive: float = 1.0
    """Of `cost`: what it costs to take a negative image for a positive one; `false_negative`: the other way round."""
    false_negative: float = 1.0

    @property
    def by_probability(self) -> float:
        """Of `cost`: the threshold that probabilities ask for which are right (Elkan, "The foundations of cost-sensitive
        learning", IJCAI 2001, equation 2)."""
        return self.false_positive / (self.false_positive + self.false_negative)

    @property
    def fewest(self) -> int:
        """Of `recall` and `precision`: with fewer images than this the value cannot be told from 1."""
        return math.ceil(1 / (1 - self.least) - 1e-9) if self.kind != "cost" else 0

    def __str__(self) -> str:
        if self.kind == "cost":
            return f"least cost: {self.false_positive:g} a false positive, {self.false_negative:g} a false negative"
        return f"{self.kind} of at least {self.least:g}"


def choose_thresholds(scores: np.ndarray, positive: np.ndarray, weights: np.ndarray, aim: Aim) -> np.ndarray:
    """The threshold that meets the aim, for many weightings of the images at once; float64 `(weightings,)`, 0 to 1.

    - `cost`: that of least cost on the images; of several the nearest to `Aim.by_probability`;
    - `recall`: the highest one that finds enough of the positive images, for the fewest false alarms;
    - `precision`: the lowest one, of those from which on at least `Aim.fewest` images count as positive: it finds the most.

    NaN where none does. Thresholds stand halfway between two scores that follow each other.

    Args:
        scores: probability of the positive class, `(images,)`.
        positive: bool `(images,)`.
        weights: `(weightings, images)`, such as the counts of bootstrap samples.
    """
    order = np.argsort(-scores, kind="stable")
    ordered = scores[order]
    ends = np.flatnonzero(np.append(np.diff(ordered) != 0, True))  # equal scores go together
    edges = np.concatenate([[1.0], ordered[ends], [0.0]])
    candidates = (edges[:-1] + edges[1:]) / 2
    inside = (candidates > 0) & (candidates < 1)
    hits = _sums(weights[:, order] * positive[order], ends)[:, inside]
    misses = _sums(weights[:, order] * ~positive[order], ends)[:, inside]
    candidates, positives = candidates[inside], (weights @ positive)[:, None]
    if aim.kind == "cost":
        nearest = np.argsort(np.abs(candidates - aim.by_probability), kind="stable")
        cost = aim.false_positive * misses + aim.false_negative * (positives - hits)
        return candidates[nearest][(cost[:, nearest]).round(9).argmin(axis=1)]
    if aim.kind == "recall":
        meets = hits >= aim.least * positives - 1e-9
        chosen = meets.argmax(axis=1)
    else:
        meets = (hits >= aim.least * (hits + misses) - 1e-9) & (hits + misses >= max(aim.fewest, 1))
        chosen = len(candidates) - 1 - meets[:, ::-1].argmax(axis=1)
    return np.where(meets.any(axis=1), candidates[chosen], np.nan)


def _sums(values: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Of the first 0, 1, ... distinct scores, `(weightings, steps)`."""
    return np.hstack([np.zeros((len(values), 1)), values.cumsum(axis=1)[:, ends]])
