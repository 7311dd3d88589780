"""Open `saved_model` with TensorFlow."""

import json
from pathlib import Path

import tensorflow as tf


def open_model(folder):
    """The model's metadata, and a function from uint8 `(n, height, width, channels)`, pixels 0 to 255, to its logits and its
    probabilities `(n, classes)`, float32.
    """
    path = Path(folder, "saved_model")
    model = tf.saved_model.load(str(path))
    infer = model.signatures["serving_default"]
    metadata = json.loads((path / "assets" / "thaw.json").read_text(encoding="utf-8"))

    def run(pixels, _model=model):  # which has to live as long as its signature
        found = infer(pixels=tf.constant(pixels))
        return found["logits"].numpy(), found["probabilities"].numpy()

    return metadata, run
