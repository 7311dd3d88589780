"""What the report tells, as plain values: whoever writes the page knows nothing of where they come from."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np


class Measure(NamedTuple):
    """A metric with its interval; None where it is not defined, or has none."""

    value: float | None
    low: float | None
    high: float | None


class Slice(NamedTuple):
    """A part of the test images against the rest of them."""

    name: str
    """What divides the images, `brightness` for example."""
    value: str
    images: int
    accuracy: Measure
    difference: Measure
    """To the accuracy of the rest; None: the slice is too small to be tested."""
    adjusted_p: float | None
    """Of so low an accuracy by chance, corrected for all slices looked at."""
    detectable: float | None
    """The smallest difference that a slice of this size shows; None: not even the largest."""
    is_worse: bool
    """Whether the difference has survived the correction."""


class Curve(NamedTuple):
    """A line of a chart."""

    name: str
    x: np.ndarray
    """float64 `(points,)`, as `y`; NaN is left out."""
    y: np.ndarray


class OutOfFold(NamedTuple):
    """The accuracy of heads on the images of training and validation that each has not seen."""

    accuracy: Measure
    sd: float
    """Between folds."""
    folds: int
    images: int


class Plot(NamedTuple):
    """A chart with both axes from 0 to 1."""

    title: str
    x_label: str
    y_label: str
    curves: Sequence[Curve]
    has_diagonal: bool
    """Whether what chance gives is the diagonal."""


class Phase(NamedTuple):
    """A phase of training, a value an epoch."""

    columns: Mapping[str, np.ndarray]
    """`loss`, `validation_loss`, `accuracy`, `validation_accuracy`: float64 `(epochs,)`, NaN where not measured."""


class Crossing(NamedTuple):
    """A test image that looks like one that the model has seen in training."""

    tested: str
    seen: str
    split: str
    """Of the one seen: `train` or `validation`."""


_FLIPS = {
    "horizontal_flip": "mirrored left to right",
    "vertical_flip": "upside down",
    "right_angle_turns": "turned by right angles",
}


@dataclass(frozen=True)
class Result:
    """Everything that the page shows. Images are in one order throughout."""

    classes: Sequence[str]
    paths: Sequence[str]
    labels: np.ndarray
    """int `(images,)`, as `predicted`."""
    predicted: np.ndarray
    probabilities: np.ndarray
    """float64 `(images, classes)`."""
    certainty: np.ndarray
    """float64 `(images,)`: how sure each verdict is."""
    metrics: Mapping[str, Measure]
    out_of_fold: OutOfFold | None
    """None where no audit was made."""
    suspects: int
    """Labels that are probably wrong."""
    coverage: float
    """Of the intervals, 0.95 for example."""
    class_measures: Sequence[Mapping[str, Measure]]
    """`recall` and `precision` of each class."""
    slices: Sequence[Slice]
    phases: Sequence[Phase]
    """Frozen, then thawed."""
    plots: Sequence[Plot]
    calibration: Mapping[str, Any]
    """`calibration` of `metrics.json`, as `decision`."""
    decision: Mapping[str, Any]
    crossings: Sequence[Crossing]
    split_counts: Mapping[str, Sequence[int]]
    """Split to images of each class."""
    findings: Mapping[str, Any]
    """The content of `findings.json`."""
    model: Mapping[str, Any]
    """The content of the judged model's `model.json`."""
    digests: Mapping[str, str]
    """What a digest is of to SHA-256, hexadecimal."""
    examples: Mapping[str, Sequence[int]]
    """The images to show at the top of `mistakes`, `unsure` and `right`."""
    thumbnail: Callable[[str], str]
    """From an image's path to a small picture, as a `data:` address."""
    heatmap: Callable[[int], str]
    """From an image to where the model looked in it, as a `data:` address; empty where that was not drawn."""

    @cached_property
    def correct(self) -> np.ndarray:
        """Where the model is right, bool `(images,)`."""
        return self.predicted == self.labels

    @cached_property
    def confusion(self) -> np.ndarray:
        """Counts, int `(classes, classes)`: a row a true class, a column a predicted one."""
        size = len(self.classes)
        return np.bincount(self.labels * size + self.predicted, minlength=size * size).reshape(size, size)

    @property
    def trained_on(self) -> str:
        """How training showed the pictures, in words, as the user or the images decided; empty: the model does not say."""
        flips = self.model.get("flips")
        if flips is None:
            return ""
        done = [words for name, words in _FLIPS.items() if flips[name]]
        return f"also {', '.join(done)}" if done else "neither mirrored nor turned"
