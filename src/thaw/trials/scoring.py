"""Scores of a search whose trials are whole trainings."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np

from thaw.cross_validation.folds import assign_folds
from thaw.cross_validation.material import Material
from thaw.errors import NotFinite
from thaw.fingerprint import content_key, package_digest
from thaw.params import ComputeParams, Params
from thaw.trials.whole import WholeTraining
from thaw.tuning.heads import score_of
from thaw.tuning.journal import DIVERGED, Score
from thaw.tuning.space import override
from thaw.tuning.study import Scorer, Work


@dataclass(frozen=True)
class WholeTask:
    """Scores work of a search by whole models, one after the other: each has all cores."""

    training: WholeTraining
    """With today's parameters."""
    material: Material
    folds: int
    """Of a division of the images, as `thaw.tuning.heads.HeadTask` numbers them."""
    data: str
    """What the images are."""

    repeats = 1
    confirming = 1

    @property
    def params(self) -> Params:
        """Today's."""
        return self.training.params

    def divisions(self, first: int, count: int) -> tuple[tuple[int, ...], ...]:
        """A round a fold: a trial may end after each."""
        return tuple((fold,) for fold in range(first * self.folds, (first + count) * self.folds))

    def key(self) -> str:
        """All that decides a score, but what a trial sets."""
        own = self.params.flat(("seed", "model", "augment", "extract", "train_frozen", "fine_tune"))
        return content_key("whole", self.data, own, self.folds, package_digest())

    @contextmanager
    def scoring(self, workers: int, compute: ComputeParams) -> Iterator[Scorer]:
        """What scores work, in this process."""
        del workers, compute
        yield lambda works: map(self._score, works)

    def _score(self, work: Work) -> dict[int, Score]:
        (fold,) = work.folds
        division, number = divmod(fold, self.folds)
        seed = self.params.seed + division
        folds = assign_folds(self.material.labels, self.material.units, self.folds, seed)
        trained = content_key(sorted(work.overrides.items()))
        params = override(self.params, work.overrides)
        training = replace(self.training, params=params, work_dir=self.training.work_dir / trained)
        try:
            found = training.judge(self.material, folds, number, seed)
        except NotFinite:
            return {fold: DIVERGED}
        probabilities = np.zeros((len(folds), len(self.material.classes)))
        probabilities[folds == number] = found
        return {fold: score_of(self.material.predictions(probabilities).where(folds == number))}
