"""Speed of looking inside: filters, Grad-CAM and `thaw model show`, as ratios measured in one run. Prints Markdown.

    python -m benchmarks.explain [--vgg16-weights FILE]

Targets: 64 filters of VGG16 at 150 pixels in under 60 s on two cores; Grad-CAM at least 0.7 times the images/s of a
forward and backward pass; `thaw model show` under 1.5 times the import of TensorFlow.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np

BATCH = 16


def measure_filters(weights: str) -> float:
    """Seconds for the 64 filters of `block1_conv2`, 40 steps, in one batch."""
    from thaw.explain.filters import find_patterns
    from thaw.models import build
    from thaw.params import ModelParams

    model = build(ModelParams(architecture="vgg16", weights=weights), (150, 150, 3), 2, seed=1)
    started = time.perf_counter()
    find_patterns(model, "block1_conv2", range(64))
    return time.perf_counter() - started


def measure_grad_cam() -> tuple[float, float]:
    """Images/s of Grad-CAM on EfficientNet-Lite0, and of a pass forward and backward through all its weights."""
    import tensorflow as tf

    from thaw.explain.grad_cam import prepare_grad_cam
    from thaw.models import build, freeze
    from thaw.params import ModelParams

    model = build(ModelParams(weights="none"), (224, 224, 3), 2, seed=1)
    freeze(model, "full", "", "frozen")
    pictures = np.random.default_rng(0).integers(0, 256, (BATCH, 224, 224, 3)).astype("float32")
    grad_cam = prepare_grad_cam(model)

    @tf.function
    def step(pixels: tf.Tensor) -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            logits = model(pixels, training=False)
        return tape.gradient(logits, model.trainable_variables)

    both = BATCH / _median_seconds(lambda: step(tf.constant(pictures))[0].numpy())
    return BATCH / _median_seconds(lambda: grad_cam(pictures, np.array(1))), both


def measure_show() -> tuple[float, float]:
    """Seconds of `thaw model show efficientnet_lite0`, and of importing TensorFlow: the least of three each."""
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    commands = (["-m", "thaw", "model", "show", "efficientnet_lite0"], ["-c", "import tensorflow"])
    seconds: list[list[float]] = [[], []]
    for _ in range(3):
        for command, times in zip(commands, seconds, strict=True):
            started = time.perf_counter()
            subprocess.run([sys.executable, *command], check=True, capture_output=True, env=environment)
            times.append(time.perf_counter() - started)
    return min(seconds[0]), min(seconds[1])


def _median_seconds(run: Callable[[], object], times: int = 7) -> float:
    run()
    seconds = []
    for _ in range(times):
        started = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--vgg16-weights", default="none", help="a file; random weights take as long")
    arguments = parser.parse_args()
    show, tensorflow = measure_show()
    cam, both = measure_grad_cam()
    seconds = measure_filters(arguments.vgg16_weights)
    print("| what | measured | target |\n|---|---|---|")
    print(f"| 64 filters of VGG16 at 150 px, 40 steps | {seconds:.0f} s | under 60 s |")
    rates = f"{cam:.1f} / {both:.1f} images/s: {cam / both:.2f}"
    print(f"| Grad-CAM / forward and backward, Lite0 | {rates} | at least 0.7 |")
    ratio = f"{show:.1f} / {tensorflow:.1f} s: {show / tensorflow:.2f}"
    print(f"| `thaw model show` / `import tensorflow` | {ratio} | under 1.5 |")


if __name__ == "__main__":
    main()
