"""The numbers of `metrics.json`: each metric, its bootstrap interval, the same of each slice and class."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from thaw.evaluation.judgement import Judgement
from thaw.evaluation.metrics import UNDEFINED, confusion, measure, measure_classes

_DIGITS = 6
_BATCH_CELLS = 4_000_000  # weights in memory at a time


def report_metrics(
    judgement: Judgement,
    slices: Mapping[str, np.ndarray],
    bootstrap_samples: int,
    coverage: float,
    seed: int,
) -> dict[str, Any]:
    """What `metrics.json` holds, ready for JSON: the undefined is null, with the reason under `undefined`.

    Intervals are percentile intervals of the bootstrap (Efron and Tibshirani 1993), resampled within each
    class: every sample holds the classes in the shares of the test split.

    Args:
        slices: values of each slice column, text `(images,)`.
        bootstrap_samples: 0 gives no intervals.
        coverage: of the intervals, 0.95 for example.
    """
    report = _summarize(judgement, bootstrap_samples, coverage, seed)
    report["slices"] = {
        column: {
            str(value) or "(none)": _summarize(
                judgement.where(values == value), bootstrap_samples, coverage, seed
            )
            for value in sorted(set(values))
        }
        for column, values in slices.items()
    }
    names = judgement.classes
    report["classes"] = {
        name: {key: _plain(value) for key, value in row.items()} | {"images": int(row["images"])}
        for name, row in zip(names, measure_classes(judgement), strict=True)
    }
    report["confusion"] = {
        name: dict(zip(names, map(int, row), strict=True))
        for name, row in zip(names, confusion(judgement), strict=True)
    }
    if bootstrap_samples:
        report["bootstrap"] = {
            "samples": bootstrap_samples,
            "coverage": coverage,
            "resampling": "within each class",
            "interval": "percentile",
        }
    return report


def _summarize(judgement: Judgement, samples: int, coverage: float, seed: int) -> dict[str, Any]:
    point = {name: values[0] for name, values in measure(judgement, np.ones((1, len(judgement)))).items()}
    summary: dict[str, Any] = {"images": len(judgement)}
    summary |= {name: _plain(value) for name, value in point.items()}
    if samples:
        batches = [measure(judgement, weights) for weights in _resample(judgement.labels, samples, seed)]
        tail = (1 - coverage) / 2
        summary["interval"] = {}
        for name, value in point.items():
            if not np.isnan(value):
                drawn = np.concatenate([batch[name] for batch in batches])
                low, high = np.nanquantile(drawn, [tail, 1 - tail])
                summary["interval"][name] = {"low": _plain(low), "high": _plain(high)}
    undefined = {name: UNDEFINED.get(name, "no images") for name, value in point.items() if np.isnan(value)}
    return summary | ({"undefined": undefined} if undefined else {})


def _resample(labels: np.ndarray, samples: int, seed: int) -> Iterator[np.ndarray]:
    """Counts of each image in each bootstrap sample, `(batch, images)`, in batches that fit in memory."""
    random = np.random.Generator(np.random.PCG64(seed))
    members = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    batch = max(1, _BATCH_CELLS // max(1, len(labels)))
    for start in range(0, samples, batch):
        count = min(batch, samples - start)
        first = np.arange(count)[:, None] * len(labels)
        drawn = [
            first + images[random.integers(len(images), size=(count, len(images)))] for images in members
        ]
        counts = np.bincount(np.concatenate(drawn, axis=1).ravel(), minlength=count * len(labels))
        yield counts.reshape(count, len(labels)).astype(np.float64)


def _plain(value: float) -> float | None:
    return None if np.isnan(value) else round(float(value), _DIGITS)
