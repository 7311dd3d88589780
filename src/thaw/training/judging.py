"""How well a network's logits fit images whose labels are known."""

import keras
import numpy as np

from thaw.backends import backend
from thaw.params import FitParams
from thaw.training.batches import Examples, plain_batches
from thaw.training.labels import Labels
from thaw.training.objective import build_accuracy, build_loss


def predict(model: keras.Model, examples: Examples, batch_size: int) -> np.ndarray:
    """Logits float32 `(images, outputs)` for the first view of every image, computed in float32."""
    run = backend.runner(model)
    batches = [run(inputs) for inputs, _, _ in plain_batches(examples, batch_size)]
    return np.concatenate([np.zeros((0, model.output_shape[-1]), np.float32), *batches])


def judge(logits: np.ndarray, labels: Labels, params: FitParams) -> dict[str, float]:
    """Mean `loss`, as `params` has it, and `accuracy` of logits `(images, outputs)`, by weight; empty without images."""
    if not len(labels):
        return {}
    outputs, weights = logits.shape[-1], labels.weights / np.float32(len(labels))
    accuracy = build_accuracy(outputs)
    accuracy.update_state(labels.targets, logits, sample_weight=labels.weights)
    loss = build_loss(params, outputs)(labels.targets, logits, sample_weight=weights)
    return {"loss": float(loss), "accuracy": float(accuracy.result())}
