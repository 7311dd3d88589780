"""Confident learning: how many labels are wrong, and which, by what the probabilities of others say. By cleanlab.

Northcutt, Jiang and Chuang, "Confident learning: estimating uncertainty in dataset labels", JAIR 70 (2021). The number is the
sum off the diagonal of the calibrated confident joint (section 3.1); those of the smallest normalized margin are taken (section
4.2). Probabilities have to be out of sample.
"""

import numpy as np

_COUNT, _SCORE = "off_diagonal_calibrated", "normalized_margin"


def find_wrong(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Where a label is probably wrong, bool `(images,)`; nowhere where fewer than two classes have images.

    Args:
        labels: int `(images,)`.
        probabilities: float `(images, classes)`, out of sample.
    """
    found = np.zeros(len(labels), bool)
    if len(np.unique(labels)) < 2:
        return found
    from cleanlab.count import num_label_issues  # seconds to import

    quality = label_quality(labels, probabilities)
    count = num_label_issues(labels, probabilities, estimation_method=_COUNT)
    worst = np.argsort(quality, kind="stable")[:count]
    found[worst[quality[worst] < 0.5]] = True  # of a greater one the label itself is the likeliest
    return found


def label_quality(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """How well each label fits, float64 `(images,)`: 0 is surely wrong, 1 surely right.

    The margin between the label's probability and the greatest other one, from -1 to 1, as (1 + margin) / 2.

    Args:
        labels, probabilities: as of `find_wrong`.
    """
    from cleanlab.rank import get_label_quality_scores

    return np.asarray(get_label_quality_scores(labels, probabilities, method=_SCORE), np.float64)
