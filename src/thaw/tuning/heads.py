"""Scores of heads on cached features: each fold is judged by a head that was trained without it."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import log_softmax
from threadpoolctl import threadpool_limits

from thaw.arrays import Rows
from thaw.errors import ThawError
from thaw.files import digest, digest_folder, read_json
from thaw.fingerprint import code_digest, content_key, library_versions
from thaw.params import Params
from thaw.splitting.files import read_classes, read_split
from thaw.splitting.folds import assign_folds, count_folds, number_units
from thaw.training.heads import Head, predict_logits, train_heads
from thaw.training.labels import make_labels
from thaw.tuning.journal import Score
from thaw.tuning.space import override
from thaw.tuning.study import Work


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

    def require(self) -> None:
        """Raise a `ThawError` where `extract` had no reason to keep features."""
        facts = read_json(self.features_dir / "features.json")
        if not facts["features"]:
            raise ThawError(
                f"{self.features_dir.name}: there are no features to train heads on: {facts['reason']}",
                "Whole trainings need none: search a key of fine_tune, or leave --heads out.",
            )


@dataclass(frozen=True)
class HeadTask:
    """Scores work of a search. It is sent to processes; what it reads is read once in each."""

    features: Features
    params: Params
    """Today's."""
    folds: int
    """Of each division of the images. Fold `n` is one of division `n // folds`, which has a seed of its own."""

    def __call__(self, work: Work) -> dict[int, Score]:
        """The scores of each fold; of a training that diverged an infinite loss."""
        params, opened = override(self.params, work.overrides), _open(self.features)
        scores: dict[int, Score] = {}
        for division in sorted({fold // self.folds for fold in work.folds}):
            seed = self.params.seed + division
            own = [fold for fold in work.folds if fold // self.folds == division]
            found = opened.score(params, seed, opened.divide(self.folds, seed), [fold % self.folds for fold in own])
            scores |= dict(zip(own, found, strict=True))
        return scores

    def key(self) -> str:
        """All that decides a score, but what a trial sets."""
        code = code_digest("arrays.py", "params", "splitting/folds.py", "training", "tuning/heads.py")
        own = {name: value for name, value in self.params.flat(("seed", "model", "train_frozen")).items() if "devices" not in name}
        return content_key("heads", self.features.digest(), own, self.folds, code, library_versions("numpy", "scipy"))


@dataclass(frozen=True)
class SeedTask:
    """Scores heads of one seed on all images, each by a head that was trained without it."""

    features: Features
    params: Params
    folds: int
    vary: str
    """`training`: the folds are those of today's seed; `all`: they are of each seed too."""

    def __call__(self, seed: int) -> Score:
        """The means over the folds."""
        opened = _open(self.features)
        divided = opened.divide(self.folds, seed if self.vary == "all" else self.params.seed)
        scores = opened.score(self.params, seed, divided, range(self.folds))
        return Score(*(float(np.mean([getattr(one, name) for one in scores])) for name in ("log_loss", "accuracy")))


@functools.lru_cache(1)
def _open(features: Features) -> "_Opened":
    return _Opened(features)


class _Opened:
    def __init__(self, features: Features) -> None:
        features.require()
        splits = [read_split(path) for path in (features.train_path, features.validation_path)]
        self._rows = pd.concat(splits, ignore_index=True)
        self._inputs = _Joined(*(Rows(features.features_dir / f"{name}.npy") for name in ("train", "validation")))
        self._num_classes = len(read_classes(features.classes_path))
        self._labels = self._rows["label"].to_numpy(np.int64)
        self._units = number_units(self._rows["group"])

    def divide(self, folds: int, seed: int) -> np.ndarray:
        """The fold of each image, int `(images,)`."""
        return assign_folds(self._labels, self._units, folds, seed)

    def score(self, params: Params, seed: int, divided: np.ndarray, folds: Sequence[int]) -> list[Score]:
        """Train a head for each of `folds` on the others, and judge it on its own."""
        taught = make_labels(self._rows, self._num_classes, params.train_frozen, balance=True)
        hidden = params.model.hidden_units if params.model.head == "dense" else 0
        heads = [
            Head(
                params.train_frozen, seed, taught.targets, taught.weights, divided != fold,
                dropout=params.model.dropout, hidden_units=hidden,
            )
            for fold in folds
        ]  # fmt: skip
        # One thread: sums are added up in the same order however many processes there are.
        with threadpool_limits(1):
            try:
                trained = train_heads(self._inputs, heads)
            except ThawError:
                return [Score(float("inf"), 0.0)] * len(heads)
            return [
                self._judge(predict_logits([head], self._inputs, images)[0], images)
                for head, images in zip(trained, (np.flatnonzero(divided == fold) for fold in folds), strict=True)
            ]

    def _judge(self, logits: np.ndarray, images: np.ndarray) -> Score:
        """Log loss and accuracy by weight, of the labels whatever a head was taught."""
        logits = logits.astype(np.float64)
        if logits.shape[1] == 1:
            logits = np.concatenate([np.zeros_like(logits), logits], axis=1)
        labels, weights = self._labels[images], self._rows["weight"].to_numpy(np.float64)[images]
        losses = -log_softmax(logits, axis=1)[np.arange(len(images)), labels]
        right = logits.argmax(axis=1) == labels
        return Score(float(np.average(losses, weights=weights)), float(np.average(right, weights=weights)))


@dataclass(frozen=True)
class _Joined:
    """The features of the train split, then those of the validation split, which has one view of each image."""

    train: Rows
    validation: Rows

    @property
    def count(self) -> int:
        return self.train.count + self.validation.count

    @property
    def views(self) -> int:
        return self.train.views

    @property
    def shape(self) -> tuple[int, ...]:
        return self.train.shape

    def gather(self, images: np.ndarray, views: np.ndarray) -> np.ndarray:
        """`(n, *shape)`."""
        found = np.empty((len(images), *self.shape), self.train.dtype)
        first = images < self.train.count
        found[first] = self.train.gather(images[first], views[first])
        rest = images[~first] - self.train.count
        found[~first] = self.validation.gather(rest, np.zeros_like(rest))
        return found


def count_folds_of(features: Features, wanted: int) -> int:
    """How many folds the images can be divided in, at most `wanted`.

    Raises:
        ThawError: not even two.
    """
    opened = _open(features)
    return count_folds(opened._labels, opened._units, wanted, opened._num_classes)
