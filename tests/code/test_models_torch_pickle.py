"""The reader of legacy PyTorch files: right on strided tensors, closed to everything else. No TensorFlow."""

import os
import pickle
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest

from thaw.errors import ThawError
from thaw.models.torch_pickle import read_state

MAGIC = 0x1950A86A20F9469CFC6C
GLOBALS = {"tensor": b"torch._utils\n_rebuild_tensor_v2", "float": b"torch\nFloatStorage"}


class _Storage:
    def __init__(self, key: str, count: int) -> None:
        self.key, self.count = key, count


class _Pickler(pickle._Pickler):  # the Python one: `save` can be taken over
    def save(self, obj: object, save_persistent_id: bool = True) -> None:
        if isinstance(obj, _Tensor):
            self.write(pickle.GLOBAL + obj.function + b"\n")
            self.save((obj.storage, obj.offset, obj.size, obj.stride, False, OrderedDict()))
            self.write(pickle.REDUCE)
        elif isinstance(obj, _Storage):
            self.write(pickle.MARK)
            self.save("storage")
            self.write(pickle.GLOBAL + GLOBALS["float"] + b"\n")
            for part in (obj.key, "cpu", obj.count, None):
                self.save(part)
            self.write(pickle.TUPLE + pickle.BINPERSID)
        else:
            super().save(obj, save_persistent_id)


class _Tensor:
    def __init__(self, storage, offset, size, stride, function=GLOBALS["tensor"]):
        self.storage, self.offset, self.size, self.stride, self.function = (
            storage,
            offset,
            size,
            stride,
            function,
        )


HEADER = (MAGIC, 1001, {"little_endian": True})


def _write(path: Path, tensors: dict, storages: dict[str, np.ndarray], header: tuple = HEADER) -> Path:
    with path.open("wb") as file:
        for part in (*header, OrderedDict(tensors), sorted(storages)):
            _Pickler(file, protocol=2).dump(part)
        for key in sorted(storages):
            file.write(len(storages[key]).to_bytes(8, "little"))
            file.write(storages[key].astype("<f4").tobytes())
    return path


def test_strides_and_offsets_are_honoured(tmp_path):
    numbers = np.arange(14, dtype="f4")
    transposed = _Tensor(_Storage("7", 14), 2, (3, 4), (1, 3))
    scalar = _Tensor(_Storage("7", 14), 5, (), ())
    state = read_state(_write(tmp_path / "w.pth", {"a": transposed, "b": scalar}, {"7": numbers}))
    np.testing.assert_array_equal(state["a"], numbers[2:].reshape(4, 3).T)
    assert state["a"].flags.c_contiguous
    assert state["b"] == 5


def test_a_tensor_may_end_where_its_storage_does(tmp_path):
    last = _Tensor(_Storage("7", 6), 2, (2, 2), (2, 1))  # numbers 2, 3, 4 and 5
    state = read_state(_write(tmp_path / "w.pth", {"a": last}, {"7": np.arange(6, dtype="f4")}))
    np.testing.assert_array_equal(state["a"], [[2, 3], [4, 5]])
    repeated = _Tensor(_Storage("7", 1), 0, (3,), (0,))
    state = read_state(_write(tmp_path / "w.pth", {"a": repeated}, {"7": np.float32([4])}))
    np.testing.assert_array_equal(state["a"], [4, 4, 4])


@pytest.mark.parametrize(("header", "reason"), [
    ((MAGIC + 1, 1001, {"little_endian": True}), "no legacy PyTorch file"),
    ((MAGIC, 1002, {"little_endian": True}), "no legacy PyTorch file"),
    ((MAGIC, 1001, {"little_endian": False}), "big-endian"),
])  # fmt: skip
def test_another_kind_of_file_is_refused(tmp_path, header, reason):
    tensor = _Tensor(_Storage("7", 4), 0, (4,), (1,))
    path = _write(tmp_path / "w.pth", {"a": tensor}, {"7": np.zeros(4, "f4")}, header)
    with pytest.raises(ThawError, match=reason):
        read_state(path)


@pytest.mark.parametrize("tensor", [
    _Tensor(_Storage("7", 14), 0, (0,), (1,)),
    _Tensor(_Storage("7", 14), 14, (1,), (1,)),
    _Tensor(_Storage("7", 14), 3, (3, 4), (1, 3)),
    _Tensor(_Storage("7", 14), 0, (2,), (-1,)),
    _Tensor(_Storage("7", 14), -1, (2,), (1,)),
    _Tensor(_Storage("7", 99), 0, (2,), (1,)),
])  # fmt: skip
def test_a_tensor_outside_its_storage_is_refused(tmp_path, tensor):
    path = _write(tmp_path / "w.pth", {"a": tensor}, {"7": np.zeros(14, "f4")})
    with pytest.raises(ThawError, match=r"storage"):
        read_state(path)


@pytest.mark.parametrize("function", [b"os\nsystem", b"builtins\neval", b"torch._utils\n_rebuild_parameter"])
def test_any_other_name_is_refused(tmp_path, function):
    evil = _Tensor(_Storage("7", 1), 0, (1,), (1,), function)
    with pytest.raises(ThawError, match="not allowed"):
        read_state(_write(tmp_path / "w.pth", {"a": evil}, {"7": np.zeros(1, "f4")}))


def test_a_pickle_that_would_run_a_command_does_not(tmp_path):
    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "pwned"),)

    (tmp_path / "w.pth").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(ThawError, match="not allowed"):
        read_state(tmp_path / "w.pth")
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize("length", [0, 1, 30, 120, -1])
def test_a_torn_file_is_refused(tmp_path, length):
    path = _write(
        tmp_path / "w.pth", {"a": _Tensor(_Storage("7", 4), 0, (4,), (1,))}, {"7": np.zeros(4, "f4")}
    )
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(ThawError, match="cannot be read"):
        read_state(path)
