"""Whole pipelines under several seeds, in a copy of the project."""

import json
from pathlib import Path

import pytest

from tests.e2e.witness import GRAPH, Witness, make_witness

COUNTED = GRAPH.replace("params: [evaluate]", "params: [seed, evaluate]")


@pytest.fixture(scope="module")
def witness(tmp_path_factory: pytest.TempPathFactory) -> Witness:
    witness = make_witness(tmp_path_factory.mktemp("ε") / "project")
    (witness.root / "dvc.yaml").write_text(COUNTED)
    return witness


def contents(root: Path) -> dict[str, bytes]:
    """All that is the project's, and not what is kept beside it."""
    files = [path for path in root.rglob("*") if path.is_file()]
    beside = (".git", ".dvc", ".thaw", "mlruns")
    names = {path.relative_to(root).as_posix(): path for path in files if "__pycache__" not in path.parts}
    return {name: path.read_bytes() for name, path in names.items() if not name.startswith(beside)}


def runs_of(witness: Witness, stage: str) -> int:
    """How many runs of a stage DVC's cache knows: each one has another input, parameter or source."""
    found = [path.read_text() for path in (witness.root / ".dvc" / "cache" / "runs").rglob("*") if path.is_file()]
    return sum(f"thaw stage {stage}" in text for text in found)


def test_stages_that_do_not_depend_on_the_seed_run_once_and_the_project_stays(witness: Witness) -> None:
    from thaw.tracking.store import Store

    before = contents(witness.root)
    told = json.loads(witness.thaw("seeds", "--n", "3", "--json").stdout)
    assert list(told["seeds"]) == ["1", "2", "3"] and told["vary"] == "training"
    assert [runs_of(witness, stage) for stage in ("validate", "split", "evaluate")] == [1, 1, 3]
    assert contents(witness.root) == before
    assert not (witness.root / ".thaw" / "workspace").exists() and not list(witness.root.glob(".thaw/experiments/*"))

    store = Store(witness.root)
    (parent,) = store.client.search_runs([store.experiment_id], "tags.`thaw.run` = 'seeds'")
    children = store.client.search_runs([store.experiment_id], f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'")
    assert parent.info.status == "FINISHED"
    assert sorted(child.data.params["seed"] for child in children) == ["1", "2", "3"]
    assert all(child.data.metrics["test/value"] == 0.5 for child in children)


@pytest.mark.slow
def test_the_division_varies_where_all_does(witness: Witness) -> None:
    before = contents(witness.root)
    told = json.loads(witness.thaw("seeds", "--n", "3", "--vary", "all", "--json").stdout)
    assert told["vary"] == "all"
    assert [runs_of(witness, stage) for stage in ("validate", "split")] == [1, 3], "the first seed is known"
    assert contents(witness.root) == before


@pytest.mark.slow
def test_a_stage_that_fails_is_told_in_one_message(witness: Witness) -> None:
    (witness.root / "data" / "raw" / "class0" / "0.txt").unlink()
    source = witness.root / "src" / "thaw" / "stages" / "evaluate.py"
    source.write_text(source.read_text().replace("files = {}", "raise __import__('thaw.errors').errors.ThawError('no', 'Do.')"))
    done = witness.thaw("seeds", check=False)
    assert done.returncode == 2 and done.stderr.rstrip().endswith("error: no\n  cure: Do.")
