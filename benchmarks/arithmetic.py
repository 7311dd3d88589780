"""How much of the machine's arithmetic an epoch of `fine_tune` uses, by network and strategy.

    python -m benchmarks.arithmetic [--vgg16-weights FILE] [--only NAME ...] [--images 256] [--epochs 3]

Each case is trained by the pipeline's stages on cells of ELPV. Counted are multiplications with an addition of convolutions and
dense layers: three passes of what trains over the training images and one over the validation images; with views made in each
epoch also one pass of the frozen part. The seconds are of the fastest epoch, validation and batches included. The limits are
of the same run: TensorFlow's product of two matrices of 2048 x 2048, and OpenVINO's VGG16 in bfloat16, which convolves faster.
"""

import argparse
import itertools
import json
import multiprocessing
import os
import random
import shutil
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.elpv import params_with, prepare, run_stages
from thaw.demo import lay_out
from thaw.devices import cpu_name

CASES: dict[str, dict[str, Any]] = {
    "Lite0, partial": {},
    "Lite0, partial, views: 0": {"augment.views": 0},
    "Lite0, full": {"fine_tune.strategy": "full"},
    "VGG16, partial": {"model.architecture": "vgg16"},
    "VGG16, full": {"model.architecture": "vgg16", "fine_tune.strategy": "full"},
}


def lay_out_some(count: int, raw_dir: Path) -> None:
    """`count` cells, half of each class."""
    with tempfile.TemporaryDirectory(dir=raw_dir.parent) as name:
        lay_out("elpv", Path(name) / "all")
        for folder in sorted(path for path in (Path(name) / "all").iterdir() if path.is_dir()):
            (raw_dir / folder.name).mkdir(parents=True)
            for path in random.Random(1).sample(sorted(folder.iterdir()), count // 2):
                shutil.move(path, raw_dir / folder.name)


def train(overrides: dict[str, Any], epochs: int, root: Path) -> tuple[float, float]:
    """GMAC of an epoch, and the seconds of the fastest one."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from benchmarks.stages import count_macs
    from thaw.models.cutting import cut
    from thaw.models.freezing import freeze
    from thaw.models.saving import load
    from thaw.splitting.files import read_split

    common = {"train_frozen.epochs": 1, "train_frozen.min_steps": 0, "fine_tune.epochs": epochs, "fine_tune.min_steps": 0}
    params = params_with(common | overrides, "arithmetic")
    run_stages(params, root, "split", "fine_tune", without=("audit",))
    rows = [json.loads(line) for line in (root / ".thaw/fine_tune/journal.jsonl").read_text(encoding="utf-8").splitlines()]
    seconds = min(after["time"] - before["time"] for before, after in itertools.pairwise(rows))
    network, _ = load(root / "models/frozen")
    freeze(network, params.fine_tune.strategy, params.fine_tune.from_layer, params.fine_tune.batch_norm)
    prefix, suffix = cut(network)
    images = {name: len(read_split(root / f"data/splits/{name}.csv")) for name in ("train", "validation")}
    macs = count_macs(suffix) * (3 * images["train"] + images["validation"])
    if prefix and params.augment.views == 0:
        macs += count_macs(prefix) * images["train"]
    return macs, seconds


def measure_limits() -> dict[str, float]:
    """GMAC/s of what does little but multiply."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import numpy as np

    from benchmarks.stages import count_macs, measure_matmul
    from benchmarks.training import build, images_per_second
    from thaw import engines, models
    from thaw.params import ExtractParams

    network = build("vgg16")
    models.freeze(network, "head", "", "frozen")
    prefix, _ = models.cut(network)
    assert prefix is not None
    pixels = np.random.default_rng(0).integers(0, 256, (64, *prefix.input_shape[1:]), np.uint8)
    with tempfile.TemporaryDirectory() as name:
        engine = engines.compile(prefix, ExtractParams(engine="openvino", precision="bfloat16"), Path(name), pixels)
        convolved = count_macs(prefix) * images_per_second(lambda: engine(pixels), len(pixels))
    products = {f"product, {dtype}": measure_matmul(dtype) for dtype in ("float32", "bfloat16")}
    return products | {"OpenVINO, VGG16, bfloat16": convolved}


def main() -> None:
    """Measure every case and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vgg16-weights", help="weights of VGG16 without its top, for the cases of VGG16")
    parser.add_argument("--only", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--epochs", type=int, default=3)
    options = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        limits = pool.apply(measure_limits)
    print(f"{cpu_name()}, GMAC/s: {', '.join(f'{name} {value:,.0f}' for name, value in limits.items())}\n")
    print("| fine_tune | GMAC an epoch | seconds | GMAC/s |", " | ".join(f"of {name}" for name in limits), "|")
    print("|---|---:|---:|---:|" + "---:|" * len(limits), flush=True)
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        prepare(root, partial(lay_out_some, options.images))
        for case in options.only:
            overrides = CASES[case]
            if overrides.get("model.architecture") == "vgg16":
                if not options.vgg16_weights:
                    continue
                shutil.copy(options.vgg16_weights, root / "models/pretrained/vgg16.weights.h5")
                overrides = overrides | {"model.weights": "vgg16.weights.h5"}
            with context.Pool(1) as pool:
                macs, seconds = pool.apply(train, (overrides, options.epochs, root))
            shares = " | ".join(f"{macs / seconds / limit:.0%}" for limit in limits.values())
            print(f"| {case} | {macs:,.0f} | {seconds:.1f} | {macs / seconds:,.0f} | {shares} |", flush=True)


if __name__ == "__main__":
    main()
