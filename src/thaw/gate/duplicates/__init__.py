"""Equal pictures: within a class, across classes (a label conflict), across splits (leakage)."""

from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from pathlib import Path

import numpy as np
import pyarrow as pa

from thaw.files import read_json, write_json
from thaw.fingerprint import code_digest, content_key, library_versions
from thaw.gate.duplicates.near import NearClusters, find_near_clusters
from thaw.gate.findings import Findings
from thaw.gate.mapped import array_on_disk
from thaw.gate.rows import Rows
from thaw.gate.scan.fingerprint import BYTES
from thaw.leftovers import copy_of

_SPLIT_ORDER = {"test": 0, "validation": 1, "train": 2, "": 3}


def exact_clusters(rows: Rows) -> list[np.ndarray]:
    """Clusters of images with equal bytes or equal pixels, as indices in order of path."""
    column = rows.table["pixels"].combine_chunks()
    seen = np.flatnonzero(column.is_valid().to_numpy(zero_copy_only=False))
    if len(seen) < 2:
        return []
    taken = column.take(seen)
    words = np.frombuffer(taken.buffers()[1], np.uint64).reshape(-1, 2)
    words = words[taken.offset : taken.offset + len(taken)]
    order = np.lexsort(words.T)  # stable: equal ones stay in order of path
    same = (words[order[1:]] == words[order[:-1]]).all(axis=1)
    in_cluster = np.concatenate([same, [False]]) | np.concatenate([[False], same])
    begins = np.concatenate([[True], ~same])[in_cluster]
    clusters = np.split(seen[order[in_cluster]], np.flatnonzero(begins)[1:]) if in_cluster.any() else []
    return sorted(clusters, key=lambda cluster: int(cluster[0]))


def kept_first(
    rows: Rows, clusters: Iterable[np.ndarray], filled: Callable[[str], int] = lambda path: 0
) -> list[np.ndarray]:
    """The clusters, the image that stays of each first: of the test split; then the one that most is told of; then one
    whose name is no copy's (`1 (1).jpg`); then the shortest name; then the first by name.

    Args:
        filled: how much the metadata tells of a path.
    """

    def standing(index: int) -> tuple[int, int, bool, int, str]:
        path = rows.paths[index]
        name = path.rsplit("/", 1)[-1]
        order = _SPLIT_ORDER.get(str(rows.splits[index]), 4)
        return order, -filled(path), bool(copy_of(name)), len(name), path

    return [np.array(sorted(cluster.tolist(), key=standing)) for cluster in clusters]


def near_clusters(
    rows: Rows, equal: Sequence[np.ndarray], max_distance: float, store_path: Path | None = None
) -> NearClusters:
    """Clusters of pictures that look alike and are not all equal: of each cluster in `equal` the first takes part.

    Args:
        rows: of the whole set.
        equal: as `kept_first` gives them.
        max_distance: as `find_near_clusters` takes it.
        store_path: keeps what was found, for the next time that the very same pictures are asked about.
    """
    usable = rows.table["descriptor"].is_valid().to_numpy()
    usable[np.concatenate([np.zeros(0, np.int64), *(cluster[1:] for cluster in equal)])] = False
    chosen = np.flatnonzero(usable)
    if not len(chosen):
        return NearClusters([], [])
    folder = store_path.parent if store_path else None
    descriptors = _descriptors(rows.table["descriptor"], usable, folder)
    pictures = sha256(descriptors.data).hexdigest()
    key = content_key(pictures, max_distance, code_digest("gate"), library_versions("numpy", "scipy"))
    found = _recall(store_path, key)
    if found is None:
        found = find_near_clusters(descriptors, max_distance, folder)
        if store_path:
            members = [cluster.tolist() for cluster in found.members]
            write_json(store_path, {"key": key, "members": members, "distances": found.distances})
    return NearClusters([chosen[members] for members in found.members], found.distances)


def _descriptors(column: pa.ChunkedArray, chosen: np.ndarray, folder: Path | None) -> np.ndarray:
    """Those of the `chosen` images, int8 `(n, 256)`: as they lie in memory, where they lie side by side."""
    parts = [_octets(chunk, BYTES) for chunk in column.chunks if len(chunk)]
    if len(parts) == 1 and chosen.all():
        return parts[0]
    gathered = array_on_disk((int(chosen.sum()), BYTES), np.int8, folder)
    seen = taken = 0
    for part in parts:
        wanted = part[chosen[seen : seen + len(part)]]
        gathered[taken : taken + len(wanted)] = wanted
        seen, taken = seen + len(part), taken + len(wanted)
    return gathered


def _octets(column: pa.Array, width: int) -> np.ndarray:
    """Values of `width` bytes each, int8 `(n, width)`; anything where there is none."""
    return np.frombuffer(column.buffers()[1], np.int8).reshape(-1, width)[column.offset : column.offset + len(column)]


def first_alike(count: int, equal: Sequence[np.ndarray], near: NearClusters) -> np.ndarray:
    """For each of `count` images the index of the first one that equals it or looks like it, int `(count,)`.

    Args:
        equal: as `kept_first` gives them.
        near: as `near_clusters` gives them, of one image of each cluster in `equal`.
    """
    first, first_equal = np.arange(count), np.arange(count)
    for members in near.members:
        first[members] = members.min()
    for members in equal:
        first_equal[members] = members[0]
    found = first[first_equal]
    lowest = np.arange(count)
    np.minimum.at(lowest, found, np.arange(count))
    return lowest[found]


def _recall(store_path: Path | None, key: str) -> NearClusters | None:
    try:
        kept = read_json(store_path) if store_path else {}
        if kept.get("key") == key:
            return NearClusters([np.array(members) for members in kept["members"]], kept["distances"])
    except (OSError, ValueError, KeyError, AttributeError):  # what cannot be read was never kept
        pass
    return None


def report_clusters(
    rows: Rows,
    clusters: Sequence[np.ndarray],
    prefix: str,
    findings: Findings,
    distances: Sequence[float] = (),
) -> None:
    """Report every image of each cluster under `prefix`, `prefix`_across_classes or `prefix`_across_splits.

    Within a class and a split the first of a cluster stays, as `kept_first` has it; one across both is reported under both.
    """
    for number, cluster in enumerate(clusters):
        labels, splits = set(rows.labels[cluster]), set(rows.splits[cluster])
        kinds = [
            kind
            for kind, values in (("across_splits", splits), ("across_classes", labels))
            if len(values) > 1
        ]
        members = cluster.tolist()
        distance = distances[number] if distances else None
        for kind in kinds or [""]:
            check = f"{prefix}_{kind}" if kind else prefix
            for index in members if kind else members[1:]:
                other = members[0] if index != members[0] else members[1]
                findings.add(
                    check,
                    rows.paths[index],
                    _tell(rows.paths[index], rows.paths[other], len(members), distance),
                    f"cluster {number + 1}",
                    distance,
                    is_image=True,
                )


def _tell(path: str, other: str, size: int, distance: float | None) -> str:
    rest = f" and {size - 2} more" if size > 2 else ""
    alike = "equals" if distance is None else "looks like"
    original = copy_of(path.rsplit("/", 1)[-1])
    copy = f"; a copy of {original} by its name" if original else ""
    return f"{alike} {other}{rest}{copy}"
