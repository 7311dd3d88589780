"""The classic networks learn scikit-learn's handwritten digits, with the augmentation and the `fit` of the pipeline."""

from dataclasses import dataclass

import keras
import numpy as np
import pytest
from sklearn.model_selection import train_test_split

from thaw import images
from thaw.augmentation.policy import make_view, picture_key
from thaw.demo import lay_out
from thaw.models import build, freeze
from thaw.params import AugmentParams, FitParams, ModelParams
from thaw.training.batches import Examples
from thaw.training.fit import Job, fit
from thaw.training.guard import Stop
from thaw.training.labels import Labels

VIEWS = 16
AUGMENT = AugmentParams(
    image_size=28, views=VIEWS, rotation_degrees=10, zoom=0.1, shift=0.08, horizontal_flip=False, vertical_flip=False,
    right_angle_turns=False, fill_mode="nearest",
)  # fmt: skip


@dataclass(frozen=True)
class _Pictures:
    """Pictures in memory, `(images, views, height, width, channels)`."""

    pixels: np.ndarray

    @property
    def count(self):
        return len(self.pixels)

    @property
    def views(self):
        return self.pixels.shape[1]

    @property
    def shape(self):
        return self.pixels.shape[2:]

    def gather(self, chosen, views):
        return self.pixels[chosen, views]


def _examples(pixels, classes):
    names = [str(number) for number in range(len(pixels))]
    views = np.stack([
        [make_view(picture, AUGMENT, picture_key(1, name), view) for view in range(VIEWS)]
        for name, picture in zip(names, pixels, strict=True)
    ])  # fmt: skip
    targets = np.eye(10, dtype="float32")[classes]
    return Examples(_Pictures(views), Labels(names, targets, np.ones(len(pixels), "float32")))


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """Train and held-out quarter: pixels `(n, 28, 28, 1)` and classes."""
    raw_dir = tmp_path_factory.mktemp("digits") / "raw"
    lay_out("digits", raw_dir)
    files = sorted(raw_dir.glob("*/*.png"))
    pixels = np.stack([images.load(file, 28, 28, 1) for file in files])
    classes = np.array([int(file.parent.name) for file in files])
    return train_test_split(pixels, classes, test_size=0.25, stratify=classes, random_state=1)


@pytest.mark.parametrize(("architecture", "epochs", "learning_rate", "wanted"), [
    ("lenet5", 30, 2e-3, 0.98), ("convnet_small", 15, 1e-3, 0.97), ("separable", 12, 1e-3, 0.97),
])  # fmt: skip
def test_digits_are_learned(digits, tmp_path, architecture, epochs, learning_rate, wanted):
    train_pixels, test_pixels, train_classes, test_classes = digits
    model = build(ModelParams(architecture=architecture), (28, 28, 1), 10, seed=1)
    freeze(model, "scratch", "", "train")
    params = FitParams(epochs=epochs, learning_rate=learning_rate, warmup_epochs=2, weight_decay=1e-3)
    train, watched = _examples(train_pixels, train_classes), _examples(test_pixels[:1], test_classes[:1])
    fit(model, params, train, watched, Job(1, 0, architecture, tmp_path, Stop()))
    predicted = keras.ops.convert_to_numpy(model(test_pixels, training=False)).argmax(1)
    accuracy = (predicted == test_classes).mean()
    print(f"{architecture}: {accuracy:.4f}")
    assert accuracy >= wanted
