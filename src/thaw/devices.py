"""What the machine has, told without TensorFlow."""

import contextlib
import os
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_GIB = 1024**3


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


def prepare_tensorflow() -> None:
    """Set what TensorFlow reads when it is imported: on a machine without a card it need not look for one, and say so."""
    if Path("/proc/driver/nvidia").exists() or list_gpus():
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    else:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
