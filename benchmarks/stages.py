"""Where each second of a run goes, and how much of it is arithmetic.

    python -m benchmarks.stages [--only notebook elpv] [--busy]

The notebook-sized job and the demo's (`benchmarks.jobs`), each a clone of the repository and `thaw run` in it. A stage's
seconds are its own; `between` is what it costs beside them: starting the process, DVC's books, recording. The arithmetic is
counted from the networks (multiplications with an addition, of convolutions and dense layers; a training step counts three
passes), the machine's limit is a product of two float32 matrices in the same run. `--busy` runs beside one busy core.
"""

import argparse
import json
import multiprocessing
import os
import re
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.jobs import Job, busy_core, lay_out_notebook
from thaw.demo import lay_out
from thaw.devices import cpu_name

SIDE = 2048


def measure_matmul(dtype: str) -> float:
    """GMAC/s of a product of two matrices of 2048 x 2048, on all cores, the best of twenty."""
    import tensorflow as tf

    left, right = (tf.cast(tf.random.normal((SIDE, SIDE)), dtype) for _ in range(2))
    best = np.inf
    for _ in range(20):
        began = time.perf_counter()
        tf.matmul(left, right)[0, 0].numpy()
        best = min(best, time.perf_counter() - began)
    return float(SIDE**3 / best / 1e9)


def count_macs(network: Any) -> float:
    """GMAC of one image through the convolutions and dense layers."""
    import keras

    total = 0
    for layer in network.layers:
        if not isinstance(layer, keras.layers.Conv2D | keras.layers.DepthwiseConv2D | keras.layers.Dense):
            continue
        kernel = layer.kernel.shape  # (height, width, inputs, outputs), depthwise (height, width, channels, 1)
        area = int(np.prod(layer.output.shape[1:-1]))
        per_point = int(np.prod(kernel[:3])) * (1 if isinstance(layer, keras.layers.DepthwiseConv2D) else kernel[-1])
        total += area * (per_point if len(kernel) == 4 else int(np.prod(kernel)))
    return total / 1e9


def count_stages(root: str) -> tuple[dict[str, float], float, float]:
    """GMAC of the stages that run the network in the project at `root`; and the machine's GMAC/s in float32 and bfloat16."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from thaw.models.cutting import cut
    from thaw.models.freezing import freeze
    from thaw.models.saving import load
    from thaw.params import load_params
    from thaw.splitting.files import read_split

    home = Path(root)
    params = load_params(home / "params.yaml").fine_tune
    network, _ = load(home / "models/frozen")
    freeze(network, params.strategy, params.from_layer, params.batch_norm)
    prefix, suffix = cut(network)
    images = {name: len(read_split(home / f"data/splits/{name}.csv")) for name in ("train", "validation", "test")}
    views = json.loads((home / "data/views/index.json").read_text(encoding="utf-8"))["views"]
    seen = images["train"] * views + images["validation"]
    epochs = params.epochs_of(-(-images["train"] // params.batch_size))
    whole, trained, frozen = count_macs(network), count_macs(suffix), count_macs(prefix) if prefix else 0.0
    compared = json.loads((home / "reports/metrics.json").read_text(encoding="utf-8"))["served"].get("images", 0)
    macs = {
        "extract": whole * seen,
        "fine_tune": frozen * seen + trained * epochs * (3 * images["train"] + images["validation"]),
        "evaluate": whole * (images["test"] + compared),
    }
    return macs, measure_matmul("float32"), measure_matmul("bfloat16")


def read_spans(root: Path) -> dict[str, float]:
    """Seconds from the start of each stage to its end, as the run's outbox has them; `pipeline` is the whole."""
    outbox = max((root / ".thaw/outbox").iterdir())
    opened: dict[str, int] = {}
    spans: dict[str, float] = {}
    for line in (outbox / "events.jsonl").read_text(encoding="utf-8").splitlines():
        event = json.loads(line)
        if event["op"] == "open":
            opened.setdefault(event["run"], event["time"])
        elif event["op"] == "close":
            spans[event["run"]] = (event["time"] - opened[event["run"]]) / 1000
    return spans


def measure(title: str, job: Job, busy: bool) -> None:
    """Run a job and print its table."""
    with busy_core(busy):
        began = time.perf_counter()
        text = "".join(job.thaw("run"))
        total = time.perf_counter() - began
    own = {name: float(seconds) for name, seconds in re.findall(r"(\w+) took ([0-9.]+) s", text)}
    spans = read_spans(job.root)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        macs, float32, bfloat16 = pool.apply(count_stages, (str(job.root),))
    beside = ", beside one busy core" if busy else ""
    print(f"\n{title}{beside}: {total:.0f} s. {cpu_name()}: {float32:.0f} GMAC/s in float32, {bfloat16:.0f} in bfloat16\n")
    print("| stage | seconds | of the run | between | GMAC | of float32's limit |\n|---|---:|---:|---:|---:|---:|")
    for name, seconds in own.items():
        work = macs.get(name)
        arithmetic = f"{work:,.0f} | {work / float32 / seconds:.0%}" if work else " | "
        print(f"| {name} | {seconds:.1f} | {seconds / total:.0%} | {spans[name] - seconds:.1f} | {arithmetic} |")
    rest = total - sum(spans[name] for name in own)
    print(f"| before the first, between and after | {rest:.1f} | {rest / total:.0%} | | | |", flush=True)


def main() -> None:
    """Measure the jobs and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=["notebook", "elpv"], default=["notebook", "elpv"])
    parser.add_argument("--busy", action="store_true", help="beside one busy core")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        lay_out("elpv", home / "cells")
        if "notebook" in options.only:
            data, _ = lay_out_notebook(home / "cells", home / "pictures", 1)
            measure("The notebook-sized job", Job(home / "notebook", data), options.busy)
        if "elpv" in options.only:
            measure("ELPV, 2,624 cells", Job(home / "elpv", home / "cells"), options.busy)


if __name__ == "__main__":
    main()
