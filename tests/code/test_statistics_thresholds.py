"""Thresholds against trying every one of them, and against the recall and precision of scikit-learn."""

import numpy as np
import pytest
from scipy.special import expit
from sklearn.metrics import precision_score, recall_score

from thaw.statistics.thresholds import Aim, choose_thresholds

GRID = np.arange(0.005, 1, 0.01)  # between the scores, which have two digits


def draw(images=300, seed=0):
    random = np.random.default_rng(seed)
    scores = expit(random.normal(-0.5, 2, images)).round(2)  # some are equal
    return scores, random.random(images) < scores


def choose(scores, positive, aim):
    return choose_thresholds(scores, positive, np.ones((1, len(scores))), aim)[0]


@pytest.mark.parametrize("costs", [(1, 1), (1, 5), (10, 1)])
@pytest.mark.parametrize("seed", range(3))
def test_no_other_threshold_costs_less(costs, seed):
    scores, positive = draw(seed=seed)
    aim = Aim("cost", false_positive=costs[0], false_negative=costs[1])

    def cost(threshold):
        said = scores >= threshold
        return costs[0] * (said & ~positive).sum() + costs[1] * (~said & positive).sum()

    assert cost(choose(scores, positive, aim)) == min(map(cost, GRID))
    assert abs(choose(*draw(100_000), aim) - costs[0] / sum(costs)) < 0.1


@pytest.mark.parametrize("least", [0.5, 0.9, 0.98])
def test_recall_is_reached_by_the_highest_and_precision_by_the_lowest_threshold(least):
    scores, positive = draw(1000)
    recall = choose(scores, positive, Aim("recall", least))
    reach = [threshold for threshold in GRID if recall_score(positive, scores >= threshold) >= least]
    assert recall == pytest.approx(max(reach), abs=0.01)
    assert recall_score(positive, scores >= recall) >= least
    precision = choose(scores, positive, Aim("precision", least))
    reach = [
        threshold
        for threshold in GRID
        if (scores >= threshold).sum() >= 1 / (1 - least) and precision_score(positive, scores >= threshold) >= least
    ]
    if reach:
        assert precision == pytest.approx(min(reach), abs=0.01)
        assert precision_score(positive, scores >= precision) >= least
    else:
        assert np.isnan(precision)


def test_weights_are_images_that_many_times():
    scores, positive = draw(200)
    counts = np.random.default_rng(1).multinomial(200, np.full(200, 1 / 200), size=5)
    for aim in (Aim("cost", false_negative=3), Aim("recall", 0.9), Aim("precision", 0.8)):
        found = choose_thresholds(scores, positive, counts, aim)
        for row, threshold in zip(counts, found, strict=True):
            some = np.repeat(np.arange(200), row)
            said = [np.sum(scores[some] >= value) for value in (threshold, choose(scores[some], positive[some], aim))]
            assert said[0] == said[1]


def test_what_cannot_be_reached_is_nan_and_the_ends_are_never_chosen():
    assert np.isnan(choose(np.array([0.2, 0.4, 0.6]), np.array([True, False, False]), Aim("precision", 0.9)))
    scores, positive = np.array([0.0, 1.0, 1.0]), np.array([True, False, True])
    for aim in (Aim("cost"), Aim("recall", 0.5), Aim("precision", 0.5)):
        assert 0 < choose(scores, positive, aim) < 1
    assert Aim("recall", 0.999).fewest == 1000 and Aim("precision", 0.9).fewest == 10
