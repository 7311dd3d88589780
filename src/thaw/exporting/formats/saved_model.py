"""TensorFlow's SavedModel, in float32 alone: TensorFlow has no kernels for whole numbers."""

import json
import tempfile
from pathlib import Path

import numpy as np

from thaw.exporting.served import Served

REQUIREMENTS = ("tensorflow",)
NEEDS = ()
NEEDS_INT8 = None
IN_FLOAT = ""


def write(served: Served, folder: Path, examples: np.ndarray | None) -> None:
    import tensorflow as tf

    module = tf.Module()
    with tempfile.TemporaryDirectory(prefix="thaw-") as temporary:
        told = Path(temporary, "thaw.json")
        told.write_text(json.dumps(served.metadata, ensure_ascii=False), encoding="utf-8")
        # What a module has as an attribute is saved with it.
        module.metadata, module.network, module.infer = tf.saved_model.Asset(str(told)), served.network, served.function
        tf.saved_model.save(module, str(folder / "saved_model"), signatures={"serving_default": served.function})
