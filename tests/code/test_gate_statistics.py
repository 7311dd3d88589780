"""A picture's statistics: of a large one they are of some of its rows, and must say what all would."""

import numpy as np
import pytest
import skimage.data
from scipy.ndimage import laplace

from thaw.gate.scan.fingerprint import shrink
from thaw.gate.scan.statistics import count_levels, measure_chroma, measure_edges, pick_colors


def percentile(counts: np.ndarray, share: float) -> int:
    return int((np.cumsum(counts) / counts.sum() < share).sum())


@pytest.mark.parametrize("name", ["astronaut", "chelsea", "coffee", "camera", "moon"])
def test_some_rows_of_a_photograph_say_what_all_would(name: str):
    photo = getattr(skimage.data, name)()
    grey = np.ascontiguousarray(photo if photo.ndim == 2 else photo[..., 1])
    large = np.kron(grey, np.ones((3, 3), np.uint8))
    counts, levels = count_levels(large), np.arange(256)
    assert 1 << 16 <= counts.sum() < large.size / 2
    mean = counts @ levels / counts.sum()
    deviation = np.sqrt(counts @ (levels - mean) ** 2 / counts.sum())
    assert mean == pytest.approx(large.mean(), abs=0.5)
    assert deviation == pytest.approx(large.std(), rel=0.01)
    for share in (0.05, 0.99):
        assert percentile(counts, share) == pytest.approx(np.quantile(large, share), abs=2)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (300, 300), (1, 200_000), (255, 257)])
def test_of_a_small_or_flat_picture_every_pixel_counts(height: int, width: int):
    grey = np.random.default_rng(0).integers(0, 256, (height, width)).astype(np.uint8)
    assert np.array_equal(count_levels(grey), np.bincount(grey.ravel(), minlength=256))


def test_a_picture_is_of_one_level_only_if_all_its_rows_are():
    grey = np.full((2000, 2000), 7, np.uint8)
    grey[1::2] = 9
    assert np.flatnonzero(count_levels(grey)).tolist() == [7, 9]
    grey[:] = 7
    grey[1999, 1999] = 8
    assert np.flatnonzero(count_levels(grey)).tolist() == [7, 8]
    grey[:] = 7
    assert np.flatnonzero(count_levels(grey)).tolist() == [7]


@pytest.mark.parametrize(("height", "width"), [(32, 32), (256, 256), (300, 300), (285, 571), (1024, 260)])
def test_a_shrunk_picture_holds_the_means_of_its_parts(height: int, width: int):
    """Of a smooth picture: the mean of each part, within a level."""
    down, across = np.linspace(0, 3, height)[:, None], np.linspace(0, 5, width)[None]
    wave = 127 + 100 * np.sin(down) * np.cos(across)
    rows, columns = (np.arange(32 * 64) * size // (32 * 64) for size in (height, width))
    means = wave[rows][:, columns].reshape(32, 64, 32, 64).mean(axis=(1, 3))
    assert np.abs(shrink(np.rint(wave).astype(np.uint8)) - means).max() < 4


def test_edges_are_the_deviation_of_scipys_laplacian_less_what_rounding_gives():
    grey = skimage.data.camera()  # 512 x 512: an arm of three pixels
    edges = laplace(grey[::3, ::3].astype(float))[1:-1, 1:-1]
    assert measure_edges(grey) == pytest.approx(np.sqrt(edges.var() - 20 / 12), rel=1e-9)


@pytest.mark.parametrize("channels", [3, 4])
def test_chroma_is_the_mean_distance_of_neighbouring_channels_on_a_grid(channels: int):
    photo = skimage.data.astronaut()
    array = np.dstack([photo, np.full(photo.shape[:2], 255, np.uint8)])[..., :channels]
    grid = photo[4::8, 4::8].astype(int)  # the middles of 64 x 64 parts of 512 x 512
    colors = pick_colors(np.ascontiguousarray(array))
    assert np.array_equal(np.dstack(colors), grid)
    assert measure_chroma(colors) == pytest.approx(np.abs(np.diff(grid, axis=2)).mean(), abs=5e-4)
    assert measure_chroma(()) == 0
