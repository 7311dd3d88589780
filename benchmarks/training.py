"""How fast training is, against plain Keras on the same images and machine: each row is a ratio within one run.

    python -m benchmarks.training [--quick]

Measures what a stage spends its time on: `extract` (the frozen network over pictures), a step of `fine_tune` (from
activations cached at the cut), and the input pipeline alone. Prints a Markdown table.
"""

import argparse
import itertools
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

from thaw import engines, images, models
from thaw.arrays import Rows
from thaw.demo import lay_out
from thaw.params import ExtractParams, FitParams, ModelParams
from thaw.training.activations import storage_dtype, write_activations
from thaw.training.batches import Examples, train_batches
from thaw.training.fit import Job, fit
from thaw.training.guard import Stop
from thaw.training.labels import Labels
from thaw.training.order import Order

SIDE = 224
FROM_LAYER = "block11"
BATCH_SIZE = 32


class Pictures:
    """Pictures in memory, one view each."""

    views = 1

    def __init__(self, pixels: np.ndarray) -> None:
        self.pixels = pixels
        self.count, self.shape = len(pixels), pixels.shape[1:]

    def gather(self, numbers: np.ndarray, views: np.ndarray) -> np.ndarray:
        """The pixels of images `numbers`."""
        return self.pixels[numbers]


def load_pictures(count: int, folder: Path) -> np.ndarray:
    """`count` cells of ELPV, uint8 `(count, 224, 224, 1)`."""
    lay_out("elpv", folder / "raw")
    paths = sorted((folder / "raw").glob("*/*.png"))[:count]
    return np.stack([images.load(path, SIDE, SIDE, 1, "stretch") for path in paths])


def images_per_second(run: Callable[[], object], count: int, repeats: int = 2) -> float:
    """The best of `repeats` runs over `count` images, after one that compiles."""
    run()
    seconds = []
    for _ in range(repeats):
        began = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - began)
    return count / min(seconds)


def build(architecture: str) -> keras.Model:
    """A network for two classes; random weights where the architecture's own would have to be downloaded."""
    keras.backend.clear_session()
    weights = "imagenet" if "lite" in architecture else "none"
    params = ModelParams(architecture=architecture, weights=weights)
    return models.build(params, (SIDE, SIDE, 1), 2, seed=1)


def measure_extract(architecture: str, pixels: np.ndarray, scratch_dir: Path) -> tuple[float, float]:
    """Images a second of the engine, and of Keras's `predict`, on the frozen part of a network."""
    network = build(architecture)
    models.freeze(network, "head", "", "frozen")
    prefix, _ = models.cut(network)
    assert prefix is not None
    engine = engines.compile(prefix, ExtractParams(), scratch_dir, pixels[:32])
    ours = images_per_second(lambda: engine(pixels), len(pixels))
    floats = pixels.astype(np.float32)
    plain = images_per_second(lambda: prefix.predict(floats, batch_size=BATCH_SIZE, verbose=0), len(pixels))
    return ours, plain


def measure_plain_fit(pixels: np.ndarray, strategy: str, jit_compile: str | bool) -> float:
    """Images a second of Keras's `fit` on the whole network from pictures in memory.

    `jit_compile="auto"`, Keras's default, is XLA, which is slow on a CPU; False is what someone gets who knows that.
    """
    network = build("efficientnet_lite0")
    models.freeze(network, strategy, FROM_LAYER, "frozen" if strategy == "partial" else "train")
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    network.compile(keras.optimizers.Adam(1e-5), loss, jit_compile=jit_compile)
    floats, targets = pixels.astype(np.float32), np.arange(len(pixels), dtype=np.float32)[:, None] % 2
    return images_per_second(
        lambda: network.fit(floats, targets, batch_size=BATCH_SIZE, verbose=0), len(pixels), repeats=1
    )


def measure_fine_tune(pixels: np.ndarray, scratch_dir: Path) -> tuple[float, float]:
    """Images a second of an epoch of `fine_tune`, and of its input pipeline alone."""
    network = build("efficientnet_lite0")
    models.freeze(network, "partial", FROM_LAYER, "frozen")
    prefix, suffix = models.cut(network)
    assert prefix is not None
    engine = engines.compile(prefix, ExtractParams(), scratch_dir, pixels[:32])
    sample = engine(pixels[:32])
    path = scratch_dir / "activations.npy"
    write_activations(path, Pictures(pixels), engine, sample.shape[1:], storage_dtype(sample), Stop())
    count = len(pixels)
    targets = np.arange(count, dtype=np.float32)[:, None] % 2
    labels = Labels([str(number) for number in range(count)], targets, np.ones(count, np.float32))
    train, nothing = Examples(Rows(path), labels), Examples(Rows(path), Labels([], targets[:0], targets[:0, 0]))
    params = FitParams(epochs=4, batch_size=BATCH_SIZE, learning_rate=5e-4)
    rows = fit(models.fold(suffix), params, train, nothing, Job(1, 1, "benchmark", scratch_dir, Stop()))
    seconds = min(after["time"] - before["time"] for before, after in itertools.pairwise(rows))
    order = Order(1, 1, count, 1, BATCH_SIZE)
    return count / seconds, images_per_second(lambda: list(train_batches(train, order, 0)), count)


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer images, no VGG16")
    quick = parser.parse_args().quick
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        scratch_dir = Path(folder)
        pixels = load_pictures(256 if quick else 768, scratch_dir)
        ours, plain = measure_extract("efficientnet_lite0", pixels, scratch_dir)
        rows.append(("3. extract, EfficientNet-Lite0, against `predict`", ours, plain, 3.0))
        if not quick:
            ours, plain = measure_extract("vgg16", pixels[:96], scratch_dir)
            rows.append(("3. extract, VGG16, against `predict`", ours, plain, 1.9))
        ours, pipeline = measure_fine_tune(pixels, scratch_dir)
        few = pixels[: 128 if quick else 384]
        for strategy, layers, target in (("full", "all layers", 6.0), ("partial", "the same layers", 2.5)):
            for jit, how in (("auto", ""), (False, ", XLA off")):
                plain = measure_plain_fit(few, strategy, jit)
                rows.append((f"4. fine_tune, against `fit` of {layers}{how}", ours, plain, target))
        rows.append(("6. input pipeline, against what fine_tune consumes", pipeline, ours, 3.0))
    print("| what | thaw, images/s | plain, images/s | ratio | target |\n|---|---:|---:|---:|---:|")
    for name, ours, plain, target in rows:
        print(f"| {name} | {ours:,.0f} | {plain:,.1f} | {ours / plain:.1f} | {target} |")


if __name__ == "__main__":
    main()
