"""What DVC's own commands log of parameters: those that made what was logged, and no others."""

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
    assert run["metrics"]["test.value"] == 0.25
    assert witness.outcomes(run) == dict.fromkeys(["validate", "split", "evaluate"], "ran")

    witness.set_param("split", 0.5)
    witness.dvc("repro", "--single-item", "evaluate", "--force")
    single = witness.runs()[0]
    assert single["metrics"]["test.value"] == 0.25
    assert "split.test_fraction" not in single["params"], "the rate of a split that was never made"


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
