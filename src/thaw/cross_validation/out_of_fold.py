"""Heads as `train_frozen` would train them on a part of the images, and what each says of the rest."""

from collections.abc import Callable

import numpy as np

from thaw.cross_validation.folds import assign_folds
from thaw.cross_validation.heads import Head, TrainedHead, predict_logits, train_heads
from thaw.cross_validation.material import Material
from thaw.decision import probabilities_of
from thaw.params import FitParams, ModelParams
from thaw.training.labels import Labels, make_labels


def make_heads(material: Material, folds: np.ndarray, params: FitParams, model: ModelParams, seed: int) -> list[Head]:
    """A head for each fold, to be trained on the others.

    With early stopping a head watches a part of its images as large as the validation split, whole units again, and trains on
    the others.

    Args:
        folds: int `(images,)` from 0.
        params: of `train_frozen`.
        seed: of the heads.
    """
    labels = make_labels(material.rows, len(material.classes), params)
    hidden = model.hidden_units if model.head == "dense" else 0
    heads = []
    for fold in range(int(folds.max()) + 1):
        trains, watched = folds != fold, None
        if params.early_stopping_patience:
            watched = choose_watched(material, trains, seed)
            trains = trains & ~watched
        weights = _weights(material, labels, trains, params)
        heads.append(Head(params, seed, labels.targets, weights, trains, watched, model.dropout, hidden))
    return heads


def predict_out_of_fold(
    material: Material,
    folds: np.ndarray,
    params: FitParams,
    model: ModelParams,
    seed: int,
    heed_stop: Callable[[], None] = lambda: None,
) -> np.ndarray:
    """Probabilities of each image by the head of its fold, float64 `(images, classes)`; see `make_heads`."""
    trained = train_heads(material.features, make_heads(material, folds, params, model, seed), heed_stop)
    return held_out_probabilities(material, folds, trained)


def held_out_probabilities(material: Material, folds: np.ndarray, trained: list[TrainedHead]) -> np.ndarray:
    """What the head of each fold says of the fold's images, float64 `(images, classes)`."""
    logits: np.ndarray | None = None
    for fold, head in enumerate(trained):
        images = np.flatnonzero(folds == fold)
        found = predict_logits([head], material.features, images)[0]
        if logits is None:
            logits = np.empty((len(folds), found.shape[1]), np.float32)
        logits[images] = found
    assert logits is not None, "there are two folds at least"
    return probabilities_of(logits)


def choose_watched(material: Material, trains: np.ndarray, seed: int) -> np.ndarray:
    """Of the images of `trains` a part as large as the validation split, whole units, bool `(images,)`."""
    own = np.flatnonzero(trains)
    units = material.units[own]
    parts = max(2, round(len(trains) / max(1, material.validation_images)))
    chosen = assign_folds(material.labels[own], units, min(parts, len(np.unique(units))), seed) == 0
    watched = np.zeros(len(trains), bool)
    watched[own[chosen]] = True
    return watched


def _weights(material: Material, labels: Labels, trains: np.ndarray, params: FitParams) -> np.ndarray:
    """Of all images in the loss. Where `params` asks for it the classes that are trained on have the same sum each: those there
    are, since a class of one image is in no head's but that of the other folds."""
    if params.class_weights == "none":
        return labels.weights
    sums = np.bincount(material.labels[trains], labels.weights[trains], minlength=len(material.classes))
    share = sums.sum() / np.count_nonzero(sums)
    factors = np.divide(share, sums, out=np.ones_like(sums), where=sums > 0)
    return (labels.weights * factors[material.labels]).astype(np.float32)
