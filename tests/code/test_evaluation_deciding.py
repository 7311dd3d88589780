"""What is too unsure to be answered, by share and by cost; which images a decision is chosen on; what contradicts itself."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from thaw.decision import Decision, certainty_of
from thaw.errors import ThawError
from thaw.evaluation import Predictions
from thaw.evaluation.deciding import choose, held_out, report_decision
from thaw.params import EvaluateParams, Params, parse_params


def draw(images=2000, seed=0):
    """Of two classes, probabilities that are right."""
    random = np.random.default_rng(seed)
    shares = expit(random.normal(0, 2, images))
    labels = (random.random(images) < shares).astype(int)
    return Predictions(["no", "yes"], labels, np.column_stack([1 - shares, shares]), np.ones(images))


def params(**changes):
    return EvaluateParams(bootstrap_samples=20, **changes)


@pytest.mark.parametrize("threshold", [0.5, 0.2])
def test_a_share_is_that_of_the_least_sure(threshold):
    images = draw()
    decision, told = choose(params(unsure=0.1, threshold=threshold), images, 1)
    sure = decision.is_sure(images.probabilities)
    assert (~sure).mean() == pytest.approx(0.1)
    certainty = certainty_of(images.probabilities, threshold)
    assert certainty[sure].min() > certainty[~sure].max()
    inside = (images.probabilities[:, 1] > told["unsure_from"] - 1e-5) & (images.probabilities[:, 1] < told["unsure_to"] + 1e-5)
    assert (inside == ~sure).mean() > 0.998 and told["unsure_from"] < threshold < told["unsure_to"]


@pytest.mark.parametrize("costs", [(1.0, 1.0), (1.0, 4.0)])
@pytest.mark.parametrize("price", [0.1, 0.3])
def test_by_cost_unsure_is_said_where_it_is_cheaper_than_the_error_to_be_expected(costs, price):
    """Chow's rule, written down with the probability of each error."""
    images = draw()
    asked = params(threshold="auto", cost_false_positive=costs[0], cost_false_negative=costs[1], cost_unsure=price)
    decision, _ = choose(asked, images, 1)
    exact = Decision(costs[0] / sum(costs), 1 - price / (np.prod(costs) / sum(costs)))
    positive = images.probabilities[:, 1]
    errors = np.where(exact.labels(images.probabilities) == 1, costs[0] * (1 - positive), costs[1] * positive)
    assert (exact.is_sure(images.probabilities) == (errors <= price)).all()
    assert decision.threshold == pytest.approx(exact.threshold, abs=0.1)
    assert decision.least_certainty == pytest.approx(exact.least_certainty, abs=0.15)


def test_of_many_classes_the_likeliest_is_asked():
    random = np.random.default_rng(0)
    shares = random.dirichlet(np.full(10, 0.3), 500)
    images = Predictions([str(number) for number in range(10)], shares.argmax(axis=1), shares, np.ones(500))
    decision, told = choose(params(cost_unsure=0.25), images, 1)
    assert (decision.is_sure(shares) == (shares.max(axis=1) >= 0.75)).all() and "unsure_from" not in told
    answers = decision.answers(shares, images.classes)
    assert set(answers[shares.max(axis=1) < 0.75]) == {"unsure"}


def test_the_cost_never_pays_and_all_is_answered():
    decision, _ = choose(params(cost_unsure=0.6), draw(), 1)
    assert decision == Decision(0.5, 0.0)


def test_accuracy_of_what_is_answered_is_that_of_the_answers():
    images = draw()
    decision, told = choose(params(unsure=0.3), images, 1)
    report = report_decision(decision, told, images, 0.95)
    sure = decision.is_sure(images.probabilities)
    assert report["answered"] == pytest.approx(sure.mean()) and report["answered"] == pytest.approx(0.7)
    assert report["answered_accuracy"] == pytest.approx(images.correct[sure].mean(), abs=1e-6)
    assert images.correct.mean() < report["interval"]["answered_accuracy"]["low"] < report["answered_accuracy"]


def test_a_class_of_that_name_is_refused():
    images = dataclasses.replace(draw(), classes=["sure", "unsure"])
    with pytest.raises(ThawError, match="a class is called 'unsure'"):
        choose(params(unsure=0.1), images, 1)


def test_an_image_counts_once_and_what_the_model_says_of_it_before_what_a_head_says():
    rows = pd.DataFrame({"path": list("abcd"), "label": [0, 1, 0, 1], "confidence": 1.0, "group": ["", "g", "", "g"]})
    judged = pd.DataFrame({"path": list("abcd"), "class": list("nyny"), "label": [0, 1, 0, 1], "fold": 1, "predicted": "n",
                           "probability_n": [0.9, 0.8, 0.7, 0.6], "probability_y": [0.1, 0.2, 0.3, 0.4]})  # fmt: skip
    logits = pd.DataFrame({"path": ["d", "c"], "logit_y": [4.0, -2.0]})
    found = held_out(["n", "y"], rows, logits, 2.0, judged)
    assert found.labels.tolist() == [1, 0, 0, 1]
    assert found.probabilities[:2, 1] == pytest.approx(expit([2.0, -1.0]))
    assert found.probabilities[2:, 1] == pytest.approx([0.1, 0.2])  # so few refute no temperature
    assert found.units[0] == found.units[3] and len(np.unique(found.units)) == 3


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"threshold": "auto"}, "threshold: auto has no aim"),
        ({"least_recall": 0.9}, r"least_recall: 0\.9 has no effect beside evaluate.threshold: 0\.5"),
        ({"threshold": "auto", "least_recall": 0.9, "least_precision": 0.9}, "takes one aim"),
        ({"threshold": "auto", "least_recall": 0.9, "cost_false_negative": 1.0}, "takes one aim"),
        ({"threshold": "auto", "cost_false_positive": 1.0}, "cost_false_positive without evaluate.cost_false_negative"),
        ({"unsure": 0.1, "cost_unsure": 0.1}, "both bound the answer"),
        ({"unsure": 1.0}, "evaluate.unsure: input should be less than 1"),
        ({"threshold": "often"}, r"evaluate\.threshold: input should be"),
    ],
)
def test_parameters_that_contradict_each_other_are_refused(changes, said):
    values = Params().model_dump(by_alias=True)
    values["evaluate"] |= changes
    with pytest.raises(ThawError, match=said) as caught:
        parse_params(values)
    assert "evaluate." in caught.value.cure
