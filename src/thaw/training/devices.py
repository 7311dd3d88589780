"""Which devices train, and in which precision: rules over the machine and the network, never a timing."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import dropwhile
from pathlib import Path

import keras

from thaw.backends import backend
from thaw.devices import keep_freed_memory
from thaw.errors import ThawError
from thaw.params import FitParams
from thaw.training.groups import ALONE, Member

_log = logging.getLogger("thaw.training")
_REPLICAS = "%d replicas: each takes its share of the batch; the learning rate is for the whole batch"
_SEPARABLE = (keras.layers.DepthwiseConv2D, keras.layers.SeparableConv2D)


@contextmanager
def training_on(devices: str, member: Member = ALONE) -> Iterator[int]:
    """Build and train models inside this block; it gives the number of replicas that a batch is divided between.

    Args:
        devices: `auto` (one GPU, or several where there are several, else the CPU), `cpu`, `gpu`, `all_gpus`, or
            `all_machines`: as `auto`, on the machine of every process of the group.
        member: which process of a group this is.

    Raises:
        ThawError: GPUs are asked for and none is seen.
    """
    keep_freed_memory()
    if member.size > 1:
        with backend.computing_on_group(*member) as replicas:
            _log.info(_REPLICAS, replicas)
            yield replicas
        return
    seen = 0 if devices == "cpu" else backend.count_gpus()
    if devices in ("gpu", "all_gpus") and not seen:
        raise ThawError(f"devices: {devices}: {backend.NAME} sees no GPU", "Set devices: auto; `thaw doctor` says more.")
    gpus = min(seen, 1) if devices == "gpu" else seen
    if gpus > 1:
        _log.info(_REPLICAS, gpus)
    with backend.computing_on(gpus):
        yield max(1, gpus)


def choose_precision(params: FitParams, model: keras.Model) -> str:
    """The dtype policy for training `model`.

    `auto` on a GPU: mixed_bfloat16 from compute capability 8.0, mixed_float16 from 7.0. On a CPU with bfloat16
    instructions: mixed_bfloat16 where convolutions train (a step of VGG16 takes half as long, one of EfficientNet-Lite0,
    whose depthwise ones stay in float32, 70 %), float32 where it would slow separable ones down or small matrices alone train.
    """
    if params.precision != "auto":
        return params.precision
    if trains_on_gpus(params):
        return precision_of_gpu(backend.compute_capability())
    trained = [layer for layer in model.layers if layer.trainable_variables]
    dense = any(len(weight.shape) == 4 and not _is_depthwise(layer) for layer in trained for weight in layer.trainable_weights)
    separable = any(isinstance(layer, keras.layers.SeparableConv2D) for layer in model.layers)
    return "mixed_bfloat16" if dense and not separable and cpu_has_bfloat16() else "float32"


def compute_deterministically(params: FitParams, model: keras.Model) -> None:
    """Have GPUs add in one order for the rest of this process, so that training `model` again gives the same bytes.

    TensorFlow has no such way for the gradient of a depthwise kernel, and would refuse to train it: a network that
    trains one keeps the faster ways, and its weights may differ in the last bits.
    """
    if not trains_on_gpus(params):
        return
    depthwise = any(isinstance(layer, _SEPARABLE) and layer.trainable_variables for layer in model.layers)
    if depthwise and not backend.DEPTHWISE_REPEATS:
        _log.warning("depthwise kernels train on a GPU: the same run again may differ in the last bits")
    else:
        backend.compute_deterministically()


def trains_on_gpus(params: FitParams) -> bool:
    """Whether `params.devices` leaves the work to GPUs that are there."""
    return params.devices != "cpu" and backend.count_gpus() > 0


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
def computing_in(params: FitParams, model: keras.Model) -> Iterator[None]:
    """Compute in the precision that `choose_precision` gives for training `model` while the block runs.

    Weights stay float32, and so do the layer that gives the logits and those before the first kernel, which scale the
    pixels: bfloat16 tells levels from 128 on apart by ones alone, and rounds a mean to 0.5. On a processor, where depthwise
    convolutions are computed in float32 (`thaw.models.folding`), so is all that stands between kernels. The policies are as
    before afterwards: a saved model does not depend on the precision it was trained in.
    """
    changed = []
    precision = choose_precision(params, model)
    kernels_alone = not trains_on_gpus(params) and any(map(_is_depthwise, model.layers))
    if precision != "float32":
        for layer in dropwhile(lambda layer: not _has_kernel(layer), model.layers[:-1]):
            if layer.dtype_policy.name != "float32" or (kernels_alone and not _has_kernel(layer)):
                continue
            changed.append(layer)
            layer.dtype_policy = precision
    try:
        yield
    finally:
        for layer in changed:
            layer.dtype_policy = "float32"


def _is_depthwise(layer: keras.layers.Layer) -> bool:
    """By its kernel, `(height, width, channels, multiplier)`: what folds the layer into another keeps it."""
    return any(len(weight.shape) == 4 and weight.shape[-1] == 1 for weight in layer.weights)


def _has_kernel(layer: keras.layers.Layer) -> bool:
    return any(len(weight.shape) > 1 for weight in layer.weights)
