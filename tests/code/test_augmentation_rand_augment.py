"""RandAugment's operations, held against NumPy, SciPy and scikit-image; and how they are drawn."""

import numpy as np
import pytest
from scipy.ndimage import affine_transform
from skimage.exposure import equalize_hist

from thaw.augmentation import make_view, picture_key
from thaw.augmentation import rand_augment as ra
from thaw.augmentation.policy import distinct_views
from thaw.params import AugmentParams

STILL = {"horizontal_flip": False, "vertical_flip": False, "right_angle_turns": False}


@pytest.fixture(params=[1, 3])
def picture(request):
    rows, columns = np.mgrid[:40, :40]
    return np.stack([40 + rows * 4, 200 - columns * 4, 50 + rows + columns], axis=2).astype(np.uint8)[:, :, : request.param]


def drawn(strength, sign=1):
    return ra._Draw(strength, sign, "nearest")


def moved(picture, matrix):
    """Where a place comes from is the inverse of where it goes; rows first."""
    back = np.linalg.inv(matrix)
    flip = np.array([[0, 1], [1, 0]])
    middle = np.full(2, 19.5)
    linear = flip @ back[:2, :2] @ flip
    offset = middle - linear @ middle + (flip @ back[:2, 2])
    channels = np.moveaxis(picture.astype(float), 2, 0)
    return np.stack([affine_transform(channel, linear, offset, order=1, mode="nearest") for channel in channels], axis=2)


@pytest.mark.parametrize(
    ("operation", "matrix"),
    [
        (ra.shear_x, [[1, 0.15, 0], [0, 1, 0], [0, 0, 1]]),
        (ra.shear_y, [[1, 0, 0], [0.15, 1, 0], [0, 0, 1]]),
        (ra.translate_x, [[1, 0, 0.5 * 150 / 331 * 40], [0, 1, 0], [0, 0, 1]]),
        (ra.translate_y, [[1, 0, 0], [0, 1, 0.5 * 150 / 331 * 40], [0, 0, 1]]),
        (ra.rotate, [[np.cos(np.pi / 12), -np.sin(np.pi / 12), 0], [np.sin(np.pi / 12), np.cos(np.pi / 12), 0], [0, 0, 1]]),
    ],
)
def test_movements_are_scipy_s_of_half_the_strongest(picture, operation, matrix):
    expected = moved(picture, np.array(matrix))
    assert np.abs(operation(picture, drawn(0.5)) - expected).max() <= 3  # OpenCV's places are of 1/32 of a pixel


def test_tones_are_as_defined(picture):
    values = picture.astype(int)
    assert np.array_equal(ra.posterize(picture, drawn(0.5)), values & 0b11111100)
    assert np.array_equal(ra.solarize(picture, drawn(0.5)), np.where(values < 128, values, 255 - values))
    assert np.abs(ra.brightness(picture, drawn(1.0, -1)) - values * 0.1).max() <= 1
    for strength in (ra.posterize, ra.solarize, ra.brightness, ra.color, ra.contrast, ra.sharpness, ra.rotate, ra.shear_x):
        assert np.array_equal(strength(picture, drawn(0.0)), picture)
    for channel in range(picture.shape[2]):
        own = picture[:, :, channel]
        low, high = int(own.min()), int(own.max())
        stretched = (own.astype(float) - low) * 255 / (high - low)
        assert np.abs(ra.autocontrast(picture, drawn(1.0))[:, :, channel] - stretched).max() <= 1
        ranks = equalize_hist(own, nbins=256) * 255
        assert np.abs(ra.equalize(picture, drawn(1.0))[:, :, channel] - ranks).max() <= 255 / 20


def test_operations_are_drawn_evenly_and_both_ways(monkeypatch, picture):
    seen = []

    def note(number):
        return lambda given, draw: seen.append((number, draw.sign, draw.strength)) or given

    monkeypatch.setattr(ra, "OPERATIONS", tuple(note(number) for number in range(14)))
    params = AugmentParams(rand_augment_ops=3, rand_augment_magnitude=15, **STILL)
    for number in range(700):
        ra.rand_augment(picture, params, np.random.default_rng(number))
    assert len(seen) == 2100 and {strength for _, _, strength in seen} == {0.5}
    counts = np.bincount([number for number, _, _ in seen], minlength=14)
    assert counts.min() > 105 and counts.max() < 200  # 150 each; five standard deviations are 59
    assert abs(np.mean([sign for _, sign, _ in seen])) < 0.1


def test_a_view_depends_on_its_key_alone_and_the_first_is_as_it_is(picture):
    params = AugmentParams(rand_augment_ops=2, rand_augment_magnitude=20, views=30, **STILL)
    key = picture_key(1, "a.png")
    views = [make_view(picture, params, key, view) for view in range(30)]
    assert np.array_equal(views[0], picture)
    assert all(view.dtype == np.uint8 and view.shape == picture.shape for view in views)
    assert len({view.tobytes() for view in views}) > 8
    assert np.array_equal(make_view(picture, params, key, 3), views[3])
    assert distinct_views(params) == 30
