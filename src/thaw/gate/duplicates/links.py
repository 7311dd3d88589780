"""What chains of links join, in memory that does not grow with the number of links."""

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components


class Links:
    """Groups of `count` pictures, one of each alone at first.

    Attributes:
        groups: the smallest picture of each one's group, int32 `(count,)`.
        reach: of a group, at its smallest picture, the longest link, float32 `(count,)`.
    """

    def __init__(self, count: int) -> None:
        self.groups = np.arange(count, dtype=np.int32)
        self.reach = np.zeros(count, np.float32)

    def add(self, left: np.ndarray, right: np.ndarray, lengths: np.ndarray) -> None:
        """Join pictures `left` and `right` by links of `lengths`."""
        if not len(left):
            return
        ends = np.concatenate([self.groups[left], self.groups[right]])
        nodes, at = np.unique(ends, return_inverse=True)
        graph = coo_array((np.ones(len(left), np.int8), tuple(at.reshape(2, -1))), shape=(len(nodes),) * 2)
        count, joined = connected_components(graph, directed=False)
        smallest = np.full(count, len(self.groups), np.int32)
        np.minimum.at(smallest, joined, nodes)
        longest = np.zeros(count, np.float32)
        np.maximum.at(longest, joined, self.reach[nodes])
        np.maximum.at(longest, joined[at[: len(left)]], lengths)
        self.reach[smallest] = longest
        become = np.arange(len(self.groups), dtype=np.int32)
        become[nodes] = smallest[joined]
        self.groups = become[self.groups]
