"""Early stopping, on a weight whose every value is known: w after epoch k is 1 - 0.8^k, by hand."""

import keras
import numpy as np
import pytest

from thaw.arrays import Rows
from thaw.params import FitParams
from thaw.training.batches import Examples
from thaw.training.fit import Job, fit
from thaw.training.guard import Stop
from thaw.training.labels import Labels

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


@pytest.mark.parametrize("watched", [0.6, -0.6])
def test_training_ends_two_epochs_after_the_best_and_goes_back_to_it(tmp_path, watched):
    """The weight goes towards 1 and passes 0.6: w is nearest to it after epoch 4. -0.6 has no loss in epoch 1 (w is 0.2)."""
    inputs = keras.Input((1,))
    model = keras.Model(inputs, keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros", name="w")(inputs))
    objective = _Distance(reduction="sum"), []
    job = Job(1, 0, "key", tmp_path / "scratch", Stop())
    rows = fit(model, PARAMS, _examples(tmp_path, 1.0), _examples(tmp_path, watched), job, objective=objective)
    weights = 1 - 0.8 ** np.arange(1, 7)
    losses = [row["metrics"]["validation_loss"] for row in rows]
    assert np.isnan(losses[0]) == (watched < 0)
    np.testing.assert_allclose(losses[1:], (0.6 - weights[1:]) ** 2, atol=1e-5)
    assert len(losses) == 6
    assert float(model.get_layer("w").kernel[0, 0]) == pytest.approx(weights[3], abs=1e-5)
