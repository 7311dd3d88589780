"""The search: the same trials whatever happens on the way, and an early end only where a test says so."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import wilcoxon

from thaw.params import Params
from thaw.tuning.journal import Score, ScoreJournal
from thaw.tuning.space import Choices, Range, Space
from thaw.tuning.study import GENERATION, Plan, Trial, Work, best_of, run_study

RATE, DROPOUT, DECAY = "train_frozen.learning_rate", "model.dropout", "train_frozen.weight_decay"
SPACE = Space(
    (Range(RATE, 1e-5, 1e-1, True, None, False), Range(DROPOUT, 0.0, 0.8, False, 0.1, False), Choices(DECAY, (0.0, 0.005))),
    Params(),
)
PLAN = Plan(14, ((0, 1, 2, 3, 4), (5, 6, 7, 8, 9)), 1)


class Killed(Exception):
    pass


class Valley:
    """Losses that are least at a learning rate of 3e-3 and a dropout of 0.2, with noise by trial and fold."""

    def __init__(self, most: int = 1000) -> None:
        self.most, self.scored = most, []

    def __call__(self, works: Sequence[Work]) -> Iterable[Mapping[int, Score]]:
        for work in works:
            if len(self.scored) == self.most:
                raise Killed
            self.scored.append(work)
            yield {fold: self._score(work.overrides, fold) for fold in work.folds}

    @staticmethod
    def _score(overrides: Mapping[str, float], fold: int) -> Score:
        rate, dropout = overrides.get(RATE, 1e-3), overrides.get(DROPOUT, 0.3)
        if rate > 0.05:
            return Score(float("inf"), 0.5)
        noise = np.random.default_rng([fold, int(rate * 1e9)]).normal(0, 0.02)
        loss = 0.3 + 0.05 * fold + np.log10(rate / 3e-3) ** 2 / 4 + (dropout - 0.2) ** 2 + noise
        return Score(float(loss), 1 - float(loss) / 2)


def search(folder: Path, scorer: Valley, plan: Plan = PLAN, space: Space = SPACE) -> list[Trial]:
    told: list[Trial] = []
    trials = run_study(space, plan, scorer, ScoreJournal(folder, "a key"), told.append)
    assert told == trials
    return trials


def test_a_search_that_was_killed_anywhere_goes_on_to_the_same_trials(tmp_path: Path) -> None:
    whole = Valley()
    expected = search(tmp_path / "whole", whole)
    for most in (0, 1, 5, 9, 17):
        first, second = Valley(most), Valley()
        with pytest.raises(Killed):
            search(tmp_path / str(most), first)
        with next((tmp_path / str(most)).glob("*"), tmp_path / "none").open("a") as journal:
            journal.write('{"sets": {"model.drop')
        assert search(tmp_path / str(most), second) == expected
        assert len(second.scored) == len(whole.scored) - most


def test_a_longer_search_begins_with_the_shorter_one(tmp_path: Path) -> None:
    longer = Plan(20, PLAN.rounds, PLAN.seed)
    short, long = search(tmp_path, Valley()), search(tmp_path, Valley(), longer)
    assert long[:15] == short and len(long) == 21


def test_another_seed_draws_others_and_the_valley_is_found(tmp_path: Path) -> None:
    first = search(tmp_path / "1", Valley(), Plan(30, PLAN.rounds, 1))
    other = search(tmp_path / "2", Valley(), Plan(30, PLAN.rounds, 2))
    assert [trial.overrides for trial in first] != [trial.overrides for trial in other]
    for trials in (first, other):
        best = best_of(trials)
        assert best.log_loss < trials[0].log_loss
        assert 1e-3 < best.overrides[RATE] < 1e-2


def test_trials_end_early_where_the_signed_rank_test_is_sure(tmp_path: Path) -> None:
    trials = search(tmp_path, Valley(), Plan(24, PLAN.rounds, 1))
    assert any(trial.ended_early for trial in trials) and not all(trial.ended_early for trial in trials[1:])
    for first in range(1, 25, GENERATION):
        before = best_of(trials[:first])
        for trial in trials[first : first + GENERATION]:
            losses = np.array([trial.scores[fold].log_loss for fold in range(5)])
            if not np.isfinite(losses).all():
                assert trial.ended_early
                continue
            differences = losses - [before.scores[fold].log_loss for fold in range(5)]
            surely_worse = wilcoxon(differences, alternative="greater", zero_method="zsplit").pvalue < 0.1
            worse_on_average = losses.mean() > before.log_loss
            assert trial.ended_early == (surely_worse and worse_on_average)
            assert len(trial.scores) == (5 if trial.ended_early else 10)


def test_todays_parameters_are_the_first_trial_also_outside_of_the_ranges(tmp_path: Path) -> None:
    outside = Space((Range(RATE, 2e-3, 1e-2, True, None, False),), Params())
    trials = search(tmp_path, Valley(), space=outside)
    assert trials[0].overrides == {} and len(trials[0].scores) == 10
    assert all(2e-3 <= trial.overrides[RATE] <= 1e-2 for trial in trials[1:])


def test_what_another_training_came_to_is_never_taken(tmp_path: Path) -> None:
    journal = ScoreJournal(tmp_path, "a key")
    journal.add({RATE: 1e-3}, {0: Score(0.5, 0.75)})
    assert ScoreJournal(tmp_path, "a key").find({RATE: 1e-3}, 0) == Score(0.5, 0.75)
    assert ScoreJournal(tmp_path, "a key").find({RATE: 1e-3}, 1) is None
    assert ScoreJournal(tmp_path, "other").find({RATE: 1e-3}, 0) is None
