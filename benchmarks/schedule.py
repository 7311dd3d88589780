"""Schedules of fine-tuning held against each other out of fold, with weights and views averaged, on a project's own images.

    python -m benchmarks.schedule PROJECT [--rates 5e-4 2e-4] [--epochs 9] [--mixup 0] [--ema 0.9 0.97] [--precisions auto]
        [--folds 5] [--seeds 0]

PROJECT has run up to `train_frozen`. Its images of training and validation are divided into five parts, the whole of a
`group` in one, and each part is judged by a network that was trained on the others, from a head of its own (a logistic
regression on the frozen features); the test split is never looked at. Of each training the last weights are judged, and their
exponential moving averages, in one view of an image and in the mean of eight flips and turns. Prints a Markdown table.
"""

import argparse
import itertools
import os
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedGroupKFold

from thaw import engines, images
from thaw.models.cutting import cut
from thaw.models.folding import fold
from thaw.models.freezing import freeze
from thaw.models.saving import load
from thaw.params import ExtractParams, FineTuneParams
from thaw.splitting.files import read_split
from thaw.training.compiling import compile_for_training
from thaw.training.devices import choose_precision, computing_in
from thaw.training.schedule import Annealing

VIEWS = [(turns, mirrored) for mirrored in (False, True) for turns in range(4)]
BATCH_SIZE = 32


def open_network(project: Path) -> tuple[keras.Model, keras.Model]:
    """What stays frozen, and what trains."""
    network, _ = load(project / "models/frozen")
    freeze(network, "partial", "auto", "frozen")
    prefix, suffix = cut(network)
    assert prefix is not None
    return prefix, fold(suffix)


def activations(project: Path, rows: pd.DataFrame, scratch_dir: Path) -> np.ndarray:
    """Every view of every image at the cut, float16 `(images, views, ...)`."""
    prefix, _ = open_network(project)
    height, width, channels = prefix.input_shape[1:]
    pixels = np.stack([images.load(project / "data/raw" / path, height, width, channels) for path in rows["path"]])
    engine = engines.compile(prefix, ExtractParams(), scratch_dir, pixels[:16])
    made = []
    for turns, mirrored in VIEWS:
        turned = np.rot90(pixels[:, :, ::-1] if mirrored else pixels, turns, axes=(1, 2))
        starts = range(0, len(turned), BATCH_SIZE)
        made.append(np.concatenate([engine(turned[start : start + BATCH_SIZE]) for start in starts]).astype(np.float16))
    return np.stack(made, axis=1)


def set_head(suffix: keras.Model, seen: np.ndarray, targets: np.ndarray) -> None:
    """Fit the last layer to what the frozen layers give, of two classes."""
    history = suffix.outputs[0]._keras_history
    head = history.operation
    below = keras.Model(suffix.inputs, head._inbound_nodes[history.node_index].input_tensors[0])
    values = below.predict(seen.astype(np.float32), verbose=0)
    mean, deviation = values.mean(axis=0), values.std(axis=0) + 1e-6
    doubled = np.tile((values - mean) / deviation, (2, 1))
    labels, weights = np.repeat([1, 0], len(seen)), np.concatenate([targets, 1 - targets])
    fitted = LogisticRegression(C=0.003, max_iter=300).fit(doubled, labels, sample_weight=weights)
    kernel = fitted.coef_[0] / deviation
    head.set_weights([kernel[:, None].astype(np.float32), (fitted.intercept_ - mean @ kernel).astype(np.float32)])


def train(
    suffix: keras.Model, seen: np.ndarray, targets: np.ndarray, plan: argparse.Namespace, decays: list[float], seed: int
) -> dict[str, list[np.ndarray]]:
    """Train, each image in a view drawn anew each epoch; the last weights and their moving averages, by name."""
    compile_for_training(suffix, FineTuneParams(learning_rate=plan.rate))
    averages = {decay: [tf.Variable(variable.value) for variable in suffix.trainable_variables] for decay in decays}

    @tf.function
    def move() -> None:
        for decay, average in averages.items():
            for mean, variable in zip(average, suffix.trainable_variables, strict=True):
                mean.assign_sub((1 - decay) * (mean - variable.value))

    rng = np.random.default_rng(seed)
    steps = -(-len(seen) // BATCH_SIZE)
    rates = Annealing(plan.rate, 0.0, "cosine", steps, plan.epochs * steps)
    for epoch in range(plan.epochs):
        order, views = rng.permutation(len(seen)), rng.integers(0, len(VIEWS), len(seen))
        for step in range(steps):
            part = order[step * BATCH_SIZE : (step + 1) * BATCH_SIZE]
            inputs, wanted = seen[part, views[part]].astype(np.float32), targets[part, None].astype(np.float32)
            if plan.mixup:
                share, other = np.float32(rng.beta(plan.mixup, plan.mixup)), rng.permutation(len(part))
                inputs = share * inputs + (1 - share) * inputs[other]
                wanted = share * wanted + (1 - share) * wanted[other]
            suffix.optimizer.learning_rate = rates.at(epoch * steps + step)
            suffix.train_on_batch(inputs, wanted, np.full(len(part), 1 / len(part), np.float32))
            move()
    last = {"last": [variable.numpy() for variable in suffix.trainable_variables]}
    return last | {f"EMA {decay:g}": [mean.numpy() for mean in average] for decay, average in averages.items()}


def judge(suffix: keras.Model, seen: np.ndarray) -> np.ndarray:
    """The probability of the positive class in each view, `(views, images)`."""
    logits = [suffix.predict(seen[:, view].astype(np.float32), verbose=0)[:, 0] for view in range(len(VIEWS))]
    return 1 / (1 + np.exp(-np.stack(logits)))


def measure(project: Path, rows: pd.DataFrame, seen: np.ndarray, plan: argparse.Namespace, options: Any) -> None:
    """Train on every division, and print a row for each of the weights and number of views."""
    labels = rows["label"].to_numpy()
    targets = rows["target"].fillna(rows["label"]).to_numpy()
    units = rows["group"].where(rows["group"] != "", rows["path"])
    folds = StratifiedGroupKFold(5, shuffle=True, random_state=7).split(rows, labels, units)
    found: dict[str, list[np.ndarray]] = {}
    judged: list[np.ndarray] = []
    for number, (kept, held) in zip(range(options.folds), folds, strict=False):
        seed = 100 * plan.seed + number
        keras.utils.set_random_seed(seed)
        _, suffix = open_network(project)
        set_head(suffix, seen[kept, 0], targets[kept])
        precision = choose_precision(FineTuneParams(precision=plan.precision), suffix)
        with computing_in(precision, suffix):
            trained = train(suffix, seen[kept], targets[kept], plan, options.ema, seed)
        for name, values in trained.items():
            for variable, value in zip(suffix.trainable_variables, values, strict=True):
                variable.assign(value)
            found.setdefault(name, []).append(judge(suffix, seen[held]))
        judged.append(held)
    truth = labels[np.concatenate(judged)]
    for name, parts in found.items():
        probabilities = np.concatenate(parts, axis=1)
        for count in (1, len(VIEWS)):
            mean = probabilities[:count].mean(axis=0)
            cells = [f"{plan.rate:g}", plan.epochs, f"{plan.mixup:g}", plan.precision, plan.seed, name, count, len(truth)]
            cells += [f"{np.mean((mean > 0.5) == truth):.4f}", f"{log_loss(truth, mean):.4f}"]
            print("|", " | ".join(map(str, cells)), "|", flush=True)


def main() -> None:
    """Measure every combination, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("project", type=Path)
    parser.add_argument("--rates", type=float, nargs="+", default=[5e-4, 2e-4])
    parser.add_argument("--epochs", type=int, nargs="+", default=[9])
    parser.add_argument("--mixup", type=float, nargs="+", default=[0.0])
    parser.add_argument("--precisions", nargs="+", default=["auto"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="of the order, the views and dropout; the parts stay")
    parser.add_argument("--ema", type=float, nargs="*", default=[])
    parser.add_argument("--folds", type=int, default=5, help="how many of the five parts are judged")
    options = parser.parse_args()
    rows = pd.concat([read_split(options.project / f"data/splits/{name}.csv") for name in ("train", "validation")])
    if rows["label"].nunique() != 2:
        sys.exit("this benchmark is of two classes")
    seen = activations(options.project, rows, options.project / ".thaw/schedule")
    print("| rate | epochs | mixup | precision | seed | weights | views | images | accuracy | log loss |")
    print("|---:|---:|---:|---|---:|---|---:|---:|---:|---:|")
    for rate, epochs, mixup, seed, precision in itertools.product(
        options.rates, options.epochs, options.mixup, options.seeds, options.precisions
    ):
        plan = argparse.Namespace(rate=rate, epochs=epochs, mixup=mixup, precision=precision, seed=seed)
        measure(options.project, rows, seen, plan, options)


if __name__ == "__main__":
    main()
