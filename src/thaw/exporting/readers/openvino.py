"""Open `model.xml` with OpenVINO."""

import json

import openvino


def open_model(folder):
    """The model's metadata, and a function from uint8 `(n, height, width, channels)`, pixels 0 to 255, to its logits and its
    probabilities `(n, classes)`, float32.
    """
    core = openvino.Core()
    model = core.read_model(folder / "model.xml")
    metadata = json.loads(model.get_rt_info(["thaw", "metadata"]).value)
    # By itself OpenVINO computes in bfloat16 where the processor can: faster, and with other verdicts here and there.
    compiled = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})

    def run(pixels):
        found = compiled(pixels)
        return found["logits"].copy(), found["probabilities"].copy()

    return metadata, run
