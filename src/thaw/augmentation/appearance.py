"""What changes a picture's colours and hides a part of it, and moves nothing."""

import cv2
import numpy as np

from thaw.params import AugmentParams

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
"""ITU-R BT.601."""
_ERASED_AREA, _ERASED_ASPECT = (0.02, 1 / 3), (0.3, 1 / 0.3)
_TRIES = 4


def change_colors(picture: np.ndarray, params: AugmentParams, draws: np.ndarray) -> np.ndarray:
    """The picture with other contrast, saturation and hue, and blurred; uint8 `(size, size, channels)` in and out.

    Contrast and saturation blend, by a factor within 1 ± the parameter, with the picture's mean grey and with its own grey; hue
    turns the colours' circle.

    Args:
        draws: uniform in [-1, 1), the first four are used.
    """
    values, draws = picture.astype(np.float32), draws.astype(np.float32)  # a float64 draw would make all of it float64
    if params.contrast:
        mean = _grey(values).mean()
        values = ((values - mean) * (1 + params.contrast * draws[0]) + mean).clip(0, 255)
    if picture.shape[2] == 3 and params.saturation:
        grey = _grey(values)[:, :, None]
        values = ((values - grey) * (1 + params.saturation * draws[1]) + grey).clip(0, 255)
    if picture.shape[2] == 3 and params.hue:
        hsv = cv2.cvtColor(values / 255, cv2.COLOR_RGB2HSV)
        hsv[:, :, 0] = (hsv[:, :, 0] + 360 * params.hue * draws[2]) % 360
        values = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB) * 255
    if params.blur:
        sigma = params.blur * (draws[3] + 1) / 2
        # Of a standard deviation of a tenth of a pixel the neighbours' share is nothing.
        values = cv2.GaussianBlur(values, (0, 0), sigma) if sigma > 0.1 else values
    return np.rint(values).clip(0, 255).astype(np.uint8).reshape(picture.shape)


def erase(picture: np.ndarray, params: AugmentParams, rng: np.random.Generator) -> np.ndarray:
    """The picture with a rectangle of noise in it, by the probability that `params` has (Zhong et al. 2020, arXiv 1708.04896).

    It covers 2 % to 33 % of the picture, its height by its width is 0.3 to 3.3, as the paper has them in table 3.
    """
    if rng.random() >= params.erasing:
        return picture
    side = picture.shape[0]
    for _ in range(_TRIES):  # a rectangle that is longer than the picture is drawn anew
        area, aspect = rng.uniform(*_ERASED_AREA) * side**2, np.exp(rng.uniform(*np.log(_ERASED_ASPECT)))
        height, width = round(float(np.sqrt(area * aspect))), round(float(np.sqrt(area / aspect)))
        if 0 < height < side and 0 < width < side:
            top, left = rng.integers(0, side - height + 1), rng.integers(0, side - width + 1)
            erased = picture.copy()
            erased[top : top + height, left : left + width] = rng.integers(0, 256, (height, width, picture.shape[2]))
            return erased
    return picture


def _grey(values: np.ndarray) -> np.ndarray:
    return values[:, :, 0] if values.shape[2] == 1 else values @ _LUMA
