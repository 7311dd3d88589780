"""LiteRT (TensorFlow Lite) by TensorFlow's converter, which calibrates whole numbers itself."""

import json
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from thaw.exporting.served import Served

REQUIREMENTS = ("ai-edge-litert",)
NEEDS = ()
NEEDS_INT8 = ()
IN_FLOAT = "scaling of pixels, sigmoid or softmax"
_LONG_AGO = (1980, 1, 1, 0, 0, 0)


def write(served: Served, folder: Path, examples: np.ndarray | None) -> None:
    path = folder / "model.tflite"
    path.write_bytes(_convert(served, examples))
    with zipfile.ZipFile(path, "a") as associated:  # behind the model, as TFLite has the files that belong to one
        for name, text in {
            "thaw.json": json.dumps(served.metadata, ensure_ascii=False),
            "labels.txt": "\n".join(served.metadata["classes"]),
        }.items():
            associated.writestr(zipfile.ZipInfo(name, _LONG_AGO), text)


def _convert(served: Served, examples: np.ndarray | None) -> bytes:
    """The model as a flat buffer; its signature `serving_default` has the names of the function.

    The converter leaves Keras's weights variables that nobody fills, so they are made constants before.
    """
    import tensorflow as tf

    infer = served.constant()
    with tempfile.TemporaryDirectory(prefix="thaw-") as temporary:
        module = tf.Module()
        module.infer = infer
        no_gradients = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
        tf.saved_model.save(module, temporary, signatures={"serving_default": infer}, options=no_gradients)
        converter = tf.lite.TFLiteConverter.from_saved_model(temporary, signature_keys=["serving_default"])
        if examples is not None:

            def feed() -> Iterator[dict[str, np.ndarray]]:
                return ({"pixels": image[None]} for image in examples)

            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.representative_dataset = feed
        converted: bytes = converter.convert()
        return converted
