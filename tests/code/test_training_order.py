"""Order, batches and labels: what one step of training sees."""

import json
import math

import numpy as np
import pandas as pd
import pytest

from thaw.arrays import Rows
from thaw.errors import ThawError
from thaw.params import FineTuneParams, FitParams
from thaw.splitting.files import read_classes
from thaw.training.batches import Examples, cut_mix, plain_batches, step_paths, train_batches
from thaw.training.inputs import Computed
from thaw.training.labels import Labels, balanced_shares, make_labels
from thaw.training.order import Order
from thaw.training.schedule import anneal_learning_rate


def examples(tmp_path, images=10, views=3):
    values = np.arange(images * views * 4, dtype=np.float16).reshape(images, views, 2, 2)
    np.save(tmp_path / "x.npy", values)
    targets = np.linspace(0, 1, images, dtype=np.float32)[:, None]
    labels = Labels([f"{i}.png" for i in range(images)], targets, np.ones(images, np.float32))
    return Examples(Rows(tmp_path / "x.npy"), labels), values


def test_an_epoch_shows_every_image_once_and_views_take_turns():
    order = Order(seed=1, phase=0, images=50, views=4, batch_size=16)
    seen = np.zeros((50, 4), int)
    for epoch in range(8):
        images, views = order.epoch(epoch)
        assert sorted(images) == list(range(50))
        seen[images, views] += 1
        if epoch == 3:
            assert (seen == 1).all()
    assert (seen == 2).all()
    assert order.steps == 4


def test_rare_classes_are_shown_as_often_as_others_each_time_in_another_view():
    """60 images of one class and 7 of another: of 67 shown in an epoch each class has half, and no image is left behind."""
    labels = np.repeat([0, 1], [60, 7])
    shares = balanced_shares(pd.DataFrame({"label": labels}))
    assert shares.sum() == pytest.approx(1)
    order = Order(1, 0, 67, 3, 16, shares)
    shown = np.zeros((40, 67), int)
    for epoch in range(40):
        images, views = order.epoch(epoch)
        shown[epoch] = np.bincount(images, minlength=67)
        assert len(images) == 67 and abs((labels[images] == 1).sum() - 33.5) < 1
        for image in range(60, 67):
            counts = np.bincount(views[images == image], minlength=3)
            assert counts.max() - counts.min() <= 1
    expected = np.where(labels == 1, 67 / 14, 67 / 120)
    assert (np.abs(shown - expected) < 1).all()
    np.testing.assert_allclose(shown.mean(axis=0), expected, atol=0.3)
    fresh = Order(1, 0, 67, 0, 16, shares)
    seen = [(image, view) for epoch in range(5) for image, view in zip(*fresh.epoch(epoch), strict=True)]
    assert len(set(seen)) == len(seen)
    assert (np.concatenate(order.epoch(3)) == np.concatenate(Order(1, 0, 67, 3, 16, shares).epoch(3))).all()


def test_order_depends_on_seed_phase_and_epoch_alone():
    def first(**change):
        return list(
            Order(**({"seed": 1, "phase": 0, "images": 30, "views": 2, "batch_size": 8} | change)).epoch(5)[0]
        )

    assert first() == first()
    assert first() != first(seed=2)
    assert first() != first(phase=1)
    assert first() == first(batch_size=4)


def test_fresh_views_are_numbered_by_epoch():
    assert set(Order(1, 0, 5, 0, 2).epoch(7)[1]) == {7}


def test_batches_go_on_from_any_step_as_if_never_stopped(tmp_path):
    data, _ = examples(tmp_path)
    order = Order(3, 0, 10, 3, 4)
    whole = list(train_batches(data, order, 2, mixup=0.4))
    rest = list(train_batches(data, order, 2, first_step=1, mixup=0.4))
    assert len(whole) == 3 and len(rest) == 2
    for left, right in zip(whole[1:], rest, strict=True):
        for a, b in zip(left, right, strict=True):
            assert (a == b).all()


def test_a_batch_holds_what_its_files_hold(tmp_path):
    data, values = examples(tmp_path)
    order = Order(3, 0, 10, 3, 4)
    images, views = order.epoch(0)
    batches = list(train_batches(data, order, 0))
    inputs = np.concatenate([batch[0] for batch in batches])
    assert inputs.dtype == np.float32
    assert (inputs == values[images, views].astype(np.float32)).all()
    assert [path for step in range(3) for path in step_paths(data, order, 0, step)] == [
        f"{i}.png" for i in images
    ]
    assert [float(batch[2].sum()) for batch in batches] == pytest.approx([1, 1, 1])  # the last has two images


def test_mixup_keeps_targets_within_the_hull(tmp_path):
    data, _ = examples(tmp_path)
    inputs, targets, _ = next(train_batches(data, Order(3, 0, 10, 3, 10), 0, mixup=1.0))
    plain, plain_targets, _ = next(train_batches(data, Order(3, 0, 10, 3, 10), 0))
    assert not np.allclose(inputs, plain)
    assert inputs.mean() == pytest.approx(plain.mean(), rel=1e-4)
    assert targets.mean() == pytest.approx(plain_targets.mean(), rel=1e-4)


def test_plain_batches_are_every_image_in_order(tmp_path):
    data, values = examples(tmp_path)
    inputs = np.concatenate([batch[0] for batch in plain_batches(data, 4)])
    assert (inputs == values[:, 0]).all()


def test_computed_inputs_run_the_network_each_time(tmp_path):
    data, values = examples(tmp_path)
    doubled = Computed(data.inputs, lambda pictures: pictures * 2, (2, 2), np.dtype(np.float32))
    assert (doubled.gather(np.array([3]), np.array([1]))[0] == values[3, 1] * 2).all()
    assert (doubled.count, doubled.views) == (10, 3)


def test_a_file_cut_short_is_named(tmp_path):
    examples(tmp_path)
    path = tmp_path / "x.npy"
    rows = Rows(path)
    assert rows.shape == (2, 2)
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(ThawError, match="cut short"):
        rows.gather(np.array([9]), np.array([2]))
    for size in (0, 5, 60, 200):
        path.write_bytes(path.read_bytes()[:size])
        with pytest.raises(ThawError, match=r"x\.npy: damaged or cut short"):
            Rows(path)
    path.unlink()
    with pytest.raises(ThawError, match=r"x\.npy"):
        rows.gather(np.array([9]), np.array([2]))
    with pytest.raises(ThawError, match=r"x\.npy: no such file"):
        Rows(path)


def rows_of(*targets, weights=1.0):
    """Rows of a split with two classes, of which those above 0.5, or without a target, are the positive one."""
    labels = [int(math.isnan(target) or target > 0.5) for target in targets]
    paths = [f"ü/{i}.png" for i in range(len(targets))]
    classes = [("a", "b")[label] for label in labels]
    return pd.DataFrame({"path": paths, "class": classes, "label": labels, "target": targets, "weight": weights})


def test_labels_are_soft_where_there_is_a_probability():
    rows = rows_of(0.0, 0.333, 1.0, weights=2.0)
    labels = make_labels(rows, 2, FitParams())
    assert labels.paths[0] == "ü/0.png"
    assert labels.targets[:, 0].tolist() == pytest.approx([0, 0.333, 1])
    assert labels.weights.tolist() == [2, 2, 2]
    assert make_labels(rows, 2, FitParams(labels="hard")).targets[:, 0].tolist() == [0, 0, 1]


def test_an_image_without_a_probability_is_taught_its_label_and_the_others_stay_soft():
    rows = rows_of(0.25, math.nan, 0.75)
    assert make_labels(rows, 2, FitParams()).targets[:, 0].tolist() == [0.25, 1, 0.75]
    with pytest.raises(ThawError, match=r"labels: soft: ü/1\.png has no probability\n"):
        make_labels(rows, 2, FitParams(labels="soft"))
    with pytest.raises(ThawError, match="nor have 2 others"):
        make_labels(rows_of(math.nan, math.nan, math.nan), 2, FitParams(labels="soft"))


def test_more_classes_are_one_hot_and_balanced_weights_even_them_out():
    labels = [0, 0, 0, 1, 2, 2]
    rows = rows_of(*[math.nan] * 6).assign(label=labels)
    params = FitParams(class_weights="balanced")
    taught = make_labels(rows, 3, params, balance=True)
    assert taught.targets.argmax(axis=1).tolist() == labels
    assert class_sums(taught) == pytest.approx([2, 2, 2])
    assert make_labels(rows, 3, params).weights.tolist() == [1] * 6
    with pytest.raises(ThawError, match="soft needs two classes"):
        make_labels(rows, 3, FitParams(labels="soft"))


def class_sums(labels):
    """The sum of weights that each class is taught with."""
    targets = labels.targets if labels.targets.shape[1] > 1 else np.hstack([1 - labels.targets, labels.targets])
    return (labels.weights[:, None] * targets).sum(axis=0)


def test_balanced_classes_count_the_same_whatever_their_images_weigh():
    weights = np.array([*[10.0] * 8, *[0.5] * 4, 0.0])
    rows = rows_of(*[0.0] * 8, *[1.0] * 5, weights=weights)
    taught = make_labels(rows, 2, FitParams(class_weights="balanced"), balance=True)
    assert class_sums(taught) == pytest.approx([41, 41])  # 82 in all, as without balancing
    assert taught.weights[1] == taught.weights[0] and taught.weights[-1] == 0  # within a class weights keep their ratio


def test_a_class_without_any_weight_cannot_be_balanced():
    rows = rows_of(0.0, 1.0, weights=[1.0, 0.0])
    with pytest.raises(ThawError, match="every image of class 'b' has weight 0"):
        make_labels(rows, 2, FitParams(class_weights="balanced"), balance=True)


@pytest.mark.parametrize("outputs", [1, 3])
def test_mixup_keeps_every_class_its_share_and_its_loss(tmp_path, outputs):
    rng = np.random.default_rng(0)
    rare = rng.random(64) < 0.1
    labels = rare.astype(int) if outputs == 1 else np.where(rare, 2, rng.integers(0, 2, 64))
    rows = rows_of(*[math.nan] * 64, weights=rng.uniform(0.5, 2, 64)).assign(label=labels)
    taught = make_labels(rows, max(2, outputs), FitParams(class_weights="balanced"), balance=True)
    np.save(tmp_path / "x.npy", np.arange(64, dtype=np.float32).reshape(64, 1, 1))
    data, order = Examples(Rows(tmp_path / "x.npy"), taught), Order(3, 0, 64, 1, 64)
    for epoch in range(5):
        _, targets, weights = next(train_batches(data, order, epoch, mixup=1.0))
        assert class_sums(Labels([], targets, weights * 64)) == pytest.approx(class_sums(taught), rel=1e-5)


def test_the_loss_of_a_mixed_pair_is_the_mixed_loss_of_the_pair(tmp_path):
    # Zhang et al. 2018: the loss against mixed targets is the mixture of both losses; here each with its image's weight.
    targets, weights = np.float32([[1.0], [0.0]]), np.float32([9.0, 1.0])
    np.save(tmp_path / "x.npy", np.float32([0.0, 1.0]).reshape(2, 1, 1))
    data, order = Examples(Rows(tmp_path / "x.npy"), Labels(["a", "b"], targets, weights)), Order(0, 0, 2, 1, 2)
    p = 0.3
    losses = -np.log([p, 1 - p]) * weights
    mixed_pairs = 0
    for epoch in range(10):
        inputs, mixed, weight = next(train_batches(data, order, epoch, mixup=1.0))
        share = 1 - inputs[:, 0]  # of the first image, as the inputs are 0 and 1
        expected = (share * losses[0] + (1 - share) * losses[1]) / 2
        found = -(mixed[:, 0] * np.log(p) + (1 - mixed[:, 0]) * np.log(1 - p)) * weight
        assert found == pytest.approx(expected, rel=1e-5)
        mixed_pairs += int(((share > 0) & (share < 1)).any())
    assert mixed_pairs > 2


def test_cutmix_pastes_rectangles_and_mixes_targets_by_their_share():
    """Every picture is one number: where another stands is what was pasted, and its share is the target's (section 3.1)."""
    numbers = np.arange(8, dtype=np.float32)
    inputs = np.broadcast_to(numbers[:, None, None, None], (8, 20, 30, 2)).copy()
    weights = np.float32([1, 1, 2, 1, 1, 3, 1, 1])
    shares = []
    for seed in range(400):
        pasted, targets, mixed = cut_mix((inputs, np.eye(8, dtype=np.float32), weights), np.random.default_rng(seed), 1.0)
        for own, picture, target, weight in zip(range(8), pasted, targets, mixed, strict=True):
            other = picture[picture[:, :, 0] != own]
            assert len(np.unique(other)) <= 1
            if not len(other):
                continue
            rows, columns = np.nonzero(picture[:, :, 0] != own)
            assert len(rows) == (np.ptp(rows) + 1) * (np.ptp(columns) + 1)
            partner, share = int(other[0, 0]), 1 - len(rows) / 600
            kept, taken = share * weights[own], (1 - share) * weights[partner]
            assert weight == pytest.approx(kept + taken, rel=1e-5)
            assert (target[own], target[partner]) == pytest.approx((kept / weight, taken / weight), rel=1e-4, abs=1e-6)
            shares.append(share)
        assert mixed.sum() == pytest.approx(weights.sum(), rel=1e-5)
    assert min(shares) < 0.15
    assert np.mean(shares) > 0.5  # a rectangle that leaves the picture is cut, so that more is kept than was drawn


def test_images_without_weight_mix_without_a_division_by_zero(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((4, 1, 1), np.float32))
    labels = Labels(list("abcd"), np.float32([[0], [1], [0], [1]]), np.zeros(4, np.float32))
    _, targets, weights = next(train_batches(Examples(Rows(tmp_path / "x.npy"), labels), Order(0, 0, 4, 1, 4), 0, mixup=1.0))
    assert np.isfinite(targets).all() and (weights == 0).all()


def test_classes_are_read_in_order(tmp_path):
    (tmp_path / "classes.json").write_text(json.dumps(["b", "a"]))
    assert read_classes(tmp_path / "classes.json") == ["b", "a"]


def test_a_small_set_is_shown_more_often():
    params = FineTuneParams(epochs=9, min_steps=200)
    assert params.epochs_of(62) == 9
    assert params.epochs_of(4) == 50
    assert params.epochs_of(7) == 29, "200 steps or the first epoch's end after them"
    assert FineTuneParams(epochs=0).epochs_of(4) == 0
    assert anneal_learning_rate(params, 4).total_steps == 200
