"""The numbers of `metrics.json`: each metric and its interval, the same of each slice."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from thaw.evaluation.metrics import UNDEFINED, measure, shares
from thaw.evaluation.predictions import Predictions
from thaw.statistics.intervals import Interval, percentile_interval, resample, share_interval

_DIGITS = 6
_MOST_VALUES = 20
"""A column of more is told by `slices.csv` alone: every number here becomes a metric of MLflow's."""


def report_metrics(
    predictions: Predictions,
    slices: Mapping[str, np.ndarray],
    bootstrap_samples: int,
    coverage: float,
    seed: int,
) -> dict[str, Any]:
    """What `metrics.json` holds, ready for JSON: the undefined is null, with the reason under `undefined`.

    Metrics that are shares of the images, and ROC-AUC, have intervals in closed form (`share_interval`,
    `Ranking.area_interval`); the others are resampled by unit, the set of images that depend on each other, within each
    class. An interval that the samples cannot tell, since all of them give the same value, is left out.

    Args:
        slices: values of each slice column, text `(images,)`; one of more than 20 values is left out.
        bootstrap_samples: 0 gives no intervals but those of shares.
        coverage: of the intervals, 0.95 for example.
    """
    report = _summarize(predictions, bootstrap_samples, coverage, seed)
    report["slices"] = {
        column: {
            str(value) or "(none)": _summarize(
                predictions.where(values == value), bootstrap_samples, coverage, seed
            )
            for value in sorted(set(values))
        }
        for column, values in slices.items()
        if len(set(values)) <= _MOST_VALUES
    }
    report["intervals"] = {
        "coverage": coverage,
        "units": len(np.unique(predictions.units)),
        "shares": "modified Jeffreys (Brown, Cai and DasGupta 2001) with the effective sample size (Korn and Graubard 1998)",
        "roc_auc": "logit of DeLong's, summed within units (Obuchowski 1997)",
        "others": "expanded percentile bootstrap of units within each class (Hesterberg 2015)",
        "bootstrap_samples": bootstrap_samples,
    }
    return report


def headline(report: Mapping[str, Any]) -> dict[str, float]:
    """Of the numbers of `metrics.json` the few by which experiments of DVC are told apart, a column each.

    Args:
        report: as `report_metrics` gives it.
    """
    ends = report["interval"].get("accuracy", {})
    named = {"accuracy": report["accuracy"], **{f"accuracy_{end}": value for end, value in ends.items()}}
    named |= {name: report[name] for name in ("balanced_accuracy", "roc_auc", "log_loss", "images")}
    return {name: value for name, value in named.items() if value is not None}


def _summarize(predictions: Predictions, samples: int, coverage: float, seed: int) -> dict[str, Any]:
    point = {name: values[0] for name, values in measure(predictions, np.ones((1, len(predictions)))).items()}
    summary: dict[str, Any] = {"images": len(predictions)}
    summary |= {name: _plain(value) for name, value in point.items()}
    found = _intervals(predictions, samples, coverage, seed)
    summary["interval"] = {
        name: {"low": _plain(found[name][0]), "high": _plain(found[name][1])}
        for name, value in point.items()
        if name in found and not np.isnan(value)
    }
    undefined = {name: UNDEFINED.get(name, "no images") for name, value in point.items() if np.isnan(value)}
    return summary | ({"undefined": undefined} if undefined else {})


def _intervals(predictions: Predictions, samples: int, coverage: float, seed: int) -> dict[str, Interval]:
    units = predictions.units
    closed = {
        name: share_interval(hits, weights, units, coverage) for name, (hits, weights) in shares(predictions).items()
    }
    if area := predictions.ranking.area_interval(units, coverage):
        closed["roc_auc"] = area
    if not samples:
        return closed
    batches = [measure(predictions, weights) for weights in resample(predictions.labels, units, samples, seed)]
    count = len(np.unique(units))
    drawn = {
        name: percentile_interval(np.concatenate([batch[name] for batch in batches]), count, coverage)
        for name in batches[0]
    }
    return {name: interval for name, interval in drawn.items() if interval and name != "roc_auc"} | closed


def _plain(value: float) -> float | None:
    return None if np.isnan(value) else round(float(value), _DIGITS)
