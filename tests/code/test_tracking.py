"""The outbox, and what MLflow holds after it was shipped: on a real store."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from thaw.params import flatten
from thaw.tracking.follower import JournalFollower
from thaw.tracking.outbox import Outbox, create_outbox, find_unfinished
from thaw.tracking.run_data import audit_metrics, epochs_before, record_outputs, result_metrics
from thaw.tracking.shipment import Shipment
from thaw.tracking.store import Store


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("projekt ünïcode")


@pytest.fixture(scope="module")
def store(home: Path) -> Store:
    return Store(home)


def ship(home: Path, outbox: Outbox) -> None:
    assert begin(home, outbox).wait(90) == ""


def begin(home: Path, outbox: Outbox) -> Shipment:
    shipment = Shipment(home)
    shipment.begin(outbox)
    return shipment


def test_a_run_and_its_stage_reach_mlflow(home: Path, store: Store, tmp_path: Path) -> None:
    picture = tmp_path / "bild ø.png"
    picture.write_bytes(b"png")
    outbox = create_outbox(home)
    outbox.open_run("pipeline", "first", params={"a.b": 1}, tags={"x": "y"})
    outbox.open_run("fine_tune", "fine_tune", parent="pipeline")
    outbox.log_metrics("fine_tune", {"loss": 0.5}, step=3, time_ms=1_700_000_000_000)
    outbox.log_file("pipeline", picture, "pictures")
    outbox.log_dataset("pipeline", "data/raw", "0" * 32 + ".dir", "data/raw", "training")
    picture.write_bytes(b"changed since")
    outbox.close_run("fine_tune")
    outbox.close_run("pipeline")
    outbox.finish()
    ship(home, outbox)
    ids = outbox.run_ids()
    child = store.client.get_run(ids["fine_tune"])
    parent = store.client.get_run(ids["pipeline"])
    assert child.data.tags["mlflow.parentRunId"] == ids["pipeline"]
    assert (parent.info.status, child.info.status) == ("FINISHED", "FINISHED")
    assert parent.data.params == {"a.b": "1"}
    assert parent.inputs.dataset_inputs[0].dataset.digest == "0" * 32 + ".dir"
    (metric,) = store.client.get_metric_history(ids["fine_tune"], "loss")
    assert (metric.value, metric.step, metric.timestamp) == (0.5, 3, 1_700_000_000_000)
    kept = store.client.download_artifacts(ids["pipeline"], "pictures/bild ø.png", str(tmp_path))
    assert Path(kept).read_bytes() == b"png"


def test_shipping_again_repeats_nothing(home: Path, store: Store) -> None:
    outbox = create_outbox(home)
    outbox.open_run("pipeline", "twice")
    outbox.log_metrics("pipeline", {"loss": 1.0}, step=1)
    outbox.finish()
    ship(home, outbox)
    (outbox.folder / "position.json").unlink()  # as if killed before it was written
    ship(home, outbox)
    run_id = outbox.run_ids()["pipeline"]
    assert len(store.client.get_metric_history(run_id, "loss")) == 1


def test_a_killed_writer_leaves_a_run_marked_killed_that_can_go_on(home: Path, store: Store) -> None:
    code = (
        "import sys, time; from pathlib import Path; from thaw.tracking.outbox import create_outbox;"
        "from thaw.tracking.shipment import Shipment; home = Path(sys.argv[1]); box = create_outbox(home);"
        "box.open_run('pipeline', 'killed', fingerprint='f'); box.log_metrics('pipeline', {'loss': 2.0}, step=1);"
        "ship = Shipment(home); ship.begin(box); print(box.folder, flush=True); time.sleep(600)"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src")}
    writer = subprocess.Popen(
        [sys.executable, "-c", code, str(home)], stdout=subprocess.PIPE, text=True, env=environment
    )
    assert writer.stdout
    outbox = Outbox(Path(writer.stdout.readline().strip()))
    wait_for(lambda: "pipeline" in outbox.run_ids())
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    run_id = outbox.run_ids()["pipeline"]
    wait_for(lambda: store.client.get_run(run_id).info.status == "KILLED")
    found = find_unfinished(home, "pipeline", "f")
    assert found is not None
    assert found.folder == outbox.folder
    assert find_unfinished(home, "pipeline", "other") is None
    found.open_run("pipeline", "killed", fingerprint="f")
    found.log_metrics("pipeline", {"loss": 1.0}, step=2)
    found.close_run("pipeline")
    found.finish()
    ship(home, found)
    assert found.run_ids()["pipeline"] == run_id
    assert store.client.get_run(run_id).info.status == "FINISHED"
    assert [metric.step for metric in store.client.get_metric_history(run_id, "loss")] == [1, 2]


def test_a_server_that_is_down_costs_nothing_and_gets_all_later(
    home: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    outbox = create_outbox(home)
    outbox.open_run("pipeline", "offline")
    outbox.close_run("pipeline")
    outbox.finish()
    assert begin(home, outbox).wait(90) != ""
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    later = create_outbox(home)
    later.open_run("pipeline", "later")
    later.close_run("pipeline")
    later.finish()
    ship(home, later)
    assert "pipeline" in outbox.run_ids()
    assert store.client.get_run(outbox.run_ids()["pipeline"]).info.status == "FINISHED"


def wait_for(condition: object, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_a_torn_last_line_hides_nothing_that_follows(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "box")
    outbox.open_run("pipeline", "a")
    with outbox.events_path.open("ab") as file:
        file.write(b'{"op": "metr')
    assert [event["op"] for _, event in outbox.events()] == ["open"]
    outbox.close_run("pipeline")
    assert [event["op"] for _, event in outbox.events()] == ["open", "close"]


def test_the_follower_logs_each_epoch_once_on_one_axis(tmp_path: Path) -> None:
    journal = tmp_path / "journal.jsonl"
    outbox = Outbox(tmp_path / "box")
    outbox.open_run("fine_tune", "x")
    outbox.log_metrics("fine_tune", {"loss": 9.0}, step=21)  # epoch 1, logged before a kill
    entries = [{"epoch": epoch, "time": 1.5, "metrics": {"loss": 1 / epoch}} for epoch in (1, 2, 3)]
    with JournalFollower(outbox, ("fine_tune",), journal, first_step=20):
        journal.write_text("".join(json.dumps(entry) + "\n" for entry in entries) + '{"epoch": 4')
    logged = [event for _, event in outbox.events() if event["op"] == "metrics"]
    assert [(event["step"], event["time"]) for event in logged[1:]] == [(22, 1500), (23, 1500)]


def test_outputs_become_files_and_metrics(tmp_path: Path) -> None:
    metrics = tmp_path / "metrics.json"
    metrics.write_text(
        json.dumps({"accuracy": 0.5, "slices": {"typ å": {"n": 3}}, "note": "x", "none": None})
    )
    outbox = Outbox(tmp_path / "box")
    record_outputs(outbox, ["pipeline"], "evaluate", [metrics], result_metrics(metrics))
    logged = {event["op"]: event for _, event in outbox.events()}
    assert logged["metrics"]["values"] == {"test/accuracy": 0.5, "test_slices/typ å.n": 3.0}
    assert logged["file"]["folder"] == "evaluate"


def test_an_audit_stands_behind_the_result_by_name_and_one_that_was_not_made_has_no_numbers(tmp_path):
    path = tmp_path / "audit.json"
    accuracy = {"mean": 0.82, "sd": 0.01, "low": 0.8, "high": 0.84}
    facts = {"folds": 5, "accuracy": accuracy, "roc_auc": {"mean": None, "sd": None}, "intervals": {"coverage": 0.9}}
    path.write_text(json.dumps(facts))
    names = [f"train_audit/accuracy{end}" for end in ("", "_sd", "_low", "_high")]
    assert audit_metrics(path) == dict(zip(names, accuracy.values(), strict=True))
    assert min([*names, "test/accuracy", "train/loss"]) == "test/accuracy"
    path.write_text(json.dumps({"folds": 0, "reason": "audit.folds is 0"}))
    assert audit_metrics(path) == {}


def test_flatten_joins_keys_by_dots() -> None:
    assert flatten({"a": {"b": {"c": 1}}, "d": 2}) == {"a.b.c": 1, "d": 2}


def test_epochs_before_counts_the_phases_before(tmp_path: Path) -> None:
    class Spec:
        def __init__(self, name: str, *curves: Path) -> None:
            self.name, self.curves = name, curves

    curve = tmp_path / "frozen_curve.csv"
    curve.write_text("epoch,loss\n1,0.5\n2,0.4\n")
    specs = [Spec("train_frozen", curve), Spec("fine_tune", tmp_path / "none.csv")]
    assert epochs_before(specs, "train_frozen") == 0
    assert epochs_before(specs, "fine_tune") == 2
