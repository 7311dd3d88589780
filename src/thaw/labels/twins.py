"""Pictures that look alike and are labelled differently: of each such pair the heads say which label is the wrong one."""

from typing import NamedTuple

import numpy as np


class Twin(NamedTuple):
    """An image that looks like another one, of another class."""

    image: int
    other: int
    suggested: int
    """The other one's label."""


def find_twins(labels: np.ndarray, clusters: np.ndarray, probabilities: np.ndarray) -> list[Twin]:
    """The images whose label is less likely than that of another image which looks like them, by image.

    Pictures that look alike are in one fold, so that the heads which judge them have seen none of them. That they look
    alike is not enough: a crack is small.

    Args:
        labels: int `(images,)`.
        clusters: int `(images,)`: images of one number look alike; -1: like none.
        probabilities: float `(images, classes)`, out of fold; NaN: the image was not judged, and only speaks of others.
    """
    twins = []
    order = np.argsort(clusters, kind="stable")
    order = order[clusters[order] >= 0]
    for members in np.split(order, np.flatnonzero(np.diff(clusters[order])) + 1):
        known = np.unique(labels[members])
        if len(known) < 2:
            continue
        first = {int(label): int(members[labels[members] == label][0]) for label in known}
        for image in members:
            best = int(known[np.argmax(np.nan_to_num(probabilities[image, known], nan=-1.0))])
            if not np.isnan(probabilities[image, 0]) and probabilities[image, best] > probabilities[image, labels[image]]:
                twins.append(Twin(int(image), first[best], best))
    return sorted(twins)
