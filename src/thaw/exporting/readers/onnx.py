"""Open `model.onnx` with ONNX Runtime."""

import json

import onnxruntime


def open_model(folder):
    """The model's metadata, and a function from uint8 `(n, height, width, channels)`, pixels 0 to 255, to its logits and its
    probabilities `(n, classes)`, float32.
    """
    session = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
    metadata = json.loads(session.get_modelmeta().custom_metadata_map["thaw"])
    return metadata, lambda pixels: tuple(session.run(["logits", "probabilities"], {"pixels": pixels}))
