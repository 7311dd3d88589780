"""Heads that train as one, each held against Keras's own training of it alone."""

import keras
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from thaw.arrays import Rows
from thaw.cross_validation.heads import Head, predict_logits, train_heads
from thaw.cross_validation.heads.losses import loss_and_gradient
from thaw.errors import ThawError
from thaw.params import FitParams
from thaw.training.objective import build_accuracy, build_loss
from thaw.training.optimizers import build_optimizer, set_step
from thaw.training.order import Order
from thaw.training.schedule import anneal_learning_rate, anneal_momentum

IMAGES, VIEWS, WIDTH = 61, 3, 12


@pytest.fixture(scope="module")
def features(tmp_path_factory):
    path = tmp_path_factory.mktemp("features") / "x.npy"
    np.save(path, np.random.default_rng(0).standard_normal((IMAGES, VIEWS, WIDTH)).astype(np.float16))
    return Rows(path)


def make_targets(outputs):
    rng = np.random.default_rng(1)
    if outputs == 1:
        return rng.random((IMAGES, 1)).astype(np.float32)
    return np.eye(outputs, dtype=np.float32)[rng.integers(outputs, size=IMAGES)]


def make_heads(params, others, outputs, **common):
    """Heads that differ in what heads of one batch may differ in: images, weights and some of the params."""
    rng = np.random.default_rng(2)
    targets = make_targets(outputs)
    return [
        Head(
            params.model_copy(update=other), 5, targets, rng.uniform(0.2, 2, IMAGES).astype(np.float32),
            rng.random(IMAGES) < 0.8, **common,
        )
        for other in others
    ]  # fmt: skip


def batch_size_of(heads):
    own = np.mean([head.trains.sum() for head in heads])
    return round(heads[0].params.batch_size * IMAGES / own)


def train_alone(head, features, batch_size, epochs):
    """What Keras makes of one head, from the same first weights, on its own images of each batch."""
    untrained = Head(
        head.params.model_copy(update={"epochs": 0}), head.seed, head.targets, head.weights, head.trains,
        hidden_units=head.hidden_units,
    )  # fmt: skip
    [first] = train_heads(features, [untrained])
    inputs = keras.Input((WIDTH,))
    x = inputs
    for number, (kernel, _) in enumerate(first.layers):
        is_last = number == len(first.layers) - 1
        x = keras.layers.Dense(len(kernel), activation=None if is_last else "relu", name=f"dense_{number}")(x)
    model = keras.Model(inputs, x)
    for layer, (kernel, bias) in zip(model.layers[1:], first.layers, strict=True):
        layer.set_weights([kernel.T, bias])
    params = head.params
    order = Order(head.seed, 0, IMAGES, VIEWS, batch_size)
    rates, momenta = anneal_learning_rate(params, order.steps), anneal_momentum(params, order.steps)
    loss = build_loss(params, head.targets.shape[1])
    model.compile(build_optimizer(params, model.trainable_variables), loss, run_eagerly=True)
    step = 0
    for epoch in range(epochs):
        images, views = order.epoch(epoch)
        for start in range(0, IMAGES, batch_size):
            chosen = head.trains[images[start : start + batch_size]]
            some, seen = images[start : start + batch_size][chosen], views[start : start + batch_size][chosen]
            set_step(model.optimizer, rates.at(step), momenta.at(step))
            weights = head.weights[some] / np.float32(len(some))
            model.train_on_batch(features.gather(some, seen).astype(np.float32), head.targets[some], sample_weight=weights)
            step += 1
    return [layer.get_weights() for layer in model.layers[1:]]


ADAMW = {"optimizer": "adamw", "weight_decay": 0.1, "schedule": "cosine", "warmup_epochs": 1.0}
CASES = {
    "adamw of two classes": (ADAMW, 1, 0),
    "adamw of many classes": (ADAMW, 4, 0),
    "adam, focal": ({"optimizer": "adam", "loss": "focal", "schedule": "linear"}, 1, 0),
    "rmsprop": ({"optimizer": "rmsprop", "momentum": 0.5, "weight_decay": 0.1}, 4, 0),
    "sgd, hidden layer": ({"optimizer": "sgd", "momentum": 0.9, "final_momentum": 0.5, "weight_decay": 0.1}, 4, 6),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_each_head_of_a_batch_becomes_what_keras_makes_of_it_alone(features, case):
    values, outputs, hidden = case
    params = FitParams(epochs=3, batch_size=8, learning_rate=0.02, **values)
    others = [{}, {"learning_rate": 0.005, "label_smoothing": 0.2}, {"clip_norm": 0.05}]
    heads = make_heads(params, others, outputs, hidden_units=hidden)
    for head, trained in zip(heads, train_heads(features, heads), strict=True):
        expected = train_alone(head, features, batch_size_of(heads), epochs=3)
        for (kernel, bias), (keras_kernel, keras_bias) in zip(trained.layers, expected, strict=True):
            np.testing.assert_allclose(kernel.T, keras_kernel, rtol=2e-3, atol=2e-5)
            np.testing.assert_allclose(bias, keras_bias, rtol=2e-3, atol=2e-5)


@pytest.mark.parametrize("kind", ["cross_entropy", "focal"])
@pytest.mark.parametrize("outputs", [1, 4])
def test_losses_are_keras_s_and_their_gradients_the_slopes_of_them(kind, outputs):
    rng = np.random.default_rng(3)
    logits = rng.normal(0, 3, (7, 2, outputs))
    targets = rng.random((7, 2, 1)) if outputs == 1 else rng.dirichlet(np.ones(outputs), (7, 2))
    smoothing = np.array([0.0, 0.3])
    losses, gradient = loss_and_gradient(kind, logits, targets, smoothing)
    for head, amount in enumerate(smoothing):
        keras_loss = build_loss(FitParams(loss=kind, label_smoothing=amount), outputs)
        expected = [float(keras_loss(t[None], z[None])) for t, z in zip(targets[:, head], logits[:, head], strict=True)]
        np.testing.assert_allclose(losses[:, head], expected, rtol=1e-5)
    step = 1e-6
    for output in range(outputs):
        moved = logits.copy()
        moved[..., output] += step
        slope = (loss_and_gradient(kind, moved, targets, smoothing)[0] - losses) / step
        np.testing.assert_allclose(gradient[..., output], slope, rtol=1e-4, atol=1e-5)


def test_a_head_comes_to_the_optimum_of_logistic_regression(features):
    labels = (np.random.default_rng(4).random(IMAGES) < 0.5).astype(np.float32)
    trains = np.arange(IMAGES) % 5 > 0
    first_views = features.gather(np.arange(IMAGES), np.zeros(IMAGES, int))
    params = FitParams(epochs=1500, batch_size=IMAGES, optimizer="adam", learning_rate=0.05)
    head = Head(params, 1, labels[:, None], np.ones(IMAGES, np.float32), trains)
    [trained] = train_heads(_FirstViews(features), [head])
    optimum = LogisticRegression(C=np.inf, max_iter=1000, tol=1e-8).fit(first_views[trains], labels[trains])
    expected = optimum.decision_function(first_views)
    found = predict_logits([trained], features, np.arange(IMAGES))[0, :, 0]
    np.testing.assert_allclose(found, expected, atol=0.02)


class _FirstViews:
    views = 1

    def __init__(self, features):
        self.features = features
        self.count, self.shape = features.count, features.shape

    def gather(self, images, views):
        return self.features.gather(images, views)


def test_what_a_head_becomes_does_not_depend_on_other_batches_nor_on_images_it_does_not_train_on(features):
    params = FitParams(epochs=2, batch_size=8, mixup=0.4)
    heads = make_heads(params, [{}, {}], 1, dropout=0.5)
    other = Head(params, 9, heads[0].targets, heads[0].weights, heads[0].trains, dropout=0.2)
    [alone] = train_heads(features, heads[:1])
    together = train_heads(features, [other, *heads])[1]
    np.testing.assert_array_equal(alone.layers[0][0], together.layers[0][0])
    head = heads[0]
    spoilt = np.array(features.gather(np.arange(IMAGES).repeat(VIEWS), np.tile(np.arange(VIEWS), IMAGES)))
    spoilt = spoilt.reshape(IMAGES, VIEWS, WIDTH)
    spoilt[~head.trains] += 7
    [unmoved] = train_heads(_Memory(spoilt), [head])
    np.testing.assert_array_equal(unmoved.layers[0][0], alone.layers[0][0])


class _Memory:
    def __init__(self, values):
        self.values = values
        self.count, self.views, self.shape = values.shape[0], values.shape[1], values.shape[2:]

    def gather(self, images, views):
        return self.values[images, views]


def test_dropout_leaves_the_mean_and_drops_its_share():
    values = np.ones((200, 1, 500), np.float16)
    params = FitParams(epochs=1, batch_size=200, optimizer="sgd", momentum=0.0, learning_rate=1.0, schedule="constant",
                       weight_decay=0.0)  # fmt: skip
    ones = np.ones(200, np.float32)
    plain, dropped = (
        train_heads(_Memory(values), [Head(params, 1, ones[:, None], ones, ones > 0, dropout=rate)])[0] for rate in (0.0, 0.4)
    )
    # One step from the same start: the kernel moves by the mean of what each feature let through.
    start = train_heads(_Memory(values), [Head(params.model_copy(update={"epochs": 0}), 1, ones[:, None], ones, ones > 0)])[0]
    moves = [trained.layers[0][0] - start.layers[0][0] for trained in (plain, dropped)]
    assert np.mean(moves[1]) == pytest.approx(np.mean(moves[0]), rel=0.1)
    assert np.std(moves[0]) < 1e-6 < np.std(moves[1])


@pytest.mark.parametrize("monitor", ["loss", "accuracy"])
def test_early_stopping_keeps_the_epoch_of_the_best_watched_figure(features, monitor):
    params = FitParams(epochs=12, batch_size=8, learning_rate=0.1, schedule="constant", weight_decay=0.0)
    [head] = make_heads(params, [{}], 1)
    watched = ~head.trains
    images = np.flatnonzero(watched)
    losses = []
    for epochs in range(1, 13):
        longer = Head(params.model_copy(update={"epochs": epochs}), 5, head.targets, head.weights, head.trains)
        [trained] = train_heads(features, [longer])
        logits = predict_logits([trained], features, images)[0]
        loss = build_loss(params, 1)(head.targets[images], logits, sample_weight=head.weights[images])
        accuracy = build_accuracy(1)(head.targets[images], logits)
        losses.append(float(loss) / len(images) if monitor == "loss" else -float(accuracy))
    stopping = params.model_copy(update={"early_stopping_patience": 2, "early_stopping_monitor": monitor})
    [stopped] = train_heads(features, [Head(stopping, 5, head.targets, head.weights, head.trains, watched)])
    best = next(n for n in range(12) if losses[n] <= min(losses[: n + 3]))
    assert stopped.epochs == best + 1 < 12
    with pytest.raises(ThawError, match="needs images to watch"):
        train_heads(features, [Head(stopping, 5, head.targets, head.weights, head.trains)])


def test_a_loss_that_is_not_finite_is_told_with_its_learning_rate(features):
    [head] = make_heads(FitParams(epochs=4, optimizer="sgd", learning_rate=1e30), [{}], 4)
    with pytest.raises(ThawError, match=r"not finite in step \d, at a learning rate of"), np.errstate(all="ignore"):
        train_heads(features, [head])
