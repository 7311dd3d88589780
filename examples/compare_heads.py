"""The notebooks' experiment: which head, and what a sigmoid beside `from_logits=True` costs.

139 pictures to learn from, as the notebooks have, on a frozen EfficientNet-Lite0: RMSprop at 0.001, batches of 8, 20
epochs. Judged on 20 pictures as there, and on 300 further ones, which tell more. Three seeds.

    PYTHONPATH=src python examples/compare_heads.py data/raw

prints the table of `docs/networks.md`. In the pipeline, with both runs side by side in the MLflow UI:

    thaw run -S model.head=gap
    thaw run -S model.head=flatten
"""

import argparse
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np

from thaw import images
from thaw.models import build, cut, freeze
from thaw.params import ModelParams

TRAIN, TEST, FURTHER = 139, 20, 300
SHAPE = (224, 224, 1)
SEEDS = (1, 2, 3)


class Outcome(NamedTuple):
    """Of one training: accuracies, and the training loss at its end."""

    train: float
    test: float
    further: float
    loss: float


def read_cells(raw_dir: Path, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Pixels and labels of as many pictures as are used, drawn from both classes alike."""
    generator = np.random.default_rng(seed)
    classes = sorted(folder.name for folder in raw_dir.iterdir() if folder.is_dir())
    files = [sorted((raw_dir / name).glob("*.png")) for name in classes]
    each = (TRAIN + TEST + FURTHER + 1) // 2
    drawn = [
        (path, label) for label, paths in enumerate(files) for path in generator.permutation(paths)[:each]
    ]
    chosen = [drawn[number] for number in generator.permutation(len(drawn))[: TRAIN + TEST + FURTHER]]
    return np.stack([images.load(path, *SHAPE) for path, _ in chosen]), np.array(
        [label for _, label in chosen]
    )


MISTAKES = ("", "sigmoid", "hidden sigmoid")


def train_head(pixels: np.ndarray, labels: np.ndarray, head: str, mistake: str, seed: int) -> Outcome:
    """Train a head on the frozen network's features; `mistake`: a sigmoid stands before a loss that takes logits.

    Keras 3 on TensorFlow sees a sigmoid that is the very last operation, takes what went into it, and only warns. With
    any operation behind it, here one that changes nothing, the sigmoid is applied twice.
    """
    network = build(ModelParams(head=head, dropout=0.0), SHAPE, 2, seed)  # type: ignore[arg-type]
    freeze(network, "head", "", "frozen")
    prefix, suffix = cut(network)
    assert prefix is not None
    features = prefix.predict(pixels, batch_size=32, verbose=0)
    output = keras.ops.sigmoid(suffix.output) if mistake else suffix.output
    output = keras.ops.reshape(output, (-1, 1)) if mistake == "hidden sigmoid" else output
    model = keras.Model(suffix.input, output)
    metric = keras.metrics.BinaryAccuracy(threshold=0.5 if mistake else 0.0)
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    model.compile(keras.optimizers.RMSprop(1e-3), loss, metrics=[metric])
    keras.utils.set_random_seed(seed)
    parts = np.split(np.arange(len(labels)), [TRAIN, TRAIN + TEST])
    model.fit(features[parts[0]], labels[parts[0], None], batch_size=8, epochs=20, verbose=0)
    judged = [model.evaluate(features[part], labels[part, None], verbose=0) for part in parts]
    return Outcome(judged[0][1], judged[1][1], judged[2][1], judged[0][0])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("raw_dir", type=Path, help="two class folders of pictures")
    raw_dir = parser.parse_args().raw_dir
    outcomes: dict[str, list[Outcome]] = {}
    for seed in SEEDS:
        pixels, labels = read_cells(raw_dir, seed)
        for head in ("gap", "flatten"):
            for mistake in MISTAKES:
                name = f"{head}, {mistake} and from_logits=True" if mistake else head
                outcomes.setdefault(name, []).append(train_head(pixels, labels, head, mistake, seed))
    print(
        f"| head | train loss | train ({TRAIN}) | test ({TEST}) | further ({FURTHER}) |\n|---|---|---|---|---|"
    )
    for name, runs in outcomes.items():
        mean = Outcome(*np.mean(runs, axis=0))
        spread = max(run.further for run in runs) - min(run.further for run in runs)
        print(
            f"| {name} | {mean.loss:.3f} | {mean.train:.3f} | {mean.test:.3f} | {mean.further:.3f} ({spread:.3f} apart) |"
        )


if __name__ == "__main__":
    main()
