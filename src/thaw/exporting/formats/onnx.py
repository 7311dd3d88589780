"""ONNX by tf2onnx, which keeps the graph's arithmetic; whole numbers by ONNX Runtime (QDQ, a scale for each channel)."""

import json
from pathlib import Path

import numpy as np

from thaw.errors import ThawError
from thaw.exporting.served import Served

REQUIREMENTS = ("onnxruntime",)
NEEDS = ("onnx", "tf2onnx")
NEEDS_INT8 = ("onnxruntime",)
IN_FLOAT = "sigmoid or softmax"
_OPSET = 18
_BATCH = 10


def write(served: Served, folder: Path, examples: np.ndarray | None) -> None:
    import onnx
    import tf2onnx

    constant = served.constant()
    model, _ = tf2onnx.convert.from_function(constant, input_signature=constant.input_signature, opset=_OPSET)
    _refuse_unknown(sorted({node.op_type for node in model.graph.node if not onnx.defs.has(node.op_type, node.domain)}))
    path = folder / "model.onnx"
    if examples is not None:
        plain = folder / "float32.onnx"
        onnx.save(model, plain)
        _quantize(plain, path, examples)
        plain.unlink()
        model = onnx.load(path)
    onnx.helper.set_model_props(model, {"thaw": json.dumps(served.metadata, ensure_ascii=False)})
    onnx.save(model, path)


def _refuse_unknown(operations: list[str]) -> None:
    """tf2onnx leaves what it cannot convert as it was: grouped convolutions, for one, which Keras compiles by XLA on a CPU."""
    if operations:
        raise ThawError(f"the network has operations that ONNX has not: {', '.join(operations)}",
                        "Choose --format openvino, litert or saved_model.")  # fmt: skip


def _quantize(plain: Path, path: Path, examples: np.ndarray) -> None:
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class _Examples(CalibrationDataReader):
        def __init__(self) -> None:
            self._starts = iter(range(0, len(examples), _BATCH))

        def get_next(self) -> dict[str, np.ndarray] | None:
            start = next(self._starts, None)
            return None if start is None else {"pixels": examples[start : start + _BATCH]}

    # Normalization and biases become part of the convolutions first: each by itself would be rounded by itself.
    quant_pre_process(plain, plain, skip_symbolic_shape=True)
    quantize_static(
        plain,
        path,
        _Examples(),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )
