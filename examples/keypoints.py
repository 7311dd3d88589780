"""Find points in pictures: `conv_dropout` with 30 linear outputs, trained by the same `fit` as the pipeline's classifiers.

The pictures are drawn: an ellipse in any place, size and tilt, with marks in it, and the 15 points to find. Half of each
batch is flipped, and then left and right points change places.

    PYTHONPATH=src python examples/keypoints.py keypoints/

writes a table of the epochs (`epochs.csv`: train loss, validation loss, their ratio, seconds), the curves on a log scale
(`curves.png`) and the points found in validation pictures (`points.png`). The goal is a validation RMSE under 2 pixels;
`tests/model/test_networks_examples.py` holds it to that among the slow tests.
"""

import argparse
import csv
import logging
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from thaw.models import build, freeze
from thaw.params import FitParams, ModelParams
from thaw.training.batches import Batch, Examples
from thaw.training.fit import Job, fit
from thaw.training.guard import Stop
from thaw.training.journal import Row
from thaw.training.labels import Labels

SIDE = 96
UNIT = 12.0
"""Pixels that a target of 1 stands for: in units near the spread of the points the learning rate of 0.03 is right."""
POINTS = np.array([
    (0, 0), (0, -1), (0, 1), (-1, 0), (1, 0),
    (-0.71, -0.71), (0.71, -0.71), (-0.71, 0.71), (0.71, 0.71),
    (-0.4, -0.3), (0.4, -0.3), (-0.35, 0.45), (0.35, 0.45), (0, 0.1), (0, 0.7),
])  # fmt: skip
"""The 15 points, x and y, in the frame of an ellipse of half axes 1."""
SWAPPED = np.array([0, 1, 2, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 13, 14])
"""Which point each one is after a flip."""
PARAMS = FitParams(
    epochs=48, batch_size=32, optimizer="sgd", learning_rate=0.03, final_learning_rate=0.0001, schedule="linear",
    momentum=0.9, final_momentum=0.999, weight_decay=0.0, early_stopping_patience=8,
)  # fmt: skip


@dataclass(frozen=True)
class Pictures:
    """uint8 pictures `(count, 96, 96, 1)` in memory."""

    pixels: np.ndarray
    views: int = 1

    @property
    def count(self) -> int:
        return len(self.pixels)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.pixels.shape[1:]

    def gather(self, images: np.ndarray, views: np.ndarray) -> np.ndarray:
        return self.pixels[images]


def draw(count: int, seed: int) -> Examples:
    """Drawn pictures with their points: targets `(count, 30)`, x and y of each from the middle on, in units of 12 pixels."""
    generator = np.random.default_rng(seed)
    pixels = np.empty((count, SIDE, SIDE, 1), "uint8")
    targets = np.empty((count, 30), "float32")
    for number in range(count):
        pixels[number, ..., 0], points = _draw_one(generator)
        targets[number] = ((points - SIDE / 2) / UNIT).ravel()
    names = [f"drawn {seed}/{number}" for number in range(count)]
    return Examples(Pictures(pixels), Labels(names, targets, np.ones(count, "float32")))


def _draw_one(generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    axes = generator.uniform(20, 32, 2)
    centre = generator.uniform(36, 60, 2)
    angle = generator.uniform(-0.3, 0.3)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = (POINTS * axes) @ turn.T + centre
    ground, skin, ink = generator.uniform(20, 90), generator.uniform(130, 210), generator.uniform(0, 40)
    picture = np.full((SIDE, SIDE), ground)
    fine = 16  # cv2 draws to a sixteenth of a pixel
    place = tuple(int(value) for value in np.rint(centre * fine))
    size = tuple(int(value) for value in np.rint(axes * fine))
    cv2.ellipse(picture, place, size, float(np.degrees(angle)), 0, 360, skin, -1, cv2.LINE_AA, 4)
    for x, y in points[9:]:
        spot = (round(x * fine), round(y * fine))
        cv2.circle(picture, spot, 2 * fine, ink, -1, cv2.LINE_AA, 4)
    noisy = picture + generator.normal(0, 5, picture.shape)
    return np.clip(noisy, 0, 255).astype("uint8"), points


def flip_half(batch: Batch, generator: np.random.Generator) -> Batch:
    """Flip every other picture of a batch, chosen at random, and swap its left and right points."""
    pictures, targets, weights = (array.copy() for array in batch)
    chosen = generator.permutation(len(pictures))[: len(pictures) // 2]
    pictures[chosen] = pictures[chosen, :, ::-1]
    points = targets[chosen].reshape(-1, 15, 2)[:, SWAPPED]
    points[..., 0] = -points[..., 0] - 1 / UNIT  # pixel x goes to 95 - x
    targets[chosen] = points.reshape(-1, 30)
    return pictures, targets, weights


def train(out_dir: Path, params: FitParams, count: int) -> tuple[float, list[Row]]:
    """Train on `count` drawn pictures, write table and pictures; the validation RMSE in pixels, and the epochs."""
    import keras

    learned, watched = draw(count, seed=1), draw(count // 4, seed=2)
    model = build(
        ModelParams(architecture="conv_dropout", normalization="samplewise"), (SIDE, SIDE, 1), 30, seed=1
    )
    freeze(model, "scratch", "", "train")
    scratch_dir = out_dir / "scratch"
    shutil.rmtree(scratch_dir, ignore_errors=True)
    objective = (keras.losses.MeanSquaredError(reduction="sum"), [])
    started = time.time()
    altered = Examples(learned.inputs, learned.labels, flip_half)
    job = Job(1, 0, "keypoints", scratch_dir, Stop())
    rows = fit(model, params, altered, watched, job, objective=objective)
    shutil.rmtree(scratch_dir)
    _write_table(out_dir / "epochs.csv", rows, started)
    _draw_curves(out_dir / "curves.png", rows)
    found = model.predict(watched.inputs.pixels, verbose=0)
    _draw_points(out_dir / "points.png", watched.inputs.pixels[:16], found[:16])
    error = (found - watched.labels.targets) * UNIT
    return float(np.sqrt(np.mean(error**2))), rows


def _write_table(path: Path, rows: list[Row], started: float) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["epoch", "train_loss", "valid_loss", "ratio", "seconds"])
        for row, before in zip(rows, [started, *(row["time"] for row in rows)], strict=False):
            learned, watched = row["metrics"]["loss"], row["metrics"]["validation_loss"]
            numbers = [
                f"{learned:.6f}",
                f"{watched:.6f}",
                f"{learned / watched:.3f}",
                f"{row['time'] - before:.2f}",
            ]
            writer.writerow([row["epoch"], *numbers])


def _draw_curves(path: Path, rows: list[Row]) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    epochs = [row["epoch"] for row in rows]
    for name, label in (("loss", "train, with dropout"), ("validation_loss", "valid")):
        axes.plot(epochs, [row["metrics"][name] for row in rows], label=label)
    axes.set(yscale="log", xlabel="epoch", ylabel="mean squared error")
    axes.legend()
    figure.savefig(path)


def _draw_points(path: Path, pixels: np.ndarray, found: np.ndarray) -> None:
    from thaw.explain.drawing import draw_grid

    tiles = np.repeat(pixels, 3, -1)
    for tile, points in zip(tiles, found.reshape(-1, 15, 2) * UNIT + SIDE / 2, strict=True):
        for x, y in points:
            cv2.circle(tile, (round(float(x)), round(float(y))), 1, (255, 60, 60), -1)
    draw_grid(tiles).save(path)


def main() -> None:
    """Train from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out_dir", type=Path)
    parser.add_argument("--epochs", type=int, default=PARAMS.epochs)
    parser.add_argument("--count", type=int, default=4000, help="pictures to train on")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(message)s")
    arguments.out_dir.mkdir(parents=True, exist_ok=True)
    params = PARAMS.model_copy(update={"epochs": arguments.epochs})
    error, rows = train(arguments.out_dir, params, arguments.count)
    print(f"validation RMSE {error:.3f} pixels after {len(rows)} epochs")


if __name__ == "__main__":
    main()
