"""The search itself: Optuna asks, trials are scored over the same folds, and those that are surely worse end early.

**Nothing depends on who works, or how many.** Trials are asked for in generations of one size: the draws of one depend on the
scores of the generations before and on its number alone. A trial ends early by the best of the generations before. So workers
may score a generation's trials in any order. A search that was killed is asked anew from the beginning, which takes
milliseconds, and its scores come from the journal: it goes on as if it had never stopped.
"""

import contextlib
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from thaw.tuning.journal import Score, ScoreJournal
from thaw.tuning.space import Space

GENERATION = 6
"""Trials of a generation. It decides what is drawn, and so it is nobody's to set."""
_P_THRESHOLD = 0.1
"""Of Wilcoxon's signed-rank test, against the best trial so far: Optuna's default."""


@dataclass(frozen=True)
class Work:
    """Folds to be scored with what a trial sets."""

    overrides: Mapping[str, Any]
    folds: tuple[int, ...]


Scorer = Callable[[Sequence[Work]], Iterable[Mapping[int, Score]]]
"""The scores of each work, in order, each given as soon as it is there. They depend on the work alone; of a training that
diverged the log loss is infinite."""


@dataclass
class Trial:
    """A trial, and how it does."""

    number: int
    """0: today's parameters."""
    overrides: Mapping[str, Any]
    scores: dict[int, Score] = field(default_factory=dict)
    """By fold."""
    ended_early: bool = False

    @property
    def log_loss(self) -> float:
        """The mean over its folds."""
        return float(np.mean([score.log_loss for score in self.scores.values()]))

    @property
    def accuracy(self) -> float:
        """The mean over its folds."""
        return float(np.mean([score.accuracy for score in self.scores.values()]))


@dataclass(frozen=True)
class Plan:
    """What decides a search, beside its space and how trials are scored."""

    trials: int
    """Beside today's parameters."""
    rounds: tuple[tuple[int, ...], ...]
    """The folds that are scored together; a trial may end early after each."""
    seed: int


def run_study(
    space: Space, plan: Plan, score: Scorer, journal: ScoreJournal, on_trial: Callable[[Trial], None]
) -> list[Trial]:
    """Search `space` for the lowest mean log loss over the folds.

    Args:
        on_trial: called with each trial that has ended, in the order of their numbers.

    Returns:
        The trials, today's parameters first.
    """
    from optuna.study import create_study

    with _quiet():
        study = create_study(direction="minimize", pruner=_pruner())
    distributions = {entry.key: entry.distribution() for entry in space.entries}
    today = _score_today(space, plan, score, journal, study, distributions)
    on_trial(today)
    ended = [today]
    for first in range(1, plan.trials + 1, GENERATION):
        numbers = range(first, min(first + GENERATION, plan.trials + 1))
        with _quiet():
            asked = [_ask(study, distributions, plan.seed, number) for number in numbers]
        trials = [Trial(number, space.overrides(one.params)) for number, one in zip(numbers, asked, strict=True)]
        _score_generation(trials, asked, plan, score, journal)
        with _quiet():
            for trial, one in zip(trials, asked, strict=True):
                # Optuna's way with this pruner: the mean of the folds that were scored tells the sampler more than "pruned".
                study.tell(one, trial.log_loss)
                on_trial(trial)
        ended += trials
    return ended


def best_of(trials: Sequence[Trial]) -> Trial:
    """The lowest mean log loss of those that were scored on all folds, the first of equals."""
    return min((trial for trial in trials if not trial.ended_early), key=lambda trial: trial.log_loss)


def score_all(works: Sequence[Work], score: Scorer, journal: ScoreJournal) -> list[dict[int, Score]]:
    """The scores of each work, from the journal as far as they are known there."""
    known = [{fold: found for fold in work.folds if (found := journal.find(work.overrides, fold))} for work in works]
    # Two trials may set the same.
    missing = {
        (repr(sorted(work.overrides.items())), work.folds): work
        for work, found in zip(works, known, strict=True)
        if len(found) < len(work.folds)
    }
    todo = list(missing.values())
    for work, scores in zip(todo, score(todo) if todo else [], strict=True):
        journal.add(work.overrides, scores)
    return [{fold: _known(journal, work, fold) for fold in work.folds} for work in works]


def _known(journal: ScoreJournal, work: Work, fold: int) -> Score:
    found = journal.find(work.overrides, fold)
    assert found is not None
    return found


def _score_today(
    space: Space, plan: Plan, score: Scorer, journal: ScoreJournal, study: Any, distributions: Mapping[str, Any]
) -> Trial:
    """Score today's parameters, and have Optuna know them where they are within the ranges."""
    from optuna.trial import create_trial

    parts = score_all([Work({}, part) for part in plan.rounds], score, journal)
    scores = {fold: one for part in parts for fold, one in part.items()}
    trial, drawn = Trial(0, {}, scores), space.today()
    if drawn is not None:
        values = {fold: one.log_loss for fold, one in scores.items()}
        with _quiet():
            study.add_trial(
                create_trial(params=drawn, distributions=dict(distributions), value=trial.log_loss, intermediate_values=values)
            )
    return trial


def _ask(study: Any, distributions: Mapping[str, Any], seed: int, number: int) -> Any:
    """Draw a trial, by a stream of its own: it does not matter how many were drawn since the search was started."""
    from optuna.samplers import TPESampler

    stream = int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
    study.sampler = TPESampler(seed=stream, constant_liar=True)
    return study.ask(dict(distributions))


def _score_generation(
    trials: Sequence[Trial], asked: Sequence[Any], plan: Plan, score: Scorer, journal: ScoreJournal
) -> None:
    """Score trials round by round, and end those that are surely worse than the best one that was told to the study."""
    for place, folds in enumerate(plan.rounds):
        going = [(trial, one) for trial, one in zip(trials, asked, strict=True) if not trial.ended_early]
        found = score_all([Work(trial.overrides, folds) for trial, _ in going], score, journal)
        is_last = place == len(plan.rounds) - 1
        for (trial, one), scores in zip(going, found, strict=True):
            trial.scores |= scores
            with _quiet():
                for fold, value in scores.items():
                    one.report(value.log_loss, fold)
                diverged = not np.isfinite(trial.log_loss)
                trial.ended_early = not is_last and (diverged or one.should_prune())


def _pruner() -> Any:
    from optuna.pruners import WilcoxonPruner

    return WilcoxonPruner(p_threshold=_P_THRESHOLD)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Optuna calls its pruner experimental, and logs each trial."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
        yield
