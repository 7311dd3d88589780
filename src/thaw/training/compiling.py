"""A network made ready for training steps, by `fit` and by what measures for it."""

import keras

from thaw.backends import backend
from thaw.params import FitParams
from thaw.training.objective import build_accuracy, build_loss
from thaw.training.optimizers import PLAIN, Tuning, build_optimizer

Objective = tuple[keras.losses.Loss, list[keras.metrics.Metric]]
"""Loss, summed over the batch, and metrics."""


def compile_for_training(
    model: keras.Model,
    params: FitParams,
    tuning: Tuning = PLAIN,
    objective: Objective | None = None,
) -> None:
    """Give `model` the optimizer and the loss that `params` describes. Call it under `computing_in`.

    In float16 the loss is scaled while gradients are taken: those below 6e-8 would be 0 (Micikevicius et al. 2018,
    arXiv 1710.03740).

    Args:
        objective: in place of the loss and the accuracy of classes.
    """
    optimizer = build_optimizer(params, model.trainable_variables, tuning)
    if any(layer.dtype_policy.name == "mixed_float16" for layer in model.layers):
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
        optimizer.build(model.trainable_variables)
    outputs = model.output_shape[-1]
    loss, metrics = objective or (build_loss(params, outputs), [build_accuracy(outputs)])
    model.compile(optimizer, loss, metrics=metrics, jit_compile=backend.JIT_COMPILE)
