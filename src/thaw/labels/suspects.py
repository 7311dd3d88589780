"""The table of labels that are probably wrong, the worst first, each with its reason in words."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from thaw.labels.confident import find_wrong, label_quality
from thaw.labels.twins import Twin, find_twins

COLUMNS = ("path", "label", "suggested_label", "score", "why")
_DIGITS = 4


@dataclass(frozen=True)
class Images:
    """Images whose labels are in question, and those that look like them."""

    paths: Sequence[str]
    labels: np.ndarray
    """int `(images,)`."""
    probabilities: np.ndarray
    """float64 `(images, classes)`, out of fold; NaN of an image that no head has judged."""
    copies: np.ndarray
    """int `(images,)`: images of one number are equal files; -1: equal to none."""
    clusters: np.ndarray
    """int `(images,)`: images of one number look alike; -1: like none."""


def suspects(images: Images, classes: Sequence[str]) -> pd.DataFrame:
    """The labels that are probably wrong: `path`, `label`, `suggested_label`, `score` and `why`, by score.

    A label is suspected where confident learning counts it wrong (`find_wrong`), or where it is less likely than that of an
    equal file (`find_twins`). An image that only looks like it is a reason the more, and none by itself: most such pairs
    of ELPV differ by a crack. `score` is the label's quality, 0 to 1, the worst first.

    Args:
        images: the judged ones among them are questioned.
        classes: their names.
    """
    judged = np.flatnonzero(~np.isnan(images.probabilities).any(axis=1))
    if not len(judged):
        return no_suspects()
    labels, probabilities = images.labels[judged], images.probabilities[judged]
    quality = np.full(len(images.labels), np.nan)
    quality[judged] = label_quality(labels, probabilities)
    wrong = judged[find_wrong(labels, probabilities)]
    copies, twins = (
        {twin.image: twin for twin in find_twins(images.labels, groups, images.probabilities)}
        for groups in (images.copies, images.clusters)
    )
    counted, rows = set(wrong.tolist()), []
    for image in sorted({*counted, *copies}):
        copy = copies.get(image)
        best = copy.suggested if copy else _likeliest_other(images, image)
        rows.append(
            {
                "path": images.paths[image],
                "label": classes[images.labels[image]],
                "suggested_label": classes[best],
                "score": round(float(quality[image]), _DIGITS),
                "why": _why(images, classes, best, image, copy, twins.get(image)),
            }
        )
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    return table.sort_values(["score", "path"], kind="stable", ignore_index=True)


def no_suspects() -> pd.DataFrame:
    """The table without a row."""
    return pd.DataFrame({name: [] for name in COLUMNS}, dtype=object)


def _likeliest_other(images: Images, image: int) -> int:
    others = images.probabilities[image].copy()
    others[images.labels[image]] = -1.0
    return int(np.argmax(others))


def _why(
    images: Images, classes: Sequence[str], best: int, image: int, copy: Twin | None, twin: Twin | None
) -> str:
    reasons = [f"the other folds say {classes[best]} {_percent(images.probabilities[image, best])}"]
    if other := copy or twin:
        how = "is the same file as" if copy else "looks like"
        reasons.append(f"{how} {images.paths[other.other]}, which is labelled {classes[other.suggested]}")
    return "; ".join(reasons)


def _percent(share: float) -> str:
    """As whole percents, of which 0 and 100 are said of nothing that is only nearly so."""
    return f"{min(max(round(100 * share), 1), 99)} %"
