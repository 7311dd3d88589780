"""How well heads do on the images that each was not trained on: over folds, with the spread between them and an interval."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.special import expit, logit
from scipy.stats import rankdata, t

from thaw.evaluation.metrics import LOWEST_PROBABILITY, UNDEFINED, measure, shares
from thaw.evaluation.predictions import Predictions
from thaw.statistics.intervals import Interval, share_interval

METRICS = ("accuracy", "balanced_accuracy", "log_loss", "roc_auc")
_DIGITS = 6
_METHOD = (
    "the mean over folds with other images, the heads as given; images of a unit depend on each other: of shares "
    "modified Jeffreys with the effective sample size, of the log loss Student's, of ROC-AUC DeLong's on the logit"
)


def summarize_folds(predictions: Predictions, folds: np.ndarray, coverage: float) -> dict[str, Any]:
    """Mean, standard deviation between folds and interval of each of `METRICS`, and a row a fold; ready for JSON.

    The interval tells how far the mean would move with other images. The heads are taken as given, though they share most of
    what they are trained on: of that part of the variance no unbiased estimate exists (Bengio and Grandvalet 2004, JMLR 5), and
    with few images the interval is somewhat too short (Bates, Hastie and Tibshirani 2024, JASA 119).

    Args:
        predictions: each image's by a head that was not trained on it.
        folds: int `(images,)` from 0.
        coverage: of the intervals, 0.95 for example.
    """
    count = int(folds.max()) + 1
    of_fold = (folds == np.arange(count)[:, None]).astype(np.float64)
    measured = {name: values for name, values in measure(predictions, of_fold).items() if name in METRICS}
    intervals = _intervals(predictions, folds, measured, coverage)
    summary: dict[str, Any] = {name: _mean_and_spread(values) for name, values in measured.items()}
    for name, (low, high) in intervals.items():
        summary[name] |= {"low": _plain(low), "high": _plain(high)}
    rows = [
        {"fold": fold + 1, "images": int(of_fold[fold].sum())}
        | {name: _plain(values[fold]) for name, values in measured.items()}
        for fold in range(count)
    ]
    undefined = {name: UNDEFINED[name] for name, values in measured.items() if np.isnan(values).any()}
    facts = {"per_fold": rows, "intervals": {"coverage": coverage, "of": _METHOD}}
    return summary | facts | ({"undefined": undefined} if undefined else {})


def combine(summaries: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The summaries of several divisions of the same images as one: mean and spread over all folds, a row each.

    The interval is the mean of theirs: it tells of other images, and repeating does not make them more.
    """
    rows = [
        {"repeat": repeat + 1, **row} for repeat, summary in enumerate(summaries) for row in summary["per_fold"]
    ]
    combined: dict[str, Any] = {"folds": len(summaries[0]["per_fold"]), "repeats": len(summaries)}
    for name in METRICS:
        combined[name] = _mean_and_spread(np.array([row[name] for row in rows], np.float64))
        for end in ("low", "high"):
            ends = [summary[name][end] for summary in summaries if summary[name].get(end) is not None]
            combined[name] |= {end: _plain(float(np.mean(ends)))} if ends else {}
    return combined | {"per_fold": rows, "intervals": summaries[0]["intervals"]}


def measure_part(predictions: Predictions) -> dict[str, float]:
    """Each of `METRICS` that is defined, of one fold's images."""
    measured = measure(predictions, np.ones((1, len(predictions))))
    return {name: float(measured[name][0]) for name in METRICS if np.isfinite(measured[name][0])}


def _mean_and_spread(values: np.ndarray) -> dict[str, float | None]:
    """Over the folds where it is defined; the spread needs two."""
    known = values[~np.isnan(values)]
    sd = float(known.std(ddof=1)) if len(known) > 1 else np.nan
    return {"mean": _plain(float(known.mean()) if len(known) else np.nan), "sd": _plain(sd)}


def _intervals(
    predictions: Predictions, folds: np.ndarray, measured: dict[str, np.ndarray], coverage: float
) -> dict[str, Interval]:
    units = predictions.units
    intervals = {
        name: share_interval(hits, weights, units, coverage)
        for name, (hits, weights) in shares(predictions).items()
        if name in METRICS
    }
    reach = t.isf((1 - coverage) / 2, len(np.unique(units)) - 1)
    loss, spread = float(measured["log_loss"].mean()), _spread(_loss_parts(predictions, folds), units)
    intervals["log_loss"] = max(0.0, loss - reach * spread), loss + reach * spread
    areas = measured["roc_auc"][~np.isnan(measured["roc_auc"])]
    area, spread = float(areas.mean()) if len(areas) else 0.0, _spread(_area_parts(predictions, folds), units)
    if 0 < area < 1:
        wide = reach * spread / (area * (1 - area))
        intervals["roc_auc"] = float(expit(logit(area) - wide)), float(expit(logit(area) + wide))
    return intervals


def _spread(parts: np.ndarray, units: np.ndarray) -> float:
    """The standard error of a mean from what each image adds to its error; that of images of one unit goes together."""
    of_unit = np.bincount(np.unique(units, return_inverse=True)[1], parts)
    count = len(of_unit)
    return float(np.sqrt((of_unit**2).sum() * count / max(count - 1, 1)))


def _loss_parts(predictions: Predictions, folds: np.ndarray) -> np.ndarray:
    losses, sizes = -np.log(np.maximum(predictions.true_probability, LOWEST_PROBABILITY)), np.bincount(folds)
    means = np.bincount(folds, losses) / sizes
    return np.asarray((losses - means[folds]) / (sizes[folds] * len(sizes)))


def _area_parts(predictions: Predictions, folds: np.ndarray) -> np.ndarray:
    """What each image adds to the error of ROC-AUC, the mean over folds and, of more than two, over classes.

    DeLong, DeLong and Clarke-Pearson (Biometrics 44, 1988), by ranks as Sun and Xu (IEEE Signal Processing Letters 21, 2014).
    """
    classes = [1] if len(predictions.classes) == 2 else range(len(predictions.classes))
    parts, defined = np.zeros(len(folds)), 0
    for fold in range(int(folds.max()) + 1):
        images = np.flatnonzero(folds == fold)
        labels, scores = predictions.labels[images], predictions.probabilities[images]
        present = np.bincount(labels, minlength=len(predictions.classes))
        both = [number for number in classes if 0 < present[number] < len(labels)]
        found = [_placements(scores[:, number], labels == number) for number in both]
        if found:
            parts[images] = np.mean(found, axis=0)
            defined += 1
    return parts / max(defined, 1)


def _placements(scores: np.ndarray, positive: np.ndarray) -> np.ndarray:
    """Of each image, how far the share of the other side that it is rightly placed to is from the mean, by its side's size."""
    ranks, parts = rankdata(scores), np.empty(len(scores))
    for side in (positive, ~positive):
        own, others = int(side.sum()), int((~side).sum())
        below = (ranks[side] - rankdata(scores[side])) / others
        parts[side] = (below - below.mean()) / own * (1 if side is positive else -1)
    return parts


def _plain(value: float) -> float | None:
    return None if np.isnan(value) else round(float(value), _DIGITS)
