"""The one `fit`: the same bytes however often it was stopped, losses by hand, and every way to fail."""

import hashlib
import json

import keras
import numpy as np
import pytest
import scipy.optimize

from thaw.arrays import Rows
from thaw.errors import ThawError
from thaw.params import FitParams
from thaw.training import fit as fitting
from thaw.training.batches import Examples, plain_batches
from thaw.training.devices import (
    choose_precision,
    computing_in,
    cpu_has_bfloat16,
    precision_of_gpu,
    training_on,
)
from thaw.training.fit import Job, fit, predict
from thaw.training.guard import Stop, Stopped
from thaw.training.labels import Labels
from thaw.training.objective import build_accuracy, build_loss, judge
from thaw.training.optimizers import Tuning, build_optimizer, set_step
from thaw.tuning.lr_find import suggest
from thaw.tuning.tune import Trial, measure, propose


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    rng = np.random.default_rng(0)
    inputs = rng.standard_normal((200, 2, 8, 8, 3)).astype(np.float16)
    path = tmp_path_factory.mktemp("data") / "x.npy"
    np.save(path, inputs)
    targets = (inputs[:, 0].mean((1, 2, 3)) > 0).astype(np.float32)[:, None]
    return lambda count: Examples(
        Rows(path), Labels([f"{i}.png" for i in range(count)], targets[:count], np.ones(count, np.float32))
    )


def network():
    keras.backend.clear_session()
    keras.utils.set_random_seed(3)
    inputs = keras.Input((8, 8, 3), name="in")
    x = keras.layers.Conv2D(8, 3, activation="relu", name="conv")(inputs)
    x = keras.layers.BatchNormalization(name="bn")(x)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    x = keras.layers.Dropout(0.3, name="dropout")(x)
    return keras.Model(inputs, keras.layers.Dense(1, dtype="float32", name="logits")(x))


def separable_network():
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.SeparableConv2D(8, 3)(keras.layers.Conv2D(8, 3)(inputs))
    return keras.Model(inputs, keras.layers.Dense(1)(keras.layers.Flatten()(x)))


def head_on_pictures():
    """Without a ReLU, which makes 0 of NaN."""
    inputs = keras.Input((8, 8, 3))
    return keras.Model(inputs, keras.layers.Dense(1)(keras.layers.Flatten()(inputs)))


def content(model):
    return hashlib.sha256(b"".join(variable.numpy().tobytes() for variable in model.variables)).hexdigest()


def job(tmp_path, stop=None, key="key", seed=1):
    return Job(seed, 0, key, tmp_path, stop or Stop())


def train(examples, tmp_path, params, stop=None, **options):
    model = network()
    rows = fit(model, params, examples(200), examples(40), job(tmp_path, stop, **options))
    return content(model), [(row["epoch"], row["step"], row["metrics"]) for row in rows]


PARAMS = FitParams(epochs=3, batch_size=32, learning_rate=0.01, mixup=0.2, precision="float32")


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(examples, tmp_path):
    first = train(examples, tmp_path / "a", PARAMS)
    assert first == train(examples, tmp_path / "b", PARAMS)
    assert first != train(examples, tmp_path / "c", PARAMS, seed=2)
    assert [row[:2] for row in first[1]] == [(1, 7), (2, 14), (3, 21)]


@pytest.mark.parametrize(("patience", "epochs", "stops"), [(0, 3, [1, 7, 20]), (1, 12, [10, 14, 21])])
def test_a_training_stopped_anywhere_ends_with_the_same_bytes(
    examples, tmp_path, monkeypatch, stops, patience, epochs
):
    params = PARAMS.model_copy(update={"early_stopping_patience": patience, "learning_rate": 0.05, "epochs": epochs})
    whole = train(examples, tmp_path / "whole", params)
    assert (len(whole[1]) < epochs) == bool(patience), "patience ends it: some loss is no better than the one before"
    end_step = fitting._Training.end_step
    for at in stops:
        stop = Stop()

        def stopping(self, logs, at=at, stop=stop):
            if self.step + 1 == at:
                stop.ask()
            end_step(self, logs)

        monkeypatch.setattr(fitting._Training, "end_step", stopping)
        if at <= whole[1][-1][1]:
            with pytest.raises(Stopped):
                train(examples, tmp_path / "parts", params, stop)
    monkeypatch.setattr(fitting._Training, "end_step", end_step)
    assert train(examples, tmp_path / "parts", params) == whole
    journal = [json.loads(line) for line in (tmp_path / "parts/journal.jsonl").read_text().splitlines()]
    assert [row["epoch"] for row in journal] == [row[0] for row in whole[1]]
    assert [row["metrics"] for row in journal] == [row[2] for row in whole[1]]


def test_a_finished_training_is_taken_up_without_training(examples, tmp_path, monkeypatch):
    first = train(examples, tmp_path, PARAMS)
    monkeypatch.setattr(fitting._Training, "end_step", None)  # a step would fail
    assert train(examples, tmp_path, PARAMS) == first


def test_another_configuration_starts_anew(examples, tmp_path):
    with_old = tmp_path / "old"
    train(examples, with_old, PARAMS)
    other = PARAMS.model_copy(update={"learning_rate": 0.02})
    assert train(examples, with_old, other, key="other") == train(
        examples, tmp_path / "new", other, key="other"
    )


def test_early_stopping_brings_the_best_epoch_back(examples, tmp_path):
    params = FitParams(
        epochs=30, learning_rate=0.2, schedule="constant", early_stopping_patience=2, precision="float32"
    )
    model = network()
    rows = fit(model, params, examples(200), examples(40), job(tmp_path))
    losses = [row["metrics"]["validation_loss"] for row in rows]
    assert len(rows) < 30 and len(rows) - 1 - losses.index(min(losses)) == 2
    loss = build_loss(params, 1)
    data = examples(40)
    logits = model.predict(data.inputs.gather(np.arange(40), np.zeros(40, int)).astype(np.float32), verbose=0)
    assert float(loss(data.labels.targets, logits)) / 40 == pytest.approx(min(losses), rel=1e-4)


def test_early_stopping_without_validation_is_an_error(examples, tmp_path):
    with pytest.raises(ThawError, match="needs validation images"):
        fit(network(), FitParams(early_stopping_patience=1), examples(9), examples(0), job(tmp_path))


def test_training_without_validation_leaves_its_columns_out(examples, tmp_path):
    rows = fit(network(), FitParams(epochs=1), examples(20), examples(0), job(tmp_path))
    assert set(rows[0]["metrics"]) == {"loss", "accuracy", "learning_rate"}


def test_a_loss_that_is_not_finite_names_step_files_and_cause(examples, tmp_path):
    with pytest.raises(
        ThawError, match=r"epoch 1, step 2 \(images \d+.png.*and 24 more\).*learning rate of 9.9e\+29"
    ):
        train(examples, tmp_path, PARAMS.model_copy(update={"learning_rate": 1e30}))


def test_inputs_that_are_not_finite_are_named_as_the_cause(examples, tmp_path):
    np.save(tmp_path / "x.npy", np.full((8, 1, 8, 8, 3), np.nan, np.float32))
    bad = Examples(Rows(tmp_path / "x.npy"), examples(8).labels)
    with pytest.raises(ThawError, match=r"frozen layers give .* is not finite"):
        fit(head_on_pictures(), FitParams(epochs=1, precision="float32"), bad, examples(0), job(tmp_path))


@pytest.mark.parametrize("cut", ["train", "validation"])
def test_a_file_that_is_cut_short_while_training_is_named(examples, tmp_path, cut):
    """TensorFlow makes an unknown error of whatever a reader raises, with the reader's traceback as its text."""
    data = {"train": examples(40), "validation": examples(8)}
    path = tmp_path / f"{cut}.npy"
    np.save(path, np.zeros((40, 1, 8, 8, 3), np.float16))
    data[cut] = Examples(Rows(path), data[cut].labels)
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(ThawError, match=rf"^\S*{cut}\.npy: cut short\n") as caught:
        fit(network(), FitParams(epochs=1), data["train"], data["validation"], job(tmp_path))
    assert "thaw run" in caught.value.cure


def test_out_of_memory_names_the_batch_size_to_try(examples, tmp_path, monkeypatch):
    import tensorflow as tf

    def fail(*_, **__):
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")

    monkeypatch.setattr(keras.Model, "train_step", fail)
    with pytest.raises(ThawError, match="batch of 32 images") as error:
        train(examples, tmp_path, PARAMS)
    assert "batch_size: 16" in error.value.cure


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd", "rmsprop"])
def test_every_optimizer_learns_and_a_slow_layer_learns_slower(examples, tmp_path, optimizer):
    rate = {"sgd": 0.5}.get(optimizer, 0.01)
    params = FitParams(epochs=4, optimizer=optimizer, learning_rate=rate, clip_norm=1.0, weight_decay=1e-4)
    moved = {}
    for factor in (1.0, 0.01):
        model = network()
        before = model.get_layer("conv").kernel.numpy()
        rows = fit(model, params, examples(200), examples(0), job(tmp_path / str(factor)), Tuning({"conv": factor}))
        moved[factor] = np.abs(model.get_layer("conv").kernel.numpy() - before).mean()
        assert rows[-1]["metrics"]["loss"] < rows[0]["metrics"]["loss"]
    assert moved[0.01] < 0.2 * moved[1.0]


def test_annealed_momentum_is_nesterovs():
    weight = keras.Variable(np.float32([1.0]), name="kernel")
    optimizer = build_optimizer(FitParams(optimizer="sgd", weight_decay=0), [weight])
    value, velocity = 1.0, 0.0
    for rate, momentum in ((0.1, 0.5), (0.05, 0.9), (0.2, 0.99)):
        set_step(optimizer, rate, momentum)
        optimizer.apply([np.float32([2.0])], [weight])
        velocity = momentum * velocity - rate * 2.0
        value += momentum * velocity - rate * 2.0
        assert weight.numpy()[0] == pytest.approx(value, rel=1e-5)


LOGITS = np.float32([[2.0], [-1.0], [0.3]])
TARGETS = np.float32([[1.0], [1 / 3], [0.0]])


def test_losses_are_those_of_logits_by_hand():
    p = 1 / (1 + np.exp(-LOGITS))
    entropy = -(TARGETS * np.log(p) + (1 - TARGETS) * np.log(1 - p)).sum()
    assert float(build_loss(FitParams(), 1)(TARGETS, LOGITS)) == pytest.approx(entropy, rel=1e-5)
    smooth = TARGETS * 0.8 + 0.1
    entropy = -(smooth * np.log(p) + (1 - smooth) * np.log(1 - p)).sum()
    assert float(build_loss(FitParams(label_smoothing=0.2), 1)(TARGETS, LOGITS)) == pytest.approx(
        entropy, rel=1e-5
    )
    hard = np.float32([[1], [0], [0]])
    right = np.where(hard == 1, p, 1 - p)
    focal = (-((1 - right) ** 2) * np.log(right)).sum()
    assert float(build_loss(FitParams(loss="focal"), 1)(hard, LOGITS)) == pytest.approx(focal, rel=1e-4)
    logits = np.float32([[1.0, 2.0, -1.0]])
    right = np.exp(logits[0, 1]) / np.exp(logits).sum()
    one_hot = np.float32([[0, 1, 0]])
    assert float(build_loss(FitParams(), 3)(one_hot, logits)) == pytest.approx(-np.log(right), rel=1e-5)
    focal = -((1 - right) ** 2) * np.log(right)
    assert float(build_loss(FitParams(loss="focal"), 3)(one_hot, logits)) == pytest.approx(focal, rel=1e-4)


@pytest.mark.parametrize("outputs", [1, 4])
def test_the_focal_loss_of_hard_labels_is_that_of_keras(outputs):
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 3, (20, outputs)).astype("float32")
    if outputs == 1:
        labels = rng.integers(0, 2, (20, 1)).astype("float32")
        theirs = keras.losses.BinaryFocalCrossentropy(gamma=2.0, from_logits=True, reduction="sum")
    else:
        labels = np.eye(outputs, dtype="float32")[rng.integers(0, outputs, 20)]
        theirs = keras.losses.CategoricalFocalCrossentropy(alpha=1.0, gamma=2.0, from_logits=True, reduction="sum")
    ours = build_loss(FitParams(loss="focal"), outputs)
    assert float(ours(labels, logits)) == pytest.approx(float(theirs(labels, logits)), rel=1e-4)


@pytest.mark.parametrize("outputs", [1, 3])
def test_smoothed_focal_targets_are_those_of_keras(outputs):
    logits = np.random.default_rng(1).normal(0, 2, (9, outputs)).astype("float32")
    labels = np.float32([[1], [0]] * 5)[:9] if outputs == 1 else np.eye(3, dtype="float32")[[0, 1, 2] * 3]
    smooth = labels * 0.8 + 0.2 / max(2, outputs)
    of_hard = build_loss(FitParams(loss="focal", label_smoothing=0.2), outputs)(labels, logits)
    assert float(of_hard) == pytest.approx(float(build_loss(FitParams(loss="focal"), outputs)(smooth, logits)), rel=1e-5)


@pytest.mark.parametrize("loss", ["cross_entropy", "focal"])
@pytest.mark.parametrize("target", [0.05, 1 / 3, 0.5, 0.9])
def test_the_least_loss_of_a_soft_label_is_at_the_label(loss, target):
    of = build_loss(FitParams(loss=loss), 1)

    def value(logit):
        return float(of(np.float32([[target]]), np.float32([[logit]])))

    found = scipy.optimize.minimize_scalar(value, bounds=(-6, 6), method="bounded").x
    assert 1 / (1 + np.exp(-found)) == pytest.approx(target, abs=0.005)


def test_the_least_focal_loss_over_three_classes_is_at_the_target():
    target = np.array([0.6, 0.3, 0.1])
    of = build_loss(FitParams(loss="focal"), 3)

    def value(logits):
        return float(of(np.float32([target]), np.float32([[*logits, 0]])))

    found = scipy.optimize.minimize(value, [0.0, 0.0], method="Nelder-Mead", options={"xatol": 1e-4, "fatol": 1e-10}).x
    exponentials = np.exp([*found, 0])
    assert exponentials / exponentials.sum() == pytest.approx(target, abs=0.01)


def test_accuracy_counts_soft_labels_by_their_likelier_class():
    binary, multi = build_accuracy(1), build_accuracy(3)
    binary.update_state(TARGETS, LOGITS)
    assert float(binary.result()) == pytest.approx(2 / 3)
    multi.update_state(np.float32([[0.2, 0.5, 0.3], [1, 0, 0]]), np.float32([[0, 3, 1], [0, 3, 1]]))
    assert float(multi.result()) == 0.5


def test_mixed_precision_leaves_no_trace_in_the_model(examples, tmp_path):
    model = network()
    before = model.to_json()
    with computing_in(FitParams(precision="mixed_bfloat16"), model):
        assert model.get_layer("conv").compute_dtype == "bfloat16"
        assert model(np.zeros((1, 8, 8, 3), np.float32)).dtype == "float32"
    assert model.to_json() == before
    losses = {}
    for precision in ("float32", "mixed_bfloat16"):
        params = FitParams(epochs=2, precision=precision)
        losses[precision] = fit(network(), params, examples(200), examples(0), job(tmp_path / precision))[-1][
            "metrics"
        ]["loss"]
    assert losses["float32"] != losses["mixed_bfloat16"]
    assert losses["float32"] == pytest.approx(losses["mixed_bfloat16"], rel=0.05)


def test_precision_follows_device_and_network(tmp_path):
    auto = FitParams(devices="cpu")
    assert (
        choose_precision(auto.model_copy(update={"precision": "mixed_float16"}), network()) == "mixed_float16"
    )
    assert choose_precision(auto, separable_network()) == "float32"
    expected = "mixed_bfloat16" if cpu_has_bfloat16() else "float32"
    assert choose_precision(auto, network()) == expected
    assert [precision_of_gpu(c) for c in ((6, 1), (7, 0), (8, 0), (9, 0))] == [
        "float32", "mixed_float16", "mixed_bfloat16", "mixed_bfloat16"]  # fmt: skip
    (tmp_path / "cpuinfo").write_text("flags: sse avx2\n")
    assert not cpu_has_bfloat16(tmp_path / "cpuinfo") and not cpu_has_bfloat16(tmp_path / "none")
    (tmp_path / "cpuinfo").write_text("flags: avx512_bf16\n")
    assert cpu_has_bfloat16(tmp_path / "cpuinfo")


def test_gpus_that_are_not_there_are_an_error():
    import tensorflow as tf

    if tf.config.list_physical_devices("GPU"):
        pytest.skip("this machine has one")
    with pytest.raises(ThawError, match="sees no GPU"), training_on("all_gpus"):
        pass
    with training_on("auto") as replicas:
        assert replicas == 1


def test_momentum_is_annealed_under_loss_scaling_too():
    inner = build_optimizer(FitParams(optimizer="sgd"), [keras.Variable(np.float32([1.0]), name="kernel")])
    set_step(keras.optimizers.LossScaleOptimizer(inner), 0.5, 0.75)
    assert float(inner.strength) == 0.75 and float(inner.learning_rate) == 0.5


def test_a_rate_is_suggested_where_the_loss_falls_most_steeply():
    rates = [10.0**power for power in range(-6, 2)]
    assert suggest(rates, [1.0, 1.0, 0.95, 0.5, 0.4, 0.39, 0.6, 3.0]) == pytest.approx(1e-3)
    assert suggest(rates, [1.0, 1.0, 0.99, 0.98, 0.9, 0.2, 3.0, 9.0]) == pytest.approx(1e-2)
    with pytest.raises(ThawError, match="never fell"):
        suggest(rates, [1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7])


def test_the_smallest_batch_near_the_fastest_is_proposed():
    trials = [Trial("float32", 8, 80), Trial("float32", 16, 97), Trial("float32", 32, 100), Trial("float32", 64, 0)]
    assert propose(trials) == trials[1]


def test_settings_are_measured_up_to_the_size_of_the_data(examples):
    trials = measure(head_on_pictures(), FitParams(), examples(40), ("float32",), seconds=0.02)
    assert [trial.batch_size for trial in trials] == [8, 16, 32]
    assert all(trial.images_per_second > 0 for trial in trials)


@pytest.mark.parametrize("loss", ["cross_entropy", "focal"])
def test_validating_gives_what_keras_gives(examples, loss):
    """Keras's `evaluate` over all images in one batch, with the images' weights."""
    watched = examples(50)
    weights = np.random.default_rng(1).uniform(0.5, 2, 50).astype(np.float32)
    watched = Examples(watched.inputs, Labels(watched.labels.paths, watched.labels.targets, weights))
    params, model = FitParams(loss=loss, batch_size=16, label_smoothing=0.1), network()
    found = judge(predict(model, watched, 16), watched.labels, params)
    (inputs, targets, scaled), = plain_batches(watched, 50)
    model.compile(loss=build_loss(params, 1), metrics=[build_accuracy(1)])
    wanted = model.evaluate(inputs, targets, 50, sample_weight=scaled, verbose=0, return_dict=True)
    assert found["loss"] == pytest.approx(wanted["loss"], rel=1e-5)
    agree = (targets[:, 0] > 0.5) == (model.predict(inputs, verbose=0)[:, 0] > 0)
    assert found["accuracy"] == pytest.approx(np.average(agree, weights=weights))
    assert judge(predict(model, examples(0), 16), examples(0).labels, params) == {}
