"""The shares of the splits, held against Hamilton's method of largest remainders in exact fractions."""

from collections import Counter
from fractions import Fraction
from math import floor

import numpy as np
import pandas as pd
import pytest

from thaw.params import SplitParams
from thaw.splitting.division import assign_splits


def lay_out(sizes: dict[tuple[str, str], int]) -> pd.DataFrame:
    """A manifest of `sizes[class, kind]` images."""
    rows = [
        (f"{name}/{kind}{i:03d}.png", name, kind) for (name, kind), size in sizes.items() for i in range(size)
    ]
    images = pd.DataFrame(rows, columns=["path", "class", "meta_kind"])
    return images.assign(split="", sha256=images["path"])


def is_largest_remainders(taken: dict[str, int], sizes: dict[str, int], total: int) -> bool:
    """Whether `taken` of `sizes` is `total` in proportion: each rounded, up where the remainders are largest."""
    exact = {name: Fraction(total * size, sum(sizes.values())) for name, size in sizes.items()}
    remainders = {True: [Fraction(-1)], False: [Fraction(2)]}
    for name, value in exact.items():
        over = taken[name] - floor(value)
        if over not in (0, 1):
            return False
        remainders[bool(over)].append(value - floor(value))
    return sum(taken.values()) == total and max(remainders[False][1:], default=-1) <= min(
        remainders[True][1:], default=2
    )


@pytest.mark.parametrize("seed", range(20))
def test_classes_and_strata_get_their_largest_remainders(seed):
    rng = np.random.default_rng(seed)
    sizes = {(name, kind): int(rng.integers(20, 90)) for name in "abc" for kind in "xyz"}
    images = lay_out(sizes)
    params = SplitParams(test_fraction=0.3, validation_fraction=0.2)
    splits = assign_splits(images, params, seed)
    left = Counter(sizes)
    for split, share in [("test", 0.3), ("validation", 0.2 * 0.7)]:
        taken = Counter(
            zip(images["class"][splits == split], images["meta_kind"][splits == split], strict=True)
        )
        of_class = {name: sum(taken[name, kind] for kind in "xyz") for name in "abc"}
        left_of_class = {name: sum(left[name, kind] for kind in "xyz") for name in "abc"}
        assert is_largest_remainders(of_class, left_of_class, round(share * len(images)))
        for name in "abc":
            kinds = {kind: taken[name, kind] for kind in "xyz"}
            assert is_largest_remainders(kinds, {kind: left[name, kind] for kind in "xyz"}, of_class[name])
        left -= taken


@pytest.mark.parametrize(
    ("test_fraction", "validation_fraction", "size", "expected"),
    [
        (0.01, 0.01, 4, {"test": 1, "validation": 1, "train": 2}),
        (0.98, 0.01, 4, {"test": 2, "validation": 1, "train": 1}),
        (0.49, 0.99, 4, {"test": 2, "validation": 1, "train": 1}),
        (0.98, 0, 4, {"test": 3, "train": 1}),
        (0, 0.98, 3, {"validation": 2, "train": 1}),
    ],
)
def test_a_small_class_has_one_image_at_least_in_each_split_and_no_more_than_its_share(
    test_fraction, validation_fraction, size, expected
):
    params = SplitParams(test_fraction=test_fraction, validation_fraction=validation_fraction)
    images = lay_out({("rare", "x"): size, ("common", "x"): 100})
    assert assign_splits(images, params, 1)[images["class"] == "rare"].value_counts().to_dict() == expected


def test_lots_are_of_the_seed_and_not_of_the_order_of_the_rows():
    images = lay_out({("a", f"k{i:02d}"): 3 for i in range(18)} | {("b", "k00"): 40})
    splits = assign_splits(images, SplitParams(), 1)
    for seed in range(3):
        shuffled = images.sample(frac=1, random_state=seed)
        assert assign_splits(shuffled, SplitParams(), 1).sort_index().equals(splits)


def test_images_without_the_metadata_are_a_stratum_like_any_other():
    images = lay_out({(name, kind): 40 for name in "ab" for kind in "xy"})
    images["meta_kind"] = images["meta_kind"].mask(images["meta_kind"] == "y")
    splits = assign_splits(images, SplitParams(), 1)
    held_out = (splits == "test").groupby([images["class"], images["meta_kind"].fillna("none")]).sum()
    assert (held_out == 10).all()
