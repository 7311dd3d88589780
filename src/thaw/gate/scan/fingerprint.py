"""A picture's descriptor: its low spatial frequencies, from which those of its crops follow."""

import cv2
import numpy as np

SIDE_PIXELS = 32
FREQUENCIES = 16
BYTES = FREQUENCIES**2
_DESCRIBED_PIXELS = 128  # with fewer, a picture and its enlargement fall on grids too different to be told alike


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


def shrink(levels: np.ndarray) -> np.ndarray:
    """Grey levels, uint8 `(height, width)`, as their means over 32 x 32 parts of the picture, uint8."""
    while min(levels.shape) >= 2 * _DESCRIBED_PIXELS:  # halves, which processors have instructions for
        height, width = levels.shape
        if height % 2 or width % 2:
            levels = cv2.copyMakeBorder(levels, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
        half = (width + 1) // 2, (height + 1) // 2
        levels = cv2.resize(levels, half, interpolation=cv2.INTER_AREA)
    return cv2.resize(levels, (SIDE_PIXELS, SIDE_PIXELS), interpolation=cv2.INTER_AREA)


def describe(shrunk: np.ndarray) -> list[bytes]:
    """The 16 x 16 lowest coefficients of the discrete cosine transform of each picture, as `BYTES` int8.

    The mean is left out, and the coefficients are scaled to length 1, so that neither brightness nor contrast count. A
    signed square root makes room for the small ones in 8 bits.

    Args:
        shrunk: uint8 `(n, 32, 32)`, as `shrink` gives them.
    """
    low = (_BASIS @ shrunk.astype(np.float64) @ _BASIS.T).reshape(len(shrunk), -1)
    low[:, 0] = 0.0
    length = np.sqrt(np.einsum("ij,ij->i", low, low))[:, None]
    low = np.where(length < 1e-6, 0.0, low / np.maximum(length, 1e-6))
    coded = np.rint(np.copysign(np.sqrt(np.abs(low)), low) * 127).astype(np.int8)
    return [row.tobytes() for row in coded]


def expand(descriptors: np.ndarray) -> np.ndarray:
    """int8 `(n, BYTES)` as `describe` gives it back to coefficients, float32 `(n, 16, 16)`."""
    return decode(descriptors).reshape(-1, FREQUENCIES, FREQUENCIES)


def decode(values: np.ndarray) -> np.ndarray:
    """Values of descriptors, int8 of any shape, back to coefficients, float32."""
    roots = values.astype(np.float32)
    roots /= 127
    return np.copysign(roots * roots, roots)
