"""The smooth calibration error against its definition, integrated by hand; its interval against simulated test sets."""

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import expit
from scipy.stats import norm
from sklearn.metrics import brier_score_loss

from thaw.decision import probabilities_of
from thaw.statistics.calibration import (
    brier_score,
    calibration_interval,
    reliability,
    smooth_calibration_error,
    top_label,
)


def draw(images, factor=1.0, shift=0.0, seed=0):
    """What a model says whose logits are `factor` times the true ones plus `shift`, and what came of it."""
    random = np.random.default_rng(seed)
    logits = random.normal(0.3, 2.5, images)
    return expit(factor * logits + shift), random.random(images) < expit(logits)


def kernel(predicted, width, at):
    """The Gaussian about each image, folded at the whole numbers, `(points, images)`."""
    images = (2 * fold + sign * predicted for fold in (-1, 0, 1) for sign in (1, -1))
    return sum(norm.pdf(at[:, None], image[None], width) for image in images)


def by_definition(predicted, observed, points=1001):
    """Arxiv 2309.12236, section 3: every image at every point."""
    at = np.linspace(0, 1, points)

    def error(width):
        return np.trapezoid(np.abs(kernel(predicted, width, at) @ (observed - predicted) / len(predicted)), at)

    return brentq(lambda width: error(width) - width, 2e-3, 0.5, xtol=1e-5)


@pytest.mark.parametrize(("images", "factor", "shift"), [(30, 1, 0), (120, 2, 0), (120, 0.5, 1)])
def test_it_is_what_the_paper_defines(images, factor, shift):
    predicted, observed = draw(images, factor, shift)
    assert smooth_calibration_error(predicted, observed) == pytest.approx(by_definition(predicted, observed), abs=3e-4)


def test_known_cases():
    assert smooth_calibration_error(np.array([0.0, 1.0, 1.0]), np.array([0, 1, 1])) == pytest.approx(0, abs=1e-5)
    # One half said of what never comes: the mass of one half stays in [0, 1], whatever the width.
    assert smooth_calibration_error(np.full(50, 0.5), np.zeros(50)) == pytest.approx(0.5, abs=1e-5)
    assert smooth_calibration_error(np.ones(10), np.zeros(10)) == pytest.approx(1, abs=1e-5)
    predicted, observed = draw(300_000)
    assert smooth_calibration_error(predicted, observed) < 0.01
    assert smooth_calibration_error(*draw(300_000, factor=2.0)) > 0.05


def test_brier_score_is_that_of_scikit_learn():
    random = np.random.default_rng(0)
    for classes in (2, 5):
        shares = probabilities_of(random.normal(size=(100, classes)))
        labels = random.integers(0, classes, 100)
        expected = brier_score_loss(labels, shares[:, 1] if classes == 2 else shares, labels=range(classes))
        assert brier_score(shares, labels) == pytest.approx(expected)


def test_of_many_classes_the_likeliest_is_judged():
    shares = np.array([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]])
    predicted, observed = top_label(shares, np.array([0, 1]))
    assert predicted.tolist() == [0.7, 0.6] and observed.tolist() == [True, False]
    assert top_label(shares[:, :2], np.array([0, 1]))[0].tolist() == [0.2, 0.3]


def test_the_diagram_is_the_average_by_the_same_gaussian():
    predicted, observed = draw(200, factor=2.0)
    found = reliability(predicted, observed)
    weights = kernel(predicted, smooth_calibration_error(predicted, observed), found.predicted)
    assert found.density == pytest.approx(weights.mean(axis=1), abs=2e-2)
    assert found.observed == pytest.approx(weights @ observed / weights.sum(axis=1), abs=2e-3)
    gap = reliability(np.repeat([0.05, 0.95], 500), np.repeat([0, 1], 500))
    assert np.isnan(gap.observed[500]) and gap.observed[50] == pytest.approx(0)


@pytest.mark.parametrize("factor", [1.0, 1.5])
def test_the_interval_holds_the_truth(factor):
    """A smaller form of `benchmarks.calibration`."""
    truth = smooth_calibration_error(*draw(2_000_000, factor, seed=99)) if factor > 1 else 0.0
    held = []
    for seed in range(60):
        low, high = calibration_interval(*draw(200, factor, seed=seed), np.arange(200), 0.95, 200, 1)
        held.append(low <= truth <= high)
    assert np.mean(held) >= 0.9


def test_images_of_one_unit_count_once():
    predicted, observed = draw(100, 1.5)
    alone = calibration_interval(predicted, observed, np.arange(100), 0.95, 500, 1)
    twice = np.tile(predicted, 2), np.tile(observed, 2)
    assert calibration_interval(*twice, np.tile(np.arange(100), 2), 0.95, 500, 1) == pytest.approx(alone, abs=2e-3)
    low, high = calibration_interval(*twice, np.arange(200), 0.95, 500, 1)
    assert high - low < 0.85 * (alone[1] - alone[0])
    assert calibration_interval(predicted, observed, np.zeros(100, int), 0.95, 500, 1) is None
    assert calibration_interval(predicted, observed, np.arange(100), 0.95, 0, 1) is None
