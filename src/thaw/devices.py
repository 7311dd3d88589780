"""What the machine has, told without TensorFlow or JAX, and what these two read before they start."""

import contextlib
import ctypes
import os
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from thaw.errors import ThawError

_GIB = 1024**3
_BACKENDS = {"tensorflow": ("tensorflow",), "jax": ("jax", "jaxlib")}


def machine_facts() -> dict[str, str]:
    """The processor, memory and graphics cards of this machine, by plain names (`gpu.0.name`), as text."""
    import psutil

    facts = {
        "cpu": cpu_name(),
        "cpu.cores": str(available_cpus()),
        "cpu.memory_gib": f"{psutil.virtual_memory().total / _GIB:.1f}",
        "os": platform.platform(terse=True),
        "python": platform.python_version(),
    }
    for index, card in enumerate(list_gpus()):
        facts |= {f"gpu.{index}.{key}": str(value) for key, value in card.items()}
    return facts


def available_cpus() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def list_gpus() -> list[dict[str, Any]]:
    """NVIDIA cards by NVML: name, memory_gib, driver and cuda version. Empty where there is no card or no NVML."""
    with _nvml() as nvml:
        if nvml is None:
            return []
        driver, cuda = nvml.nvmlSystemGetDriverVersion(), nvml.nvmlSystemGetCudaDriverVersion_v2()
        cards = []
        for index in range(nvml.nvmlDeviceGetCount()):
            handle = nvml.nvmlDeviceGetHandleByIndex(index)
            cards.append(
                {
                    "name": nvml.nvmlDeviceGetName(handle),
                    "memory_gib": round(nvml.nvmlDeviceGetMemoryInfo(handle).total / _GIB, 1),
                    "driver": driver,
                    "cuda": f"{cuda // 1000}.{cuda % 1000 // 10}",
                }
            )
        return cards


@contextlib.contextmanager
def _nvml() -> Iterator[Any]:
    try:
        import pynvml
    except ImportError:
        yield None
        return
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        yield None
        return
    try:
        yield pynvml
    finally:
        pynvml.nvmlShutdown()


def cpu_name() -> str:
    """The processor's model."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def keras_backend() -> str:
    """What Keras computes with: `tensorflow`, or `jax` where the variable KERAS_BACKEND says so.

    Raises:
        ThawError: it says something else.
    """
    name = os.environ.get("KERAS_BACKEND") or "tensorflow"
    if name not in _BACKENDS:
        raise ThawError(f"KERAS_BACKEND: {name!r} is not what thaw runs on", "Set it to tensorflow or jax, or unset it.")
    return name


def backend_distributions() -> tuple[str, ...]:
    """The distributions on PyPI whose versions decide, beside Keras's own, what is computed."""
    return _BACKENDS[keras_backend()]


# Of glibc's `mallopt`: what a process that trains does with memory it has freed.
_MALLOC = {
    "M_ARENA_MAX": (-8, 1),
    "M_MMAP_THRESHOLD": (-3, 32 * 1024**2),
    "M_TRIM_THRESHOLD": (-1, 2**31 - 1),
    "M_TOP_PAD": (-2, 64 * 1024**2),
}


def keep_freed_memory() -> None:
    """Have this process keep the memory of freed tensors for the next ones.

    Each step of training frees tensors of some ten megabytes. glibc gives them back to the system, which hands out and clears
    the same pages in the next step: that was a tenth of `fine_tune`. It holds no more than it did at its highest.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    libc = ctypes.CDLL(None)
    for option, value in _MALLOC.values():
        libc.mallopt(option, value)


def prepare_backend() -> None:
    """Set what TensorFlow or JAX reads when it is imported. Call it before Keras is.

    On a machine without a card TensorFlow need not look for one, and say so. On a card XLA is to add in one order, so that
    training again gives the same bytes, and to leave memory to others (both are read once, when JAX starts).

    Raises:
        ThawError: `KERAS_BACKEND` names a library that thaw does not run on.
    """
    os.environ["KERAS_BACKEND"] = keras_backend()  # Keras's own file of settings is not asked: it would change what comes out
    if Path("/proc/driver/nvidia").exists() or list_gpus():
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
        if "xla_gpu_deterministic_ops" not in os.environ.get("XLA_FLAGS", ""):
            os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_gpu_deterministic_ops=true".strip()
    else:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
