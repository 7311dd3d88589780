"""Whether a winner is said to be better: where it is, and not where chance made it so."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from thaw.tuning.journal import DIVERGED, Score, ScoreJournal
from thaw.tuning.study import Trial, Work
from thaw.tuning.verdict import hold_against_today, say_verdict

BEST = Trial(3, {"model.dropout": 0.1})
PARTS = ((10, 11, 12, 13, 14), (15, 16, 17, 18, 19))


class Scores:
    """The winner is better by `gain` on average; the folds differ, and so does what it gains on each."""

    def __init__(self, gain: float, seed: int = 0) -> None:
        self.gain, self.seed = gain, seed

    def __call__(self, works: Sequence[Work]) -> Iterable[Mapping[int, Score]]:
        for work in works:
            yield {fold: self._score(bool(work.overrides), fold) for fold in work.folds}

    def _score(self, is_winner: bool, fold: int) -> Score:
        rng = np.random.default_rng([self.seed, fold])
        level, noise = rng.normal(0.5, 0.1), rng.normal(self.gain, 0.02)
        loss = level - noise * is_winner
        return DIVERGED if self.gain > 1 and is_winner else Score(loss, 1 - loss)


@pytest.mark.parametrize(
    ("gain", "said"),
    [(0.1, "better than"), (-0.1, "worse than"), (0.0, "not distinguishable from"), (2.0, "not comparable with")],
)
def test_the_verdict_is_what_the_folds_can_tell(tmp_path: Path, gain: float, said: str) -> None:
    differences = hold_against_today(BEST, PARTS, 5, Scores(gain), ScoreJournal(tmp_path, "key"))
    assert say_verdict(BEST, differences).startswith(f"{said} today's parameters")
    if gain <= 1:
        assert differences["log_loss"].low < -gain < differences["log_loss"].high
        assert differences["accuracy"].mean == pytest.approx(-differences["log_loss"].mean)


def test_what_is_no_better_is_seldom_called_so(tmp_path: Path) -> None:
    clear = [
        hold_against_today(BEST, PARTS, 5, Scores(0.0, seed), ScoreJournal(tmp_path / str(seed), "key"))["log_loss"].is_clear
        for seed in range(200)
    ]
    assert np.mean(clear) <= 0.05


def test_where_today_is_the_best_it_is_said() -> None:
    assert say_verdict(Trial(0, {}), {}) == "no trial was better than today's parameters"
