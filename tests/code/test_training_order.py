"""Order, batches and labels: what one step of training sees."""

import csv
import json

import numpy as np
import pytest

from thaw.arrays import Rows
from thaw.errors import ThawError
from thaw.params import FineTuneParams, FitParams
from thaw.training.batches import Examples, plain_batches, step_paths, train_batches
from thaw.training.inputs import Computed
from thaw.training.labels import Labels, read_classes, read_labels
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


def write_split(path, rows):
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["path", "class", "label", "target", "weight"])
        writer.writeheader()
        writer.writerows(rows)


def rows_of(*targets, weight=1):
    return [
        {"path": f"ü/{i}.png", "class": "x", "label": int(float(t or 1) > 0.5), "target": t, "weight": weight}
        for i, t in enumerate(targets)
    ]  # fmt: skip


def test_labels_are_soft_where_there_is_a_probability(tmp_path):
    write_split(tmp_path / "s.csv", rows_of("0.0", "0.333", "1.0", weight=2))
    labels = read_labels(tmp_path / "s.csv", 2, FitParams())
    assert labels.paths[0] == "ü/0.png"
    assert labels.targets[:, 0].tolist() == pytest.approx([0, 0.333, 1])
    assert labels.weights.tolist() == [2, 2, 2]
    assert read_labels(tmp_path / "s.csv", 2, FitParams(labels="hard")).targets[:, 0].tolist() == [0, 0, 1]


def test_soft_labels_that_are_missing_are_an_error_only_when_asked_for(tmp_path):
    write_split(tmp_path / "s.csv", rows_of("0.0", ""))
    assert read_labels(tmp_path / "s.csv", 2, FitParams()).targets[:, 0].tolist() == [0, 1]
    with pytest.raises(ThawError, match="1 images have no `probability`"):
        read_labels(tmp_path / "s.csv", 2, FitParams(labels="soft"))


def test_a_target_that_is_no_probability_is_an_error(tmp_path):
    write_split(tmp_path / "s.csv", rows_of("0.0", "1.5"))
    with pytest.raises(ThawError, match="outside 0 to 1"):
        read_labels(tmp_path / "s.csv", 2, FitParams())


def test_more_classes_are_one_hot_and_balanced_weights_even_them_out(tmp_path):
    rows = [{"path": str(i), "class": "c", "label": label, "target": "", "weight": 1}
            for i, label in enumerate([0, 0, 0, 1, 2, 2])]  # fmt: skip
    write_split(tmp_path / "s.csv", rows)
    params = FitParams(class_weights="balanced")
    labels = read_labels(tmp_path / "s.csv", 3, params, balance=True)
    assert labels.targets.argmax(axis=1).tolist() == [0, 0, 0, 1, 2, 2]
    sums = [labels.weights[labels.targets[:, c] == 1].sum() for c in range(3)]
    assert sums == pytest.approx([2, 2, 2])
    assert read_labels(tmp_path / "s.csv", 3, params).weights.tolist() == [1] * 6
    with pytest.raises(ThawError, match="soft needs two classes"):
        read_labels(tmp_path / "s.csv", 3, FitParams(labels="soft"))


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
