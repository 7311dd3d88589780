"""A part of the pipeline: from a stage on, without a word but the result, or only told."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.witness import Witness, make_witness


@pytest.fixture
def witness(tmp_path: Path) -> Iterator[Witness]:
    root = tmp_path / "project"
    root.mkdir()
    yield make_witness(root)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_run_from_a_stage_on_is_told_first_and_says_no_more_than_the_result(witness: Witness) -> None:
    witness.thaw("run")
    told = witness.thaw("run", "--from", "split", "--force", "--dry-run").stdout
    assert "split would run\n  --force\n" in told and "validate" not in told
    assert len(witness.runs()) == 1
    done = witness.thaw("run", "--from", "split", "--force", "--quiet")
    assert witness.outcomes(witness.runs()[0]) == {"split": "ran", "evaluate": "ran"}
    assert "Result on the held-out test" in done.stdout and "Compare" not in done.stdout
    assert done.stderr == ""
    witness.check_books()
