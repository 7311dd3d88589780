"""Slices against the rest: the test is the exact one, the correction Benjamini and Hochberg's, and both do what they say."""

import numpy as np
import pytest
from scipy.stats import fisher_exact

from benchmarks.slices import flagged
from thaw.statistics.intervals import share_interval
from thaw.statistics.slices import FEWEST, compare_slices, detectable_difference


def test_independent_images_have_the_p_of_fishers_exact_test():
    random = np.random.default_rng(0)
    hits, codes = random.random(300) < 0.85, random.integers(0, 4, 300)
    hits[codes == 2] &= random.random((codes == 2).sum()) < 0.7
    found = compare_slices(hits, np.arange(300), [codes == code for code in range(4)], 0.95)
    for code, part in enumerate(found):
        inside = codes == code
        table = [[hits[inside].sum(), (~hits[inside]).sum()], [hits[~inside].sum(), (~hits[~inside]).sum()]]
        assert part.p == pytest.approx(fisher_exact(table, alternative="less").pvalue)
        assert part.share == hits[inside].mean() and part.images == inside.sum()
        assert part.difference == pytest.approx(hits[inside].mean() - hits[~inside].mean())
        assert part.difference_interval[0] < part.difference < part.difference_interval[1]
        assert part.interval == share_interval(hits[inside], np.ones(inside.sum()), np.arange(inside.sum()), 0.95)
    order = np.argsort([part.p for part in found])
    stepped = [min(found[k].p * 4 / (rank + 1) for rank, k in enumerate(order) if rank >= at) for at in range(4)]
    assert [found[k].adjusted_p for k in order] == pytest.approx(np.minimum(stepped, 1))
    assert [part.adjusted_p <= 0.05 for part in found] == [False, False, True, False]


def test_groups_of_equal_images_count_as_one_image_each():
    random = np.random.default_rng(1)
    hits, inside = random.random(200) < 0.8, np.arange(200) < 60
    hits[:60] &= random.random(60) < 0.8
    [alone] = compare_slices(hits, np.arange(200), [inside], 0.95)
    [tenfold] = compare_slices(np.repeat(hits, 10), np.repeat(np.arange(200), 10), [np.repeat(inside, 10)], 0.95)
    [naive] = compare_slices(np.repeat(hits, 10), np.arange(2000), [np.repeat(inside, 10)], 0.95)
    assert tenfold.share == alone.share and tenfold.difference == pytest.approx(alone.difference)
    assert tenfold.difference_interval == pytest.approx(alone.difference_interval, abs=0.02)
    assert naive.p < 1e-6 < alone.p / 3 < tenfold.p < alone.p * 3
    assert tenfold.detectable == pytest.approx(alone.detectable, rel=0.1) and naive.detectable < alone.detectable / 2


def test_tiny_slices_are_listed_and_not_tested():
    hits, codes = np.arange(100) % 5 > 0, np.minimum(np.arange(100) // (FEWEST - 1), 1)
    few, many = compare_slices(hits, np.arange(100), [codes == 0, codes == 1], 0.95)
    assert (few.images, many.images) == (FEWEST - 1, 101 - FEWEST)
    for part in (few, many):
        assert np.isnan([part.p, part.adjusted_p, part.detectable, part.difference]).all()
        assert part.interval[0] < part.share < part.interval[1]
    [one_group] = compare_slices(hits, np.r_[np.zeros(50, int), np.arange(1, 51)], [np.arange(100) < 50], 0.95)
    assert np.isnan(one_group.p) and one_group.interval == (0, 1)


@pytest.mark.parametrize("rest, size, others", [(0.9, 60, 600), (0.8, 200, 400), (0.99, 40, 2000)])
def test_four_in_five_slices_that_are_worse_by_the_detectable_difference_are_found(rest, size, others):
    loss, random, found = detectable_difference(rest, size, others, 0.05), np.random.default_rng(2), 0
    inside = np.arange(size + others) < size
    for _ in range(400):
        hits = random.random(size + others) < np.where(inside, rest - loss, rest)
        found += compare_slices(hits, np.arange(size + others), [inside], 0.95)[0].adjusted_p <= 0.05
    assert 0.7 <= found / 400 <= 0.88


def test_a_slice_too_small_to_show_anything_says_so():
    assert np.isnan(detectable_difference(0.1, 20, 1000, 0.001))
    assert 0 < detectable_difference(1.0, 60, 600, 0.05) < 0.2


def test_random_slices_are_left_alone_and_a_planted_one_is_found():
    """The small form of `benchmarks/slices.py`."""
    random, units = np.random.default_rng(3), np.arange(656)
    assert np.mean([any(flagged(random, 0.9, units, "")) for _ in range(60)]) <= 0.05
    assert np.mean([any(flagged(random, 0.9, units // 4, "")) for _ in range(30)]) <= 0.05
    assert np.mean([flagged(random, 0.95, units, "drawn")[0] for _ in range(40)]) >= 0.9
    assert np.mean([flagged(random, 0.89, units, "exact")[0] for _ in range(20)]) >= 0.9
