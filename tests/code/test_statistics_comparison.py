"""Differences between procedures of training, and how far their intervals can be trusted."""

import numpy as np
from scipy import stats

from thaw.statistics.comparison import paired_difference, spread


def test_without_common_images_it_is_students_t_interval() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.normal(1, 2, 9), rng.normal(0, 1, 9)
    found = paired_difference(first, second, 0.0, 0.9)
    expected = stats.ttest_rel(first, second).confidence_interval(0.9)
    np.testing.assert_allclose([found.mean, found.low, found.high], [(first - second).mean(), *expected])
    assert spread(first).deviation == stats.tstd(first)
    interval = stats.ttest_1samp(first, 0).confidence_interval(0.95)
    np.testing.assert_allclose([spread(first).low, spread(first).high], [interval.low, interval.high])


def test_the_correction_holds_where_folds_share_what_they_are_trained_on() -> None:
    """Two procedures that are equally good: one in twenty comparisons may be called clear; the plain test calls many."""
    rng = np.random.default_rng(1)
    corrected = plain = 0
    for _ in range(400):
        images = rng.normal(0, 1, 100)  # by how much one procedure does better on each image
        scores = []
        for _ in range(4):
            folds = np.array_split(rng.permutation(100), 5)
            scores += [images[fold].mean() for fold in folds]
        corrected += paired_difference(np.array(scores), np.zeros(20), 1 / 4).is_clear
        plain += paired_difference(np.array(scores), np.zeros(20), 0.0).is_clear
    assert corrected / 400 <= 0.07
    assert plain / 400 > 0.2
