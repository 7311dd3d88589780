"""Pictures made here, as files."""

import io

import numpy as np
from PIL import Image


def encode_png(picture: np.ndarray) -> bytes:
    """The bytes of a PNG; `picture` is uint8 `(height, width)` or `(height, width, 3)`."""
    content = io.BytesIO()
    Image.fromarray(picture).save(content, "PNG")
    return content.getvalue()
