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
    clusters: np.ndarray
    """int `(images,)`: images of one number look alike; -1: like none."""


def suspects(images: Images, classes: Sequence[str]) -> pd.DataFrame:
    """The labels that are probably wrong: `path`, `label`, `suggested_label`, `score` and `why`, by score.

    A label is suspected where confident learning counts it wrong (`find_wrong`), or where it is less likely than that of an
    image which looks like it (`find_twins`). `score` is the label's quality, 0 to 1, the worst first.

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
    twins = {twin.image: twin for twin in find_twins(images.labels, images.clusters, images.probabilities)}
    counted, rows = set(wrong.tolist()), []
    for image in sorted({*counted, *twins}):
        twin = twins.get(image)
        best = twin.suggested if twin and image not in counted else _likeliest_other(images, image)
        rows.append(
            {
                "path": images.paths[image],
                "label": classes[images.labels[image]],
                "suggested_label": classes[best],
                "score": round(float(quality[image]), _DIGITS),
                "why": _why(images, classes, image, best, twin),
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


def _why(images: Images, classes: Sequence[str], image: int, best: int, twin: Twin | None) -> str:
    sure = images.probabilities[image, best]
    reasons = [f"the other folds say {classes[best]} {_percent(sure)}"]
    if twin:
        reasons.append(f"looks like {images.paths[twin.other]}, which is labelled {classes[twin.suggested]}")
    return "; ".join(reasons)


def _percent(share: float) -> str:
    """As whole percents, of which 0 and 100 are said of nothing that is only nearly so."""
    return f"{min(max(round(100 * share), 1), 99)} %"
