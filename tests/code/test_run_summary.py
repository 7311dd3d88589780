"""The lines that end a run, on the terminal."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from flows.results import Outcome, Standing
from flows.summary import summarize_run

STAGES = {"validate": "unchanged", "audit": "unchanged", "fine_tune": "ran", "evaluate": "ran", "report": "ran"}


def book(root: Path, accuracy: float, rate: float = 5e-4, data: str = "a1", test: str = "t1", code: str = "c1") -> None:
    """A result and the `dvc.lock` that it was booked in, as DVC writes one."""
    stages = {
        "split": {"deps": [{"path": "data/raw", "md5": data}], "outs": [{"path": "data/splits/test.csv", "md5": test}]},
        "evaluate": {
            "deps": [{"path": "data/splits/test.csv", "md5": test}, {"path": "src/thaw/evaluation", "md5": code}],
            "params": {"params.yaml": {"fine_tune": {"learning_rate": rate, "epochs": 9}}},
            "outs": [{"path": "reports/metrics.json", "md5": str(accuracy)}],
        },
    }
    with (root / "dvc.lock").open("w") as file:
        YAML(typ="safe").dump({"schema": "2.0", "stages": stages}, file)
    metrics = {"images": 656, "accuracy": accuracy, "interval": {"accuracy": {"low": 0.8704, "high": 0.9186}},
               "intervals": {"coverage": 0.95}}  # fmt: skip
    (root / "reports").mkdir(exist_ok=True)
    (root / "reports" / "metrics.json").write_text(json.dumps(metrics))
    audit = {"folds": 5, "images": 1968, "accuracy": {"mean": 0.8237, "sd": 0.0137}}
    (root / "reports" / "audit.json").write_text(json.dumps(audit))
    (root / "reports" / "index.html").touch()


def summary(root: Path, before: Standing, outcome: Outcome) -> dict[str, str]:
    ended = replace(outcome, standing=outcome.standing or Standing.of(root))
    lines = [line.split(maxsplit=1) for line in summarize_run(root, before, ended)]
    assert [name for name, _ in lines] == ["Result", "Audit", "Changed", "Stages", "Report", "Compare"]
    return dict(lines)


def test_a_first_run_tells_its_result_and_nothing_of_a_run_before(tmp_path):
    before = Standing.of(tmp_path)
    book(tmp_path, 0.8963)
    said = summary(tmp_path, before, Outcome("1", (), None, STAGES, "http://127.0.0.1:5000/#/experiments/1"))
    assert said["Result"] == "accuracy 0.8963 on 656 test images, 95 % interval 0.8704 to 0.9186"
    assert "first run" in said["Changed"]
    assert said["Audit"] == "heads reach 0.8237 ± 0.0137 out of fold, in 5 folds of 1968 images"
    assert said["Stages"] == "fine_tune, evaluate, report ran; validate, audit unchanged; 0 s"
    assert said["Report"] == str(tmp_path / "reports" / "index.html")
    assert said["Compare"] == "http://127.0.0.1:5000/#/experiments/1"


def test_a_run_tells_what_changed_and_what_came_of_it(tmp_path):
    book(tmp_path, 0.8963)
    before = Standing.of(tmp_path)
    book(tmp_path, 0.9012, rate=1e-3, code="c2")
    said = summary(tmp_path, before, Outcome("1", (), None, STAGES))
    assert said["Result"].endswith("; before: 0.8963 (+0.0049)")
    assert said["Changed"] == "fine_tune.learning_rate 0.0005 -> 0.001; src/thaw/evaluation"
    assert "thaw ui" in said["Compare"]


def test_results_on_other_test_images_are_not_subtracted(tmp_path):
    book(tmp_path, 0.8963)
    before = Standing.of(tmp_path)
    book(tmp_path, 0.9012, data="a2", test="t2")
    said = summary(tmp_path, before, Outcome("1", (), None, STAGES))
    assert said["Result"].endswith("; before: 0.8963 on another test split")
    assert said["Changed"] == "data/raw"


def test_a_run_without_an_audit_says_why(tmp_path):
    book(tmp_path, 0.8963)
    (tmp_path / "reports" / "audit.json").write_text(json.dumps({"folds": 0, "reason": "audit.folds is 0"}))
    assert summary(tmp_path, Standing.of(tmp_path), Outcome("1", (), None, STAGES))["Audit"] == "none: audit.folds is 0"


def test_a_run_that_made_no_report_names_no_older_one(tmp_path):
    book(tmp_path, 0.8963)
    said = summary(tmp_path, Standing.of(tmp_path), Outcome("1", (), None, {"evaluate": "restored"}))
    assert "index.html" not in said["Report"] and "not made anew" in said["Audit"]
    assert said["Stages"].startswith("evaluate from the cache; ")
    assert said["Changed"] == "nothing since the run before"


def test_a_run_in_a_copy_tells_its_own_result_and_names_no_report_of_the_project(tmp_path):
    (tmp_path / "copy").mkdir()
    book(tmp_path, 0.8963)
    book(tmp_path / "copy", 0.9012, rate=1e-3)
    outcome = Outcome("1", (), Standing.of(tmp_path / "copy"), STAGES, in_copy=True)
    said = summary(tmp_path, Standing.of(tmp_path), outcome)
    assert said["Result"].startswith("accuracy 0.9012 ") and said["Result"].endswith("; before: 0.8963 (+0.0049)")
    assert said["Changed"] == "fine_tune.learning_rate 0.0005 -> 0.001"
    assert "index.html" not in said["Report"] and "thaw restore" in said["Report"]


@pytest.mark.parametrize("lock", ["", "stages: [", "stages: {evaluate: 1}", "- 1"])
def test_a_lock_or_a_result_that_cannot_be_read_counts_as_none(tmp_path, lock):
    (tmp_path / "dvc.lock").write_text(lock)
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports" / "metrics.json").write_text("[1")
    assert "first run" in summary(tmp_path, Standing.of(tmp_path), Outcome("1", (), None, STAGES))["Changed"]


def test_a_password_in_the_link_is_hidden(tmp_path):
    link = "http://anna:secret@mlflow.example/#/experiments/1"
    assert "secret" not in summary(tmp_path, Standing.of(tmp_path), Outcome("1", (), None, STAGES, link))["Compare"]
