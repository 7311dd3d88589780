"""Which devices train, and in which precision: rules over the machine and the network, never a timing."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import dropwhile
from pathlib import Path
from typing import Any

import keras

from thaw.errors import ThawError
from thaw.params import FitParams

_log = logging.getLogger("thaw.training")
_SEPARABLE = (keras.layers.DepthwiseConv2D, keras.layers.SeparableConv2D)


@contextmanager
def training_on(devices: str) -> Iterator[int]:
    """Build and train models inside this block; it gives the number of replicas that a batch is divided between.

    Args:
        devices: `auto` (one GPU, or several where there are several, else the CPU), `cpu`, `gpu`, `all_gpus`.

    Raises:
        ThawError: GPUs are asked for and none is seen.
    """
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    if devices in ("gpu", "all_gpus") and not gpus:
        raise ThawError(f"devices: {devices}: TensorFlow sees no GPU", "Set devices: auto; `thaw doctor` says more.")
    for gpu in gpus:
        _allow_growth(gpu)
    names = [device.name for device in tf.config.list_logical_devices("GPU")]
    if devices in ("auto", "all_gpus") and len(names) > 1:
        with mirrored(names):
            yield len(names)
    else:
        with tf.device("GPU:0" if names and devices != "cpu" else "CPU:0"):
            yield 1


@contextmanager
def mirrored(names: list[str]) -> Iterator[None]:
    """Train on all devices of these names at once; weights and gradients are the same on each."""
    import tensorflow as tf

    strategy = tf.distribute.MirroredStrategy(names)
    _log.info("%d replicas: each takes its share of the batch; the learning rate is for the whole batch", len(names))
    with strategy.scope():
        yield


def _allow_growth(gpu: Any) -> None:
    import tensorflow as tf

    try:
        tf.config.experimental.set_memory_growth(gpu, True)
    except RuntimeError:  # the device is in use already, with the setting it has
        _log.debug("memory growth of %s stands as it is", gpu.name)


def choose_precision(params: FitParams, model: keras.Model) -> str:
    """The dtype policy for training `model`.

    `auto` on a GPU: mixed_bfloat16 from compute capability 8.0, mixed_float16 from 7.0. On a CPU with bfloat16
    instructions: mixed_bfloat16 for dense convolutions (twice as fast for VGG16), float32 where there are depthwise
    ones (bfloat16 slows them down) or only small matrices.
    """
    if params.precision != "auto":
        return params.precision
    import tensorflow as tf

    gpus = _gpus_for(params)
    if gpus:
        capability = tf.config.experimental.get_device_details(gpus[0]).get("compute_capability", (0, 0))
        return precision_of_gpu(capability)
    trained = [layer for layer in model.layers if layer.trainable_variables]
    dense = any(isinstance(layer, keras.layers.Conv2D) for layer in trained)
    separable = any(isinstance(layer, _SEPARABLE) for layer in model.layers)
    return "mixed_bfloat16" if dense and not separable and cpu_has_bfloat16() else "float32"


def compute_deterministically(params: FitParams, model: keras.Model) -> None:
    """Have GPUs add in one order for the rest of this process, so that training `model` again gives the same bytes.

    TensorFlow has no such way for the gradient of a depthwise kernel, and would refuse to train it: a network that
    trains one keeps the faster ways, and its weights may differ in the last bits.
    """
    if not _gpus_for(params):
        return
    import tensorflow as tf

    if any(isinstance(layer, _SEPARABLE) and layer.trainable_variables for layer in model.layers):
        _log.warning("depthwise kernels train on a GPU: the same run again may differ in the last bits")
    else:
        tf.config.experimental.enable_op_determinism()


def _gpus_for(params: FitParams) -> list[Any]:
    import tensorflow as tf

    return tf.config.list_physical_devices("GPU") if params.devices != "cpu" else []


def precision_of_gpu(capability: tuple[int, int]) -> str:
    """The dtype policy for a GPU of this compute capability: tensor cores take float16 from 7.0, bfloat16 from 8.0."""
    if capability >= (8, 0):
        return "mixed_bfloat16"
    return "mixed_float16" if capability >= (7, 0) else "float32"


def cpu_has_bfloat16(cpuinfo_path: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether the processor multiplies matrices in bfloat16 (AVX512-BF16 or AMX), by the kernel's word."""
    try:
        text = cpuinfo_path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return "avx512_bf16" in text or "amx_bf16" in text


@contextmanager
def computing_in(precision: str, model: keras.Model) -> Iterator[None]:
    """Compute in `precision` while the block runs.

    Weights stay float32, and so do the layer that gives the logits and those before the first kernel, which scale the
    pixels: bfloat16 tells levels from 128 on apart by ones alone, and rounds a mean to 0.5. The policies are as before
    afterwards: a saved model does not depend on the precision it was trained in.
    """
    changed = []
    if precision != "float32":
        for layer in dropwhile(lambda layer: not _has_kernel(layer), model.layers[:-1]):
            if layer.dtype_policy.name != "float32":
                continue
            changed.append(layer)
            layer.dtype_policy = precision
    try:
        yield
    finally:
        for layer in changed:
            layer.dtype_policy = "float32"


def _has_kernel(layer: keras.layers.Layer) -> bool:
    return any(len(weight.shape) > 1 for weight in layer.weights)
