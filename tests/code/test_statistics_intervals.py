"""Intervals hold the truth as often as they say: of few images, and of images that depend on each other."""

import numpy as np
import pytest
from scipy.stats import beta, binom, binomtest, t

from thaw.evaluation import Predictions, report_metrics
from thaw.evaluation.metrics import measure, shares
from thaw.statistics.intervals import percentile_interval, resample, share_interval


def judge(right, groups=None, sure=0.9):
    """Of two classes in turn; `sure` is the probability of the predicted class."""
    labels = np.arange(len(right)) % 2
    predicted = np.where(right, labels, 1 - labels)
    positive = np.where(predicted == 1, sure, 1 - np.asarray(sure))
    return Predictions(
        ["no", "yes"], labels, np.column_stack([1 - positive, positive]), np.ones(len(right)), groups=groups
    )


def held(judgements, metric, truth, samples=0):
    """In which share of the judgements the 95 % interval of a metric holds the truth."""
    found = [report_metrics(predictions, {}, samples, 0.95, 1)["interval"][metric] for predictions in judgements]
    return np.mean([interval["low"] <= truth <= interval["high"] for interval in found])


@pytest.mark.parametrize("metric", ["accuracy", "balanced_accuracy"])
def test_intervals_of_20_images_hold_an_accuracy_of_95_percent(metric):
    random = np.random.default_rng(0)
    judgements = [judge(random.random(20) < 0.95) for _ in range(200)]
    assert held(judgements, metric, 0.95) >= 0.95


@pytest.mark.parametrize("metric", ["accuracy", "recall", "precision"])
@pytest.mark.parametrize("likeness", [0.3, 1.0], ids=["alike", "all one"])
def test_intervals_of_40_groups_of_10_images_hold_the_truth(metric, likeness):
    random = np.random.default_rng(1)
    groups = np.repeat(np.arange(40), 10).astype(str)
    # A beta-binomial: the images of a group share its accuracy; `likeness` is their correlation.
    spread = (1 - likeness) / likeness
    rates = random.beta(0.85 * spread, 0.15 * spread, (200, 40)) if spread else random.random((200, 40)) < 0.85
    judgements = [judge(random.random(400) < np.repeat(each, 10), groups) for each in rates]
    assert 0.91 <= held(judgements, metric, 0.85) < 1


def test_intervals_of_what_is_no_share_hold_the_truth_of_groups():
    random = np.random.default_rng(2)
    groups = np.repeat(np.arange(40), 10).astype(str)
    sure = 1 / (1 + np.exp(-random.normal(1, 1, (200, 40))))
    truth = -np.log(1 / (1 + np.exp(-np.random.default_rng(3).normal(1, 1, 1_000_000)))).mean()
    judgements = [judge(np.ones(400, bool), groups, np.repeat(each, 10)) for each in sure]
    assert 0.9 <= held(judgements, "log_loss", truth, samples=200) < 1


def interval_of(right, count, coverage=0.95):
    return share_interval(np.arange(count) < right, np.full(count, 3.0), np.arange(count), coverage)


@pytest.mark.parametrize("count", [60, 100, 200, 656])
def test_intervals_of_independent_images_hold_the_truth_as_often_as_they_say(count):
    """Not by simulation: the probability of every outcome."""
    ends = np.array([interval_of(right, count) for right in range(count + 1)])
    for truth in (0.5, 0.7, 0.8, 0.86, 0.89):
        chances = binom.pmf(np.arange(count + 1), count, truth)
        assert 0.93 <= chances[(ends[:, 0] <= truth) & (truth <= ends[:, 1])].sum() <= 0.97


def test_where_all_images_are_right_or_none_the_interval_is_clopper_and_pearsons():
    for right, count in ((20, 20), (0, 5), (1, 1), (0, 1)):
        wanted = binomtest(right, count).proportion_ci(0.9, method="exact")
        assert interval_of(right, count, 0.9) == pytest.approx(tuple(wanted))
    low, high = interval_of(17, 20, 0.9)
    wider = binomtest(17, 20).proportion_ci(0.9, method="exact")
    assert wider.low < low < 17 / 20 < high < wider.high


def test_groups_of_equal_images_count_as_one_image_each():
    hits = np.arange(40) < 36
    low, high = share_interval(np.repeat(hits, 10), np.ones(400), np.repeat(np.arange(40), 10), 0.95)
    wanted = interval_of(36, 40)
    assert (low, high) == pytest.approx(wanted, abs=0.02)
    assert low < wanted[0], "40 groups are no better known than 40 images"
    right = share_interval(np.ones(400, bool), np.ones(400), np.repeat(np.arange(40), 10), 0.95)
    assert right[0] == pytest.approx(binomtest(40, 40).proportion_ci(0.95, method="exact").low, abs=0.01)


@pytest.mark.parametrize("right", [36, 1, 40, 0])
def test_the_interval_of_equal_groups_is_korn_and_graubards(right):
    """Of 40 groups of 10 equal images the variance is that of a mean of 40; 39 degrees of freedom stand against 399."""
    groups, images = 40, 400
    hits = np.repeat(np.arange(groups) < right, 10)
    effective = (groups - 1) * images / (images - 1) if 0 < right < groups else groups
    effective *= (t.ppf(0.975, images - 1) / t.ppf(0.975, groups - 1)) ** 2
    share = right / groups
    low, high = beta.ppf([0.025, 0.975], share * effective + 0.5, (1 - share) * effective + 0.5)
    if right in (0, groups):
        low, high = (0.025 ** (1 / effective), 1) if right else (0, 1 - 0.025 ** (1 / effective))
    found = share_interval(hits, np.full(images, 0.7), np.repeat(np.arange(groups), 10), 0.95)
    assert found == pytest.approx((low, high), rel=1e-9)


def test_unequal_weights_count_as_kish_says():
    """Where nothing varies, and where the variance is no larger than that: 1 / sum of squared shares (Kish 1965)."""
    weights = np.array([1.0, 2, 3, 4])
    low, high = share_interval(np.ones(4, bool), weights, np.arange(4), 0.9)
    assert (low, high) == (pytest.approx(0.05 ** (1 / (100 / 30)), rel=1e-9), 1.0)
    hits = np.array([True, True, True, True, False, False])
    weights = np.array([1.0, 1, 1, 1, 0.5, 0.5])
    size = weights.sum() ** 2 / (weights**2).sum()
    share = weights @ hits / weights.sum()
    spread = ((weights / weights.sum() * (hits - share)) ** 2).sum()
    assert share * (1 - share) / spread > size, "the variance alone would promise more images than there are"
    wanted = beta.ppf([0.05, 0.95], share * size + 0.5, (1 - share) * size + 0.5)
    assert share_interval(hits, weights, np.arange(6), 0.9) == pytest.approx(wanted, rel=1e-9)


def test_images_without_weight_and_a_lone_group_tell_nothing():
    hits, weights = np.array([True, False, True]), np.array([1.0, 0.0, 1.0])
    assert share_interval(hits, weights, np.arange(3), 0.95) == pytest.approx(
        tuple(binomtest(2, 2).proportion_ci(0.95, method="exact"))
    )
    assert share_interval(hits, np.ones(3), np.zeros(3, int), 0.95) == (0, 1)


@pytest.mark.parametrize("classes", [2, 4])
def test_shares_are_the_metrics_they_are_called(classes):
    random = np.random.default_rng(4)
    names = [f"class {i}" for i in range(classes)]
    probabilities = random.dirichlet(np.ones(classes), 60)
    labels = random.integers(0, classes, 60)
    predictions = Predictions(names, labels, probabilities, random.choice([1.0, 0.5], 60))
    measured = measure(predictions, np.ones((1, 60)))
    found = shares(predictions)
    assert set(found) == {
        "accuracy", "balanced_accuracy", "recall", "confidence_weighted_accuracy", *(["precision"] if classes == 2 else []),
    }  # fmt: skip
    for name, (hits, weights) in found.items():
        assert np.average(hits, weights=weights) == pytest.approx(measured[name][0])


def test_samples_of_one_value_give_no_interval():
    assert percentile_interval(np.ones(100), 20, 0.95) is None
    assert percentile_interval(np.full(100, np.nan), 20, 0.95) is None
    written = report_metrics(judge(np.ones(20, bool)), {}, 100, 0.95, 1)
    assert set(written["interval"]) == {"accuracy", "balanced_accuracy", "recall", "precision"}
    assert written["interval"]["accuracy"] == pytest.approx({"low": 0.025 ** (1 / 20), "high": 1.0}, abs=1e-6)
    assert written["f1"] == 1


def test_a_percentile_interval_is_as_wide_as_students_t_of_the_mean():
    random = np.random.default_rng(5)
    values = random.normal(size=8)
    means = values[random.integers(8, size=(200_000, 8))].mean(axis=1)
    low, high = percentile_interval(means, 8, 0.95)
    wanted = 2 * 2.364624 * values.std(ddof=1) / np.sqrt(8)  # 2.364624: t of 7 degrees of freedom
    assert high - low == pytest.approx(wanted, rel=0.05)


def test_whole_units_are_drawn_within_their_class():
    units = np.array([7, 7, 7, 3, 3, 5, 9, 9])
    labels = np.array([0, 0, 0, 0, 0, 2, 2, 2])
    counts = np.concatenate(list(resample(labels, units, 50, seed=1)))
    assert (counts[:, [0, 0, 3, 6]] == counts[:, [1, 2, 4, 7]]).all()
    assert (counts[:, 0] + counts[:, 3] == 2).all()
    assert (counts[:, 5] + counts[:, 6] == 2).all()
    assert len(np.unique(counts, axis=0)) > 5


def test_images_without_a_group_are_units_of_their_own():
    groups = np.array(["b", "", "a", "", "b", ""])
    units = judge(np.ones(6, bool), groups).units
    assert (units[:, None] == units).tolist() == [
        [one == other if groups[one] == "" else groups[one] == groups[other] for other in range(6)] for one in range(6)
    ]
    assert len(set(judge(np.ones(6, bool)).units)) == 6


def test_a_unit_of_two_classes_is_drawn_whole():
    counts = np.concatenate(list(resample(np.array([0, 0, 1, 1]), np.array([0, 0, 0, 1]), 30, seed=1)))
    assert (counts == 1).all(), "a class of one unit each is that unit"
