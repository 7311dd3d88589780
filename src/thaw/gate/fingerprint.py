"""A picture's descriptor: its low spatial frequencies, which survive another size, coding or brightness."""

import numpy as np
from PIL import Image

SIDE_PIXELS = 32
FREQUENCIES = 16
_BASIS = np.cos(
    np.pi / SIDE_PIXELS * np.outer(np.arange(FREQUENCIES), np.arange(SIDE_PIXELS) + 0.5)
) * np.sqrt(2 / SIDE_PIXELS)
_BASIS[0] /= np.sqrt(2)
_ROW, _COLUMN = np.indices((FREQUENCIES, FREQUENCIES))
_LOW = np.flatnonzero(((_ROW + _COLUMN) > 0) & ((_ROW + _COLUMN) < FREQUENCIES))
DIMENSIONS = len(_LOW)


def describe(grey: Image.Image) -> bytes:
    """The lowest coefficients of the discrete cosine transform of `grey` (mode L), as `DIMENSIONS` int8.

    The picture is brought to 32 x 32 pixels, the mean is left out, and the coefficients are scaled to length 1, so that
    neither size nor brightness nor contrast count. A signed square root makes room for the small ones in 8 bits.
    """
    small = np.asarray(grey.resize((SIDE_PIXELS, SIDE_PIXELS), Image.Resampling.BOX), np.float64)
    low = (_BASIS @ small @ _BASIS.T).ravel()[_LOW]
    length = np.sqrt(low @ low)
    if length < 1e-6:
        return bytes(DIMENSIONS)
    unit = low / length
    return np.rint(np.sign(unit) * np.sqrt(np.abs(unit)) * 127).astype(np.int8).tobytes()
