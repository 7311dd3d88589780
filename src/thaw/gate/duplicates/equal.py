"""Pictures that are equal to the last bit."""

import numpy as np

from thaw.gate.mapped import octets
from thaw.gate.rows import Rows


def exact_clusters(rows: Rows) -> list[np.ndarray]:
    """Clusters of images with equal bytes or equal pixels, as indices in order of path."""
    column = rows.table["pixels"].combine_chunks()
    seen = np.flatnonzero(column.is_valid().to_numpy(zero_copy_only=False))
    if not len(seen):
        return []
    words = octets(column).view(np.uint64)
    seen = seen[repeated(words[seen, 0])]  # half of a digest tells nearly all apart
    words = words[seen]
    order = np.lexsort(words.T)  # stable: equal ones stay in order of path
    begins = np.concatenate([[True], (words[order[1:]] != words[order[:-1]]).any(axis=1)])[: len(order)]
    clusters = np.split(seen[order], np.flatnonzero(begins)[1:])
    return sorted((each for each in clusters if len(each) > 1), key=lambda cluster: int(cluster[0]))


def repeated(values: np.ndarray) -> np.ndarray:
    """Which of `values` `(n,)` stand there more than once, as bool."""
    order = np.argsort(values)
    same = values[order[1:]] == values[order[:-1]]
    found = np.zeros(len(values), bool)
    found[order[1:][same]] = found[order[:-1][same]] = True
    return found
