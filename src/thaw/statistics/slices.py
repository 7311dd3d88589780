"""Slices of a test set against the rest of it: is the model worse there, and what could a slice of that size show at all?"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq
from scipy.stats import false_discovery_control, hypergeom, norm

from thaw.statistics.intervals import Interval, effective_size, share_interval

FEWEST = 20
"""Of fewer images, counted as independent ones, a slice or its rest is not tested."""
POWER = 0.8


class Slice(NamedTuple):
    """The share of hits within a slice, beside the rest; NaN is what was not tested."""

    images: int
    share: float
    interval: Interval
    difference: float
    """The slice's share less that of the rest."""
    difference_interval: Interval
    p: float
    """Of so low a share by chance, one-sided."""
    adjusted_p: float
    """After Benjamini and Hochberg, over all slices tested: to be held against 1 - coverage."""
    detectable: float
    """The smallest difference below the rest that a slice of this size shows with a power of `POWER`."""


def compare_slices(hits: np.ndarray, units: np.ndarray, slices: Iterable[np.ndarray], coverage: float) -> list[Slice]:
    """Each slice against the images that are not in it.

    The test is Fisher's exact one, one-sided, on counts divided by their design effects (Rao and Scott, "A simple method
    for the analysis of clustered binary data", Biometrics 48, 1992), with the effective sizes of `effective_size`: of
    independent images it is the exact test of their counts. A unit that lies in the slice and in the rest counts in
    each, which makes the test of it the more careful. p-values are corrected after Benjamini and Hochberg, "Controlling the
    false discovery rate", Journal of the Royal Statistical Society B 57 (1995): where no slice differs, at most 1 - coverage
    of the test sets have one that is called worse.

    The difference has the interval of Zou and Donner, "Construction of confidence limits about effect measures", Statistics
    in Medicine 27 (2008), from the intervals of the two shares.

    Args:
        hits: bool `(images,)`.
        units: int `(images,)`: images of one number depend on each other.
        slices: bool `(images,)` each, not empty.
        coverage: of the intervals, 0.95 for example; the tests' level is 1 - coverage.
    """
    found, sizes = [], []
    for inside in slices:
        part, pair = _describe(hits, units, inside, coverage)
        found.append(part)
        sizes.append(pair)
    tested = [number for number, part in enumerate(found) if not np.isnan(part.p)]
    if tested:
        adjusted = false_discovery_control([found[number].p for number in tested])
        for number, p in zip(tested, adjusted, strict=True):
            part = found[number]
            least = detectable_difference(part.share - part.difference, *sizes[number], (1 - coverage) / len(tested))
            found[number] = part._replace(adjusted_p=float(p), detectable=least)
    return found


def _describe(
    hits: np.ndarray, units: np.ndarray, inside: np.ndarray, coverage: float
) -> tuple[Slice, tuple[float, float]]:
    """A slice, not yet corrected, and the effective sizes of it and of the rest."""
    here, there = (hits[chosen] for chosen in (inside, ~inside))
    interval = share_interval(here, np.ones(len(here)), units[inside], coverage)
    share, nan = float(here.mean()), float("nan")
    untested = Slice(len(here), share, interval, nan, (nan, nan), nan, nan, nan)
    if min(len(here), len(there)) < FEWEST:
        return untested, (0, 0)
    size, rest_size = (
        effective_size(some, np.ones(len(some)), units[chosen], coverage)
        for some, chosen in ((here, inside), (there, ~inside))
    )
    if min(size, rest_size) < FEWEST:
        return untested, (size, rest_size)
    rest = float(there.mean())
    rest_interval = share_interval(there, np.ones(len(there)), units[~inside], coverage)
    images, others, right, others_right = (round(count) for count in (size, rest_size, share * size, rest * rest_size))
    return untested._replace(
        difference=share - rest,
        difference_interval=_difference_interval(share, interval, rest, rest_interval),
        p=float(hypergeom.cdf(right, images + others, right + others_right, images)),
    ), (size, rest_size)


def _difference_interval(share: float, interval: Interval, rest: float, rest_interval: Interval) -> Interval:
    """Zou and Donner's."""
    below = np.hypot(share - interval[0], rest_interval[1] - rest)
    above = np.hypot(interval[1] - share, rest - rest_interval[0])
    return float(share - rest - below), float(share - rest + above)


def detectable_difference(rest: float, size: float, rest_size: float, level: float) -> float:
    """By how much a slice's share has to lie below the rest's to be found with a power of `POWER`; NaN: no share is so low.

    Two proportions by the normal approximation, with the correction for continuity that the exact test asks for: Fleiss, Levin
    and Paik, "Statistical Methods for Rates and Proportions", 3rd edition (2003), chapter 4, solved for the difference d:
    d = (1/n + 1/n')/2 + z(1 - level) sqrt(m (1 - m) (1/n + 1/n')) + z(power) sqrt(p (1 - p)/n + p' (1 - p')/n'),
    with p = p' - d and m the mean of both, weighted by their sizes n and n'.

    Args:
        rest: the share p' of the rest.
        size, rest_size: n and n', in independent images.
        level: of the one-sided test: where m slices are looked at, that of the first of them, (1 - coverage) / m.
    """
    rest = float(np.clip(rest, 0.5 / rest_size, 1 - 0.5 / rest_size))
    under_null, under_difference = norm.isf(level), norm.ppf(POWER)
    continuity = (1 / size + 1 / rest_size) / 2

    def excess(difference: float) -> float:
        share = rest - difference
        mean = (share * size + rest * rest_size) / (size + rest_size)
        alike = np.sqrt(mean * (1 - mean) * (1 / size + 1 / rest_size))
        apart = np.sqrt(share * (1 - share) / size + rest * (1 - rest) / rest_size)
        return float(difference - continuity - under_null * alike - under_difference * apart)

    return float(brentq(excess, 0, rest)) if excess(rest) > 0 else float("nan")
