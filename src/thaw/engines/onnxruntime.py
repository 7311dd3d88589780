"""ONNX Runtime on the CPU, in float32."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from thaw.engines.engine import Run, in_batches
from thaw.engines.keep import Kept

if TYPE_CHECKING:
    import keras


def start(kept: Kept, batch_size: int) -> Run:
    """Open the network in `kept`; it is written as ONNX only where it was not before.

    Raises:
        ValueError: a layer cannot be written as ONNX.
    """

    def write(model: "keras.Model", network_dir: Path) -> None:
        from thaw.engines.onnx_layers import convert

        (network_dir / "network.onnx").write_bytes(convert(model, batch_size))

    path = kept.ensure(write) / "network.onnx"
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = os.cpu_count() or 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def run_batch(images: np.ndarray) -> np.ndarray:
        return np.asarray(session.run(None, {"pixels": images})[0], dtype=np.float32)

    return in_batches(run_batch, batch_size)
