"""Open `model.tflite` with LiteRT, or with TensorFlow, which has it within."""

import json
import os
import warnings
import zipfile

try:
    from ai_edge_litert.interpreter import Interpreter
except ImportError:
    import tensorflow as tf

    Interpreter = tf.lite.Interpreter
    warnings.filterwarnings("ignore", "[\\s\\S]*tf.lite.Interpreter is deprecated")


def open_model(folder):
    """The model's metadata, and a function from uint8 `(n, height, width, channels)`, pixels 0 to 255, to its logits and its
    probabilities `(n, classes)`, float32.
    """
    path = str(folder / "model.tflite")
    with zipfile.ZipFile(path) as associated:  # files that belong to a model stand behind it, as TFLite has them
        metadata = json.loads(associated.read("thaw.json"))
    interpreter = Interpreter(path, num_threads=os.cpu_count())
    infer = interpreter.get_signature_runner("serving_default")

    def run(pixels):
        found = infer(pixels=pixels)
        return found["logits"].copy(), found["probabilities"].copy()

    return metadata, run
