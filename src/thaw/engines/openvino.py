"""OpenVINO on the CPU. One stream: the same bytes run after run, by as many threads as TensorFlow would use."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from thaw.engines.compiled import CompiledNetwork
from thaw.engines.engine import Run, in_batches

if TYPE_CHECKING:
    import keras

_HINTS = {"bfloat16": "bf16", "float32": "f32"}


def has_bfloat16() -> bool:
    """Whether this processor has instructions for bfloat16, as OpenVINO sees it."""
    return "BF16" in library().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def start(compiled_network: CompiledNetwork, precision: str, batch_size: int) -> Run:
    """Compile the network in `compiled_network`; it is converted from Keras only where it was not before."""

    def convert(model: "keras.Model", network_dir: Path) -> None:
        _convert(model, network_dir, batch_size)

    path = compiled_network.ensure(convert) / "network.xml"
    core = library().Core()
    settings = {
        "INFERENCE_PRECISION_HINT": _HINTS[precision],
        "NUM_STREAMS": 1,
        "INFERENCE_NUM_THREADS": int(os.environ.get("TF_NUM_INTRAOP_THREADS", 0)) or os.cpu_count() or 1,
        "ENABLE_CPU_PINNING": False,
    }
    compiled = core.compile_model(core.read_model(path), "CPU", settings)

    def run_batch(images: np.ndarray) -> np.ndarray:
        return np.array(compiled(images)[0], dtype=np.float32)

    return in_batches(run_batch, batch_size)


def _convert(model: "keras.Model", network_dir: Path, batch_size: int) -> None:
    import tensorflow as tf

    shape = (batch_size, *model.input_shape[1:])

    @tf.function(input_signature=[tf.TensorSpec(shape, tf.uint8)], jit_compile=False)
    def infer(images: Any) -> Any:
        return model(tf.cast(images, tf.float32), training=False)

    openvino = library()
    network = openvino.convert_model(infer.get_concrete_function())
    openvino.save_model(network, network_dir / "network.xml", compress_to_fp16=False)


def library() -> Any:
    """OpenVINO without its telemetry: its converter and NNCF take a stub where `openvino_telemetry` cannot be imported."""
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
    import openvino

    return openvino
