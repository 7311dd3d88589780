"""Whether one procedure of training is better than another, by scores on the same folds."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import t


@dataclass(frozen=True)
class Difference:
    """A mean difference with its interval."""

    mean: float
    low: float
    high: float

    @property
    def is_clear(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.low > 0 or self.high < 0


def paired_difference(
    first: np.ndarray, second: np.ndarray, test_to_train: float, coverage: float = 0.95
) -> Difference:
    """The mean of `first - second` over folds, with the interval of the corrected resampled t-test.

    Nadeau and Bengio, "Inference for the generalization error", Machine Learning 52 (2003), 239-281, equation 9: folds share
    training images, so that their differences depend on each other, and the variance of the mean is `1/n + test/train` times
    theirs and not `1/n`. For repeated cross-validation: Bouckaert and Frank, PAKDD 2004.

    Args:
        first, second: `(n,)`, two or more: scores on the same folds.
        test_to_train: images that a fold is judged on, by images that it is trained on: 1/4 with five folds; 0 for scores that
            depend on nothing common.
    """
    differences = np.asarray(first, np.float64) - np.asarray(second, np.float64)
    count = len(differences)
    mean = float(differences.mean())
    half = float(t.ppf((1 + coverage) / 2, count - 1) * differences.std(ddof=1) * np.sqrt(1 / count + test_to_train))
    return Difference(mean, mean - half, mean + half)


@dataclass(frozen=True)
class Spread:
    """Independent values in a few numbers."""

    mean: float
    deviation: float
    """The standard deviation of one value, with n - 1."""
    low: float
    high: float
    """The ends of the mean's interval."""


def spread(values: np.ndarray, coverage: float = 0.95) -> Spread:
    """Mean, standard deviation and Student's t interval of the mean, of independent `values` `(n,)`, two or more."""
    values = np.asarray(values, np.float64)
    centre = paired_difference(values, np.zeros(len(values)), 0.0, coverage)
    return Spread(centre.mean, float(values.std(ddof=1)), centre.low, centre.high)
