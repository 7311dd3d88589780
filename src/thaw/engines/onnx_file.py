"""Write an ONNX file: the protocol-buffer wire format of the few messages that a network needs.

Field numbers are those of onnx.proto3 (ONNX IR version 8, operator set 13).
"""

import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

_IR_VERSION = 8
_OPERATOR_SET = 13
_TENSOR_TYPES = {"float32": 1, "uint8": 2, "int64": 7}
_FLOAT, _INT, _STRING, _INTS = 1, 2, 3, 7  # AttributeProto.type


@dataclass
class Graph:
    """A network as nodes in order, with the tensors that are its weights."""

    nodes: list[bytes] = field(default_factory=list)
    tensors: list[bytes] = field(default_factory=list)
    _names: int = 0

    def weight(self, array: Any) -> str:
        """Add a constant; gives its name."""
        name, values = self._new_name("w"), np.ascontiguousarray(array)
        dims = b"".join(_integer(1, size) for size in values.shape)
        data_type = _integer(2, _TENSOR_TYPES[values.dtype.name])
        self.tensors.append(dims + data_type + _bytes(8, name.encode()) + _bytes(9, values.tobytes()))
        return name

    def node(self, operator: str, inputs: Iterable[str], **attributes: Any) -> str:
        """Add a node with one output; gives the output's name."""
        output = self._new_name("x")
        parts = [_bytes(1, name.encode()) for name in inputs]
        parts += [_bytes(2, output.encode()), _bytes(4, operator.encode())]
        parts += [_bytes(5, _attribute(name, value)) for name, value in sorted(attributes.items())]
        self.nodes.append(b"".join(parts))
        return output

    def encode(self, source: tuple[str, str, tuple[int, ...]], result: tuple[str, str, tuple[int, ...]]) -> bytes:
        """The file's bytes; `source` and `result` are name, dtype and shape of input and output."""
        graph = b"".join(_bytes(1, node) for node in self.nodes) + _bytes(2, b"network")
        graph += b"".join(_bytes(5, tensor) for tensor in self.tensors)
        graph += _bytes(11, _value(*source)) + _bytes(12, _value(*result))
        return _integer(1, _IR_VERSION) + _bytes(7, graph) + _bytes(8, _integer(2, _OPERATOR_SET))

    def _new_name(self, prefix: str) -> str:
        self._names += 1
        return f"{prefix}{self._names}"


def _value(name: str, dtype: str, shape: tuple[int, ...]) -> bytes:
    dims = b"".join(_bytes(1, _integer(1, size)) for size in shape)
    tensor = _integer(1, _TENSOR_TYPES[dtype]) + _bytes(2, dims)
    return _bytes(1, name.encode()) + _bytes(2, _bytes(1, tensor))


def _attribute(name: str, value: Any) -> bytes:
    start = _bytes(1, name.encode())
    if isinstance(value, float):
        return start + _key(2, 5) + struct.pack("<f", value) + _integer(20, _FLOAT)
    if isinstance(value, int):
        return start + _integer(3, value) + _integer(20, _INT)
    if isinstance(value, str):
        return start + _bytes(4, value.encode()) + _integer(20, _STRING)
    return start + b"".join(_integer(8, int(item)) for item in value) + _integer(20, _INTS)


def _integer(number: int, value: int) -> bytes:
    return _key(number, 0) + _varint(value)


def _bytes(number: int, value: bytes) -> bytes:
    return _key(number, 2) + _varint(len(value)) + value


def _key(number: int, wire_type: int) -> bytes:
    return _varint(number << 3 | wire_type)


def _varint(value: int) -> bytes:
    value &= (1 << 64) - 1  # negative numbers as 64-bit two's complement
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*encoded, value])
