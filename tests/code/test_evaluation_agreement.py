"""How far an engine is from the network that was judged."""

import numpy as np
import pytest

from thaw.errors import ThawError
from thaw.evaluation import agreement
from thaw.evaluation.agreement import BOUND


def compare(network, engine, threshold=0.5):
    """Of the second class's probabilities."""
    pair = [np.stack([1 - np.array(each), np.array(each)], axis=1) for each in (network, engine)]
    return agreement.compare(*pair, threshold)


def test_the_largest_difference_and_all_other_verdicts_are_reported():
    report = compare([0.4998, 0.1, 0.7002, 0.4999, 0.5001, 0.9], [0.5002, 0.1, 0.7, 0.5001, 0.4999, 0.9])
    assert report["largest_difference"] == pytest.approx(4e-4)
    assert report["bound"] == 1e-3
    assert report["other_verdicts"] == 3


def test_the_model_s_threshold_decides_what_another_verdict_is():
    assert compare([0.4998, 0.8999], [0.5002, 0.9001], threshold=0.9)["other_verdicts"] == 1


@pytest.mark.parametrize("apart", [0.0011, np.nan])
def test_a_difference_over_the_bound_is_an_error(apart):
    compare([0.5], [0.5 + 0.0009])
    with pytest.raises(ThawError, match=f"over the bound of {BOUND:g}"):
        compare([0.5, 0.5], [0.5 + apart, 0.5])
