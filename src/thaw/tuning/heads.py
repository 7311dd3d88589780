"""Scores of heads on cached features: each fold is judged by a head that was trained without it."""

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from thaw.cross_validation.folds import assign_folds, count_folds
from thaw.cross_validation.material import Material, NothingToAudit, read_material
from thaw.cross_validation.out_of_fold import predict_out_of_fold
from thaw.errors import NotFinite, ThawError
from thaw.evaluation.metrics import LOWEST_PROBABILITY
from thaw.evaluation.predictions import Predictions
from thaw.files import digest, digest_folder
from thaw.fingerprint import code_digest, content_key, library_versions
from thaw.params import ComputeParams, Params
from thaw.tuning.journal import DIVERGED, Score
from thaw.tuning.space import override
from thaw.tuning.study import Scorer, Work
from thaw.tuning.workers import working


@dataclass(frozen=True)
class Features:
    """What `extract` and `split` left: the images that heads learn from, and are judged by. The test split is none of them."""

    features_dir: Path
    train_path: Path
    validation_path: Path
    classes_path: Path

    def digest(self) -> str:
        """Changes with what is in the files."""
        files = (self.train_path, self.validation_path, self.classes_path)
        return content_key(digest_folder(self.features_dir), *map(digest, files))

    @functools.lru_cache(1)  # noqa: B019 - one project a process
    def open(self) -> Material:
        """The images; read once in a process.

        Raises:
            ThawError: no features are kept, or they are of other splits.
        """
        try:
            return read_material(self.features_dir, self.train_path, self.validation_path, self.classes_path)
        except NothingToAudit as nothing:
            raise ThawError(
                str(nothing), "Set augment.views above 0 for a pretrained network; others have no heads to train alone."
            ) from None

    def count_folds(self, wanted: int) -> int:
        """How many folds the images can be divided into, at most `wanted`.

        Raises:
            ThawError: not even two.
        """
        material = self.open()
        return count_folds(material.labels, material.units, wanted, len(material.classes))


@dataclass(frozen=True)
class HeadTask:
    """Scores work of a search. It is sent to processes."""

    features: Features
    params: Params
    """Today's."""
    folds: int
    """Of a division of the images. Fold `n` is one of division `n // folds`, which has a seed of its own."""

    repeats = 2
    """Divisions that a search needs, where nobody says so."""
    confirming = 2
    """Further divisions, on which its winner is held against today's parameters."""

    def __call__(self, work: Work) -> dict[int, Score]:
        """The scores of each fold of a whole division; of a training that diverged an infinite loss."""
        division, first = work.folds[0] // self.folds, work.folds[0]
        assert work.folds == tuple(range(first, first + self.folds)), "heads of a division are one batch"
        seed = self.params.seed + division
        scores = _train_and_score(self.features.open(), override(self.params, work.overrides), self.folds, seed, seed)
        return dict(zip(work.folds, scores, strict=True))

    def divisions(self, first: int, count: int) -> tuple[tuple[int, ...], ...]:
        """The rounds of `count` divisions from number `first` on: the folds of one are trained together."""
        numbers = range(first, first + count)
        return tuple(tuple(range(number * self.folds, (number + 1) * self.folds)) for number in numbers)

    @contextmanager
    def scoring(self, workers: int, compute: ComputeParams) -> Iterator[Scorer]:
        """What scores work, in processes."""
        with working(self, workers, compute) as score:
            yield score

    def key(self) -> str:
        """All that decides a score, but what a trial sets."""
        code = code_digest("arrays.py", "cross_validation", "decision.py", "params", "training", "tuning/heads.py")
        own = self.params.flat(("seed", "model", "train_frozen"))
        return content_key("heads", self.features.digest(), own, self.folds, code, library_versions("numpy", "scipy"))


@dataclass(frozen=True)
class SeedTask:
    """Scores heads of one seed on all images, each by a head that was trained without it. It is sent to processes."""

    features: Features
    params: Params
    folds: int
    vary: str
    """`training`: the folds are those of today's seed; `all`: they are of each seed too."""

    def __call__(self, seed: int) -> Score:
        """The means over the folds.

        Raises:
            ThawError: the training diverged.
        """
        divide_by = seed if self.vary == "all" else self.params.seed
        scores = _train_and_score(self.features.open(), self.params, self.folds, divide_by, seed)
        if DIVERGED in scores:
            raise ThawError(f"a training diverged with seed {seed}", "Lower train_frozen.learning_rate.")
        return Score(*(float(np.mean([getattr(one, name) for one in scores])) for name in ("log_loss", "accuracy")))


def _train_and_score(material: Material, params: Params, count: int, divide_by: int, seed: int) -> list[Score]:
    """The score of each of `count` folds, of labels whatever heads are taught.

    Args:
        divide_by: seed of the division into folds.
        seed: of the training.
    """
    folds = assign_folds(material.labels, material.units, count, divide_by)
    # One thread: sums are added up in one order, however many processes share the cores.
    with threadpool_limits(1), np.errstate(all="ignore"):
        try:
            probabilities = predict_out_of_fold(material, folds, params.train_frozen, params.model, seed)
        except NotFinite:
            return [DIVERGED] * count
    predictions = material.predictions(probabilities)
    return [score_of(predictions.where(folds == fold)) for fold in range(count)]


def score_of(predictions: Predictions) -> Score:
    """What predictions are worth: the means over the images, as `evaluate` takes them."""
    losses = -np.log(np.maximum(predictions.true_probability, LOWEST_PROBABILITY))
    return Score(float(losses.mean()), float(predictions.correct.mean()))
