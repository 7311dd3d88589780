"""Flips and turns are answered by the images: not made of writing, nor of what has an upper side; made of what has none."""

import logging

import numpy as np
import pytest
from scipy.ndimage import zoom
from sklearn.datasets import load_digits
from sklearn.linear_model import Ridge
from sklearn.model_selection import KFold

from thaw.augmentation.orientation import allow, choose_images, decide, oriented_gradients, undecided
from thaw.params import AugmentParams

NAMES = ("horizontal_flip", "vertical_flip", "right_angle_turns")


def pixels(pictures):
    """A description that a network may be replaced by: the picture itself, 8 x 8."""
    return pictures.mean(axis=3).reshape(len(pictures), 8, -1, 8, pictures.shape[2] // 8).mean(axis=(2, 4))


def answers(pictures, labels, describe=pixels, **given):
    decided = decide(AugmentParams(**given), pictures, labels, describe)
    return tuple(getattr(decided, name) for name in NAMES)


def test_digits_are_neither_flipped_nor_turned():
    digits = load_digits()
    chosen = choose_images(digits.target)
    pictures = np.stack([zoom(image * 15, 4, order=1) for image in digits.images[chosen]]).astype(np.uint8)[..., None]
    assert answers(pictures, digits.target[chosen]) == (False, False, False)


def blobs(labels, rng):
    """A bright ring or a bright disc somewhere: the same whichever way it is turned."""
    rows, columns = np.mgrid[:32, :32]
    pictures = []
    for label in labels:
        down, right = rng.uniform(12, 20, 2)
        distance = np.hypot(rows - down, columns - right)
        pictures.append(rng.normal(80, 25, (32, 32)) + 90 * ((distance < 8) & ((distance > 5) | (label == 1))))
    return np.stack(pictures).clip(0, 255).astype(np.uint8)[..., None]


@pytest.mark.parametrize("seed", range(5))
def test_what_looks_alike_from_all_sides_is_flipped_and_turned(seed):
    labels = np.arange(200) % 2
    assert answers(blobs(labels, np.random.default_rng(seed)), labels) == (True, True, True)


def test_what_has_an_upper_side_is_mirrored_alone():
    """A slope of light from above, weaker in one class: upside down it would say nothing of the class, or the contrary."""
    rng, labels = np.random.default_rng(1), np.arange(200) % 2
    light = np.linspace(60, -60, 32)[:, None] * (1 - 2 * labels)[:, None, None]
    pictures = (128 + light + rng.normal(0, 60, (200, 32, 32))).clip(0, 255).astype(np.uint8)[..., None]
    assert answers(pictures, labels) == (True, False, False)


def test_what_the_parameters_say_is_left_alone():
    rng, labels = np.random.default_rng(1), np.arange(200) % 2
    light = np.linspace(60, -60, 32)[:, None] * (1 - 2 * labels)[:, None, None]
    pictures = (128 + light + rng.normal(0, 60, (200, 32, 32))).clip(0, 255).astype(np.uint8)[..., None]
    assert answers(pictures, labels, vertical_flip=True, horizontal_flip=False) == (False, True, False)
    assert undecided(AugmentParams(vertical_flip=True, horizontal_flip=False)) == ["right_angle_turns"]


def test_the_figures_are_those_of_scikit_learn(caplog):
    """With a description that leaves gradients nothing to add: the change of the error, by other folds and other code."""
    rng, labels = np.random.default_rng(2), np.arange(300) % 2
    light = np.linspace(20, -20, 32)[:, None] * (1 - 2 * labels)[:, None, None]
    pictures = (128 + light + rng.normal(0, 60, (300, 32, 32))).clip(0, 255).astype(np.uint8)[..., None]
    top = lambda some: (some[:, :16].mean((1, 2, 3)) - some[:, 16:].mean((1, 2, 3)))[:, None]  # noqa: E731
    with caplog.at_level(logging.INFO, "thaw.augmentation"):
        answers(pictures, labels, top, horizontal_flip=True, right_angle_turns=True)
    told = float(caplog.messages[-1].split("too, ")[1].split("%")[0]) / 100
    x, targets, errors = top(pictures), np.eye(2)[labels], {}
    x = (x - x.mean()) / x.std()
    for name, shown_too in (("alone", [1]), ("flipped", [1, -1])):
        found = []
        for shown, held in KFold(5, shuffle=True, random_state=9).split(x):
            inputs = np.concatenate([sign * (x[shown] + x.mean()) for sign in shown_too])
            ridge = Ridge(alpha=len(shown_too)).fit(inputs, np.tile(targets[shown], (len(shown_too), 1)))
            found.append(((ridge.predict(x[held]) - targets[held]) ** 2).sum(1))
        errors[name] = np.concatenate(found).mean()
    assert told == pytest.approx(errors["flipped"] / errors["alone"] - 1, rel=0.1)


def test_few_images_decide_nothing():
    assert len(choose_images(np.arange(98) % 2)) == 0
    assert len(choose_images(np.zeros(500, int))) == 0  # one class
    assert len(choose_images(np.arange(500) // 4)) == 0  # too few of each
    decided = allow(AugmentParams(vertical_flip=False))
    assert [getattr(decided, name) for name in NAMES] == [True, False, True]


def test_the_images_that_decide_are_of_the_largest_classes_evenly():
    labels = np.repeat(np.arange(12), [200, *[40] * 10, 8])
    chosen = choose_images(labels)
    counts = np.bincount(labels[chosen], minlength=12)
    assert counts[0] == 30
    assert sorted(counts) == [0, 0, *[30] * 10]
    first = chosen[labels[chosen] == 0]
    assert (first[0], first[-1]) == (0, 199)


def test_oriented_gradients_tell_directions_apart():
    """Stripes have their whole strength in the direction across them; a turn by 90 degrees moves it there."""
    down = np.broadcast_to((np.arange(64) % 8 < 4)[:, None] * np.uint8(200), (64, 64))
    upright, lying = oriented_gradients(np.stack([down, down.T])[..., None]).reshape(2, 16, 8)
    assert (upright[:, 4] > 0.9).all()
    assert (lying[:, 0] > 0.9).all()
    np.testing.assert_allclose(upright[:, [0, 1, 2, 3, 5, 6, 7]], 0, atol=1e-6)
