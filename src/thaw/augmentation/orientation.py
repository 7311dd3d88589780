"""Which flips and turns leave a picture what it is, told from the images.

A linear classifier is shown the images, and another one the images with their flipped copies; both judge images that neither
was shown, as they are. Where the copies make the second one worse, they show what does not occur (a horse on its back), or what
would be of another class (a 2 that is mirrored): the network is better off without them. Where they do no harm they are made,
for there they are further examples.
"""

import logging
from collections.abc import Callable, Sequence
from typing import NamedTuple

import cv2
import numpy as np

from thaw.params import AugmentParams

_log = logging.getLogger("thaw.augmentation")

Describe = Callable[[np.ndarray], np.ndarray]
"""From pictures, uint8 `(n, height, width, channels)`, to a vector for each, float32 `(n, ...)`."""

_MOST_IMAGES, _LEAST_IMAGES, _MOST_CLASSES, _FOLDS = 300, 100, 10, 5
_SIGNIFICANCE = 0.001


def _turned(quarters: int) -> Describe:
    return lambda pictures: np.rot90(pictures, quarters, axes=(1, 2))


def _mirrored(axis: int) -> Describe:
    return lambda pictures: np.flip(pictures, axis)


_COPIES: dict[str, dict[str, Describe]] = {
    "horizontal_flip": {"mirrored left to right": _mirrored(2)},
    "vertical_flip": {"mirrored top to bottom": _mirrored(1)},
    "right_angle_turns": {"turned by 90 degrees": _turned(1), "turned by 180 degrees": _turned(2)},
}


class Harm(NamedTuple):
    """What a kind of copy does to how images are judged that were not shown."""

    change: float
    """Of the mean squared error, as a share of it."""
    p: float
    """That so much or more is chance: a paired t-test, one-sided."""

    @property
    def is_shown(self) -> bool:
        return self.p < _SIGNIFICANCE


def undecided(params: AugmentParams) -> list[str]:
    """The flips and turns that the images are to decide, by their names in the parameters."""
    return [name for name in _COPIES if getattr(params, name) == "auto"]


def choose_images(labels: np.ndarray) -> np.ndarray:
    """The images that decide, as row numbers: 300 at most, of the ten largest classes, evenly; none where they are too few.

    Args:
        labels: the class of each training image, `(images,)`.
    """
    classes, counts = np.unique(labels, return_counts=True)
    largest = sorted(zip(-counts, classes, strict=True))[:_MOST_CLASSES]
    members = [np.flatnonzero(labels == name) for count, name in largest if -count >= _FOLDS]
    each = -(-_MOST_IMAGES // max(1, len(members)))
    chosen = [rows[np.unique(np.linspace(0, len(rows) - 1, each).round().astype(int))] for rows in members]
    found = np.sort(np.concatenate([np.zeros(0, int), *chosen]))
    return found if len(chosen) > 1 and len(found) >= _LEAST_IMAGES else found[:0]


def allow(params: AugmentParams) -> AugmentParams:
    """`params` with every flip and turn made that is `auto`: there is nothing to decide by."""
    names = undecided(params)
    _log.info("%s: made, as there are too few images to speak against it", ", ".join(names))
    return params.model_copy(update=dict.fromkeys(names, True))


def decide(params: AugmentParams, pictures: np.ndarray, labels: np.ndarray, describe: Describe) -> AugmentParams:
    """`params` with an answer for each flip and turn that is `auto`.

    Args:
        pictures: uint8 `(images, size, size, channels)`, those that `choose_images` names.
        labels: their classes.
        describe: a network's features. Beside them stand histograms of oriented gradients, which tell writing better; what
            judges is that of the two, or both, that tells the images' classes best.
    """
    names = undecided(params)
    copies = {"": pictures} | {kind: copy(pictures) for name in names for kind, copy in _COPIES[name].items()}
    seen, usual = _best_description(copies, labels, describe)
    answers = {}
    for name in names:
        found = {kind: _compare(_errors(seen, labels, ["", kind]), usual) for kind in _COPIES[name]}
        answers[name] = not any(harm.is_shown for harm in found.values())
        told = "; ".join(f"shown {kind} too, {harm.change:+.1%} (p {harm.p:.2g})" for kind, harm in found.items())
        verdict = "made" if answers[name] else "not made"
        _log.info("%s: %s. Errors of a linear classifier on %d images: %s", name, verdict, len(pictures), told)
    return params.model_copy(update=answers)


def _best_description(
    copies: dict[str, np.ndarray], labels: np.ndarray, describe: Describe
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """The vectors of all copies, as the description gives them that tells the classes of the images themselves best, and its
    errors on these."""
    network = _standardized({kind: describe(np.ascontiguousarray(some)) for kind, some in copies.items()})
    gradients = _standardized({kind: oriented_gradients(some) for kind, some in copies.items()})
    both = {kind: np.concatenate([network[kind], gradients[kind]], axis=1) for kind in copies}
    judged = [(seen, _errors(seen, labels, [""])) for seen in (network, gradients, both)]
    return min(judged, key=lambda pair: float(pair[1].mean()))


def _standardized(vectors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """By the images themselves, to a mean square norm of 1: one strength of regularization suits vectors of any length."""
    flat = {kind: some.reshape(len(some), -1).astype(np.float64) for kind, some in vectors.items()}
    mean, deviation = flat[""].mean(axis=0), flat[""].std(axis=0) + 1e-6
    return {kind: (some - mean) / deviation / np.sqrt(some.shape[1]) for kind, some in flat.items()}


def oriented_gradients(pictures: np.ndarray) -> np.ndarray:
    """Histograms of oriented gradients (Dalal and Triggs 2005, section 6) of 4 x 4 cells and 8 directions, without blocks.

    Args:
        pictures: uint8 `(n, height, width, channels)`.

    Returns:
        float64 `(n, 128)`.
    """
    grey = pictures.mean(axis=3, dtype=np.float32) / 255
    small = np.stack([cv2.resize(picture, (64, 64), interpolation=cv2.INTER_AREA) for picture in grey])
    down, right = np.gradient(small, axis=(1, 2))
    strength = np.hypot(down, right)
    direction = (np.arctan2(down, right) % np.pi / np.pi * 8).astype(int) % 8
    bins = [(strength * (direction == number)).reshape(len(small), 4, 16, 4, 16).sum(axis=(2, 4)) for number in range(8)]
    cells = np.stack(bins, axis=-1)
    return (cells / (np.linalg.norm(cells, axis=-1, keepdims=True) + 1)).reshape(len(small), -1)


def _errors(seen: dict[str, np.ndarray], labels: np.ndarray, kinds: Sequence[str]) -> np.ndarray:
    """The squared error for each image of a ridge classifier that was shown other images, in copies of these kinds."""
    from sklearn.linear_model import Ridge
    from sklearn.model_selection import StratifiedKFold

    targets = np.unique(labels)[None, :] == labels[:, None]
    errors = np.zeros(len(labels))
    for shown, held in StratifiedKFold(_FOLDS, shuffle=True, random_state=0).split(labels, labels):
        inputs = np.concatenate([seen[kind][shown] for kind in kinds])
        # As strong, by the share of a copy: copies are no further evidence.
        ridge = Ridge(alpha=len(kinds)).fit(inputs, np.tile(targets[shown].astype(float), (len(kinds), 1)))
        errors[held] = ((ridge.predict(seen[""][held]) - targets[held]) ** 2).sum(axis=1)
    return errors


def _compare(errors: np.ndarray, usual: np.ndarray) -> Harm:
    from scipy.stats import ttest_rel

    return Harm(float(errors.mean() / usual.mean() - 1), float(ttest_rel(errors, usual, alternative="greater").pvalue))
