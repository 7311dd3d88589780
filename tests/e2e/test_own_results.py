"""A result stands beside what made it, and beside nothing else: in the terminal, in MLflow, under DVC's own commands."""

import json
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.witness import Witness, make_witness, start


@pytest.fixture
def witness(tmp_path: Path) -> Iterator[Witness]:
    root = tmp_path / "project"
    root.mkdir()
    yield make_witness(root)


def test_dvc_repro_is_one_run_with_the_parameters_of_all_its_stages(witness: Witness) -> None:
    witness.set_param("evaluate", 0.25)
    witness.dvc("repro")
    (run,) = witness.runs()
    assert run["status"] == "FINISHED"
    assert run["params"]["evaluate.threshold"] == "0.25"
    assert run["metrics"]["test/value"] == 0.25
    assert witness.outcomes(run) == dict.fromkeys(["validate", "split", "evaluate"], "ran")

    witness.set_param("split", 0.5)
    witness.dvc("repro", "--single-item", "evaluate", "--force")
    single = witness.runs()[0]
    assert single["metrics"]["test/value"] == 0.25
    assert "split.test_fraction" not in single["params"], "the rate of a split that was never made"


@pytest.mark.slow
def test_parameters_edited_during_dvc_repro_stop_it(witness: Witness) -> None:
    repro = start(witness, [sys.executable, "-m", "dvc", "repro"])
    scratch = witness.root / ".thaw" / "validate"
    while not scratch.exists():
        assert repro.poll() is None
        time.sleep(0.05)
    witness.set_param("evaluate", 0.125)
    said, _ = repro.communicate(timeout=200)
    assert repro.returncode != 0
    assert "evaluate.threshold: 0.5 -> 0.125" in said
    assert "evaluate" not in witness.lock()
    witness.dvc("repro")
    witness.check_books()
    assert witness.runs()[0]["params"]["evaluate.threshold"] == "0.125"


def test_an_edit_while_a_stage_is_still_shipped_is_not_booked_by_dvc(witness: Witness) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        repro = start(witness, [sys.executable, "-m", "dvc", "repro", "validate"], MLFLOW_TRACKING_URI=address)
        while not any('"finish"' in path.read_text() for path in witness.root.glob(".thaw/outbox/*/events.jsonl")):
            assert repro.poll() is None, repro.communicate()[0]
            time.sleep(0.05)
        witness.write_stage("validate", 2)
    said, _ = repro.communicate(timeout=200)
    assert repro.returncode != 0
    assert "stage validate is not booked" in said and "src/thaw/stages/validate.py was written" in said
    assert "validate" not in witness.lock()


def test_a_part_of_the_pipeline_shows_no_result_of_another_run(witness: Witness) -> None:
    first = json.loads(witness.thaw("run", "--json").stdout)
    assert first["metrics"]["value"] == 0.5
    assert first["outdated"] == []
    part = json.loads(witness.thaw("run", "--json", "--only", "split", "-S", "split.test_fraction=0.5").stdout)
    assert (part["metrics"], part["outdated"]) == (None, ["evaluate"])
    run = witness.runs()[0]
    assert run["run_id"] == part["run_id"]
    assert "test/value" not in run["metrics"]

    refused = witness.thaw("run", "--only", "evaluate", "-S", "split.test_fraction=0.75", check=False)
    assert refused.returncode == 2
    assert "--only evaluate: split" in refused.stderr and "Traceback" not in refused.stderr
    assert "test/value" not in witness.runs()[0]["metrics"]
    witness.check_books()
