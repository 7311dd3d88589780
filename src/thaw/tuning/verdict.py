"""Whether the winner of a search is better than today's parameters."""

from collections.abc import Mapping, Sequence

import numpy as np

from thaw.statistics.comparison import Difference, paired_difference
from thaw.tuning.journal import DIVERGED, ScoreJournal
from thaw.tuning.study import Scorer, Trial, Work, score_all


def hold_against_today(
    best: Trial, parts: Sequence[tuple[int, ...]], folds: int, score: Scorer, journal: ScoreJournal
) -> dict[str, Difference]:
    """The differences of the winner to today's parameters, in `log_loss` and `accuracy`.

    Args:
        parts: folds that are scored together. The search must not have used them: of many trials the best is the one that the
            search's own folds flatter most.
        folds: of a division of the images.

    Returns:
        The differences by name; none where a training diverged.
    """
    works = [Work(overrides, part) for overrides in (best.overrides, {}) for part in parts]
    scores = [one for scored in score_all(works, score, journal) for one in scored.values()]
    if DIVERGED in scores:
        return {}
    first, second = scores[: len(scores) // 2], scores[len(scores) // 2 :]
    test_to_train = 1 / (folds - 1)

    def difference(name: str) -> Difference:
        ours, theirs = (np.array([getattr(one, name) for one in some]) for some in (first, second))
        return paired_difference(ours, theirs, test_to_train)

    return {name: difference(name) for name in ("log_loss", "accuracy")}


def say_verdict(best: Trial, differences: Mapping[str, Difference]) -> str:
    """What `hold_against_today` found, in words."""
    if not best.overrides:
        return "no trial was better than today's parameters"
    if not differences:
        return "not comparable with today's parameters: a training diverged on folds that the search did not use"
    loss = differences["log_loss"]
    if not loss.is_clear:
        return "not distinguishable from today's parameters"
    return f"{'better' if loss.mean < 0 else 'worse'} than today's parameters"
