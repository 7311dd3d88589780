"""The worked examples of `docs/teaching.md`: each function computes one of its blocks, and a test holds the page to them.

PYTHONPATH=src python examples/lessons.py
"""

from collections.abc import Callable

import keras
import numpy as np

from thaw.inspecting.costs import separable_convolution, standard_convolution
from thaw.inspecting.summary import summarize
from thaw.models import build
from thaw.params import ModelParams

PICTURE = np.array([
    [1, 1, 1, 0, 0],
    [0, 1, 1, 1, 0],
    [0, 0, 1, 1, 1],
    [0, 0, 1, 1, 0],
    [0, 1, 1, 0, 0],
])  # fmt: skip
KERNEL = np.array([[1, 0, 1], [0, 1, 0], [1, 0, 1]])


def output_size(side: int, kernel: int, stride: int = 1, padding: str = "valid") -> int:
    """Positions of a window along one side: `(side - kernel) // stride + 1`, or `ceil(side / stride)` with same padding."""
    return -(-side // stride) if padding == "same" else (side - kernel) // stride + 1


def _layer(layer: keras.layers.Layer, picture: np.ndarray, kernel: np.ndarray | None = None) -> np.ndarray:
    """What a Keras layer makes of one picture of one channel."""
    pixels = picture[None, :, :, None].astype("float32")
    layer.build(pixels.shape)
    if kernel is not None:
        layer.set_weights([kernel[:, :, None, None]])
    return keras.ops.convert_to_numpy(layer(pixels))[0, :, :, 0]


def _rows(values: np.ndarray) -> str:
    return "\n".join(" ".join(f"{value:4g}" for value in row) for row in values)


def convolution() -> str:
    """The picture, the kernel and their convolution."""
    valid = _layer(keras.layers.Conv2D(1, 3, use_bias=False), PICTURE, KERNEL)
    same = _layer(keras.layers.Conv2D(1, 3, padding="same", use_bias=False), PICTURE, KERNEL)
    strided = _layer(keras.layers.Conv2D(1, 3, strides=2, use_bias=False), PICTURE, KERNEL)
    return (
        f"picture\n{_rows(PICTURE)}\n\nkernel\n{_rows(KERNEL)}\n\nvalid padding: {valid.shape[0]} x {valid.shape[1]}\n"
        f"{_rows(valid)}\n\nsame padding: {same.shape[0]} x {same.shape[1]}\n{_rows(same)}\n\n"
        f"valid padding, stride 2: {strided.shape[0]} x {strided.shape[1]}\n{_rows(strided)}"
    )


def pooling() -> str:
    """The largest and the mean of each 2 x 2 window."""
    picture = np.array([[1, 3, 2, 1], [4, 6, 5, 0], [3, 1, 1, 2], [0, 2, 4, 8]])
    largest = _layer(keras.layers.MaxPooling2D(2), picture)
    mean = _layer(keras.layers.AveragePooling2D(2), picture)
    return f"picture\n{_rows(picture)}\n\nlargest\n{_rows(largest)}\n\nmean\n{_rows(mean)}"


def sizes() -> str:
    """Output sizes, by the formula."""
    lines = ["side kernel stride padding  output"]
    for side, kernel, stride, padding in (
        (5, 3, 1, "valid"), (5, 3, 1, "same"), (5, 3, 2, "valid"), (28, 5, 1, "same"), (28, 2, 2, "valid"),
        (14, 5, 1, "valid"), (227, 11, 4, "valid"), (224, 3, 2, "same"),
    ):  # fmt: skip
        lines.append(
            f"{side:4} {kernel:6} {stride:6} {padding:7} {output_size(side, kernel, stride, padding):7}"
        )
    return "\n".join(lines)


def sharing() -> str:
    """Weights of one layer from 28 x 28 to 28 x 28, as dense, local and shared connections."""
    pixels = 28 * 28
    rows = [
        ("dense: every output sees every pixel", pixels * pixels),
        ("local: every output sees 5 x 5 pixels of its own", pixels * 5 * 5),
        ("shared: all outputs use the same 5 x 5 weights", 5 * 5),
    ]
    return "\n".join(f"{name:50} {weights:9,}" for name, weights in rows)


def separable() -> str:
    """What a 5 x 5 convolution of 3 into 256 channels costs both ways, over 8 x 8 outputs."""
    lines = ["                  weights  multiply-adds"]
    for name, cost in (("standard", standard_convolution), ("depthwise separable", separable_convolution)):
        weights, multiply_adds = cost(5, 3, 256, 8, 8)
        lines.append(f"{name:19} {weights:6,} {multiply_adds:14,}")
    return "\n".join(lines)


def shapes() -> str:
    """LeNet-5 from a batch of pictures to the loss."""
    network = build(ModelParams(architecture="lenet5"), (28, 28, 1), 10, seed=1)
    lines = []
    for layer in summarize(network):
        part = "classifier" if layer.name in ("flatten", "hidden", "logits") else "feature extractor"
        shape = " x ".join(map(str, (32, *layer.output_shape)))
        lines.append(f"{part:18} {layer.name:12} {layer.kind:17} {shape:17} {layer.parameters:7,}")
    lines.append(f"{'loss':18} {'labels':12} {'one of 10 each':17} {'32 x 10':17}")
    lines.append(f"{'':18} {'loss':12} {'mean of the batch':17} {'one number':17}")
    return "\n".join(line.rstrip() for line in lines)


def logits() -> str:
    """The loss of one logit of a positive, taken as a logit and, by mistake, after a sigmoid."""
    values = np.array([-4.0, -1.0, 0.0, 1.0, 4.0], "float32")
    loss = keras.losses.BinaryCrossentropy(from_logits=True, reduction="none")
    positive = np.ones((len(values), 1), "float32")
    right = keras.ops.convert_to_numpy(loss(positive, values[:, None]))
    squeezed = keras.ops.convert_to_numpy(keras.ops.sigmoid(values))
    wrong = keras.ops.convert_to_numpy(loss(positive, squeezed[:, None]))
    lines = ["logit   loss of the logit   loss of its sigmoid, from_logits=True"]
    lines += [f"{v:5.0f} {r:19.3f} {w:21.3f}" for v, r, w in zip(values, right, wrong, strict=True)]
    return "\n".join(lines)


LESSONS: tuple[Callable[[], str], ...] = (convolution, pooling, sizes, sharing, separable, shapes, logits)


def main() -> None:
    """Print every block."""
    for lesson in LESSONS:
        print(f"## {lesson.__name__}\n\n{lesson()}\n")


if __name__ == "__main__":
    main()
