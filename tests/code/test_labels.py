"""Labels that are probably wrong: planted ones are found, each with its reason, and cleanlab and scikit-learn say the same."""

import numpy as np
import pytest
from cleanlab.count import num_label_issues
from cleanlab.rank import get_label_quality_scores
from sklearn.datasets import load_digits
from sklearn.kernel_ridge import KernelRidge

from thaw.labels import Images, kernel, no_suspects, out_of_fold, suspects
from thaw.labels.confident import find_wrong, label_quality
from thaw.labels.twins import Twin, find_twins

NAMES = ["cat", "dog", "owl"]


def clouds(images: int = 240, classes: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features in as many clouds as classes, the true labels, and folds."""
    random = np.random.default_rng(seed)
    labels = np.arange(images) % classes
    features = np.abs(random.normal(size=(images, 20)) + 3 * np.eye(20)[labels])
    return features.astype(np.float32), labels, random.permutation(images) % 5


def flipped(labels: np.ndarray, share: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    chosen = random.choice(len(labels), round(share * len(labels)), replace=False)
    wrong = labels.copy()
    wrong[chosen] = (labels[chosen] + random.integers(1, labels.max() + 1, len(chosen))) % (labels.max() + 1)
    return wrong, chosen


def images_of(labels, probabilities, copies=None, clusters=None):
    paths = [f"{NAMES[label]}/{number}.png" for number, label in enumerate(labels)]
    groups = [np.full(len(labels), -1) if known is None else np.asarray(known) for known in (copies, clusters)]
    return Images(paths, np.asarray(labels), np.asarray(probabilities, float), *groups)


def test_the_regression_is_scikit_learn_s_of_the_other_folds():
    features, labels, folds = clouds()
    given = out_of_fold(features, labels, folds, 3, 1)
    values = np.sqrt(features.astype(np.float64))
    values = (values - values.mean(axis=0)) / values.std(axis=0)
    model = KernelRidge(alpha=kernel._RIDGE, kernel="rbf", gamma=kernel._GAMMA / 20)
    for fold in range(5):
        seen = folds != fold
        targets = np.eye(3)[labels[seen]]
        model.fit(values[seen], targets - targets.mean(axis=0))
        expected = np.clip(model.predict(values[~seen]) + targets.mean(axis=0), kernel._LEAST, None)
        np.testing.assert_allclose(given[~seen], expected / expected.sum(axis=1, keepdims=True), atol=1e-3)


def test_fewer_landmarks_than_images_say_nearly_the_same(monkeypatch):
    features, labels, folds = clouds()
    whole = out_of_fold(features, labels, folds, 3, 1)
    monkeypatch.setattr(kernel, "LANDMARKS", 150)
    part = out_of_fold(features, labels, folds, 3, 1)
    assert (part.argmax(axis=1) == whole.argmax(axis=1)).mean() > 0.98
    np.testing.assert_array_equal(part, out_of_fold(features, labels, folds, 3, 1))


def test_an_image_has_no_say_in_what_is_said_of_its_own_fold():
    features, labels, folds = clouds()
    wrong = np.where(folds == 2, (labels + 1) % 3, labels)
    before, after = (out_of_fold(features, each, folds, 3, 1) for each in (labels, wrong))
    np.testing.assert_allclose(before[folds == 2], after[folds == 2], atol=1e-6)
    assert np.abs(before - after)[folds != 2].mean() > 0.05


def test_features_that_are_constant_or_few_break_nothing():
    features = np.zeros((10, 3), np.float32)
    given = out_of_fold(features, np.arange(10) % 2, np.arange(10) // 2 % 5, 2, 1)
    np.testing.assert_allclose(given.sum(axis=1), 1)


@pytest.mark.parametrize("seed", range(3))
def test_of_planted_flips_nine_in_ten_are_found_and_what_is_suggested_is_the_truth(seed, monkeypatch):
    """The digits by their pixels: the small form of `benchmarks.labels`, which has the network's features."""
    monkeypatch.setattr(kernel, "LANDMARKS", 500)
    digits = load_digits()
    labels, names = digits.target, [f"digit {number}" for number in range(10)]
    wrong, chosen = flipped(labels, 0.05, seed)
    folds = np.random.default_rng(seed).permutation(len(labels)) % 5
    probabilities = out_of_fold(digits.data.astype(np.float32), wrong, folds, 10, 1)
    paths = [str(number) for number in range(len(labels))]
    table = suspects(Images(paths, wrong, probabilities, *[np.full(len(labels), -1)] * 2), names)
    found = table["path"].astype(int).to_numpy()
    hits = np.isin(found, chosen)
    assert hits.sum() / len(chosen) >= 0.9 and hits.mean() >= 0.8
    assert (table["suggested_label"][hits] == np.array(names)[labels[found]][hits]).mean() > 0.95
    assert table["score"].is_monotonic_increasing and table["score"].between(0, 1).all()


def test_scores_and_counts_are_cleanlab_s():
    features, labels, folds = clouds()
    wrong, _ = flipped(labels, 0.08)
    probabilities = out_of_fold(features, wrong, folds, 3, 1)
    margin = probabilities[np.arange(240), wrong] - np.where(np.eye(3, dtype=bool)[wrong], -1, probabilities).max(axis=1)
    np.testing.assert_allclose(label_quality(wrong, probabilities), (1 + margin) / 2)
    np.testing.assert_allclose(
        label_quality(wrong, probabilities), get_label_quality_scores(wrong, probabilities, method="normalized_margin")
    )
    found = find_wrong(wrong, probabilities)
    assert found.sum() == num_label_issues(wrong, probabilities, estimation_method="off_diagonal_calibrated") > 5
    assert margin[found].max() <= margin[~found].min()


def test_of_equal_files_of_two_classes_the_less_likely_label_is_a_suspect():
    labels = np.array([0, 1, *[0, 1, 2] * 9])
    probabilities = np.vstack([[[0.45, 0.5, 0.05]] * 2, np.tile(np.eye(3) * 0.85 + 0.05, (9, 1))])
    groups = np.where(np.arange(29) < 2, 7, -1)
    assert find_twins(labels, groups, probabilities) == [Twin(0, 1, 1)]
    assert suspects(images_of(labels, probabilities), NAMES).empty
    assert suspects(images_of(labels, probabilities, clusters=groups), NAMES).empty, "to look alike is not enough"
    (row,) = suspects(images_of(labels, probabilities, copies=groups), NAMES).itertuples()
    assert (row.path, row.label, row.suggested_label) == ("cat/0.png", "cat", "dog")
    assert row.why == "the other folds say dog 50 %; is the same file as dog/1.png, which is labelled dog"


def test_what_an_image_looks_like_is_one_more_reason():
    labels = np.array([0, 1, *[0, 1, 2] * 9])
    probabilities = np.vstack([[[0.02, 0.96, 0.02]] * 2, np.tile(np.eye(3) * 0.85 + 0.05, (9, 1))])
    (row,) = suspects(images_of(labels, probabilities, clusters=np.where(np.arange(29) < 2, 7, -1)), NAMES).itertuples()
    assert row.why == "the other folds say dog 96 %; looks like dog/1.png, which is labelled dog"


def test_an_image_that_was_not_judged_speaks_of_others_and_is_no_suspect():
    probabilities = np.array([[0.2, 0.7, 0.1], [np.nan] * 3])
    assert find_twins(np.array([0, 1]), np.array([0, 0]), probabilities) == [Twin(0, 1, 1)]
    assert find_twins(np.array([1, 0]), np.array([0, 0]), probabilities) == []


def test_twins_that_the_folds_cannot_tell_apart_from_their_labels_are_left_alone():
    probabilities = np.array([[0.9, 0.05, 0.05], [0.1, 0.85, 0.05]])
    assert find_twins(np.array([0, 1]), np.array([3, 3]), probabilities) == []


def test_without_judged_images_or_a_second_class_there_is_no_suspect():
    assert suspects(images_of([0, 1], np.full((2, 3), np.nan)), NAMES).equals(no_suspects())
    assert suspects(images_of([0, 0, 0], [[0.9, 0.05, 0.05]] * 3), NAMES).empty


def test_a_thousand_classes_are_told_apart(monkeypatch):
    monkeypatch.setattr(kernel, "LANDMARKS", 200)
    _, _, folds = clouds(2000)
    labels = np.arange(2000) % 1000
    probabilities = out_of_fold(np.eye(40)[labels % 40].astype(np.float32), labels, folds, 1000, 1)
    names = [str(number) for number in range(2000)]
    table = suspects(Images(names, labels, probabilities, *[np.full(2000, -1)] * 2), names[:1000])
    assert len(table) < 2000
