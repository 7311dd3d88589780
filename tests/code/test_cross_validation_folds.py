"""Folds: stratified, whole units in one fold; beside scikit-learn's, a simple count and a search through all divisions."""

import itertools

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import StratifiedGroupKFold

from thaw.cross_validation.folds import assign_folds, count_folds, number_units
from thaw.errors import ThawError
from thaw.splitting.grouping import first_of_linked


def class_counts(labels, folds, count):
    return np.array([np.bincount(labels[folds == fold], minlength=labels.max() + 1) for fold in range(count)])


@pytest.mark.parametrize(("images", "classes", "count"), [(101, 2, 5), (640, 10, 7), (3000, 1000, 5), (7, 3, 2)])
def test_single_images_are_divided_as_evenly_as_can_be(images, classes, count):
    labels = np.random.default_rng(0).permutation(np.arange(images) % classes)
    folds = assign_folds(labels, np.arange(images), count, seed=1)
    counts = class_counts(labels, folds, count)
    assert (np.ptp(counts, axis=0) <= 1).all()
    assert np.ptp(counts.sum(axis=1)) <= 1
    assert (assign_folds(labels, np.arange(images), count, seed=1) == folds).all()
    assert (assign_folds(labels, np.arange(images), count, seed=2) != folds).any()


def test_units_stay_whole_and_classes_as_even_as_scikit_learn_has_them():
    rng = np.random.default_rng(1)
    for seed in range(10):
        sizes = rng.geometric(0.4, 150)
        units = np.repeat(np.arange(150), sizes)
        labels = np.where(rng.random(len(units)) < 0.9, np.repeat(rng.integers(3, size=150), sizes), 0)
        folds = assign_folds(labels, units, 5, seed)
        assert all(len(set(folds[units == unit])) == 1 for unit in range(150))
        theirs = np.empty_like(folds)
        for fold, (_, held) in enumerate(StratifiedGroupKFold(5, shuffle=True, random_state=seed).split(units, labels, units)):
            theirs[held] = fold
        spread, their_spread = (np.ptp(class_counts(labels, found, 5), axis=0).max() for found in (folds, theirs))
        assert spread <= max(their_spread, 1)


def test_few_units_are_divided_nearly_as_well_as_any_division():
    labels, units = np.array([0, 0, 0, 1, 1, 1, 0, 1, 0, 1]), np.array([0, 0, 1, 1, 2, 2, 3, 3, 4, 5])
    found = np.ptp(class_counts(labels, assign_folds(labels, units, 2, 0), 2), axis=0).sum()
    best = min(
        np.ptp(class_counts(labels, np.array(division)[units], 2), axis=0).sum()
        for division in itertools.product(range(2), repeat=6)
    )
    assert found == best


def test_groups_of_the_metadata_equal_bytes_and_near_duplicates_are_one_unit():
    images = pd.DataFrame(
        {
            "path": list("abcdefgh"),
            "sha256": ["1", "1", "2", "3", "4", "5", "6", "7"],
            "meta_group": ["", "x", "x", "", "", "", "", ""],
            "cluster": ["", "", "", "d", "d", "", "", ""],
        }
    )
    units = number_units(first_of_linked(images))
    joined = {frozenset(np.flatnonzero(units == unit).tolist()) for unit in units}
    assert joined == {frozenset({0, 1, 2}), frozenset({3, 4}), frozenset({5}), frozenset({6}), frozenset({7})}


def test_there_are_as_many_folds_as_two_classes_have_units():
    labels = np.array([0] * 20 + [1] * 8 + [2])
    units = np.arange(29)
    assert count_folds(labels, units, 5, 3) == 5
    units[20:28] = [100, 100, 100, 100, 101, 101, 102, 102]
    assert count_folds(labels, units, 5, 3) == 3
    units[20:28] = 100
    with pytest.raises(ThawError, match="two folds need two classes"):
        count_folds(labels, units, 5, 3)
