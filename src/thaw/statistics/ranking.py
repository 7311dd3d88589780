"""Images ranked by the probability of each class, once, and measured under many weightings; the interval of ROC-AUC."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array
from scipy.special import expit, logit
from scipy.stats import t

from thaw.statistics.intervals import Interval

_BLOCK_CELLS, _KEPT_CELLS = 4_000_000, 40_000_000
"""Of scores ranked together, and of those whose ranks stay in memory."""

_NO_SPREAD = 1e-12


class _Block(NamedTuple):
    """Some classes' thresholds, one after the other, each class's from the highest on."""

    sizes: dict[int, int]
    """Class to its number of thresholds."""
    named: csr_array
    """The images that have the threshold for the lowest that they reach, `(thresholds, images)`."""
    hits: csr_array
    """The images of the class that lie at the threshold."""
    ties: csr_array
    """Those of other classes that lie at it."""


class Ranking:
    """The images by falling score of each class: what a threshold there would find.

    Of a class only the thresholds at its own images count: between them neither ROC-AUC nor average precision changes. What
    each of them finds is a sum of weights, for all weightings together a product with a sparse matrix.
    """

    def __init__(self, scores: np.ndarray, owners: np.ndarray) -> None:
        """Rank the images.

        Args:
            scores: float64 `(images, classes)`.
            owners: int `(images,)`: the column of the class that each image is of; -1: of none of them.
        """
        self._scores, self._owners = np.ascontiguousarray(scores.T), owners
        self._kept = list(self._rank()) if scores.size <= _KEPT_CELLS else None

    def measure(self, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """ROC-AUC and average precision of each class against the rest, float64 `(weightings, classes)`; NaN where undefined.

        As in scikit-learn: images of equal score are taken together.

        Args:
            weights: `(weightings, images)`, not negative.
        """
        columns = np.ascontiguousarray(weights.T)
        total = columns.sum(axis=0)
        lower_pairs, precisions, positives = (np.zeros((len(self._scores), len(weights))) for _ in range(3))
        for block in self._kept or self._rank():
            all_named, all_hits, all_ties = (each @ columns for each in block[1:])
            end = 0
            for number, size in block.sizes.items():
                start, end = end, end + size
                hits, found = all_hits[start:end], all_hits[start:end].cumsum(axis=0)
                named = all_named[start:end].cumsum(axis=0)
                positives[number] = found[-1]
                lower = total - found[-1] - named + found + all_ties[start:end] / 2
                lower_pairs[number] = (hits * lower).sum(axis=0)
                shares = np.divide(found, named, out=np.zeros_like(found), where=named > 0)
                precisions[number] = (hits * shares).sum(axis=0)
        return ratio(lower_pairs, positives * (total - positives)).T, ratio(precisions, positives).T

    def area_interval(self, units: np.ndarray, coverage: float) -> Interval | None:
        """The interval of ROC-AUC, of several classes of its mean over those that are defined; None where nothing varies.

        The variance is that of DeLong, DeLong and Clarke-Pearson, "Comparing the areas under two or more correlated receiver
        operating characteristic curves", Biometrics 44 (1988), summed within units as in Obuchowski, "Nonparametric analysis
        of clustered ROC curve data", Biometrics 53 (1997); of a mean each image's parts in all areas are added up first. The
        interval is Student's of the logit, so that it stays within 0 and 1 and is as lopsided as the area is.

        Args:
            units: int `(images,)`: images of one number depend on each other.
            coverage: 0.95 for example.
        """
        units = np.unique(units, return_inverse=True)[1]
        defined, own_units, other_units = self._count_units(units)
        total, parts = 0.0, np.zeros(len(units))
        for block in self._kept or self._rank():
            named, hits, ties = (np.asarray(each.sum(axis=1)) for each in block[1:])
            of_named, of_hits, of_ties = (np.zeros(len(named)) for _ in range(3))
            end = 0
            for number, size in block.sizes.items():
                start, end = end, end + size
                if not defined[number]:
                    continue
                rows = slice(start, end)
                found = hits[rows].cumsum()
                positives, negatives = found[-1], len(units) - found[-1]
                # Of each image of the class the share of others below it; of each other one the share of the class above it.
                below = (negatives - (named[rows].cumsum() - found) + ties[rows] / 2) / negatives
                above = (found - hits[rows]) / positives
                area = float(hits[rows] @ below / positives)
                one, other = _correct(own_units[number]) / positives, _correct(other_units[number]) / negatives
                total += area
                parts += (1 - area) * other
                of_named[rows] = (above - 1) * other
                of_ties[rows] = hits[rows] / positives / 2 * other
                of_hits[rows] = (below - area) * one - (above - area) * other
            parts += block.named.T @ of_named + block.hits.T @ of_hits + block.ties.T @ of_ties
        count = max(int(np.count_nonzero(defined)), 1)
        area, spread = total / count, float(np.sqrt((np.bincount(units, parts) ** 2).sum())) / count
        if not 0 < area < 1 or spread < _NO_SPREAD:
            return None
        reach = t.isf((1 - coverage) / 2, units.max()) * spread / (area * (1 - area))
        return float(expit(logit(area) - reach)), float(expit(logit(area) + reach))

    def _count_units(self, units: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Which classes have images and others against them, and in how many units each has images, and others have."""
        classes = len(self._scores) + 1  # the last: of none of them
        owners = np.where(self._owners < 0, classes - 1, self._owners)
        images = np.bincount(owners, minlength=classes)
        pairs = np.unique(units * classes + owners)
        own = np.bincount(pairs % classes, minlength=classes)
        is_pure = np.bincount(pairs // classes)[pairs // classes] == 1
        others = units.max(initial=-1) + 1 - np.bincount(pairs[is_pure] % classes, minlength=classes)
        defined = (images > 0) & (images < len(units))
        return defined[:-1], own[:-1], others[:-1]

    def _rank(self) -> Iterator[_Block]:
        classes, images = self._scores.shape
        step = max(1, _BLOCK_CELLS // max(images, 1))
        for first in range(0, classes, step):
            rows_before, sizes = 0, dict[int, int]()
            places: list[tuple[np.ndarray, ...]] = []
            for number in range(first, min(first + step, classes)):
                scores, own = self._scores[number], self._owners == number
                thresholds = np.unique(scores[own])
                if not len(thresholds):
                    continue
                named = np.flatnonzero(scores >= thresholds[0])
                reached = np.searchsorted(thresholds, scores[named], side="right")
                at = thresholds[reached - 1] == scores[named]
                places.append((rows_before + len(thresholds) - reached, named, own[named], at))
                sizes[number] = len(thresholds)
                rows_before += len(thresholds)
            if sizes:
                rows, named, own, at = (np.concatenate(each) for each in zip(*places, strict=True))
                shape = (rows_before, images)
                chosen = (np.ones(len(rows), bool), own, at & ~own)
                yield _Block(sizes, *(_matrix(rows[some], named[some], shape) for some in chosen))


def _correct(units: int) -> float:
    """For the degree of freedom that the mean over so many units takes."""
    return float(np.sqrt(units / (units - 1))) if units > 1 else 1.0


def _matrix(rows: np.ndarray, columns: np.ndarray, shape: tuple[int, int]) -> csr_array:
    return csr_array((np.ones(len(rows)), (rows.astype(np.int32), columns.astype(np.int32))), shape=shape)


def ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Element by element; NaN where there is no whole."""
    return np.divide(part, whole, out=np.full(np.shape(whole), np.nan), where=whole > 0)
