"""What a step does to the weights: decay at each layer's own rate, float16 gradients that are not lost."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from thaw.arrays import Rows
from thaw.params import FitParams
from thaw.training.batches import Examples
from thaw.training.labels import Labels
from thaw.training.optimizers import Tuning, build_optimizer, set_step
from thaw.tuning import tune
from thaw.tuning.lr_find import find_learning_rate


@pytest.mark.parametrize("optimizer", ["adamw", "sgd", "rmsprop"])
def test_weight_decay_follows_each_layer_s_learning_rate(optimizer):
    """Decoupled decay is w <- w - rate * decay * w (arXiv 1711.05101), with the rate that the layer is trained at."""
    layers = [keras.layers.Dense(2, name=name, bias_initializer="ones") for name in ("thawed", "head")]
    for layer in layers:
        layer.build((None, 3))
    before = [layer.kernel.numpy() for layer in layers]
    params = FitParams(optimizer=optimizer, learning_rate=0.5, weight_decay=0.1)
    variables = [variable for layer in layers for variable in layer.trainable_variables]
    made = build_optimizer(params, variables, Tuning({"thawed": 0.2}))
    for rate in (0.5, 0.25):
        set_step(made, rate, 0.9)
        made.apply([np.zeros(variable.shape, "float32") for variable in variables], variables)
    for layer, kernel, factor in zip(layers, before, (0.2, 1.0), strict=True):
        expected = kernel * (1 - 0.5 * factor * 0.1) * (1 - 0.25 * factor * 0.1)
        np.testing.assert_allclose(layer.kernel, expected, rtol=1e-6)
        np.testing.assert_array_equal(layer.bias, 1)


@pytest.mark.parametrize("name", ["adam", "adamw"])
@pytest.mark.parametrize("in_graph", [False, True], ids=["eager", "graph"])
def test_adam_takes_the_steps_of_the_paper(name, in_graph):
    """Kingma and Ba 2015 (arXiv 1412.6980), algorithm 1 with the efficient order of section 2, decay decoupled; in NumPy."""
    rng = np.random.default_rng(0)
    layer = keras.layers.Dense(4, name="dense")
    layer.build((None, 3))
    weights = layer.kernel.numpy().astype(np.float64)
    first, second = np.zeros((3, 4)), np.zeros((3, 4))
    made = build_optimizer(FitParams(optimizer=name, weight_decay=0.1), layer.trainable_variables, Tuning({"dense": 0.5}))
    apply = lambda gradient: made.apply([gradient, np.zeros(4, np.float32)], layer.trainable_variables)  # noqa: E731
    step = tf.function(apply) if in_graph else apply
    for number in range(1, 8):
        gradient = rng.standard_normal((3, 4)).astype(np.float32) * 10.0 ** rng.integers(-4, 2)
        rate = 0.1 / number
        set_step(made, rate, 0.9)
        step(tf.constant(gradient))
        weights -= 0.5 * rate * 0.1 * weights * (name == "adamw")
        first += (gradient - first) * 0.1
        second += (gradient.astype(np.float64) ** 2 - second) * 0.001
        pace = 0.5 * rate * np.sqrt(1 - 0.999**number) / (1 - 0.9**number)
        weights -= pace * first / (np.sqrt(second) + 1e-7)
    np.testing.assert_allclose(layer.kernel, weights, rtol=1e-5, atol=1e-6)


@pytest.fixture
def faint(tmp_path):
    """Examples of so small a weight that their gradients lie below float16's smallest number, 6e-8."""
    rng = np.random.default_rng(0)
    inputs = rng.standard_normal((32, 1, 6, 6, 2)).astype(np.float32)
    np.save(tmp_path / "x.npy", inputs)
    targets = (inputs.mean((1, 2, 3, 4)) > 0).astype(np.float32)[:, None]
    return Examples(Rows(tmp_path / "x.npy"), Labels([f"{i}.png" for i in range(32)], targets, np.full(32, 1e-6, np.float32)))


def _network():
    keras.utils.set_random_seed(1)
    inputs = keras.Input((6, 6, 2))
    x = keras.layers.Conv2D(4, 3, activation="relu", name="conv")(inputs)
    x = keras.layers.Conv2D(4, 3, name="upper")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, keras.layers.Dense(1, dtype="float32", name="logits")(x))


def _moved(model, name, before):
    return np.abs(model.get_layer(name).kernel.numpy() - before).max()


PARAMS = FitParams(batch_size=8, weight_decay=0, precision="mixed_float16")


def test_the_range_test_loses_no_gradient_in_float16(faint):
    model = _network()
    before = model.get_layer("conv").kernel.numpy()
    find_learning_rate(model, PARAMS, faint, 1, 1e-4, 0.1, 12)
    assert _moved(model, "conv", before) > 0


def test_batch_sizes_are_timed_with_the_steps_that_training_takes(faint, monkeypatch):
    monkeypatch.setattr(tune, "BATCH_SIZES", (8,))
    model = _network()
    before = model.get_layer("conv").kernel.numpy()
    tune.measure(model, PARAMS, faint, ("mixed_float16",), seconds=0.05)
    assert _moved(model, "conv", before) > 0


def test_the_range_test_slows_the_thawed_layers_as_fine_tune_does(faint):
    params = PARAMS.model_copy(update={"precision": "float32", "optimizer": "sgd", "momentum": 0.0})
    bright = Examples(faint.inputs, Labels(faint.labels.paths, faint.labels.targets, np.ones(32, np.float32)))
    moved = {}
    for factor in (1.0, 0.01):
        model = _network()
        before = model.get_layer("upper").kernel.numpy()
        find_learning_rate(model, params, bright, 1, 1e-3, 1e-2, 5, Tuning(dict.fromkeys(["conv", "upper"], factor)))
        moved[factor] = _moved(model, "upper", before)
    assert moved[0.01] == pytest.approx(0.01 * moved[1.0], rel=0.05)
