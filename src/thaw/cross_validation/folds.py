"""Folds of cross-validation: each class in equal shares, and images that depend on each other in one fold."""

from bisect import bisect_right

import numpy as np
import pandas as pd

from thaw.errors import ThawError


def number_units(groups: pd.Series) -> np.ndarray:
    """The number of the set of dependent images that each belongs to, int `(images,)`.

    Args:
        groups: column `group` of the splits' CSVs: it joins metadata groups, equal bytes and the gate's near duplicates; empty
            for an image alone.
    """
    alone = (groups == "").to_numpy()
    names = groups.to_numpy(object).copy()
    names[alone] = np.flatnonzero(alone)  # a number is no path
    return np.asarray(pd.factorize(names)[0], np.int64)


def count_folds(labels: np.ndarray, units: np.ndarray, wanted: int, num_classes: int) -> int:
    """How many folds there can be: at most `wanted`, and so few that each can have images of two classes.

    Raises:
        ThawError: not even two.
    """
    pairs = np.unique(np.stack([labels, units]), axis=1)
    of_class = np.sort(np.bincount(pairs[0], minlength=num_classes))
    count = min(wanted, int(of_class[-2]))
    if count < 2:
        raise ThawError(
            "two folds need two classes with two independent images each", "Add images of the small classes, or groups of them."
        )
    return count


def assign_folds(labels: np.ndarray, units: np.ndarray, folds: int, seed: int) -> np.ndarray:
    """The fold of each image, int `(images,)` from 0.

    Units of several images go first, the largest before the others, each to the fold that lacks its classes most; single
    images then make up for the differences. Where no unit has several, the images of a class differ between any two folds by
    at most one.

    Args:
        labels: int `(images,)`.
        units: int `(images,)`: images of one number depend on each other and share a fold.
        seed: decides which of several equal divisions it is.
    """
    rng = np.random.default_rng([seed, *b"folds"])
    classes, labels = np.unique(labels, return_inverse=True)
    units, sizes = np.unique(units, return_inverse=True, return_counts=True)[1:]
    counts, found = np.zeros((folds, len(classes)), np.int64), np.full(len(labels), -1)
    shares = np.bincount(labels) / folds
    for members in _largest_first(units, sizes, rng):
        own, images = np.unique(labels[members], return_counts=True)
        lacking = (images * (2 * (shares[own] - counts[:, own]) - images) / shares[own]).sum(axis=1)
        best = int(np.lexsort((counts.sum(axis=1), -lacking))[0])
        counts[best, own] += images
        found[members] = best
    single = rng.permutation(np.flatnonzero(found < 0))
    single = single[np.argsort(labels[single], kind="stable")]
    ends, totals = np.cumsum(np.bincount(labels[single], minlength=len(classes))), counts.sum(axis=1)
    for number, images in enumerate(np.split(single, ends[:-1])):
        more = _fill_up(counts[:, number], len(images), totals)
        totals += more
        found[images] = np.repeat(np.arange(folds), more)
    return found


def _largest_first(units: np.ndarray, sizes: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
    """The images of each unit of several, in an order of chance among units of one size."""
    several = rng.permutation(np.flatnonzero(sizes > 1))
    several = several[np.argsort(-sizes[several], kind="stable")]
    order, ends = np.argsort(units, kind="stable"), np.cumsum(sizes)
    return [order[ends[unit] - sizes[unit] : ends[unit]] for unit in several]


def _fill_up(counts: np.ndarray, more: int, totals: np.ndarray) -> np.ndarray:
    """How many of `more` images each fold gets, so that all come as near to one count as can be.

    Args:
        counts: `(folds,)`, what they have of the class.
        totals: `(folds,)`, what they have in all: of equal folds the smallest gets the image that is over.
    """
    most = int(counts.max()) + more
    level = bisect_right(range(most + 1), more, key=lambda height: int(np.maximum(height - counts, 0).sum())) - 1
    given = np.maximum(level - counts, 0)
    lowest = np.flatnonzero(counts <= level)
    lowest = lowest[np.argsort((totals + given)[lowest], kind="stable")]
    given[lowest[: more - int(given.sum())]] += 1
    return given
