"""Read a legacy PyTorch state file (before 1.6) without PyTorch and without trust.

The file holds four pickles (magic number, protocol, system facts, state), a fifth with the storages' keys,
and then each storage as a little-endian int64 count and its raw numbers, in the order of the keys.
"""

import pickle
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from thaw.errors import ThawError

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_STORAGES = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}


@dataclass(frozen=True)
class _Storage:
    key: str
    dtype: np.dtype
    count: int


@dataclass(frozen=True)
class _Tensor:
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def read_state(path: Path) -> dict[str, np.ndarray]:
    """Read the tensors of a legacy PyTorch state file, each as a contiguous array of its own.

    Only what a state dictionary needs is let through; any other name in the pickle is refused before it is
    looked up.

    Raises:
        ThawError: the file is not such a file, is cut short, or asks for anything else.
    """
    try:
        with path.open("rb") as file:
            if _Unpickler(file).load() != _MAGIC or _Unpickler(file).load() != _PROTOCOL:
                raise ValueError("no legacy PyTorch file")
            if not _Unpickler(file).load()["little_endian"]:
                raise ValueError("big-endian numbers")
            state = _Unpickler(file).load()
            keys = _Unpickler(file).load()
            storages = _read_storages(file, keys, state)
        return {name: _strided(tensor, storages) for name, tensor in state.items()}
    except (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError, IndexError, ImportError,
            pickle.UnpicklingError) as error:  # fmt: skip
        raise ThawError(
            f"{path}: cannot be read as PyTorch weights: {error}", "Install its package again."
        ) from None


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _rebuild_tensor
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if module == "torch" and name in _STORAGES:
            return _STORAGES[name]
        raise pickle.UnpicklingError(f"it asks for {module}.{name}, which is not allowed")

    def persistent_load(self, pid: Any) -> _Storage:
        kind, dtype, key, _device, count, view = pid
        if kind != "storage" or view is not None:
            raise pickle.UnpicklingError("it holds something other than storages")
        return _Storage(str(key), np.dtype(dtype), int(count))


def _rebuild_tensor(storage: _Storage, offset: int, size: Any, stride: Any, *_gradient: Any) -> _Tensor:
    return _Tensor(storage, int(offset), tuple(map(int, size)), tuple(map(int, stride)))


def _read_storages(file: BinaryIO, keys: list[str], state: dict[str, _Tensor]) -> dict[str, np.ndarray]:
    known = {tensor.storage.key: tensor.storage for tensor in state.values()}
    storages = {}
    for key in keys:
        storage = known[key]
        count = int.from_bytes(file.read(8), "little", signed=True)
        if count != storage.count:
            raise ValueError(f"storage {key} holds {count} numbers, not {storage.count}")
        content = file.read(count * storage.dtype.itemsize)
        storages[key] = np.frombuffer(content, storage.dtype, count)
    return storages


def _strided(tensor: _Tensor, storages: dict[str, np.ndarray]) -> np.ndarray:
    """The tensor's numbers in the order of its shape: many are transposed in storage."""
    numbers = storages[tensor.storage.key]
    steps = list(zip(tensor.shape, tensor.strides, strict=True))
    last = tensor.offset + sum((size - 1) * stride for size, stride in steps)
    if tensor.offset < 0 or any(size < 1 or stride < 0 for size, stride in steps) or last >= numbers.size:
        raise ValueError("a tensor lies outside its storage")
    strides = [stride * numbers.itemsize for stride in tensor.strides]
    view = np.lib.stride_tricks.as_strided(numbers[tensor.offset :], tensor.shape, strides, writeable=False)
    return np.ascontiguousarray(view)
