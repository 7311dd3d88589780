"""What images with features like an image's own are labelled: probabilities by kernel ridge regression, out of fold.

Least squares on the classes as 0 and 1 estimates their probabilities, in closed form: for all folds at once, by the sums
of each, which are left out in turn. It finds more of planted wrong labels than the linear heads do (`benchmarks.labels`).

The Gaussian kernel is Nystroem's on at most `LANDMARKS` images (Williams and Seeger, "Using the Nystroem method to speed up
kernel machines", NIPS 2000); of fewer images than that it is exact. The features of a ReLU are skewed: their square root is
taken (Perronnin, Sanchez and Mensink, "Improving the Fisher kernel", ECCV 2010), and each has variance 1.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from scipy.linalg import cho_factor, cho_solve, cholesky, solve_triangular

LANDMARKS = 1500
_GAMMA = 0.3
"""Of the squared distance over the number of features, which is 2 on average."""
_RIDGE = 0.3
_JITTER = 1e-6
"""On the diagonal of the landmarks' kernel, which images that are alike make singular."""
_LEAST = 1e-3
"""Of a probability before they are made to sum to 1: the regression is not bounded."""
_BLOCK = 4096


def out_of_fold(features: np.ndarray, labels: np.ndarray, folds: np.ndarray, classes: int, seed: int) -> np.ndarray:
    """The probabilities of each image's classes from the images of the other folds, float64 `(images, classes)`.

    Args:
        features: float `(images, features)`, a row an image.
        labels: int `(images,)`.
        folds: int `(images,)` from 0, two at least.
        classes: how many there are.
        seed: chooses the landmarks.
    """
    scaled = _scaled(features)
    chosen = np.sort(np.random.default_rng(seed).permutation(len(scaled))[:LANDMARKS])
    landmarks = scaled[chosen]
    root = cholesky(_kernel(landmarks, landmarks) + _JITTER * np.eye(len(chosen)), lower=True)
    mapped = np.empty((len(scaled), len(chosen)), np.float32)
    for part in _blocks(len(scaled)):
        mapped[part] = solve_triangular(root, _kernel(landmarks, scaled[part]), lower=True).T
    targets = np.eye(classes)[labels]
    count = int(folds.max()) + 1
    sums = [_sums(mapped[folds == fold], targets[folds == fold]) for fold in range(count)]
    given = np.empty_like(targets)
    for fold in range(count):
        others = [one for at, one in enumerate(sums) if at != fold]
        given[folds == fold] = _predict(_total(others), mapped[folds == fold])
    return given / given.sum(axis=1, keepdims=True)


class _Sums(NamedTuple):
    """What the regression has to know of some images."""

    gram: np.ndarray
    """`(landmarks, landmarks)`."""
    cross: np.ndarray
    """With the classes, `(landmarks, classes)`."""
    mapped: np.ndarray
    """`(landmarks,)`."""
    of_class: np.ndarray
    """Images, `(classes,)`."""


def _sums(mapped: np.ndarray, targets: np.ndarray) -> _Sums:
    wide = mapped.astype(np.float64)
    return _Sums(wide.T @ wide, wide.T @ targets, wide.sum(axis=0), targets.sum(axis=0))


def _total(sums: Sequence[_Sums]) -> _Sums:
    return _Sums(*(np.sum(parts, axis=0) for parts in zip(*sums, strict=True)))


def _predict(sums: _Sums, mapped: np.ndarray) -> np.ndarray:
    mean = sums.of_class / sums.of_class.sum()
    ridged = cho_factor(sums.gram + _RIDGE * np.eye(len(sums.gram)))
    weights = cho_solve(ridged, sums.cross - np.outer(sums.mapped, mean))
    return np.clip(mapped @ weights + mean, _LEAST, None)


def _scaled(features: np.ndarray) -> np.ndarray:
    values = np.sign(features) * np.sqrt(np.abs(features, dtype=np.float32))
    deviation = values.std(axis=0)
    return np.asarray((values - values.mean(axis=0)) / np.where(deviation > 0, deviation, 1.0), np.float32)


def _kernel(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Gaussian, `(images of one, images of the other)`, float64."""
    one, other = one.astype(np.float64), other.astype(np.float64)
    squares = (one**2).sum(axis=1)[:, None] + (other**2).sum(axis=1) - 2 * one @ other.T
    return np.exp(-_GAMMA / one.shape[1] * np.maximum(squares, 0.0))


def _blocks(count: int) -> Iterator[slice]:
    return (slice(begin, begin + _BLOCK) for begin in range(0, count, _BLOCK))
