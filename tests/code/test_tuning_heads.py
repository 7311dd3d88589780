"""Searching heads on features: the same whoever works, and judged as scikit-learn judges."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, log_loss

from tests.code.tuning_project import write_features
from thaw.cross_validation.folds import assign_folds
from thaw.params import ComputeParams, FitParams, Params
from thaw.splitting.files import read_split
from thaw.tuning.heads import Features, HeadTask, SeedTask
from thaw.tuning.journal import ScoreJournal
from thaw.tuning.space import Choices, Range, Space
from thaw.tuning.study import Plan, Trial, Work, best_of, run_study
from thaw.tuning.workers import working

PARAMS = Params(train_frozen=FitParams(epochs=4, batch_size=16))
SPACE = Space(
    (
        Range("train_frozen.learning_rate", 1e-4, 1e-1, True, None, False),
        Range("model.dropout", 0.0, 0.5, False, None, False),
        Choices("train_frozen.optimizer", ("adamw", "sgd")),
    ),
    PARAMS,
)


@pytest.fixture(scope="module")
def features(tmp_path_factory: pytest.TempPathFactory) -> Features:
    return write_features(tmp_path_factory.mktemp("drei ß"))


def search(features: Features, folder: Path, workers: int) -> list[Trial]:
    task, plan = HeadTask(features, PARAMS, 4), Plan(14, ((0, 1, 2, 3), (4, 5, 6, 7)), 1)
    with working(task, workers, ComputeParams()) as score:
        return run_study(SPACE, plan, score, ScoreJournal(folder, task.key()), lambda trial: None)


def test_any_number_of_workers_finds_the_same_best_trial(features: Features, tmp_path: Path) -> None:
    one, two, four = (search(features, tmp_path / str(workers), workers) for workers in (1, 2, 4))
    assert one == two == four  # every number of every trial, to the last bit
    assert best_of(one).number > 0


def test_folds_are_judged_as_by_scikit_learn(features: Features) -> None:
    """A long training without decay and dropout ends where logistic regression does."""
    params = Params(
        model=PARAMS.model.model_copy(update={"dropout": 0.0}),
        train_frozen=FitParams(epochs=400, batch_size=1000, weight_decay=0.0, learning_rate=0.05),
    )
    scores = HeadTask(features, params, 3)(Work({}, (0, 1, 2)))
    rows = [read_split(path) for path in (features.train_path, features.validation_path)]
    labels = np.concatenate([part["label"] for part in rows])
    arrays = [np.load(features.features_dir / f"{name}.npy") for name in ("train", "validation")]
    first = np.concatenate([array[:, 0] for array in arrays]).astype(np.float64)
    second = np.concatenate([array[:, -1] for array in arrays]).astype(np.float64)
    divided = assign_folds(labels, np.arange(len(labels)), 3, params.seed)
    for fold, score in scores.items():
        own = divided == fold
        taught = np.concatenate([first[~own], second[~own]])
        model = LogisticRegression(C=1e4, max_iter=2000).fit(taught, np.tile(labels[~own], 2))
        probabilities = model.predict_proba(first[own])
        assert score.log_loss == pytest.approx(log_loss(labels[own], probabilities), rel=0.15)
        assert score.accuracy == pytest.approx(accuracy_score(labels[own], probabilities.argmax(axis=1)), abs=0.06)


def test_a_rate_at_which_training_diverges_is_a_bad_trial_and_no_error(features: Features) -> None:
    steep = {"train_frozen.learning_rate": 1e30, "train_frozen.optimizer": "sgd"}
    scores = HeadTask(features, PARAMS, 4)(Work(steep, (0, 1, 2, 3)))
    assert [score.log_loss for score in scores.values()] == [float("inf")] * 4


def test_seeds_vary_the_training_alone_or_the_folds_too(features: Features) -> None:
    training, everything = (SeedTask(features, PARAMS, 4, vary) for vary in ("training", "all"))
    assert training(1) == everything(1)  # today's seed
    assert len({training(seed).log_loss for seed in (1, 2, 3)}) == 3
    assert training(2) != everything(2)
    assert training(2) == training(2)
