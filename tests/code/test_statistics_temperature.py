"""The temperature against a search by hand and scikit-learn's log loss; where it is left at 1; what it leaves alone."""

import numpy as np
import pytest
from scipy.stats import chi2, norm
from sklearn.metrics import log_loss

from thaw.decision import predict_labels, probabilities_of
from thaw.statistics.temperature import fit_temperature, temper

ALIKE = np.ones(2000)
ONE_SIGMA = norm.cdf(1) - norm.cdf(-1)


def draw(outputs, images=2000, seed=0, scale=2.0):
    """Logits that are right, and labels drawn by them."""
    random = np.random.default_rng(seed)
    logits = random.normal(scale=scale, size=(images, outputs))
    shares = probabilities_of(logits)
    labels = (shares.cumsum(axis=1) > random.random((images, 1))).argmax(axis=1)
    return logits, labels, np.eye(max(outputs, 2))[labels][:, -outputs:]


@pytest.mark.parametrize("outputs", [1, 3, 10])
def test_it_is_the_nearest_to_1_within_a_standard_error_of_the_one_of_least_log_loss(outputs):
    logits, labels, targets = draw(outputs)
    weights = np.random.default_rng(1).random(2000) + 0.5
    found = fit_temperature((2.5 * logits).astype(np.float32), targets, weights)
    assert found.likeliest == pytest.approx(2.5, rel=0.1) and found.why_one == ""

    def loss(temperature):
        shares = probabilities_of(2.5 * logits / temperature)
        return log_loss(labels, shares, sample_weight=weights, labels=np.arange(shares.shape[1]))

    grid = np.arange(2.0, 3.0, 0.005)
    losses = np.array([loss(value) for value in grid])
    assert found.likeliest == pytest.approx(grid[losses.argmin()], abs=0.006)
    size = weights.sum() ** 2 / (weights**2).sum()
    inside = grid[2 * size * (losses - losses.min()) <= chi2.ppf(ONE_SIGMA, 1)]
    assert found.value == pytest.approx(inside.min(), abs=0.006)


def test_soft_targets_are_taken_as_they_are():
    logits, _, _ = draw(1)
    exact = probabilities_of(logits)[:, 1:]
    assert fit_temperature(3 * logits, exact, ALIKE).likeliest == pytest.approx(3, rel=1e-4)
    assert fit_temperature(logits, exact, ALIKE).value == 1


def test_calibrated_logits_stay_as_they_are_in_two_of_three_sets_and_lose_next_to_nothing_in_the_others():
    kept = [fit_temperature(*(draw(1, 200, seed)[number] for number in (0, 2)), np.ones(200)) for seed in range(200)]
    assert 120 <= sum(found.value == 1 for found in kept) <= 154  # 137 by 68 %, and two and a half standard deviations
    assert "1 is within a standard error" in next(found.why_one for found in kept if found.value == 1)
    logits, _, targets = draw(1, 20_000, 1000)

    def loss(temperature):
        return log_loss(targets[:, 0], probabilities_of(logits / temperature)[:, 1])

    assert np.mean([loss(found.value) for found in kept]) - loss(1) < 0.001
    assert np.mean([loss(found.value) for found in kept]) < np.mean([loss(found.likeliest) for found in kept])


def test_sixty_images_repair_most_of_what_a_network_that_is_twice_too_sure_has_too_much():
    """As fine-tuned networks are on a few hundred photographs, 0.82 of them right: the 95 % interval leaves them half of it."""
    logits, _, targets = draw(10, 20_000, 1000, scale=6)

    def loss(temperature):
        return log_loss(targets, probabilities_of(2 * logits / temperature))

    sets = [draw(10, 60, seed, scale=6) for seed in range(50)]
    found = [fit_temperature(2 * drawn, shares, np.ones(60)) for drawn, _, shares in sets]
    repaired = [loss(1) - loss(each.value) for each in found]
    assert np.mean(repaired) > 0.7 * (loss(1) - loss(2))


@pytest.mark.parametrize(
    ("logits", "targets", "weights", "why"),
    [
        (np.zeros((0, 1)), np.zeros((0, 1)), np.zeros(0), "no validation images"),
        (np.ones((3, 1)), np.ones((3, 1)), np.zeros(3), "no validation images"),
        (np.ones((3, 1)), np.ones((3, 1)), np.ones(3), "of one class"),
        (np.array([[-9.0], [9.0]] * 50), np.array([[0.0], [1.0]] * 50), np.ones(100), "within a standard error"),
    ],
)
def test_it_is_1_and_says_why(logits, targets, weights, why):
    found = fit_temperature(logits, targets, weights)
    assert found.value == 1 and why in found.why_one


def test_where_all_are_told_rightly_it_goes_no_further_than_they_ask_for():
    """The surer, the likelier: there is no likeliest temperature."""
    found = fit_temperature(np.array([[-1.0], [1.0]] * 50), np.array([[0.0], [1.0]] * 50), np.ones(100))
    assert 100 * np.log1p(np.exp(-1 / found.value)) == pytest.approx(chi2.ppf(ONE_SIGMA, 1) / 2, rel=1e-4)


def test_a_network_that_tells_nothing_becomes_unsure():
    random = np.random.default_rng(0)
    found = fit_temperature(5 * random.normal(size=(500, 1)), random.integers(0, 2, (500, 1)).astype(float), np.ones(500))
    assert found.value >= 5


@pytest.mark.parametrize("outputs", [1, 3, 1000])
def test_tempering_probabilities_is_dividing_logits(outputs):
    logits = 20 * draw(outputs, 200)[0]
    shares = probabilities_of(logits)
    assert temper(shares, 4.0) == pytest.approx(probabilities_of(logits / 4.0), abs=1e-9)
    assert temper(temper(shares, 1.7), 1 / 1.7) == pytest.approx(shares, abs=1e-9)
    assert (predict_labels(temper(shares, 1.7), 0.5) == predict_labels(shares, 0.5)).all()
