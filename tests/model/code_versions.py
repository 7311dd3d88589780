"""Run stages with other versions of thaw's source code, each in a process of its own that is forked from a warm one.

`python code_versions.py ORDERS.json`: a list of `{"source": folder, "call": "module:function", "arguments": [...]}`. What each
call returns is printed as JSON, a line a call.
"""

import importlib
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np


def judge(model_dir: str, scratch_dir: str) -> list[float]:
    """The probabilities that a saved model gives two pictures."""
    from PIL import Image

    from thaw.params import ExtractParams
    from thaw.stages.evaluate import open_classifier

    with tempfile.TemporaryDirectory() as folder:
        files = []
        for level in (40, 200):
            files.append(Path(folder) / f"{level}.png")
            Image.fromarray(np.full((32, 32), level, np.uint8)).save(files[-1])
        classifier = open_classifier(Path(model_dir), ExtractParams(batch_size=2), Path(scratch_dir))
        return [round(float(value), 7) for value in classifier.predict(files)[0][:, 0]]


def run(folder: str, out: str, normalization: str = "auto") -> dict[str, str]:
    """The digest of each output of extract, train_frozen and fine_tune; `out/scratch` holds what was kept before."""
    from tests.model.training_project import outputs, run_stages
    from thaw.files import digest
    from thaw.params import ExtractParams, FineTuneParams, FitParams, ModelParams

    model = ModelParams(normalization=normalization)
    tuned = FineTuneParams(epochs=1, min_steps=0, batch_size=8, from_layer="block15", precision="float32")
    frozen = FitParams(epochs=1, batch_size=8, precision="float32")
    run_stages(Path(folder), Path(out), model, frozen, tuned, ExtractParams(batch_size=8))
    return {name: digest(Path(out) / name)[:12] for name in outputs(Path(out))}


def train(folder: str, out: str, epochs: int, kill_at: int) -> str:
    """The digest of a small network trained from random weights; asked to stop at step `kill_at` (0: never)."""
    import signal

    from tests.model.training_project import run_stages
    from thaw.files import digest
    from thaw.params import FineTuneParams, FitParams, ModelParams
    from thaw.training import fit

    fit.CHECKPOINT_SECONDS = 0.0
    steps = 0
    end_step = fit._Training.end_step

    def count(training: Any, logs: Any) -> None:
        nonlocal steps
        steps += 1
        if steps == kill_at:
            signal.raise_signal(signal.SIGTERM)
        end_step(training, logs)

    fit._Training.end_step = count  # type: ignore[method-assign]
    tuned = FineTuneParams(epochs=epochs, min_steps=0, batch_size=8, learning_rate=1e-3)
    try:
        run_stages(
            Path(folder), Path(out), ModelParams(architecture="lenet5", weights="none"), FitParams(epochs=1), tuned
        )
    except SystemExit:
        return f"stopped after {steps} steps"
    return f"{steps} steps: {digest(Path(out) / 'tuned' / 'model.weights.h5')[:12]}"


def _work(order: dict[str, Any], writer: int) -> None:
    sys.path.insert(0, order["source"])
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    function = getattr(importlib.import_module("tests.model.code_versions"), order["call"])
    os.write(writer, json.dumps(function(*order["arguments"])).encode())


def main(orders: list[dict[str, Any]]) -> None:
    """Carry out the orders one after another."""
    import keras  # noqa: F401
    import tensorflow  # noqa: F401

    for order in orders:
        reader, writer = os.pipe()
        child = os.fork()
        if not child:
            code = 1
            try:
                _work(order, writer)
                code = 0
            except BaseException:
                import traceback

                traceback.print_exc()
            finally:
                os._exit(code)
        os.close(writer)
        with os.fdopen(reader, "rb") as pipe:
            text = pipe.read().decode()
        if os.waitpid(child, 0)[1]:
            raise SystemExit(f"{order} failed")
        print(text, flush=True)


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
