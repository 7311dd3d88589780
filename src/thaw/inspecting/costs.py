"""What a convolution costs: weights and multiply-adds, biases left out."""

from typing import NamedTuple


class Cost(NamedTuple):
    """Of one convolution on one picture."""

    weights: int
    multiply_adds: int


def standard_convolution(kernel: int, channels: int, filters: int, height: int, width: int) -> Cost:
    """Each of `filters` filters sees all `channels`; `height` and `width` are the output's."""
    weights = kernel * kernel * channels * filters
    return Cost(weights, weights * height * width)


def separable_convolution(kernel: int, channels: int, filters: int, height: int, width: int) -> Cost:
    """One filter a channel, then 1x1 filters over all channels (MobileNet: Howard et al. 2017, arXiv 1704.04861)."""
    weights = kernel * kernel * channels + channels * filters
    return Cost(weights, weights * height * width)
