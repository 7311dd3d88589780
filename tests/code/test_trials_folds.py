"""Cross-validation on demand: repeats of folds, what is recorded of them, and what is kept when it is killed."""

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, log_loss

from thaw.cross_validation.material import Material, choose_folds
from thaw.params import FitParams, Params
from thaw.tracking.outbox import Outbox
from thaw.trials.folds import Plan, by_heads, cross_validate
from thaw.trials.recording import Recorded

PLAN = Plan(folds=3, repeats=2)
PARAMS = Params(train_frozen=FitParams(epochs=5, batch_size=16, learning_rate=0.05))


class Features:
    views, shape = 1, (4,)

    def __init__(self, labels):
        self.count = len(labels)
        rng = np.random.default_rng(0)
        self.values = rng.standard_normal((len(labels), 4)).astype(np.float32) + np.eye(4, dtype=np.float32)[labels]

    def gather(self, images, views):
        return self.values[images]


@pytest.fixture
def material():
    labels = np.arange(60) % 2
    rows = pd.DataFrame(
        {
            "path": [f"{number}.png" for number in range(60)], "class": np.where(labels, "yes", "no"), "label": labels,
            "target": np.nan, "weight": 1.0, "confidence": 1.0, "group": "",
        }
    )  # fmt: skip
    return Material(Features(labels), rows, ["no", "yes"], 6)


@pytest.fixture
def recorded(tmp_path):
    found = Recorded(Outbox(tmp_path / "outbox"), "cross-validation")
    found.outbox.open_run("cross-validation", "2 x 3 folds")
    return found


def events(recorded, op):
    return [event for _, event in recorded.outbox.events() if event["op"] == op and event["run"] != "cross-validation"]


def test_each_repeat_divides_anew_and_the_numbers_are_those_of_the_folds(material, recorded, tmp_path):
    result = cross_validate(material, PLAN, PARAMS, by_heads(material, PARAMS), tmp_path / "kept", recorded)
    assert [(row["repeat"], row["fold"]) for row in result["per_fold"]] == [(r, f) for r in (1, 2) for f in (1, 2, 3)]
    accuracies, losses = [], []
    for repeat in range(2):
        folds = choose_folds(material, 3, PARAMS.seed + repeat)
        for fold in range(3):
            found = np.load(tmp_path / "kept" / f"repeat-{repeat}" / f"{fold}.npy")
            truth = material.labels[folds == fold]
            accuracies.append(accuracy_score(truth, found[:, 1] >= 0.5))
            losses.append(log_loss(truth, found))
    assert result["accuracy"]["mean"] == pytest.approx(np.mean(accuracies), abs=1e-6)
    assert result["accuracy"]["sd"] == pytest.approx(np.std(accuracies, ddof=1), abs=1e-6)
    assert result["log_loss"]["mean"] == pytest.approx(np.mean(losses), abs=1e-6)
    assert result["accuracy"]["low"] < result["accuracy"]["mean"] < result["accuracy"]["high"]
    assert (choose_folds(material, 3, 1) != choose_folds(material, 3, 2)).any()
    children = events(recorded, "metrics")
    assert [child["values"]["held_out/accuracy"] for child in children] == pytest.approx(accuracies)
    assert len({child["run"] for child in children}) == 6 == len(events(recorded, "close"))
    json.dumps(result, allow_nan=False)


def test_what_was_done_before_a_kill_is_kept_and_recorded_once(material, recorded, tmp_path):
    judged = []

    def judge(folds, todo, seed):
        for fold, found in by_heads(material, PARAMS)(folds, todo, seed):
            if len(judged) == 4:
                raise KeyboardInterrupt
            judged.append((seed, fold))
            yield fold, found

    with pytest.raises(KeyboardInterrupt):
        cross_validate(material, PLAN, PARAMS, judge, tmp_path / "kept", recorded)
    judged.append("the next run")
    assert len(events(recorded, "close")) == 4
    went_on = cross_validate(material, PLAN, PARAMS, judge, tmp_path / "kept", recorded)
    assert judged[5:] == [(2, 1), (2, 2)]
    assert [event["run"] for event in events(recorded, "close")] == [f"repeat-{r}-fold-{f}" for r in (0, 1) for f in (0, 1, 2)]
    whole = cross_validate(material, PLAN, PARAMS, by_heads(material, PARAMS), tmp_path / "other", recorded)
    assert went_on == whole
