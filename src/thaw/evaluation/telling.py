"""Which images are worth explaining."""

from itertools import zip_longest

import numpy as np

from thaw.evaluation.judgement import Judgement


def choose_telling(judgement: Judgement, count: int) -> list[int]:
    """The surest mistakes, at most half of `count`, then the surest right answers, class by class in turn."""
    surest = np.argsort(-judgement.certainty, kind="stable")
    right = judgement.correct[surest]
    mistakes = surest[~right][: count // 2].tolist()
    of_class = [
        surest[right & (judgement.predicted[surest] == label)][:count].tolist()
        for label in range(len(judgement.classes))
    ]
    in_turn = [image for turn in zip_longest(*of_class) for image in turn if image is not None]
    return mistakes + in_turn[: count - len(mistakes)]


def caption(judgement: Judgement, image: int, path: str) -> str:
    """What stands over an explained image."""
    said, true = judgement.predicted[image], judgement.labels[image]
    truth = "rightly" if said == true else f"but it is {judgement.classes[true]}"
    return f"{judgement.tell(image)}, {truth}: {path}"
