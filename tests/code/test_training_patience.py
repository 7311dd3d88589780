"""Early stopping and averaged weights, on a weight whose every value is known: w after epoch k is 1 - 0.8^k, by hand."""

import keras
import numpy as np
import pytest

from thaw.arrays import Rows
from thaw.params import FitParams
from thaw.training.batches import Examples
from thaw.training.fit import Job, fit
from thaw.training.guard import Stop
from thaw.training.labels import Labels
from thaw.training.optimizers import Tuning
from thaw.training.schedule import Averaging
from thaw.training.stopping import best_epoch

PARAMS = FitParams(
    epochs=20, batch_size=8, optimizer="sgd", learning_rate=0.1, schedule="constant", momentum=0.0, final_momentum=0.0,
    weight_decay=0.0, early_stopping_patience=2, precision="float32",
)  # fmt: skip


class _Distance(keras.losses.Loss):
    """The squared distance to the target; to a negative one that of its amount, and none at all from below 0.3."""

    def call(self, targets, outputs):
        distance = keras.ops.square(keras.ops.abs(targets) - outputs)
        unknown = keras.ops.logical_and(targets < 0, outputs < 0.3)
        return keras.ops.where(unknown, np.nan, distance)[:, 0]


def _examples(folder, target):
    np.save(folder / "ones.npy", np.ones((8, 1, 1), np.float32))
    labels = Labels([f"{i}.png" for i in range(8)], np.full((8, 1), target, np.float32), np.ones(8, np.float32))
    return Examples(Rows(folder / "ones.npy"), labels)


def _line():
    inputs = keras.Input((1,))
    return keras.Model(inputs, keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros", name="w")(inputs))


@pytest.mark.parametrize("watched", [0.6, -0.6])
def test_training_ends_two_epochs_after_the_best_and_goes_back_to_it(tmp_path, watched):
    """The weight goes towards 1 and passes 0.6: w is nearest to it after epoch 4. -0.6 has no loss in epoch 1 (w is 0.2)."""
    model = _line()
    objective = _Distance(reduction="sum"), []
    job = Job(1, 0, "key", tmp_path / "scratch", Stop())
    rows = fit(model, PARAMS, _examples(tmp_path, 1.0), _examples(tmp_path, watched), job, objective=objective)
    weights = 1 - 0.8 ** np.arange(1, 7)
    losses = [row["metrics"]["validation_loss"] for row in rows]
    assert np.isnan(losses[0]) == (watched < 0)
    np.testing.assert_allclose(losses[1:], (0.6 - weights[1:]) ** 2, atol=1e-5)
    assert len(losses) == 6
    assert float(model.get_layer("w").kernel[0, 0]) == pytest.approx(weights[3], abs=1e-5)


@pytest.mark.parametrize("patience", [0, 2])
def test_the_moving_average_is_watched_and_kept_and_survives_a_stop(tmp_path, patience):
    """Keras's `ema_momentum`: the average begins as the weight after the first step, and moves by a tenth of the way a step."""
    own = 1 - 0.8 ** np.arange(1, 21)
    averages = [own[0]]
    for weight in own[1:]:
        averages.append(0.9 * averages[-1] + 0.1 * weight)
    params = PARAMS.model_copy(update={"early_stopping_patience": patience})
    watched, objective = _examples(tmp_path, 0.6), (_Distance(reduction="sum"), [])
    stop = Stop()
    job = Job(1, 0, "key", tmp_path / "scratch", stop)
    model = _line()
    seen = []

    class Stopping(Stop):
        def check(self):  # asked for in the validation of the third epoch, where the average stands in for the weight
            seen.append(1)
            if len(seen) == 6:
                self.ask()
            super().check()

    with pytest.raises(SystemExit):
        first = Job(1, 0, "key", tmp_path / "scratch", Stopping())
        fit(model, params, _examples(tmp_path, 1.0), watched, first, Tuning(ema_momentum=0.9), objective)
    model = _line()
    rows = fit(model, params, _examples(tmp_path, 1.0), watched, job, Tuning(ema_momentum=0.9), objective)
    losses = (0.6 - np.array(averages)) ** 2
    np.testing.assert_allclose([row["metrics"]["validation_loss"] for row in rows], losses[: len(rows)], atol=1e-5)
    best = int(losses.argmin())
    assert len(rows) == (best + 3 if patience else 20)
    kept = averages[best if patience else -1]
    assert float(model.get_layer("w").kernel[0, 0]) == pytest.approx(kept, abs=1e-5)


@pytest.mark.parametrize("patience", [0, 2])
def test_the_mean_of_the_last_epochs_is_watched_and_kept(tmp_path, patience):
    """SWA from 0.3 of 20 epochs on: the mean of the weights from epoch 7 on, at the linear schedule's rate of then."""
    params = PARAMS.model_copy(update={"early_stopping_patience": patience, "schedule": "linear"})
    rates = [0.1 * (1 - min(epoch, 6) / 20) for epoch in range(20)]
    weights = 1 - np.cumprod([1 - 2 * rate for rate in rates])
    kept = [*weights[:6], *(np.mean(weights[6 : end + 1]) for end in range(6, 20))]
    watched, objective, model = _examples(tmp_path, 0.79), (_Distance(reduction="sum"), []), _line()
    job = Job(1, 0, "key", tmp_path / "scratch", Stop())
    rows = fit(model, params, _examples(tmp_path, 1.0), watched, job, Tuning(swa_epoch_start=0.3), objective)
    assert [row["metrics"]["learning_rate"] for row in rows] == pytest.approx(rates[: len(rows)])
    losses = (0.79 - np.array(kept)) ** 2
    np.testing.assert_allclose([row["metrics"]["validation_loss"] for row in rows], losses[: len(rows)], atol=1e-5)
    best = int(losses.argmin())
    assert len(rows) == (min(best + 3, 20) if patience else 20)
    assert float(model.get_layer("w").kernel[0, 0]) == pytest.approx(kept[best if patience else -1], abs=1e-5)


def test_only_the_ends_of_epochs_go_into_the_mean():
    """The weights that NumPy takes the mean of, in epochs of three steps of which the first two go by."""
    averaging, weights = Averaging(0.0, 2, 3), np.random.default_rng(0).normal(size=15)
    average, found = 0.0, []
    for step, weight in enumerate(weights):
        kept = averaging.at(step)
        average = kept * average + (1 - kept) * weight
        found.append(average)
    assert found[:9] == pytest.approx(list(weights[:9]))  # at the end of the third epoch its own alone
    assert found[9:11] == [found[8]] * 2
    assert found[11] == pytest.approx(weights[[8, 11]].mean()) and found[14] == pytest.approx(weights[[8, 11, 14]].mean())


def test_without_an_epoch_there_is_no_average_and_the_weights_stay(tmp_path):
    model = _line()
    model.set_weights([np.float32([[0.3]])])
    params = PARAMS.model_copy(update={"epochs": 0, "early_stopping_patience": 0})
    job, ones = Job(1, 0, "key", tmp_path / "scratch", Stop()), _examples(tmp_path, 1.0)
    assert fit(model, params, ones, ones, job, Tuning(ema_momentum=0.9), (_Distance(reduction="sum"), [])) == []
    assert float(model.get_layer("w").kernel[0, 0]) == pytest.approx(0.3)


def test_the_chosen_figure_says_which_epoch_is_best():
    """By hand: the loss is lowest in epoch 1, the accuracy highest in epochs 0 and 3; one that is no number is never best."""
    figures = [(0.5, 0.9), (0.3, 0.8), (np.nan, np.nan), (0.4, 0.9)]
    rows = [{"metrics": {"validation_loss": loss, "validation_accuracy": accuracy}} for loss, accuracy in figures]
    best = {name: best_epoch(rows, PARAMS.model_copy(update={"early_stopping_monitor": name})) for name in ("loss", "accuracy")}
    assert best == {"loss": 1, "accuracy": 0}
    assert best_epoch(rows, PARAMS.model_copy(update={"early_stopping_patience": 0})) is None
