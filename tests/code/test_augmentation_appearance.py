"""Colours, blur, crops and erased parts, held against Pillow, SciPy and the colour circle of the standard library."""

import colorsys
import itertools

import numpy as np
import pytest
from PIL import Image, ImageEnhance
from scipy.ndimage import gaussian_filter

from thaw.augmentation import make_view, picture_key
from thaw.augmentation.appearance import change_colors, erase
from thaw.params import AugmentParams

EVERYTHING = {
    "rotation_degrees": 10.0, "zoom": 0.2, "shift": 0.1, "shear_degrees": 5.0, "random_resized_crop": 0.5, "brightness": 0.3,
    "contrast": 0.3, "saturation": 0.3, "hue": 0.05, "blur": 1.5, "rand_augment_ops": 2, "erasing": 0.5,
}  # fmt: skip
"""What `augment` can draw, each by its parameter."""
STILL = {"horizontal_flip": False, "vertical_flip": False, "right_angle_turns": False}


@pytest.fixture
def picture():
    rows, columns = np.mgrid[:48, :48]
    return np.stack([rows * 5, columns * 5, 60 + rows * 2 + columns], axis=2).astype(np.uint8)


def changed(picture, draw, **params):
    return change_colors(picture, AugmentParams(**params), np.full(8, draw))


@pytest.mark.parametrize("draw", [-1.0, -0.4, 0.0, 0.7])
@pytest.mark.parametrize(("name", "enhance"), [("contrast", ImageEnhance.Contrast), ("saturation", ImageEnhance.Color)])
def test_contrast_and_saturation_are_pillow_s(picture, draw, name, enhance):
    expected = np.asarray(enhance(Image.fromarray(picture)).enhance(1 + 0.5 * draw)).astype(int)
    assert np.abs(changed(picture, draw, **{name: 0.5}) - expected).max() <= 2  # Pillow rounds the grey before


def test_contrast_of_grey_pictures(picture):
    grey = picture[:, :, :1]
    expected = np.asarray(ImageEnhance.Contrast(Image.fromarray(grey[:, :, 0])).enhance(1.3)).astype(int)
    assert np.abs(changed(grey, 1.0, contrast=0.3)[:, :, 0] - expected).max() <= 2


@pytest.mark.parametrize("draw", [-1.0, -0.3, 0.6])
def test_hue_turns_the_colours_circle(picture, draw):
    found = changed(picture, draw, hue=0.2)[::7, ::7].reshape(-1, 3)
    for before, after in zip(picture[::7, ::7].reshape(-1, 3), found, strict=True):
        hue, saturation, value = colorsys.rgb_to_hsv(*(before / 255))
        expected = np.array(colorsys.hsv_to_rgb((hue + 0.2 * draw) % 1, saturation, value)) * 255
        assert np.abs(after - expected).max() <= 1


def test_all_together_are_one_after_another(picture):
    settings = {"contrast": 0.3, "saturation": 0.3, "hue": 0.05, "blur": 2.0}
    together, one_by_one = changed(picture, 0.6, **settings), picture
    for name, value in settings.items():
        one_by_one = changed(one_by_one, 0.6, **{name: value})
    assert np.abs(together.astype(int) - one_by_one).max() <= 3  # each is rounded alone


@pytest.mark.parametrize("pair", list(itertools.combinations(EVERYTHING, 2)), ids="-".join)
def test_any_two_changes_go_together(picture, pair):
    params = AugmentParams(**{name: EVERYTHING[name] for name in pair}, views=8)
    for channels in (1, 3):
        views = [make_view(picture[:, :, :channels], params, picture_key(1, "a.png"), view) for view in range(8)]
        assert {(view.shape, view.dtype.name) for view in views} == {((48, 48, channels), "uint8")}


def test_blur_is_scipy_s_gaussian(picture):
    found = changed(picture, 1.0, blur=2.0)
    expected = gaussian_filter(picture.astype(float), (2.0, 2.0, 0), mode="mirror", truncate=8)
    assert np.abs(found - expected).max() <= 1.5
    assert np.array_equal(changed(picture, -1.0, blur=2.0), picture)


def test_colours_of_grey_pictures_stay(picture):
    grey = picture[:, :, :1]
    assert np.array_equal(changed(grey, 0.9, hue=0.5, saturation=0.9), grey)


def test_erasing_covers_2_to_33_percent_as_often_as_asked():
    params, flat = AugmentParams(erasing=0.4), np.full((100, 100, 1), 7, np.uint8)
    shares, aspects = [], []
    for seed in range(600):
        found = erase(flat, params, np.random.default_rng(seed))
        rows, columns = np.nonzero(found[:, :, 0] != 7)
        if len(rows):
            height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
            shares.append(height * width / 1e4)
            aspects.append(height / width)
            assert found[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1].std() > 40
    assert len(shares) / 600 == pytest.approx(0.4, abs=0.06)
    assert 0.015 < min(shares) < 0.05
    assert 0.29 < max(shares) < 0.35
    assert 0.28 < min(aspects) < 0.45
    assert 2.2 < max(aspects) < 3.5


def test_a_crop_shows_a_part_of_the_least_area_or_more():
    """The picture is its own coordinates: what is seen at the edges tells which part is shown."""
    side = 200
    columns, rows = np.meshgrid(np.arange(side), np.arange(side))
    picture = np.stack([columns, rows, rows * 0], axis=2).astype(np.uint8)
    params = AugmentParams(random_resized_crop=0.25, **STILL)
    areas, aspects, middles = [], [], []
    for number in range(300):
        view = make_view(picture, params, picture_key(1, str(number)), 1).astype(float)
        inner = slice(5, -5)
        width, height = np.ptp(view[:, inner, 0]) / (side - 11) * side, np.ptp(view[inner, :, 1]) / (side - 11) * side
        areas.append(width * height / side**2)
        aspects.append(width / height)
        middles.append(view[side // 2, side // 2, :2])
        assert view[:, 0, 0].min() >= 0
        assert (view[:, :, 2] == 0).all()
    assert 0.23 < min(areas) < 0.3
    assert max(areas) > 0.9
    assert 0.7 < min(aspects) < 0.8
    assert 1.25 < max(aspects) < 1.4
    spread = np.array(middles)
    assert (spread.min(axis=0) < 70).all()
    assert (spread.max(axis=0) > 130).all()
    assert np.abs(spread.mean(axis=0) - 100).max() < 8


def test_views_without_them_are_what_they_were(picture):
    """Their numbers are drawn apart: what `brightness` and the others draw is as before they were there."""
    key = picture_key(1, "a.png")
    plain, colored = AugmentParams(rotation_degrees=9), AugmentParams(rotation_degrees=9, contrast=0.4, erasing=0.5)
    again = change_colors(make_view(picture, plain, key, 3), colored, draws_of(key, 3))
    found = make_view(picture, colored, key, 3)
    assert (found == again).all(axis=2).mean() > 0.6  # but for what is erased


def draws_of(key, view):
    from thaw.augmentation.policy import _uniform

    return _uniform(key, b"colors", view) * 2 - 1
