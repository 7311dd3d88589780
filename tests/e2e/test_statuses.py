"""How a run that did not end well stands in MLflow: it and its stages alike."""

import json
import signal
import sys
import time
from pathlib import Path

import pytest

from tests.e2e.test_orphans import of_project
from tests.e2e.witness import Witness, make_witness, start


@pytest.fixture
def witness(tmp_path: Path) -> Witness:
    root = tmp_path / "project"
    root.mkdir()
    return make_witness(root)


def statuses(project: Witness) -> dict[str, str]:
    from thaw.tracking.store import Store

    store = Store(project.root)
    return {run.info.run_name: run.info.status for run in store.client.search_runs([store.experiment_id])}


def wait_until_gone(project: Witness) -> None:
    deadline = time.monotonic() + 60
    while of_project(project):
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_a_run_that_was_asked_to_end_is_killed_with_its_stages(witness: Witness) -> None:
    for number in range(200):  # ten seconds of `validate`
        (witness.root / "data" / "raw" / "class0" / f"more{number}.txt").write_text(str(number))
    run = start(witness, [sys.executable, "-m", "thaw", "run"])
    while not list((witness.root / ".thaw" / "outbox").glob("*/run_ids.json")):
        assert run.poll() is None, run.communicate()
        time.sleep(0.2)
    while "validate" not in json.loads(next(witness.root.glob(".thaw/outbox/*/run_ids.json")).read_text()):
        assert run.poll() is None, run.communicate()
        time.sleep(0.2)
    run.send_signal(signal.SIGTERM)
    said, _ = run.communicate(timeout=60)
    assert run.returncode == 143, said
    wait_until_gone(witness)
    assert set(statuses(witness).values()) == {"KILLED"}

    before = witness.runs()[0]
    witness.thaw("run")
    after = witness.runs()[0]
    assert (after["run_id"], after["status"]) == (before["run_id"], "FINISHED"), "it went on in the same run"
    assert set(statuses(witness).values()) == {"FINISHED"}


def test_a_run_that_cannot_get_ready_is_failed(witness: Witness, monkeypatch: pytest.MonkeyPatch) -> None:
    import logging

    from flows import run as flow

    def fail(*_: object) -> None:
        raise RuntimeError("no")

    monkeypatch.setattr(flow, "choose_stages", fail)
    with (
        pytest.raises(RuntimeError),
        flow.start_run(witness.root, {}, True, "not ready", "", logging.getLogger("flow")) as run,
    ):
        run.plan()
    wait_until_gone(witness)
    assert list(statuses(witness).values()) == ["FAILED"]
