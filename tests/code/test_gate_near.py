"""Near duplicates: the linear map of crops, codes by bands, clusters, and recall on pictures."""

import io

import numpy as np
import pytest
from PIL import Image

from tests.data.dirty import picture
from thaw.gate.duplicates.codes import WINDOW, Band, bands
from thaw.gate.duplicates.crops import crop_map
from thaw.gate.duplicates.near import NearClusters, find_near_clusters, identify
from thaw.gate.scan.fingerprint import BYTES, FREQUENCIES, cosines, describe, expand, shrink


def near_clusters(descriptors: np.ndarray, max_distance: float) -> NearClusters:
    return find_near_clusters(descriptors, identify(descriptors), max_distance)


def descriptors(images: list[Image.Image]) -> np.ndarray:
    shrunk = np.stack([shrink(np.asarray(image.convert("L"))) for image in images])
    return np.frombuffer(b"".join(describe(shrunk)), np.int8).reshape(len(images), BYTES)


def test_basis_is_orthonormal_up_to_the_cell_average():
    basis = cosines(FREQUENCIES, 512)
    gram = basis @ basis.T * 512
    assert np.allclose(gram, np.eye(FREQUENCIES), atol=0.01)


def test_descriptor_survives_size_brightness_and_contrast():
    image = picture(3, 200, color=False)
    same = [
        image.resize((120, 160)),
        image.point(lambda level: level * 0.85),
        image.point(lambda level: level // 2 + 9),
    ]
    first = expand(descriptors([image]))[0].ravel()
    for other in expand(descriptors(same)):
        assert first @ other.ravel() > 0.995


def test_crop_map_gives_the_crops_coefficients():
    # A picture of low frequencies alone: nothing that the map needs is cut off.
    rng = np.random.default_rng(0)
    coefficients = rng.normal(size=(8, 8))
    line = (np.arange(400) + 0.5) / 400
    waves = np.cos(np.pi * np.outer(np.arange(8), line))
    levels = waves.T @ coefficients @ waves
    whole = cosines(FREQUENCIES, 400) @ levels @ cosines(FREQUENCIES, 400).T
    part = levels[8:392, 16:396]
    wanted = cosines(FREQUENCIES, 384) @ part @ cosines(FREQUENCIES, 380).T
    # The means over cells differ by the number of cells alone.
    made = crop_map(8 / 400, 384 / 400) @ whole @ crop_map(16 / 400, 380 / 400).T
    low = np.s_[:6, :6]
    assert np.allclose(made[low], wanted[low], atol=0.05 * np.abs(wanted[low]).max())


def test_constant_pictures_match_nothing():
    flat = np.zeros((5, BYTES), np.int8)
    assert near_clusters(flat, 0.5).members == []
    assert near_clusters(np.zeros((0, BYTES), np.int8), 0.5).members == []


def test_all_codes_within_seven_bits_are_found():
    rng = np.random.default_rng(1)
    codes = rng.integers(0, 2**63, (5000, 2), dtype=np.uint64) * np.uint64(2) + np.uint64(1)
    queries = codes.copy().view(np.uint8)
    for row in queries:
        for bit in rng.choice(128, 7, replace=False):
            row[bit // 8] ^= 1 << (bit % 8)
    found = set()
    for number in bands(16):
        band = Band(codes, np.arange(5000, dtype=np.int32), number, 16)
        found |= set(zip(*map(np.ndarray.tolist, band.look_up(queries.view(np.uint64), 7)), strict=True))
    assert {(number, number) for number in range(5000)} <= found


@pytest.mark.parametrize("width", [16, 20, 22, 24])
def test_a_band_finds_the_codes_that_share_it(width: int):
    rng = np.random.default_rng(2)
    codes = rng.integers(0, 2**63, (400, 2), dtype=np.uint64)
    bits = np.unpackbits(codes.view(np.uint8), axis=1)
    rows = np.flatnonzero(rng.random(400) < 0.9).astype(np.int32)
    for number in (0, 7, bands(width)[-1]):
        queries = codes[rng.permutation(400)[:50]].copy()
        queries.view(np.uint8)[:, :number] ^= 0x11  # differs, but not in the band
        asked = np.unpackbits(queries.view(np.uint8), axis=1)
        part = slice(8 * number, 8 * number + width)
        same = (asked[:, None, part] == bits[None, :, part]).all(axis=2)
        near = (asked[:, None] != bits[None]).sum(axis=2) <= 38
        wanted = {(query, row) for query, row in np.argwhere(same & near).tolist() if row in set(rows.tolist())}
        found = Band(codes, rows, number, width).look_up(queries, 38)
        assert wanted
        assert set(zip(*map(np.ndarray.tolist, found), strict=True)) == wanted


def test_a_heap_of_like_codes_takes_linear_time():
    codes = np.zeros((20_000, 2), np.uint64)
    codes[:, 1] = np.arange(20_000)
    rows = np.arange(20_000, dtype=np.int32)
    pairs = sum(len(Band(codes, rows, number, 16).look_up(codes, 128)[0]) for number in bands(16))
    assert pairs <= 20_000 * WINDOW * 15


def changed(image: Image.Image) -> dict[str, Image.Image]:
    width, height = image.size
    file = io.BytesIO()
    image.save(file, "JPEG", quality=40)
    return {
        "jpeg": Image.open(file),
        "half": image.resize((width // 2, height // 2)),
        "crop": image.crop((width // 40, height // 25, width - width // 50, height)),
        "bright": image.point(lambda level: min(255, level * 1.15)),
        "dark": image.point(lambda level: level * 0.85),
    }


@pytest.fixture(scope="module")
def distinct() -> list[Image.Image]:
    return [picture(seed, 160, color=False) for seed in range(300)]


def test_every_change_is_found_and_nothing_else(distinct):
    images, owners = list(distinct), list(range(len(distinct)))
    for number in range(0, 300, 10):
        for image in changed(distinct[number]).values():
            images.append(image)
            owners.append(number)
    clusters = near_clusters(descriptors(images), 0.05)
    groups = {owners[cluster[0]]: sorted(owners[index] for index in cluster) for cluster in clusters.members}
    assert groups == {number: [number] * 6 for number in range(0, 300, 10)}
    assert all(0 <= distance <= 0.05 for distance in clusters.distances)


def test_clusters_do_not_depend_on_order(distinct):
    images = [*distinct[:80], changed(distinct[7])["crop"], changed(distinct[9])["jpeg"]]
    order = np.random.default_rng(0).permutation(len(images))
    straight = near_clusters(descriptors(images), 0.05)
    mixed = near_clusters(descriptors([images[index] for index in order]), 0.05)
    assert (
        {frozenset(order[cluster].tolist()) for cluster in mixed.members}
        == {frozenset(cluster.tolist()) for cluster in straight.members}
        == {frozenset({7, 80}), frozenset({9, 81})}
    )
