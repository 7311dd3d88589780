"""Names and descriptions of runs, and the rule by which a model becomes the champion."""

import json
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mlflow
import pytest

from thaw.errors import ThawError
from thaw.tracking.names import own_tags, stored_tag
from thaw.tracking.outbox import Outbox
from thaw.tracking.recording import record_failure
from thaw.tracking.registry import Registry, choose_champion, name_model, tell_registered
from thaw.tracking.run_data import describe_run
from thaw.tracking.summary import differing_params, summarize
from thaw.tracking.view import encode_view, renewed_view, view_columns


def a_run(number: int, accuracy: float | None, **more: Any) -> dict[str, Any]:
    ends = {"": accuracy, "_low": (accuracy or 0) - 0.02, "_high": (accuracy or 0) + 0.02}
    params = {"model.architecture": "efficientnet_lite0", "fine_tune.learning_rate": "0.0005", "fine_tune.epochs": "9"}
    return {
        "number": number, "run_id": str(number) * 32, "name": f"run {number}", "status": "FINISHED", "start_ms": number,
        "metrics": {f"test/accuracy{end}": value for end, value in ends.items()} if accuracy is not None else {},
        "params": params | more.pop("params", {}), "commit": "abc", "tags": more.pop("tags", {}), **more,
    }  # fmt: skip


def test_a_name_begins_with_the_result_and_what_was_changed() -> None:
    assert summarize(a_run(1, 0.8976), []).name == "0.898 lite0 lr=5e-4 epochs=9"
    second = a_run(2, 0.9, params={"train_frozen.learning_rate": "0.00125", "fine_tune.epochs": "12"})
    first = a_run(1, 0.9, params={"train_frozen.learning_rate": "0.001"})
    assert summarize(second, [first]).name == "0.900 epochs=12 frozen_lr=1.25e-3 lite0 lr=5e-4"
    assert summarize(a_run(2, 0.9, tags={"thaw.name": "mine"}), []).name == "mine"
    assert summarize(a_run(2, None, status="KILLED"), []).name == "killed lite0 lr=5e-4 epochs=9"
    assert summarize(a_run(2, None), []).name == "run 2", "a part of the pipeline has no result to be named by"


def test_a_description_compares_with_the_run_before_and_the_best() -> None:
    tags = {"stage.split": "unchanged", "stage.fine_tune": "ran", "data.data/raw": "ffff.dir"}
    run = a_run(3, 0.89, tags=tags, params={"fine_tune.learning_rate": "5e-06"}, commit="def")
    text = summarize(run, [a_run(2, 0.9, tags={"data.data/raw": "eeee.dir"}), a_run(1, 0.95)]).description
    assert "**Test accuracy 0.890**, interval 0.870 to 0.910; " in text
    assert "0.010 lower than the run before (run 2), within its interval; " in text
    assert "0.060 lower than the best before (run 1)  \n**Changed:** " in text
    assert "`fine_tune.learning_rate` `0.0005` → `5e-06`" in text
    assert "data `data/raw` `eeee.dir` → `ffff.dir`" in text and "code `abc` → `def`" in text
    assert "**Ran:** `fine_tune` · **Up to date before:** `split`" in text and "`thaw restore 3`" in text


def test_what_a_run_does_not_speak_of_did_not_change() -> None:
    before = a_run(1, 0.9, tags={"data.data/raw": "eeee.dir"}, params={"augment.views": "4"})
    refused = a_run(2, None, status="FAILED", tags={"failure": "Blocked.", "failure.stage": "validate"})
    assert summarize(refused, [before]).description == "**Failed in `validate`:** `Blocked.`  \n**Changed:** nothing"
    later = a_run(2, 0.9, tags={"data.data/raw": "ffff.dir"}, params={"augment.views": "6"})
    assert "`augment.views` none → `6`; data `data/raw` none → `ffff.dir`" in summarize(later, [a_run(1, 0.9)]).description


def test_what_a_run_writes_is_no_edit_of_the_code(tmp_path: Path) -> None:
    def git(*arguments: str) -> None:
        subprocess.run(["git", "-c", "user.name=n", "-c", "user.email=e", *arguments], cwd=tmp_path, check=True)

    names = ("dvc.lock", "params.yaml", "data/raw.dvc", "reports/metrics.json", "code.py")
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("a")
    git("init", "--quiet")
    git("add", ".")
    git("commit", "--quiet", "--message", "first")
    for name in names[:-1]:
        (tmp_path / name).write_text("b")
    assert describe_run(tmp_path, tmp_path)["git.dirty"] == "false"
    (tmp_path / "code.py").write_text("b")
    assert describe_run(tmp_path, tmp_path)["git.dirty"] == "true"


def test_names_are_no_markup() -> None:
    evil = "a`b``c <img src=x>\n# [l](http://x)"
    text = summarize(a_run(2, 0.9), [a_run(1, 0.9, name=evil) | {"number": 0}]).description
    assert "``` a`b``c <img src=x> # [l](http://x) ```" in text


def test_runs_of_an_earlier_version_are_compared_too() -> None:
    old = a_run(1, None, metrics={"test.accuracy": 0.8}, params={"validate.severity.dark": "warn"})
    text = summarize(a_run(2, 0.9), [old]).description
    assert "0.100 higher than the run before" in text
    assert differing_params([old, a_run(2, 0.9)]) == [], "a setting of the gate at its default is none that differs"
    other = a_run(1, None, params={"validate.severity.dark": "block", "seed": "2"})
    assert differing_params([other, a_run(2, 0.9)]) == ["seed", "validate.severity.dark"]


def test_a_tag_that_nobody_filters_by_is_hidden_and_read_back() -> None:
    tags = {"thaw.run": "pipeline", "data.data/raw": "v", "project": "p-1", "failure": "x"}
    shown = set(tags)
    tags |= {"failure.stage": "split", "stage.split": "ran", "machine.cpu": "c"}
    tags |= {"dvc.lock.sha256": "ab", "dvc.models/evaluated": "cd", "prefect.flow_run_id": "id"}
    stored = {stored_tag(name): value for name, value in tags.items()} | {"mlflow.source.git.commit": "abc"}
    assert {name for name in stored if not name.startswith("mlflow.")} == shown
    assert own_tags(stored) == tags
    assert own_tags({"stage.split": "ran"}) == {"stage.split": "ran"}, "as runs of earlier versions have it"
    assert len(stored_tag("dvc." + "x" * 246)) <= 250


def test_a_failure_is_told_in_one_line(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "box")
    record_failure(outbox, "validate", ThawError("data/raw: 1 hidden folder:\n  x.", "Remove it."))
    failure = outbox.tags("pipeline")["failure"]
    assert failure == "data/raw: 1 hidden folder: x. Cure: Remove it."
    text = summarize(a_run(2, None, status="FAILED", tags=outbox.tags("pipeline")), []).description
    assert text == f"**Failed in `validate`:** `{failure}`"
    record_failure(outbox, "split", RuntimeError("stage split failed:\nTraceback\n  x\nValueError: y"))
    assert outbox.tags("pipeline")["failure"] == "stage split failed: ValueError: y"


def test_a_view_is_written_where_its_columns_changed() -> None:
    state = encode_view(view_columns(["seed"]))
    text = renewed_view("", state)
    assert text and renewed_view(text, state) is None
    other = json.loads(renewed_view(text, encode_view(view_columns(["split.test_fraction"]))) or "")
    assert other["createdAt"] == json.loads(text)["createdAt"] and other["state"] != json.loads(text)["state"]
    assert renewed_view("no json", state) and encode_view(["a"]) == encode_view(["a"])


def version(number: int, accuracy: str | None, high: str | None = None) -> Any:
    tags = {"test.accuracy": accuracy, "test.accuracy_high": high}
    return SimpleNamespace(version=str(number), tags={key: value for key, value in tags.items() if value is not None})


@pytest.mark.parametrize(
    ("champion", "made", "number"),
    [
        (None, version(1, "0.5"), "1"),
        (version(1, "0.9", "0.92"), version(2, "0.88"), "1"),
        (version(1, "0.9", "0.92"), version(2, "0.92"), "1"),
        (version(1, "0.9", "0.92"), version(2, "0.921"), "2"),
        (version(1, "0.9"), version(2, "0.901"), "2"),
        (version(1, "0.9"), version(2, None), "1"),
    ],
)
def test_the_champion_is_beaten_beyond_its_interval(champion: Any, made: Any, number: str) -> None:
    assert choose_champion(champion, made).version == number


def test_a_worse_model_is_registered_and_is_no_champion(tmp_path: Path) -> None:
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path}/mlflow.db", f"sqlite:///{tmp_path}/mlflow.db")
    experiment = client.create_experiment("e", (tmp_path / "artifacts").as_uri())
    registry = Registry(client, tmp_path)
    for number, accuracy in enumerate((0.9, 0.8, 0.97), 1):
        model = client.create_logged_model(experiment, f"m{number}")
        run_id = client.create_run(experiment).info.run_id
        tags = {"test.accuracy": str(accuracy), "test.accuracy_low": "0.7", "test.accuracy_high": str(accuracy + 0.02)}
        registry.register("thaw", model.model_id, run_id, tags | {"classes": "a, b"}, f"weights {number}")
        champion = client.get_model_version_by_alias("thaw", "champion")
        assert str(champion.version) == {1: "1", 2: "1", 3: "3"}[number]
        tagged = client.search_runs([experiment], "tags.champion LIKE '%'")
        expected = [(champion.run_id, f"thaw v{champion.version}")]
        assert [(run.info.run_id, run.data.tags["champion"]) for run in tagged] == expected
    assert champion.description == "Test accuracy 0.970 (0.700 to 0.990). Classes: a, b."
    model_dir = tmp_path / "evaluated"
    model_dir.mkdir()
    for number, stands in ((2, "champion stays v3"), (3, "it is the champion")):
        (model_dir / "model.json").write_text(json.dumps({"weights_sha256": f"weights {number}"}))
        assert tell_registered(tmp_path, model_dir) == f"model thaw: v{number} registered; {stands}"
    assert name_model(tmp_path, model_dir) == "model: thaw v3, the champion, test accuracy 0.9700"
    (model_dir / "model.json").write_text(json.dumps({"weights_sha256": "others"}))
    assert tell_registered(tmp_path, model_dir) == ""
    assert name_model(tmp_path, model_dir) == f"model: {model_dir}, not registered"
