"""scikit-learn's 1,797 handwritten digits, 8x8 pixels."""

from collections.abc import Callable
from functools import partial

import numpy as np

from thaw.demo.encoding import encode_png


def list_files() -> dict[str, Callable[[], bytes]]:
    """`<digit>/<number>.png`, 8-bit grey: seventeen steps of ink, 0 to 16, as 0 to 255."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    pictures = np.rint(digits.images * (255 / 16)).astype("uint8")
    return {
        f"{label}/{number:04}.png": partial(encode_png, picture)
        for number, (label, picture) in enumerate(zip(digits.target, pictures, strict=True))
    }
