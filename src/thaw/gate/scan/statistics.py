"""Statistics of pictures, a shard at a time: what is left to do for one picture after another is little."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
import xxhash

from thaw.gate.scan.fingerprint import describe

_COLOR_GRID = 64
"""Height and width of the grid on which colours are looked at."""
_COUNTED_PIXELS, _COUNTED_ROWS = 1 << 16, 120  # so many are enough
_MAX_GREY_CHROMA = 0.5
_SHARPNESS_GRID = 150
_ROUNDING_VARIANCE = 20 / 12
_LEVELS = np.arange(256, dtype=np.float64)


class Sample(NamedTuple):
    """What is kept of a decoded picture."""

    digest: xxhash.xxh3_128
    """Of its size and grey levels."""
    histogram: np.ndarray
    """As `count_levels` gives it."""
    edges: float
    """As `measure_edges` gives it."""
    shrunk: np.ndarray
    """As `thaw.gate.scan.fingerprint.shrink` gives it."""
    colors: Sequence[np.ndarray]
    """As `pick_colors` gives them; none of a picture in mode L."""
    chroma: float
    """As `measure_chroma` gives it."""


def complete(rows: Sequence[dict[str, Any]]) -> None:
    """Replace each row's `sample`, where it has one, by the picture's statistics.

    They are of its grey levels, 0 to 255, of a large picture in some of its rows: `brightness` (mean), `contrast`
    (standard deviation), `low_level` (5th percentile), `high_level` (99th), `entropy` (bits), `constant`, `sharpness`
    (Laplacian by contrast); `chroma` (mean distance between channels), `descriptor` (see `thaw.gate.scan.fingerprint`),
    and `pixels`, a digest of the decoded pixels.
    """
    sampled = [row for row in rows if "sample" in row]
    if not sampled:
        return
    samples: list[Sample] = [row.pop("sample") for row in sampled]
    columns = _level_columns(np.stack([sample.histogram for sample in samples]))
    edges = np.array([sample.edges for sample in samples])
    columns["sharpness"] = np.round(edges / np.maximum(columns["contrast"], 1.0), 4).tolist()
    columns["chroma"] = [sample.chroma for sample in samples]
    columns["descriptor"] = describe(np.stack([sample.shrunk for sample in samples]))
    columns["pixels"] = [_digest(sample) for sample in samples]
    for number, row in enumerate(sampled):
        row.update({name: values[number] for name, values in columns.items()})


def count_levels(grey: np.ndarray) -> np.ndarray:
    """Pixels of each grey level, float32 `(256,)`; of a large picture in some of its rows, unless those are of one level."""
    counts = _histogram(grey[:: max(1, min(grey.size // _COUNTED_PIXELS, len(grey) // _COUNTED_ROWS))])
    return counts if np.count_nonzero(counts) > 1 else _histogram(grey)


def _histogram(grey: np.ndarray) -> np.ndarray:
    return cv2.calcHist([grey], [0], None, [256], [0, 256]).ravel()


def pick_colors(array: np.ndarray) -> Sequence[np.ndarray]:
    """The channels red, green and blue of a grid of 64 x 64 pixels of uint8 `(height, width, 3 or more)`."""
    grid = cv2.resize(array, (_COLOR_GRID, _COLOR_GRID), interpolation=cv2.INTER_NEAREST_EXACT)
    return cv2.split(grid)[:3]


def measure_chroma(colors: Sequence[np.ndarray]) -> float:
    """Mean distance of neighbouring channels of `pick_colors`, in grey levels; 0 of none."""
    if not colors:
        return 0.0
    red, green, blue = colors
    distance = cv2.norm(red, green, cv2.NORM_L1) + cv2.norm(green, blue, cv2.NORM_L1)
    return round(distance / green.size / 2, 3)


def measure_edges(grey: np.ndarray) -> float:
    """Deviation of the 4-neighbour Laplacian, its arms a 150th of the side: pixels count as they train.

    It is taken at points on such a grid. What rounding to grey levels alone would give (20/12) is left out.
    """
    arm = max(1, min(grey.shape) // _SHARPNESS_GRID)
    if min(grey.shape) < 3 * arm:
        return 0.0
    edges = cv2.Laplacian(np.ascontiguousarray(grey[::arm, ::arm]), cv2.CV_16S, ksize=1)[1:-1, 1:-1]
    variance = cv2.norm(edges, cv2.NORM_L2SQR) / edges.size - (cv2.sumElems(edges)[0] / edges.size) ** 2
    return max(variance - _ROUNDING_VARIANCE, 0.0) ** 0.5


def _level_columns(counts: np.ndarray) -> dict[str, list[Any]]:
    counts = counts.astype(np.float64)
    shares = counts / counts.sum(axis=1, keepdims=True)
    mean = shares @ _LEVELS
    variance = (shares * (_LEVELS - mean[:, None]) ** 2).sum(axis=1)
    cumulative = np.cumsum(shares, axis=1)
    bits = shares * np.log2(np.where(shares > 0, shares, 1.0))
    return {
        "brightness": np.round(mean, 3).tolist(),
        "contrast": np.round(np.sqrt(variance), 3).tolist(),
        "low_level": (cumulative < 0.05).sum(axis=1).tolist(),
        "high_level": (cumulative < 0.99).sum(axis=1).tolist(),
        "entropy": np.round(np.abs(bits.sum(axis=1)), 3).tolist(),
        "constant": ((counts > 0).sum(axis=1) == 1).tolist(),
    }


def _digest(sample: Sample) -> bytes:
    """Equal grey levels everywhere and equal colours on the grid are equal pictures; all colours would cost thrice."""
    if sample.chroma > _MAX_GREY_CHROMA:
        for channel in sample.colors:
            sample.digest.update(channel.data)
    return sample.digest.digest()
