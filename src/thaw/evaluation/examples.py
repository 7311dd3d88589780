"""Which images are worth explaining."""

from itertools import zip_longest

import numpy as np

from thaw.evaluation.predictions import Predictions


def choose_examples(predictions: Predictions, count: int) -> list[int]:
    """The surest mistakes, at most half of `count`, then the surest right answers, class by class in turn."""
    surest = np.argsort(-predictions.certainty, kind="stable")
    right = predictions.correct[surest]
    mistakes = surest[~right][: count // 2].tolist()
    of_class = [
        surest[right & (predictions.predicted[surest] == label)][:count].tolist()
        for label in range(len(predictions.classes))
    ]
    in_turn = [image for turn in zip_longest(*of_class) for image in turn if image is not None]
    return mistakes + in_turn[: count - len(mistakes)]


def caption(predictions: Predictions, image: int, path: str) -> str:
    """What stands over an explained image."""
    predicted, true = predictions.predicted[image], predictions.labels[image]
    truth = "rightly" if predicted == true else f"but it is {predictions.classes[true]}"
    return f"{predictions.describe(image)}, {truth}: {path}"
