"""Sets that `keras.datasets` fetches from the network: 70,000 or 60,000 small pictures in ten classes."""

import importlib
from collections.abc import Callable
from functools import partial

from thaw.demo.encoding import encode_png
from thaw.errors import ThawError

LICENCE = "Fetched by keras.datasets from its publishers; their licences hold"
_CLOTHES = ("T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")
_OBJECTS = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_CLASSES = {"mnist": tuple("0123456789"), "fashion_mnist": _CLOTHES, "cifar10": _OBJECTS}


def list_files(name: str) -> dict[str, Callable[[], bytes]]:
    """`{train,test}/<class>/<number>.png`.

    Raises:
        ThawError: the set can be neither fetched nor found in Keras's cache.
    """
    dataset = importlib.import_module(f"keras.datasets.{name}")
    try:
        train, test = dataset.load_data()
    except Exception as error:  # Keras raises a bare Exception where the network fails
        reason = str(error).splitlines()[0]
        raise ThawError(
            f"{name}: {reason}",
            "It comes from the network: see that there is one. `thaw demo digits` needs none.",
        ) from error
    return {
        f"{split}/{_CLASSES[name][int(label)]}/{number:05}.png": partial(encode_png, picture)
        for split, (pictures, labels) in (("train", train), ("test", test))
        for number, (picture, label) in enumerate(zip(pictures, labels.ravel(), strict=True))
    }
