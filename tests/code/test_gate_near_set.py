"""Near duplicates of whole sets: the clusters of a search by brute force, heaps of like pictures, bounded memory."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from thaw.errors import ThawError
from thaw.gate.duplicates import near
from thaw.gate.duplicates.codes import WINDOW
from thaw.gate.duplicates.distances import Distances
from thaw.gate.duplicates.links import Links
from thaw.gate.duplicates.near import NearClusters, find_near_clusters, identify
from thaw.gate.mapped import array_on_disk

LIMIT = 0.05
SIDE = 16


def near_clusters(descriptors: np.ndarray, max_distance: float, folder: Path | None = None) -> NearClusters:
    return find_near_clusters(descriptors, identify(descriptors), max_distance, folder)


def described(rng: np.random.Generator, count: int) -> np.ndarray:
    """Descriptors of `count` pictures of a natural spectrum, int8 `(count, 256)`."""
    frequency = np.add.outer(np.arange(SIDE), np.arange(SIDE)).ravel()
    waves = rng.standard_normal((count, SIDE * SIDE)) / (1 + frequency)
    waves[:, 0] = 0
    waves /= np.linalg.norm(waves, axis=1, keepdims=True)
    return np.rint(np.copysign(np.sqrt(np.abs(waves)), waves) * 127).astype(np.int8)


def blurred(rng: np.random.Generator, descriptors: np.ndarray, most: int = 4) -> np.ndarray:
    noise = rng.integers(-most, most + 1, descriptors.shape)
    noise[:, 0] = 0
    return np.clip(descriptors + noise, -127, 127).astype(np.int8)


def planted(count: int) -> np.ndarray:
    """`count` descriptors, among them chains and clusters of 2 to 6, in any order."""
    rng = np.random.default_rng(5)
    made = described(rng, count)
    at = 0
    while at < count // 20:
        size = int(rng.integers(2, 7))
        made[at + 1 : at + size] = blurred(rng, np.repeat(made[at : at + 1], size - 1, axis=0))
        at += size
    return made[rng.permutation(count)]


def plain_vectors(descriptors: np.ndarray) -> np.ndarray:
    """Signed roots of coefficients (row + column < 12, not the mean), less the median of a sample, at length 1."""
    row, column = np.indices((SIDE, SIDE))
    low = ((row + column < 12) & (row + column > 0)).ravel()
    vectors = descriptors[:, low].astype(np.float64)
    vectors /= np.sqrt((vectors**2).sum(axis=1, keepdims=True))  # a descriptor holds signed roots as it is
    vectors -= np.median(vectors[:: max(1, len(vectors) // 16384)], axis=0)
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def plain_clusters(descriptors: np.ndarray) -> dict[tuple[int, ...], float]:
    """Members -> longest link, of each of all pairs and a union-find."""
    vectors, parent = plain_vectors(descriptors), list(range(len(descriptors)))

    def root(one: int) -> int:
        while parent[one] != one:
            one = parent[one]
        return one

    links = []
    for start in range(0, len(vectors), 2048):
        far = 1 - vectors[start : start + 2048] @ vectors.T
        for one, other in np.argwhere(far <= LIMIT).tolist():
            if start + one < other:
                links.append((start + one, other, float(far[one, other])))
                parent[root(other)] = root(start + one)
    groups: dict[int, list[int]] = {}
    for one in range(len(descriptors)):
        groups.setdefault(root(one), []).append(one)
    longest: dict[int, float] = {}
    for one, _, length in links:
        longest[root(one)] = max(longest.get(root(one), 0.0), length)
    return {tuple(group): longest[one] for one, group in groups.items() if len(group) > 1}


@pytest.mark.parametrize("count", [4000, pytest.param(100_000, marks=pytest.mark.slow)])
def test_clusters_are_those_of_all_pairs(count: int):
    descriptors = planted(count)
    wanted, found = plain_clusters(descriptors), near_clusters(descriptors, LIMIT)
    assert len(wanted) > count // 100
    assert {tuple(members.tolist()) for members in found.members} == set(wanted)
    for members, distance in zip(found.members, found.distances, strict=True):
        assert distance == pytest.approx(wanted[tuple(members.tolist())], abs=1e-4)
    assert [members[0] for members in found.members] == sorted(members[0] for members in found.members)


def test_what_memory_holds_changes_no_cluster(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    descriptors = planted(3000)
    wanted = near_clusters(descriptors, LIMIT)
    monkeypatch.setattr(near, "_HELD_PAIRS", 50)
    monkeypatch.setattr(near, "_QUERY_CODES", 700)
    found = near_clusters(descriptors, LIMIT, tmp_path)
    assert list(map(list, found.members)) == list(map(list, wanted.members))
    assert found.distances == wanted.distances
    assert not list(tmp_path.iterdir())


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Fills with the number of pairs whose distance is asked for."""
    asked: list[int] = []
    measured = Distances.coarse

    def counted(self: Distances, query: np.ndarray, *rest: object) -> np.ndarray:
        asked.append(len(query))
        return measured(self, query, *rest)

    monkeypatch.setattr(Distances, "coarse", counted)
    return asked


def test_a_heap_of_like_pictures_is_one_cluster_in_linear_time(compared: list[int]):
    rng, count, heap = np.random.default_rng(3), 8000, 2400
    made = described(rng, count)
    made[-heap:] = blurred(rng, np.repeat(made[-1:], heap, axis=0), 1)
    found = near_clusters(made, LIMIT)
    assert [members.tolist() for members in found.members] == [list(range(count - heap, count))]
    assert sum(compared) < WINDOW * count  # windows in every band would be 200 a picture, all pairs 720


def test_a_long_chain_is_walked_in_linear_time(compared: list[int]):
    rng, count = np.random.default_rng(3), 1200
    ends, share = described(rng, 2).astype(np.float64), np.linspace(0, 1, count)[:, None]
    made = np.rint(ends[0] * (1 - share) + ends[1] * share) + rng.integers(-1, 2, (count, SIDE * SIDE))
    found = near_clusters(made.astype(np.int8), LIMIT)
    assert max(map(len, found.members)) > 0.4 * count  # the set's median lies in its middle, and parts it
    assert sum(compared) < 5 * WINDOW * count  # all pairs would be 600 a picture, windows in every band as many


def test_many_equal_codes_of_unlike_pictures_are_no_cluster():
    # Equal signs of every coefficient against the median, other sizes: the codes are equal, the pictures are not.
    rng = np.random.default_rng(4)
    signs = np.sign(described(rng, 1)).astype(np.int64)
    sizes = np.where(rng.random((3000, SIDE * SIDE)) < 0.5, 5, 100)
    descriptors = np.clip(signs * sizes, -127, 127).astype(np.int8)
    descriptors[1500] = blurred(rng, descriptors[:1])[0]
    found = {tuple(members.tolist()) for members in near_clusters(descriptors, 0.01).members}
    assert found <= {(0, 1500)}


def test_links_join_as_a_union_find_does():
    rng, count = np.random.default_rng(6), 500
    links, parent = Links(count), list(range(count))
    longest = [0.0] * count

    def root(one: int) -> int:
        while parent[one] != one:
            one = parent[one]
        return one

    for size in (0, 40, 1, 60, 90, 120):
        left, right = rng.integers(0, count, (2, size))
        lengths = rng.random(size).astype(np.float32)
        links.add(left, right, lengths)
        for one, other, length in zip(left.tolist(), right.tolist(), lengths.tolist(), strict=True):
            low, high = sorted((root(one), root(other)))
            longest[low] = max(longest[low], longest[high], length)
            parent[high] = low
        assert links.groups.tolist() == [root(one) for one in range(count)]
        heads = sorted(set(links.groups.tolist()))
        assert links.reach[heads].tolist() == [longest[one] for one in heads]
    assert all(one < other for one, other in pairwise(heads))


@pytest.mark.parametrize("others", [0, 3])
def test_equal_descriptors_are_one_cluster_in_however_small_a_set(others: int):
    rng = np.random.default_rng(3)
    made = described(rng, 1 + others)
    made = np.concatenate([made[:1], np.zeros((1, SIDE * SIDE), np.int8), made[1:], made[:1]])
    found = near_clusters(made, 0.01)
    assert ([each.tolist() for each in found.members], found.distances) == ([[0, len(made) - 1]], [0.0])


def test_pictures_that_take_no_part_are_in_no_cluster():
    made = planted(400)
    pictures = identify(made)
    out = np.arange(400) % 5 == 0
    pictures[out] = 0
    kept = np.flatnonzero(~out)
    wanted = {tuple(kept[list(members)].tolist()) for members in plain_clusters(made[kept])}
    assert {tuple(members.tolist()) for members in find_near_clusters(made, pictures, LIMIT).members} == wanted


def test_an_array_on_disk_leaves_no_file_and_says_where_room_lacks(tmp_path: Path):
    array = array_on_disk((3, 2), np.uint64, tmp_path / "new")
    array[1] = 7
    assert array.tolist() == [[0, 0], [7, 7], [0, 0]]
    assert not list((tmp_path / "new").iterdir())
    with pytest.raises(ThawError, match=r"new: 36028797\.0 GB for the checks of the whole set: "):
        array_on_disk((2**52, 1), np.uint64, tmp_path / "new")
