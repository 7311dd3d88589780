"""A picture's descriptor: its low spatial frequencies, from which those of its crops follow."""

import numpy as np
from PIL import Image

SIDE_PIXELS = 32
FREQUENCIES = 16
BYTES = FREQUENCIES**2


def cosines(frequencies: int, samples: int, start: float = 0.0, end: float = 1.0) -> np.ndarray:
    """The cosine basis on the part `start` to `end` of an axis of length 1, each sample a cell of equal width.

    Returns:
        float64 `(frequencies, samples)`, zero outside the part: the mean of each cosine over each cell.
    """
    edges = np.clip(np.arange(samples + 1) / samples, start, end)
    at = (edges - start) / (end - start)
    waves = np.arange(1, frequencies)[:, None] * np.pi
    integrals = np.vstack([at, np.sqrt(2) * np.sin(waves * at) / waves])
    return np.diff(integrals, axis=1)


_BASIS = cosines(FREQUENCIES, SIDE_PIXELS)


def describe(grey: Image.Image) -> bytes:
    """The 16 x 16 lowest coefficients of the discrete cosine transform of `grey` (mode L), as `BYTES` int8.

    The picture is brought to 32 x 32 pixels, the mean is left out, and the coefficients are scaled to length 1, so
    that neither size nor brightness nor contrast count. A signed square root makes room for the small ones in 8 bits.
    """
    small = np.asarray(grey.resize((SIDE_PIXELS, SIDE_PIXELS), Image.Resampling.BOX), np.float64)
    low = _BASIS @ small @ _BASIS.T
    low[0, 0] = 0.0
    length = np.sqrt(np.vdot(low, low))
    if length < 1e-6:
        return bytes(BYTES)
    low /= length
    return np.rint(np.copysign(np.sqrt(np.abs(low)), low) * 127).astype(np.int8).tobytes()


def expand(descriptors: np.ndarray) -> np.ndarray:
    """int8 `(n, BYTES)` as `describe` gives it back to coefficients, float32 `(n, 16, 16)`."""
    roots = descriptors.reshape(-1, FREQUENCIES, FREQUENCIES).astype(np.float32) / 127
    return np.copysign(roots * roots, roots)
