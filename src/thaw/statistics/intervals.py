"""Confidence intervals that hold for small test sets, and for images that depend on each other.

A share of images has a closed form, which also holds where all of them are right; what is no share is resampled.
"""

from collections.abc import Iterator

import numpy as np
from scipy.stats import beta, norm, t

_BATCH_CELLS = 4_000_000  # weights in memory at a time

Interval = tuple[float, float]


def share_interval(hits: np.ndarray, weights: np.ndarray, units: np.ndarray, coverage: float) -> Interval:
    """The interval of a weighted share: the modified Jeffreys interval, with the effective sample size for the sample size.

    Of n images of which x are hits it lies between quantiles of a beta distribution of x + 1/2 and n - x + 1/2, and holds the
    truth about as often as it says, where Clopper and Pearson's holds it more often, the more so of few images; where all are
    hits, or none is, it is Clopper and Pearson's own (Brown, Cai and DasGupta, "Interval estimation for a binomial proportion",
    Statistical Science 16, 2001).

    The effective size is that of Korn and Graubard, "Confidence intervals for proportions with small expected number of
    positive counts estimated from survey data", Survey Methodology 24 (1998); that it goes with this interval as well is
    shown by Franco, Little, Louis and Slud, "Comparative study of confidence intervals for proportions in complex sample
    surveys", Journal of Survey Statistics and Methodology 7 (2019). It comes from the linearised variance between units, is
    never above Kish's for the weights, and takes the images of a unit for one where nothing varies. Of independent images of
    equal weight it is their number.

    Args:
        hits: bool `(images,)`.
        weights: `(images,)`, not negative, not all 0.
        units: int `(images,)`: images of one number depend on each other.
        coverage: 0.95 for example.
    """
    used = weights > 0
    hits, weights, units = hits[used], weights[used], units[used]
    size = effective_size(hits, weights, units, coverage)
    if not size:
        return 0.0, 1.0
    share = float(weights @ hits / weights.sum())
    tail = (1 - coverage) / 2
    if hits.all():
        return float(tail ** (1 / size)), 1.0
    if not hits.any():
        return 0.0, float(1 - tail ** (1 / size))
    right, wrong = share * size + 0.5, (1 - share) * size + 0.5
    return float(beta.ppf(tail, right, wrong)), float(beta.ppf(1 - tail, right, wrong))


def effective_size(hits: np.ndarray, weights: np.ndarray, units: np.ndarray, coverage: float) -> float:
    """How many independent images of equal weight would tell a share as well; 0 of one unit of several images.

    Korn and Graubard's (see `share_interval`), with its correction for the degrees of freedom that few units leave.

    Args:
        weights: `(images,)`, positive.
    """
    weights = weights / weights.sum()
    units = np.unique(units, return_inverse=True)[1]
    images, count = len(units), int(units.max()) + 1
    share = float(weights @ hits)
    if count == 1 and images > 1:
        return 0.0  # one unit tells nothing of how units differ
    in_unit = np.bincount(units, weights)
    spread = (np.bincount(units, weights * (hits - share)) ** 2).sum()
    if hits.all() or not hits.any():
        size = 1 / (in_unit**2).sum()
    else:
        spread *= count / max(count - 1, 1) * (images - 1) / images
        size = min(share * (1 - share) / spread, 1 / (weights**2).sum())
    if count < images:
        tail = (1 - coverage) / 2
        size *= (t.ppf(tail, images - 1) / t.ppf(tail, count - 1)) ** 2
    return float(size)


def percentile_interval(values: np.ndarray, units: int, coverage: float) -> Interval | None:
    """The percentile interval of bootstrap values, as wide as Student's t asks for that many units; None without spread.

    Hesterberg, "What teachers should know about the bootstrap", The American Statistician 69 (2015): the expanded
    percentile interval. Undefined values are left out.
    """
    known = values[~np.isnan(values)]
    if units < 2 or not len(known) or np.isclose(known.min(), known.max(), rtol=1e-9, atol=0):
        return None
    tail = norm.cdf(np.sqrt(units / (units - 1)) * t.ppf((1 - coverage) / 2, units - 1))
    low, high = np.quantile(known, [tail, 1 - tail])
    return float(low), float(high)


def resample(labels: np.ndarray, units: np.ndarray, samples: int, seed: int) -> Iterator[np.ndarray]:
    """Counts of each image in each bootstrap sample, float64 `(batch, images)`, in batches that fit in memory.

    Whole units are drawn, within each class: a unit of several classes is drawn with the class that most of it has.
    """
    units = np.unique(units, return_inverse=True)[1]
    count = int(units.max(initial=-1)) + 1
    of_unit = _commonest(units, labels)
    order = np.argsort(of_unit, kind="stable")
    members = np.split(order, np.flatnonzero(np.diff(of_unit[order])) + 1) if count else []
    # A stream a class: a sample's draws do not depend on how many samples are drawn at a time.
    streams = np.random.Generator(np.random.PCG64(seed)).spawn(len(members))
    batch = max(1, _BATCH_CELLS // max(1, len(labels)))
    for start in range(0, samples, batch):
        size = min(batch, samples - start)
        first = np.arange(size)[:, None] * count
        drawn = [
            first + some[stream.integers(len(some), size=(size, len(some)))]
            for some, stream in zip(members, streams, strict=True)
        ]
        counts = np.bincount(np.concatenate(drawn, axis=1).ravel(), minlength=size * count)
        yield counts.reshape(size, count)[:, units].astype(np.float64)


def _commonest(units: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The label that most images of each unit have, of equally many the lowest, int `(units,)`."""
    classes = int(labels.max(initial=0)) + 1
    pairs, sizes = np.unique(units * classes + labels, return_counts=True)
    order = np.lexsort((pairs, -sizes, pairs // classes))
    first = np.unique(pairs[order] // classes, return_index=True)[1]
    return np.asarray(pairs[order][first] % classes)
