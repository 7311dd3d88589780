"""Do two sets of images look like draws from one source? Between splits, and against an earlier data version."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from thaw.errors import ThawError
from thaw.gate.findings import Findings
from thaw.gate.rows import Rows
from thaw.params.gate import LimitParams

_MEASURES = {
    "size": "side in pixels",
    "brightness": "mean grey level",
    "contrast": "grey level deviation",
    "sharpness": "sharpness",
}
_SIGNIFICANCE = 0.001
_MIN_IMAGES = 20


@dataclass(frozen=True)
class Sample:
    """A set of images: measure -> values, and class -> share."""

    measures: dict[str, np.ndarray]
    shares: dict[str, float]

    @classmethod
    def of(cls, columns: Mapping[str, np.ndarray], labels: np.ndarray) -> "Sample":
        """From columns width, height, brightness, contrast, sharpness (NaN where unknown) and the class of each."""
        measures = {name: columns[name] for name in ("brightness", "contrast", "sharpness")}
        measures["size"] = np.sqrt(columns["width"] * columns["height"])
        shares = {str(name): count / len(labels) for name, count in sorted(Counter(labels.tolist()).items())}
        return cls({name: values[np.isfinite(values)] for name, values in measures.items()}, shares)


def check_splits(rows: Rows, fit: np.ndarray, limits: LimitParams, findings: Findings) -> None:
    """Hold each given split against `train`."""
    splits = sorted(set(rows.splits[fit].tolist()) - {"", "train"})
    train = fit & (rows.splits == "train")
    if not train.any():
        return
    base = _sample(rows, train)
    for split in splits:
        other = _sample(rows, fit & (rows.splits == split))
        _compare(other, base, f"{split}/", "train", "", limits, findings)


def check_reference(
    rows: Rows, fit: np.ndarray, reference: Sample, limits: LimitParams, findings: Findings
) -> None:
    """Hold the images that are fit against those of an earlier data version."""
    _compare(_sample(rows, fit), reference, ".", "the reference", "reference_", limits, findings)


def read_reference(path: Path) -> Sample:
    """The images that were fit in an earlier manifest.

    Raises:
        ThawError: it is missing, or no manifest.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = ["width", "height", "brightness", "contrast", "sharpness"]
    try:
        table = pq.read_table(path, columns=["class", "verdict", *names])
    except FileNotFoundError:
        raise ThawError(
            f"{path}: no such reference manifest", "Name the manifest.parquet of an earlier run."
        ) from None
    except (pa.ArrowInvalid, pa.ArrowKeyError, OSError) as error:
        reason = f"{path}: not a manifest of thaw: {str(error).splitlines()[0]}"
        raise ThawError(reason, "Name the manifest.parquet of an earlier run.") from None
    fit = np.array(table["verdict"].to_pylist(), dtype=object) == "ok"
    columns = {name: _floats(table[name])[fit] for name in names}
    return Sample.of(columns, np.array(table["class"].to_pylist(), dtype=object)[fit])


def _sample(rows: Rows, chosen: np.ndarray) -> Sample:
    names = ("width", "height", "brightness", "contrast", "sharpness")
    return Sample.of({name: rows.numbers(name)[chosen] for name in names}, rows.labels[chosen])


def _compare(
    new: Sample, old: Sample, path: str, against: str, prefix: str, limits: LimitParams, findings: Findings
) -> None:
    names = sorted(set(new.shares) | set(old.shares))
    changes = {name: new.shares.get(name, 0.0) - old.shares.get(name, 0.0) for name in names}
    shift = sum(abs(change) for change in changes.values()) / 2
    if shift > limits.max_label_shift:
        most = max(names, key=lambda name: abs(changes[name]))
        findings.add(
            f"{prefix}label_shift",
            path,
            f"class {most} is {new.shares.get(most, 0.0):.0%} here, {old.shares.get(most, 0.0):.0%} in {against}",
            round(shift, 4),
            limits.max_label_shift,
        )
    for name, title in _MEASURES.items():
        here, there = new.measures[name], old.measures[name]
        if min(len(here), len(there)) < _MIN_IMAGES:
            continue
        distance = distribution_distance(here, there)
        if distance > max(limits.max_drift, critical_distance(len(here), len(there))):
            findings.add(
                f"{prefix}drift",
                path,
                f"{title}: median {np.median(here):.4g} here, {np.median(there):.4g} in {against}",
                round(distance, 4),
                limits.max_drift,
            )


def distribution_distance(first: np.ndarray, second: np.ndarray) -> float:
    """The Kolmogorov-Smirnov distance of two samples: the largest gap between their empirical distributions."""
    first, second = np.sort(first), np.sort(second)
    every = np.concatenate([first, second])
    below = np.searchsorted(first, every, side="right") / len(first)
    return float(np.abs(below - np.searchsorted(second, every, side="right") / len(second)).max())


def critical_distance(first: int, second: int) -> float:
    """The distance that samples of one source exceed once in a thousand times (Smirnov's asymptotic law)."""
    return float(np.sqrt(-np.log(_SIGNIFICANCE / 2) / 2 * (first + second) / (first * second)))


def _floats(column: object) -> np.ndarray:
    import pyarrow as pa

    assert isinstance(column, pa.ChunkedArray)
    return column.combine_chunks().cast(pa.float64()).to_numpy(zero_copy_only=False).astype(np.float64)
