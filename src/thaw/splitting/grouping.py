"""Images that stay together, and the split of each such group."""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components

_EXACT_GROUPS = 100
"""Of classes that share groups, so many groups are placed exactly; those before them, one by one."""


class Undividable(Exception):
    """No division has every class in every split."""

    def __init__(self, classes: np.ndarray) -> None:
        super().__init__()
        self.classes = classes
        """Numbers of the classes that share the groups at fault."""


LINKS = {"groups": ("sha256", "meta_group"), "near_duplicates": ("sha256", "meta_group", "cluster")}
"""Columns of the manifest that join the images that `split.by` keeps together."""


def first_of_linked(images: pd.DataFrame) -> pd.Series:
    """The first path of the images that depend on each other: of one group, equal, or alike; empty for an image alone."""
    paths = images["path"].groupby(link_images(images, LINKS["near_duplicates"]))
    return paths.transform("min").where(paths.transform("size") > 1, "")


def link_images(images: pd.DataFrame, links: Sequence[str]) -> np.ndarray:
    """Number the sets of images that the columns `links` join, `(images,)`.

    An empty cell joins nothing.
    """
    count = len(images)
    known = [images[name].mask(images[name] == "") for name in links if name in images]
    nodes = [pd.factorize(column)[0] for column in known]
    rows, columns, total = [], [], count
    for numbers in nodes:
        linked = np.flatnonzero(numbers >= 0)
        rows.append(linked)
        columns.append(total + numbers[linked])
        total += int(numbers.max(initial=-1)) + 1
    if not rows:
        return np.arange(count)
    labels = _components(np.concatenate(rows), np.concatenate(columns), total)
    return np.unique(labels[:count], return_inverse=True)[1]


def place_groups(
    counts: csr_array, singles: np.ndarray, class_of: np.ndarray, quotas: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Divide groups, and the images that have none, so that every class is in every split and the fewest images are
    in another split than the quotas say.

    Args:
        counts: `(groups, strata)`, images; of groups that are alike the first go to the first splits.
        singles: `(strata,)`, images without a group.
        class_of: `(strata,)`, the number of each one's class.
        quotas: `(strata, splits)`, images.

    Returns:
        The split of each group `(groups,)`, and how many single images each split gets `(strata, splits)`.

    Raises:
        Undividable: no division has every class in every split.
    """
    chosen = np.zeros(counts.shape[0], np.int64)
    shares = quotas.copy()
    for groups, strata in _parts(counts, class_of):
        classes, own = np.unique(class_of[strata], return_inverse=True)
        placed = _place_part(counts[groups][:, strata], singles[strata], own, quotas[strata])
        if placed is None:
            raise Undividable(classes)
        chosen[groups], shares[strata] = placed
    return chosen, shares


def _parts(counts: csr_array, class_of: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Groups and strata of the classes that share groups; each part can be divided apart from the others."""
    groups, strata = counts.nonzero()
    total = counts.shape[0]
    nodes = total + class_of
    labels = _components(groups, nodes[strata], total + int(class_of.max()) + 1)
    for label in np.unique(labels[:total]):
        yield np.flatnonzero(labels[:total] == label), np.flatnonzero(labels[nodes] == label)


def _place_part(
    counts: csr_array, singles: np.ndarray, class_of: np.ndarray, quotas: np.ndarray
) -> tuple[np.ndarray, np.ndarray] | None:
    """As `place_groups`, of classes that share groups. Where there are many, most are placed one by one, unless the
    others cannot make up for that."""
    from thaw.splitting.nearest import nearest_division  # 0.5 s of SciPy, for the few sets that have groups

    order = _plentiful_first(counts, class_of)
    one_by_one = max(0, len(order) - _EXACT_GROUPS)
    while True:
        chosen, room, missing = _place_one_by_one(order[:one_by_one], counts, class_of, quotas)
        rest = np.sort(order[one_by_one:])
        placed = nearest_division(counts[rest].toarray(), singles, class_of, room, missing)
        if placed is not None:
            chosen[rest], shares = placed
            return chosen, shares
        if not one_by_one:
            return None
        one_by_one = 0


def _place_one_by_one(
    order: np.ndarray, counts: csr_array, class_of: np.ndarray, quotas: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Put each group of `order` where it brings the strata nearest to their quotas.

    Returns:
        The split of each group `(groups,)`, what is left of the quotas `(strata, splits)`, and where a class has still to get
        an image `(classes, splits)`.
    """
    chosen, room = np.zeros(counts.shape[0], np.int64), quotas.copy()
    missing = np.ones((class_of.max() + 1, quotas.shape[1]), bool)
    for group in order:
        part = slice(counts.indptr[group], counts.indptr[group + 1])
        strata, images = counts.indices[part], counts.data[part][:, None]
        gain = (images * (2 * room[strata] - images) / (quotas[strata] + 1.0)).sum(axis=0)
        chosen[group] = best = int(np.argmax(gain))
        room[strata, best] -= images[:, 0]
        missing[class_of[strata], best] = False
    return chosen, room, missing


def _plentiful_first(counts: csr_array, class_of: np.ndarray) -> np.ndarray:
    """Groups whose classes have many others, then the large ones, before those on which more depends."""
    groups, strata = counts.nonzero()
    pairs = np.unique(np.stack([groups, class_of[strata]]), axis=1)
    groups_of_class = np.bincount(pairs[1])
    scarcest = np.full(counts.shape[0], len(groups))
    np.minimum.at(scarcest, pairs[0], groups_of_class[pairs[1]])
    return np.lexsort((-counts.sum(axis=1), -scarcest))


def _components(starts: np.ndarray, ends: np.ndarray, total: int) -> np.ndarray:
    """The connected component of each of `total` nodes."""
    edges = coo_array((np.ones(len(starts), bool), (starts, ends)), (total, total))
    return connected_components(edges, directed=False)[1]
