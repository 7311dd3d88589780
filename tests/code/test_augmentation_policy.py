import numpy as np
import pytest

from thaw.augmentation import make_view, picture_key, symmetries
from thaw.augmentation.policy import distinct_views
from thaw.params import AugmentParams

STILL = AugmentParams(horizontal_flip=False, vertical_flip=False, right_angle_turns=False)
ALL = AugmentParams(rotation_degrees=20, zoom=0.2, shift=0.1, shear_degrees=10, brightness=0.3)


@pytest.fixture
def picture():
    return np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)


def smooth(size=64):
    rows, columns = np.mgrid[0:size, 0:size]
    return (127 + 60 * np.sin(rows / 9) + 60 * np.cos(columns / 7)).astype(np.uint8)[:, :, None]


def all_symmetries(picture):
    turned = [np.rot90(side, turns) for side in (picture, picture[:, ::-1]) for turns in range(4)]
    return {side.tobytes() for side in turned}


def test_eight_views_are_the_eight_symmetries_the_identity_first(picture):
    for path in ("a/1.png", "a/2.png", "b/ü.png"):
        views = [make_view(picture, AugmentParams(), picture_key(1, path), view) for view in range(16)]
        assert np.array_equal(views[0], picture)
        assert {view.tobytes() for view in views[:8]} == all_symmetries(picture)
        assert {view.tobytes() for view in views[8:]} == all_symmetries(picture)


@pytest.mark.parametrize(
    ("horizontal", "vertical", "turns", "expected"),
    [
        (False, False, False, ["p"]),
        (True, False, False, ["p", "p[:, ::-1]"]),
        (False, True, False, ["p", "p[::-1]"]),
        (True, True, False, ["p", "p[::-1]", "p[:, ::-1]", "p[::-1, ::-1]"]),
        (False, False, True, ["p", "np.rot90(p)", "np.rot90(p, 2)", "np.rot90(p, 3)"]),
    ],
)
def test_only_allowed_symmetries_are_used(picture, horizontal, vertical, turns, expected):
    params = AugmentParams(horizontal_flip=horizontal, vertical_flip=vertical, right_angle_turns=turns)
    key = picture_key(1, "x.png")
    views = {make_view(picture, params, key, view).tobytes() for view in range(len(expected))}
    assert len(symmetries(params)) == len(expected)
    assert views == {eval(text, {"p": picture, "np": np}).tobytes() for text in expected}


def test_as_many_views_are_distinct_as_there_are_pictures(picture):
    ways = ({}, {"horizontal_flip": True}, {"right_angle_turns": True}, {"contrast": 0.5}, {"hue": 0.2}, {"erasing": 1.0})
    for changes in ways:
        for views in (0, 1, 3, 6):
            params = STILL.model_copy(update=changes | {"views": views})
            made = {make_view(picture, params, picture_key(1, "x"), view).tobytes() for view in range(views)}
            assert distinct_views(params) == len(made), changes


def test_orders_differ_between_pictures_and_seeds(picture):
    def first_turns(seed):
        return [
            make_view(picture, AugmentParams(), picture_key(seed, f"{i}.png"), 1).tobytes() for i in range(50)
        ]

    assert len(set(first_turns(1))) == 7
    assert first_turns(1) != first_turns(2)


def test_a_view_depends_on_seed_path_and_number_alone(picture):
    views = {
        (seed, path, view): make_view(picture, ALL, picture_key(seed, path), view).tobytes()
        for seed in (1, 2) for path in ("a", "b") for view in (1, 2, 3)
    }  # fmt: skip
    assert len(set(views.values())) == len(views)
    for (seed, path, view), pixels in reversed(views.items()):
        assert make_view(picture, ALL, picture_key(seed, path), view).tobytes() == pixels


def test_the_draws_are_pinned():
    """A change of the numbers drawn would change every view of every user's data."""
    from thaw.augmentation.policy import _uniform

    pinned = [0.21823356206094713, 0.069972250171346, 0.3332693157325588]
    assert _uniform(picture_key(1, "a/ü.png"), b"view", 3)[:3] == pytest.approx(pinned, abs=1e-15)


def test_draws_are_uniform():
    from thaw.augmentation.policy import _uniform

    draws = np.array([_uniform(picture_key(1, str(i)), b"view", 1) for i in range(4000)])
    assert draws.min() >= 0
    assert draws.max() < 1
    assert np.abs(draws.mean(axis=0) - 0.5).max() < 0.03
    assert np.abs(draws.var(axis=0) - 1 / 12).max() < 0.005


def test_rotation_turns_about_the_middle_within_its_bound():
    disc = np.zeros((65, 65, 1), np.uint8)
    disc[30:35, 30:35] = 255
    disc[32, 50] = 255
    angles = []
    for i in range(40):
        params = STILL.model_copy(update={"rotation_degrees": 30.0})
        view = make_view(disc, params, picture_key(1, str(i)), 1)[:, :, 0].astype(float)
        assert view[32, 32] == 255
        view[25:40, 25:40] = 0
        rows, columns = np.nonzero(view > 40)
        angles.append(np.degrees(np.arctan2(np.mean(rows) - 32, np.mean(columns) - 32)))
    assert np.abs(angles).max() <= 31
    assert np.abs(angles).max() > 20
    assert min(angles) < 0 < max(angles)


def test_shift_moves_by_a_share_of_the_side():
    dot = np.zeros((101, 101, 1), np.uint8)
    dot[50, 50] = 255
    params = STILL.model_copy(update={"shift": 0.2, "fill_mode": "constant"})
    moved = [make_view(dot, params, picture_key(1, str(i)), 1)[:, :, 0] for i in range(60)]
    places = np.array([np.unravel_index(view.argmax(), view.shape) for view in moved]) - 50
    assert np.abs(places).max() <= 21
    assert (places.max(axis=0) > 14).all()
    assert (places.min(axis=0) < -14).all()


def test_zoom_and_shear_keep_the_middle_and_change_the_rest():
    for change in ({"zoom": 0.5}, {"shear_degrees": 30.0}):
        params = STILL.model_copy(update=change)
        picture = smooth(65)
        for i in range(5):
            view = make_view(picture, params, picture_key(1, str(i)), 1)
            assert abs(int(view[32, 32, 0]) - int(picture[32, 32, 0])) <= 1
            assert not np.array_equal(view, picture)


def test_brightness_scales_and_clips():
    ramp = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
    params = STILL.model_copy(update={"brightness": 0.5})
    factors = []
    for i in range(50):
        view = make_view(ramp, params, picture_key(1, str(i)), 1)[:, :, 0].ravel()
        factors.append(view[100] / 100)
        assert np.all(np.diff(view.astype(int)) >= 0)
        assert view[200] == min(255, round(200 * factors[-1])) or abs(view[200] - 200 * factors[-1]) <= 2
    assert 0.5 <= min(factors) < 0.6
    assert 1.4 < max(factors) <= 1.5


@pytest.mark.parametrize(
    ("mode", "filled"),
    [
        ("reflect", range(19, 9, -1)),
        ("nearest", [10] * 10),
        ("constant", [0] * 10),
        ("wrap", range(40, 50)),
    ],
)
def test_fill_modes_fill_as_named(mode, filled):
    from thaw.augmentation.policy import _warp

    ramp = np.tile(np.arange(10, 50, dtype=np.uint8), (40, 1))[:, :, None]
    params = STILL.model_copy(update={"shift": 0.5, "fill_mode": mode})
    ten_to_the_right = np.array([0, 0, 0.5, 0, 0, 0, 0, 0])
    moved = _warp(ramp, params, ten_to_the_right, np.zeros(8))[20, :, 0]
    assert list(moved[:10]) == list(filled)
    assert list(moved[10:]) == list(range(10, 40))


def test_views_are_good_for_numpy_and_torch(picture):
    view = make_view(picture, ALL, picture_key(1, "x"), 3)
    assert view.dtype == np.uint8
    assert view.shape == picture.shape
    assert view.flags["C_CONTIGUOUS"]
