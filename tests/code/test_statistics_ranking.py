"""The interval of ROC-AUC: DeLong's variance by its definition, and as often right as it says."""

import numpy as np
import pytest
from scipy.special import logit
from scipy.stats import norm, t
from sklearn.metrics import average_precision_score, roc_auc_score

from thaw.statistics import ranking
from thaw.statistics.ranking import Ranking


def draw(images, classes, seed, decimals=1):
    """Scores with ties; of each class somewhat higher for its own images."""
    random = np.random.default_rng(seed)
    owners = random.integers(0, classes, images)
    scores = random.normal(size=(images, classes))
    scores[np.arange(images), owners] += 1.2
    return scores.round(decimals), owners


def placements(scores, own):
    """By definition: of each image of the class the share of others below it, and of each other one of those above it."""
    higher = np.sign(scores[own][:, None] - scores[~own]) / 2 + 0.5
    return higher.mean(axis=1), higher.mean(axis=0)


def delong(scores, own):
    """The area and its standard error, DeLong, DeLong and Clarke-Pearson 1988."""
    of_class, of_others = placements(scores, own)
    return of_class.mean(), np.sqrt(of_class.var(ddof=1) / len(of_class) + of_others.var(ddof=1) / len(of_others))


def widths(interval, area):
    """The interval's ends as distances of logits."""
    return [abs(logit(end) - logit(area)) for end in interval]


@pytest.mark.parametrize("decimals", [0, 1, 9])
def test_the_spread_of_independent_images_is_delongs(decimals):
    scores, owners = draw(80, 2, seed=1, decimals=decimals)
    one = Ranking(scores[:, 1:], owners - 1)
    area, spread = delong(scores[:, 1], owners == 1)
    assert area == pytest.approx(roc_auc_score(owners, scores[:, 1]))
    wanted = t.isf(0.05, 79) * spread / (area * (1 - area))
    assert widths(one.area_interval(np.arange(80), 0.9), area) == pytest.approx([wanted, wanted])


def test_of_groups_it_is_obuchowskis():
    scores, owners = draw(90, 2, seed=2)
    units = np.arange(90) // 3 * 7
    own = owners == 1
    of_class, of_others = placements(scores[:, 1], own)
    area, numbers = of_class.mean(), np.unique(units)
    mine, others = (np.array([part[units[side] == unit].sum() - area * (units[side] == unit).sum() for unit in numbers])
                    for part, side in ((of_class, own), (of_others, ~own)))  # fmt: skip
    with_own, with_others = (len(np.unique(units[side])) for side in (own, ~own))
    one, other = (np.sqrt(count / (count - 1)) / side.sum() for count, side in ((with_own, own), (with_others, ~own)))
    variance = ((mine * one + others * other) ** 2).sum()
    wanted = t.isf(0.025, len(numbers) - 1) * np.sqrt(variance) / (area * (1 - area))
    assert widths(Ranking(scores[:, 1:], owners - 1).area_interval(units, 0.95), area) == pytest.approx([wanted, wanted])


def test_of_many_classes_the_mean_varies_as_the_jackknife_says():
    scores, owners = draw(150, 4, seed=3, decimals=9)
    truth = np.eye(4)[owners]
    area = roc_auc_score(truth, scores)
    left = np.array([roc_auc_score(np.delete(truth, image, 0), np.delete(scores, image, 0)) for image in range(150)])
    spread = np.sqrt(149 / 150 * ((left - left.mean()) ** 2).sum())
    wanted = t.isf(0.025, 149) * spread / (area * (1 - area))
    interval = Ranking(scores, owners).area_interval(np.arange(150), 0.95)
    assert widths(interval, area) == pytest.approx([wanted, wanted], rel=0.03)


def test_equal_groups_of_ten_are_as_many_images_as_groups():
    scores, owners = draw(60, 3, seed=4)
    alone = Ranking(scores, owners).area_interval(np.arange(60), 0.95)
    tenfold = Ranking(np.repeat(scores, 10, axis=0), np.repeat(owners, 10)).area_interval(np.repeat(np.arange(60), 10), 0.95)
    assert tenfold == pytest.approx(alone)


def test_what_cannot_vary_has_no_interval():
    sure = np.array([[0.9], [0.8], [0.1], [0.2]])
    assert Ranking(sure, np.array([0, 0, -1, -1])).area_interval(np.arange(4), 0.95) is None, "an area of 1"
    assert Ranking(sure, np.zeros(4, int)).area_interval(np.arange(4), 0.95) is None, "one class"
    assert Ranking(np.zeros((0, 2)), np.zeros(0, int)).area_interval(np.zeros(0, int), 0.95) is None


@pytest.mark.parametrize("group", [1, 4])
def test_95_percent_intervals_of_100_images_hold_the_truth(group):
    random, truth, held = np.random.default_rng(5), norm.cdf(1.5 / np.sqrt(2)), 0
    for _ in range(400):
        owners = (random.random(100) < 0.4).astype(int) - 1
        units = np.arange(100) // group
        scores = (random.normal(size=100) + random.normal(size=100)[units]) / np.sqrt(2) + 1.5 * (owners + 1)
        low, high = Ranking(scores[:, None], owners).area_interval(units, 0.95)
        held += low <= truth <= high
    assert 0.925 <= held / 400 <= 0.975


@pytest.mark.parametrize("block, kept", [(150, 10**9), (150, 0), (10**9, 10**9)])
def test_how_many_classes_are_ranked_at_a_time_changes_nothing(monkeypatch, block, kept):
    monkeypatch.setattr(ranking, "_BLOCK_CELLS", block)
    monkeypatch.setattr(ranking, "_KEPT_CELLS", kept)
    scores, owners = draw(60, 7, seed=6)
    owners[owners == 3] = 4  # a class without images
    weights = np.random.default_rng(7).random((3, 60))
    areas, precisions = Ranking(scores, owners).measure(weights)
    assert np.isnan(areas[:, 3]).all() and np.isnan(precisions[:, 3]).all()
    for number in (0, 1, 2, 4, 5, 6):
        for row, each in enumerate(weights):
            wanted = [measure(owners == number, scores[:, number], sample_weight=each)
                      for measure in (roc_auc_score, average_precision_score)]  # fmt: skip
            assert [areas[row, number], precisions[row, number]] == pytest.approx(wanted, abs=1e-12)
