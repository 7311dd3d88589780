"""How well heads do on the images that each was not trained on: over folds, with the spread between them and an interval."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from thaw.evaluation.metrics import UNDEFINED, measure, shares
from thaw.evaluation.predictions import Predictions
from thaw.statistics.intervals import percentile_interval, resample, share_interval

METRICS = ("accuracy", "balanced_accuracy", "log_loss", "roc_auc")
_DIGITS = 6
_METHOD = (
    "the mean over folds with other images, the heads as given: of shares Clopper-Pearson with the effective sample size, of "
    "others the expanded percentile bootstrap of units within each class"
)


def summarize_folds(
    predictions: Predictions, folds: np.ndarray, bootstrap_samples: int, coverage: float, seed: int
) -> dict[str, Any]:
    """Mean, standard deviation between folds and interval of each of `METRICS`, and a row a fold; ready for JSON.

    The interval tells how far the mean would move with other images. Shares have it in closed form over all images
    (`share_interval`), the others by resampling units of images. The heads are taken as given, though they share most of what
    they are trained on: of that part of the variance no unbiased estimate exists (Bengio and Grandvalet 2004, JMLR 5), and with
    few images the interval is somewhat too short (Bates, Hastie and Tibshirani 2024, JASA 119).

    Args:
        predictions: each image's by a head that was not trained on it.
        folds: int `(images,)` from 0.
        bootstrap_samples: 0 gives no intervals but those of shares.
        coverage: of the intervals, 0.95 for example.
        seed: of the resampling.
    """
    count = int(folds.max()) + 1
    of_fold = (folds == np.arange(count)[:, None]).astype(np.float64)
    measured = {name: values for name, values in measure(predictions, of_fold).items() if name in METRICS}
    intervals = _intervals(predictions, of_fold, bootstrap_samples, coverage, seed)
    summary = {
        name: _mean_and_spread(values) | ({"low": _plain(intervals[name][0]), "high": _plain(intervals[name][1])}
                                          if name in intervals else {})
        for name, values in measured.items()
    }  # fmt: skip
    rows = [
        {"fold": fold + 1, "images": int(of_fold[fold].sum())}
        | {name: _plain(values[fold]) for name, values in measured.items()}
        for fold in range(count)
    ]
    undefined = {name: UNDEFINED[name] for name, values in measured.items() if np.isnan(values).any()}
    facts = {"coverage": coverage, "of": _METHOD, "bootstrap_samples": bootstrap_samples}
    return summary | {"per_fold": rows, "intervals": facts} | ({"undefined": undefined} if undefined else {})


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
    predictions: Predictions, of_fold: np.ndarray, samples: int, coverage: float, seed: int
) -> dict[str, tuple[float, float]]:
    units = predictions.units
    closed = {
        name: share_interval(hits, weights, units, coverage)
        for name, (hits, weights) in shares(predictions).items()
        if name in METRICS
    }
    drawn: dict[str, list[np.ndarray]] = {}
    for counts in resample(predictions.labels, units, samples, seed):
        means = _means_over_folds(predictions, of_fold, counts)
        for name in METRICS:
            drawn.setdefault(name, []).append(means[name])
    number = len(np.unique(units))
    found = {name: percentile_interval(np.concatenate(values), number, coverage) for name, values in drawn.items()}
    return {name: interval for name, interval in found.items() if interval} | closed


def _means_over_folds(predictions: Predictions, of_fold: np.ndarray, counts: np.ndarray) -> dict[str, np.ndarray]:
    """Each metric, the mean over folds, in each bootstrap sample `(samples,)`."""
    parts = []
    for weights in of_fold:
        inside = weights > 0
        parts.append(measure(predictions.where(inside), counts[:, inside]))
    return {name: _mean(np.stack([part[name] for part in parts])) for name in METRICS}


def _mean(values: np.ndarray) -> np.ndarray:
    """Over the folds where it is defined; NaN where it is in none."""
    known = ~np.isnan(values)
    return np.nan_to_num(values).sum(axis=0) / np.where(known.any(axis=0), known.sum(axis=0), np.nan)


def _plain(value: float) -> float | None:
    return None if np.isnan(value) else round(float(value), _DIGITS)
