"""Which engine and which precision: a rule over the machine and what is installed, never a timing."""

import importlib.util
import os
from dataclasses import dataclass
from pathlib import Path

from thaw.devices import keras_backend
from thaw.errors import ThawError
from thaw.params import ExtractParams


@dataclass(frozen=True)
class Choice:
    """An engine with a precision."""

    engine: str
    precision: str

    def __str__(self) -> str:
        return f"{self.engine} {self.precision}"


def choices(params: ExtractParams) -> list[Choice]:
    """The engines to try, best first.

    `auto`: on a GPU Keras itself, by the name of its backend; else OpenVINO, in bfloat16 where the processor has it, then
    Keras, which runs everything. OpenVINO's converter reads TensorFlow's networks: on JAX it is left out. A named engine
    stands alone.

    Raises:
        ThawError: the named engine is not installed, needs another backend of Keras, or has no such precision.
    """
    backend = keras_backend()
    if params.engine == "auto":
        if has_gpu() or backend != "tensorflow" or not _installed("openvino"):
            return [Choice(backend, "float32")]
        return [*(Choice("openvino", name) for name in _openvino_precisions(params)), Choice(backend, "float32")]
    needed = "tensorflow" if params.engine == "openvino" else params.engine
    if needed != backend:
        raise ThawError(
            f"extract.engine: {params.engine} needs Keras on {needed}, and KERAS_BACKEND is {backend}",
            f"Set extract.engine: auto, or run with KERAS_BACKEND={needed}.",
        )
    if not _installed(params.engine):
        raise ThawError(f"extract.engine: {params.engine} is not installed", "Install it, or set extract.engine: auto.")
    if params.engine == "openvino":
        return [Choice("openvino", name) for name in _openvino_precisions(params)]
    if params.precision == "bfloat16":
        raise ThawError(
            f"extract.precision: {params.engine} runs in float32 here", "Set extract.precision: auto, or use openvino."
        )
    return [Choice(params.engine, "float32")]


def has_gpu() -> bool:
    """Whether TensorFlow or JAX could see an NVIDIA GPU, told without importing them."""
    if os.environ.get("CUDA_VISIBLE_DEVICES", "all").strip() in ("", "-1"):
        return False
    cards = Path("/proc/driver/nvidia/gpus")
    return cards.is_dir() and any(cards.iterdir())


def _openvino_precisions(params: ExtractParams) -> list[str]:
    if params.precision != "auto":
        return [params.precision]
    from thaw.engines import openvino

    return ["bfloat16", "float32"] if openvino.has_bfloat16() else ["float32"]


def _installed(name: str) -> bool:
    return importlib.util.find_spec(name) is not None
