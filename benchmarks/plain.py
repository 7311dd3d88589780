"""The baseline that thaw is measured against: transfer learning as a plain Keras script, the way notebooks do it.

Two classes in DIR/train/<class>/ and DIR/test/<class>/. Pictures are decoded and augmented anew each epoch by Keras's
ImageDataGenerator; a linear head is trained on the frozen backbone, then everything is thawed, compiled again at a low
learning rate and trained on. No validation split, no cache, no record.

    python -m benchmarks.plain DIR [--architecture vgg16 --weights FILE] [--epochs 20 20] [--steps 12] [--batch-size 8]

Prints one JSON line: seconds of import, of both phases, of the last epoch of each and in all, the test accuracy after
each phase, and with --further FOLDER the accuracy on the pictures in there, which no second is counted for.
"""

import argparse
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

STARTED = time.perf_counter()
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
SIDE = 224


def build_backbone(architecture: str, weights: str) -> tuple[Any, dict[str, Any]]:
    """The backbone without its top, and how ImageDataGenerator scales pixels for it."""
    import keras

    if architecture == "efficientnet_lite0":
        from thaw.models.efficientnet_lite import efficientnet_lite, load_imagenet

        scaled = keras.Input((SIDE, SIDE, 3))
        backbone = keras.Model(scaled, efficientnet_lite(scaled, architecture))
        load_imagenet(backbone, architecture)
        return backbone, {"preprocessing_function": lambda pixels: (pixels - 127.0) / 128.0}
    backbone = keras.applications.VGG16(weights=None, include_top=False, input_shape=(SIDE, SIDE, 3))
    if weights:
        backbone.load_weights(weights)
    return backbone, {"samplewise_center": True}


def open_train(folder: Path, scaling: dict[str, Any], batch_size: int, seed: int) -> Any:
    """Keras's iterator over a folder of classes, augmented and shuffled."""
    from tensorflow.keras.preprocessing.image import ImageDataGenerator

    augmentation = {
        "rotation_range": 10, "zoom_range": 0.1, "width_shift_range": 0.1, "height_shift_range": 0.1, "horizontal_flip": True,
    }  # fmt: skip
    generator = ImageDataGenerator(**augmentation, **scaling)
    return generator.flow_from_directory(
        folder, seed=seed, target_size=(SIDE, SIDE), class_mode="binary", batch_size=batch_size
    )


def open_test(folder: Path, scaling: dict[str, Any], batch_size: int) -> Any:
    """Keras's iterator over a folder of classes, plain and in order."""
    from tensorflow.keras.preprocessing.image import ImageDataGenerator

    generator = ImageDataGenerator(**scaling)
    return generator.flow_from_directory(
        folder, shuffle=False, target_size=(SIDE, SIDE), class_mode="binary", batch_size=batch_size
    )


def train_plainly(options: argparse.Namespace) -> dict[str, float]:
    """Run both phases; gives seconds and accuracies."""
    import keras

    keras.utils.set_random_seed(options.seed)
    backbone, scaling = build_backbone(options.architecture, options.weights)
    train = open_train(options.folder / "train", scaling, options.batch_size, options.seed)
    test = open_test(options.folder / "test", scaling, options.batch_size)
    steps = options.steps or len(train)
    pixels = keras.Input((SIDE, SIDE, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(backbone(pixels, training=False))
    model = keras.Model(pixels, keras.layers.Dense(1)(pooled))
    result = {"import_seconds": time.perf_counter() - STARTED}

    class EpochClock(keras.callbacks.Callback):
        """The seconds of each epoch, its validation included."""

        def __init__(self) -> None:
            super().__init__()
            self.seconds: list[float] = []

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self.began = time.perf_counter()

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self.seconds.append(time.perf_counter() - self.began)

    phases = (("frozen", False, keras.optimizers.RMSprop()), ("thawed", True, keras.optimizers.Adam(1e-5)))
    for (name, trainable, optimizer), epochs in zip(phases, options.epochs, strict=True):
        backbone.trainable = trainable
        loss = keras.losses.BinaryCrossentropy(from_logits=True)
        model.compile(optimizer, loss, metrics=[keras.metrics.BinaryAccuracy(threshold=0.0, name="accuracy")])
        clock = EpochClock()
        history = model.fit(
            _endless(train), epochs=epochs, steps_per_epoch=steps, validation_data=test, verbose=0, callbacks=[clock]
        )
        result[f"{name}_seconds"] = sum(clock.seconds)
        result[f"{name}_epoch_seconds"] = clock.seconds[-1]
        result[f"{name}_accuracy"] = history.history["val_accuracy"][-1]
    result["seconds"] = time.perf_counter() - STARTED
    if options.further:
        further = open_test(options.further, scaling, options.batch_size)
        result["further_accuracy"] = model.evaluate(further, verbose=0, return_dict=True)["accuracy"]
    return result


def _endless(iterator: Any) -> Iterator[Any]:
    while True:
        yield next(iterator)


def main() -> None:
    """Read the command line, train, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--architecture", choices=["efficientnet_lite0", "vgg16"], default="efficientnet_lite0")
    parser.add_argument("--weights", default="", help="a file, for vgg16")
    parser.add_argument("--epochs", type=int, nargs=2, default=[20, 20])
    parser.add_argument("--steps", type=int, default=0, help="of an epoch; 0: all images")
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--further", type=Path, help="more pictures to judge, as <class>/*")
    result = train_plainly(parser.parse_args())
    print(json.dumps({name: round(value, 4) for name, value in result.items()}))


if __name__ == "__main__":
    main()
