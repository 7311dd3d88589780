"""Equal pictures: within a class, across classes (a label conflict), across splits (leakage)."""

from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from pathlib import Path

import numpy as np
import pyarrow as pa

from thaw.files import read_json, write_json
from thaw.fingerprint import code_digest, content_key, library_versions
from thaw.gate.duplicates.near import NearClusters, find_near_clusters, identify
from thaw.gate.findings import Findings
from thaw.gate.mapped import array_on_disk, octets
from thaw.gate.rows import Rows
from thaw.gate.scan.fingerprint import BYTES
from thaw.leftovers import copy_of

_SPLIT_ORDER = {"test": 0, "validation": 1, "train": 2, "": 3}


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
    column, folder = rows.table["descriptor"], store_path.parent if store_path else None
    usable = column.is_valid().to_numpy()
    usable[np.concatenate([np.zeros(0, np.int64), *(cluster[1:] for cluster in equal)])] = False
    descriptors = _side_by_side(column, folder)
    pictures = identify(descriptors)
    pictures[~usable] = 0
    shown = np.flatnonzero(pictures)
    mark = sha256(pictures[shown].data).hexdigest()
    key = content_key(mark, max_distance, code_digest("gate"), library_versions("numpy", "scipy"))
    found = _recall(store_path, key)
    if found is None:
        found = find_near_clusters(descriptors, pictures, max_distance, folder)
        if store_path:
            members = [np.searchsorted(shown, cluster).tolist() for cluster in found.members]
            write_json(store_path, {"key": key, "members": members, "distances": found.distances})
        return found
    return NearClusters([shown[members] for members in found.members], found.distances)


def _side_by_side(column: pa.ChunkedArray, folder: Path | None) -> np.ndarray:
    """Descriptors as one array, int8 `(n, 256)`, anything where there is none; copied where they lie in pieces."""
    parts = [octets(chunk) for chunk in column.chunks if len(chunk)]
    if len(parts) == 1:
        return parts[0].view(np.int8)
    joined = array_on_disk((max(len(column), 1), BYTES), np.uint8, folder)[: len(column)]
    at = 0
    for part in parts:
        joined[at : at + len(part)] = part
        at += len(part)
    return joined.view(np.int8)


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
