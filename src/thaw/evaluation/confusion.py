"""Which classes are taken for which: counts, pairs, and an order in which a matrix of many classes can be read."""

import numpy as np
import pandas as pd
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform

from thaw.evaluation.predictions import Predictions

OTHERS = "(others)"
_PLOTTED_CLASSES = 30
_MOST_ORDERED = 300
_DIGITS = 6


def confusion(predictions: Predictions) -> np.ndarray:
    """Counts, int `(classes, classes)`: a row a true class, a column a predicted one."""
    size = len(predictions.classes)
    return np.bincount(predictions.labels * size + predictions.predicted, minlength=size * size).reshape(size, size)


def confusion_table(predictions: Predictions) -> pd.DataFrame:
    """A row a true class, a column a predicted one: how many images."""
    table = pd.DataFrame(confusion(predictions), columns=predictions.classes)
    table.insert(0, "class", predictions.classes, allow_duplicates=True)
    return table


def confused_pairs(predictions: Predictions) -> pd.DataFrame:
    """A row a pair of classes of which one was taken for the other: images and their share of the class, most first."""
    counts, names = confusion(predictions), np.array(predictions.classes, object)
    support = counts.sum(axis=1)
    np.fill_diagonal(counts, 0)
    true, taken = np.nonzero(counts)
    images = counts[true, taken]
    order = np.lexsort((taken, true, -images))
    shares = (images / support[true]).round(_DIGITS)
    pairs = {"class": names[true], "predicted": names[taken], "images": images, "share": shares}
    return pd.DataFrame(pairs).iloc[order].reset_index(drop=True)


def order_by_likeness(counts: np.ndarray) -> np.ndarray:
    """The classes so that those lie together which are taken for each other, int `(classes,)`.

    The leaves of an average linkage by the shares of mistakes, flipped so that neighbours are alike (Bar-Joseph, Gifford and
    Jaakkola, "Fast optimal leaf ordering for hierarchical clustering", Bioinformatics 17, 2001); of very many classes, where
    that takes long, as they are.

    Args:
        counts: int `(classes, classes)`, of three classes or more.
    """
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    distances = 1 - (shares + shares.T) / 2
    np.fill_diagonal(distances, 0)
    tree = linkage(squareform(distances, checks=False), "average", optimal_ordering=len(counts) <= _MOST_ORDERED)
    return np.asarray(leaves_list(tree))


def plotted_verdicts(predictions: Predictions) -> pd.DataFrame:
    """A row an image, class and predicted class, for a plot that counts them: of many classes those of most mistakes by
    name, the rest as `OTHERS`."""
    names = np.array(predictions.classes, object)
    if len(names) > _PLOTTED_CLASSES:
        counts = confusion(predictions)
        mistakes = counts.sum(axis=0) + counts.sum(axis=1) - 2 * counts.diagonal()
        names[np.argsort(-mistakes, kind="stable")[_PLOTTED_CLASSES:]] = OTHERS
    return pd.DataFrame({"class": names[predictions.labels], "predicted": names[predictions.predicted]})
