"""What the steps of a training do, held against Keras's own optimizers and against gradient descent in NumPy."""

import itertools
import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from thaw.arrays import Rows
from thaw.errors import ThawError
from thaw.params import FitParams
from thaw.training import fit as fitting
from thaw.training.activations import sample_pictures, storage_dtype
from thaw.training.batches import Examples
from thaw.training.fit import Job, fit
from thaw.training.guard import Stop
from thaw.training.inputs import round_to
from thaw.training.labels import Labels
from thaw.training.optimizers import build_optimizer, set_step
from thaw.training.order import Order
from thaw.training.schedule import Annealing
from thaw.training.state import read_state, seed_generators, write_state


def examples(folder, images=10, views=2, features=3):
    rng = np.random.default_rng(4)
    inputs = rng.normal(size=(images, views, features)).astype(np.float32)
    np.save(folder / f"{images}.npy", inputs)
    targets = rng.uniform(size=(images, 1)).astype(np.float32)
    weights = rng.uniform(0.5, 2, images).astype(np.float32)
    return Examples(
        Rows(folder / f"{images}.npy"), Labels([f"{i}.png" for i in range(images)], targets, weights)
    ), inputs


def linear(features=3):
    inputs = keras.Input((features,))
    return keras.Model(inputs, keras.layers.Dense(1, kernel_initializer="ones", name="logits")(inputs))


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def entropy(targets, p):
    return -(targets * np.log(p) + (1 - targets) * np.log(1 - p))


PLAIN = FitParams(
    epochs=3, batch_size=4, optimizer="sgd", learning_rate=0.2, final_learning_rate=0.05, schedule="linear", warmup_epochs=1,
    momentum=0.0, final_momentum=0.0, weight_decay=0.0, precision="float32",
)  # fmt: skip


def test_training_is_gradient_descent_on_the_weighted_mean_of_each_batch(tmp_path):
    (train, inputs), (watched, pixels) = examples(tmp_path), examples(tmp_path, 7)
    model = linear()
    rows = fit(model, PLAIN, train, watched, Job(5, 1, "key", tmp_path / "scratch", Stop()))
    weights, bias = np.ones(3), 0.0
    order = Order(5, 1, 10, 2, 4)
    rates = [
        0.05,
        0.1,
        0.15,
        *np.linspace(0.2, 0.05, 7)[:6],
    ]  # three steps an epoch; the first epoch warms up
    for epoch in range(3):
        images, views = order.epoch(epoch)
        losses, right = [], 0
        for step in range(3):
            part = images[4 * step : 4 * step + 4]
            x, y = inputs[part, views[4 * step : 4 * step + 4]], train.labels.targets[part, 0]
            p, w = sigmoid(x @ weights + bias), train.labels.weights[part]
            losses.append(w * entropy(y, p))
            right += int(((y > 0.5) == (p > 0.5)).sum())
            slope = w * (p - y) / len(part)
            rate = rates[3 * epoch + step]
            weights, bias = weights - rate * slope @ x, bias - rate * slope.sum()
        metrics = rows[epoch]["metrics"]
        assert metrics["learning_rate"] == pytest.approx(rates[3 * epoch + 2])
        assert metrics["loss"] == pytest.approx(_as_keras_counts(losses), rel=1e-4)
        assert metrics["accuracy"] == pytest.approx(right / 10)  # of the images, whatever they weigh
        p, y = sigmoid(pixels[:, 0] @ weights + bias), watched.labels.targets[:, 0]
        watched_losses = watched.labels.weights * entropy(y, p)
        assert metrics["validation_loss"] == pytest.approx(
            _as_keras_counts([watched_losses[:4], watched_losses[4:]]), rel=1e-4
        )
        assert (rows[epoch]["epoch"], rows[epoch]["step"]) == (epoch + 1, 3 * epoch + 3)
    np.testing.assert_allclose(model.get_layer("logits").kernel[:, 0], weights, rtol=1e-4)
    np.testing.assert_allclose(model.get_layer("logits").bias, [bias], rtol=1e-4)


def _as_keras_counts(batches):
    """Keras's mean of the losses of batches: each counts by its images."""
    return np.average([batch.mean() for batch in batches], weights=[len(batch) for batch in batches])


@pytest.mark.parametrize(("ours", "theirs"), [
    ({"optimizer": "adam"}, keras.optimizers.Adam),
    ({"optimizer": "adamw", "weight_decay": 0.1}, lambda **common: keras.optimizers.AdamW(weight_decay=0.1, **common)),
    ({"optimizer": "adamw", "weight_decay": 0.0}, keras.optimizers.Adam),
    ({"optimizer": "rmsprop", "weight_decay": 0.1, "momentum": 0.7},
     lambda **common: keras.optimizers.RMSprop(momentum=0.7, weight_decay=0.1, **common)),
    ({"optimizer": "sgd", "weight_decay": 0.1, "momentum": 0.7},
     lambda **common: keras.optimizers.SGD(momentum=0.7, nesterov=True, weight_decay=0.1, **common)),
    ({"optimizer": "sgd", "weight_decay": 0.0, "momentum": 0.0}, keras.optimizers.SGD),
])  # fmt: skip
@pytest.mark.parametrize("clip", [0.0, 1.5])
def test_optimizers_are_those_of_keras(ours, theirs, clip):
    rng = np.random.default_rng(0)
    shapes = {"kernel": (4, 3), "bias": (3,), "gamma": (3,), "beta": (3,)}
    start = {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    gradients = [[rng.normal(size=shape).astype(np.float32) for shape in shapes.values()] for _ in range(4)]
    params = FitParams(**{"learning_rate": 0.03, "clip_norm": clip, "momentum": 0.9} | ours)
    found = []
    for own in (False, True):
        variables = [keras.Variable(value, name=name) for name, value in start.items()]
        if own:
            optimizer = theirs(learning_rate=0.03, global_clipnorm=clip or None)
            optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
            optimizer.build(variables)
        else:
            optimizer = build_optimizer(params, variables)
        for step, gradient in enumerate(gradients):
            rate = 0.03 / (step + 1)
            if own:
                optimizer.learning_rate = rate
            else:
                set_step(optimizer, rate, params.momentum)
            optimizer.apply([tf.constant(each) for each in gradient], variables)
        found.append([variable.numpy() for variable in variables])
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-5, atol=1e-6)


def test_a_checkpoint_is_written_after_more_than_15_seconds_and_at_the_end(tmp_path, monkeypatch):
    """A clock that goes on by 10 seconds a step: after the second step 20 have gone by, at an epoch's end none."""
    (train, _), (watched, _) = examples(tmp_path), examples(tmp_path, 7)
    saved, steps = [], itertools.count(1)
    save, end_step = fitting._Training.save, fitting._Training.end_step
    now = [0.0]
    monkeypatch.setattr(fitting.time, "monotonic", lambda: now[0])

    def stepped(self, logs):
        now[0] = 10.0 * next(steps)
        end_step(self, logs)

    monkeypatch.setattr(fitting._Training, "end_step", stepped)
    monkeypatch.setattr(fitting._Training, "save", lambda self: (saved.append(self.step), save(self)))
    fit(linear(), PLAIN, train, watched, Job(5, 1, "key", tmp_path / "scratch", Stop()))
    assert saved == [2, 4, 6, 8, 9]


def test_what_is_slow_between_the_epochs_is_saved_too(tmp_path, monkeypatch):
    (train, _), (watched, _) = examples(tmp_path), examples(tmp_path, 7)
    saved, now = [], [0.0]
    save, validate = fitting._Training.save, fitting._Training._validate
    monkeypatch.setattr(fitting.time, "monotonic", lambda: now[0])

    def slow(self):
        now[0] += 15.5
        return validate(self)

    monkeypatch.setattr(fitting._Training, "_validate", slow)
    monkeypatch.setattr(
        fitting._Training, "save", lambda self: (saved.append((self.step, len(self.rows))), save(self))
    )
    fit(linear(), PLAIN, train, watched, Job(5, 1, "key", tmp_path / "scratch", Stop()))
    assert saved == [(3, 1), (6, 2), (9, 3), (9, 3)]


@pytest.mark.parametrize(("batch_size", "named", "more"), [(8, 8, ""), (9, 8, " and 1 more")])
def test_a_loss_that_is_not_finite_names_eight_images_at_most(tmp_path, batch_size, named, more):
    train, _ = examples(tmp_path)
    labels = Labels(train.labels.paths, np.full((10, 1), np.nan, np.float32), train.labels.weights)
    params = PLAIN.model_copy(update={"batch_size": batch_size})
    nothing = Examples(train.inputs, Labels([], np.zeros((0, 1), np.float32), np.zeros(0, np.float32)))
    with pytest.raises(ThawError) as caught:
        fit(
            linear(),
            params,
            Examples(train.inputs, labels),
            nothing,
            Job(5, 1, "key", tmp_path / "scratch", Stop()),
        )
    expected = [f"{image}.png" for image in Order(5, 1, 10, 2, batch_size).epoch(0)[0][:named]]
    assert (
        f"in epoch 1, step 1 (images {', '.join(expected)}{more}): the inputs are finite"
        in caught.value.reason
    )


def test_inputs_of_the_step_are_looked_at_in_the_view_that_was_trained_on(tmp_path):
    """An image is finite in one view and not in the other: the epoch that shows the other fails by its inputs."""
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(4, 2, 3)).astype(np.float32)
    inputs[2, 1] = np.nan
    np.save(tmp_path / "x.npy", inputs)
    labels = Labels([f"{i}.png" for i in range(4)], np.ones((4, 1), np.float32), np.ones(4, np.float32))
    train = Examples(Rows(tmp_path / "x.npy"), labels)
    nothing = Examples(train.inputs, Labels([], np.zeros((0, 1), np.float32), np.zeros(0, np.float32)))
    params = PLAIN.model_copy(update={"batch_size": 1})
    order = Order(7, 0, 4, 2, 1)
    where = [
        (epoch, step)
        for epoch in range(2)
        for step, pair in enumerate(zip(*order.epoch(epoch), strict=True))
        if pair == (2, 1)
    ]
    with pytest.raises(ThawError, match=r"\(images 2.png\): what the frozen layers give") as caught:
        fit(linear(), params, train, nothing, Job(7, 0, "key", tmp_path / "scratch", Stop()))
    ((epoch, step),) = where
    assert f"in epoch {epoch + 1}, step {step + 1} " in caught.value.reason


@pytest.mark.parametrize(("error", "batch_size", "tried"), [(MemoryError, 7, 3), (MemoryError, 1, 1)])
def test_a_smaller_batch_is_half_of_it_and_one_at_least(tmp_path, monkeypatch, error, batch_size, tried):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(keras.Model, "train_step", fail)
    (train, _), (watched, _) = examples(tmp_path), examples(tmp_path, 7)
    params = PLAIN.model_copy(update={"batch_size": batch_size})
    with pytest.raises(ThawError, match=f"batch of {batch_size} images") as caught:
        fit(linear(), params, train, watched, Job(5, 1, "key", tmp_path / "scratch", Stop()))
    assert f"batch_size: {tried};" in caught.value.cure


def test_another_error_stays_what_it_is(tmp_path, monkeypatch):
    def fail(*_, **__):
        raise KeyError("of Keras")

    monkeypatch.setattr(keras.Model, "train_step", fail)
    (train, _), (watched, _) = examples(tmp_path), examples(tmp_path, 7)
    with pytest.raises(KeyError, match="of Keras"):
        fit(linear(), PLAIN, train, watched, Job(5, 1, "key", tmp_path / "scratch", Stop()))


def test_annealing_by_hand():
    cosine = Annealing(2.0, 1.0, "cosine", warmup_steps=0, total_steps=4)
    assert cosine.values() == pytest.approx([1.5 + 0.5 * math.cos(math.pi * step / 4) for step in range(4)])
    assert [cosine.at(step) for step in (4, 5, 9)] == [1.0] * 3
    assert Annealing(2.0, 1.0, "linear", 3, 3).at(3) == 2.0  # the warm-up is all there is
    assert Annealing(2.0, 1.0, "linear", 2, 4).values() == pytest.approx([2 / 3, 4 / 3, 2.0, 1.5])


def test_every_generator_has_a_state_of_its_own_that_follows_from_seed_and_phase():
    model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Dropout(0.5), keras.layers.Dropout(0.5)])

    def states(seed, phase):
        seed_generators(model, seed, phase)
        return [layer.seed_generator.state.numpy().tolist() for layer in model.layers[:2]]

    first = states(1, 0)
    assert first[0] != first[1] and first == states(1, 0)
    assert first != states(2, 0) != states(1, 1) != first
    many = np.array([states(seed, 0) for seed in range(200)])
    assert many.min() < 2**28 and many.max() > 2**32 - 2**28  # of all 32 bits


def test_the_state_is_written_back_group_by_group():
    model = linear()
    model.compile(keras.optimizers.Adam(), "mse", metrics=["mae"])
    model.fit(np.ones((4, 3)), np.zeros((4, 1)), verbose=0)
    before = read_state(model)
    assert {name.split("/")[0] for name in before} == {"model", "optimizer", "metrics"}
    assert len(before) == len(model.variables) + len(model.optimizer.variables) + len(model.metrics_variables)
    model.fit(np.ones((4, 3)), np.zeros((4, 1)), epochs=2, verbose=0)
    after = read_state(model)
    write_state(model, before, ("model", "metrics"))
    for name, value in read_state(model).items():
        np.testing.assert_array_equal(value, (after if name.startswith("optimizer") else before)[name])
    write_state(model, before)
    for name, value in read_state(model).items():
        np.testing.assert_array_equal(value, before[name])


def test_float16_is_taken_up_to_an_eighth_of_its_range_and_rounds_to_its_largest_number():
    assert storage_dtype(np.float32([8187.9])) == np.float16
    assert storage_dtype(np.float32([-8188.0])) == np.float32
    assert storage_dtype(np.zeros((0, 4), np.float32)) == np.float16
    values = np.float32([7e4, -7e4, 1.0001])
    assert round_to(values, np.dtype(np.float16)).tolist() == [65504, -65504, 1]
    assert round_to(values, np.dtype(np.float32)).tolist() == values.tolist()


def test_a_sample_is_32_pictures_in_their_first_view():
    class Numbers:
        count, views, shape = 500, 2, ()

        def gather(self, images, views):
            return images * 10 + views

    assert sample_pictures(Numbers()).tolist() == [int(i * 499 / 31) * 10 for i in range(32)]
