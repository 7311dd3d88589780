"""Experiments that DVC runs side by side: each has a run, a scratch and a result of its own."""

import time
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import SMALL, Project
from tests.e2e.test_pipeline import overrides
from tests.e2e.witness import make_witness


def run_two(project: Project, key: str, values: tuple[str, str], seconds: float) -> dict[str, dict[str, Any]]:
    """Queue two experiments, run both at once, and give MLflow's run of each by the value it was given."""
    for number, value in enumerate(values):
        project.dvc("exp", "run", "--queue", "-n", f"try-{number}", "-S", f"{key}={value}")
    project.dvc("queue", "start", "-j", "2")
    deadline = time.monotonic() + seconds
    while "Running" in (status := project.dvc("queue", "status").stdout) or "Queued" in status:
        assert time.monotonic() < deadline, status
        time.sleep(1)
    logs = "\n".join(project.run("dvc", "queue", "logs", f"try-{number}", check=False).stdout for number in (0, 1))
    assert status.count("Success") == 2, f"{status}\n{logs}"
    found = {run["name"]: run for run in project.runs()}
    assert {f"try-{number}" for number in (0, 1)} <= found.keys()
    return {values[number]: found[f"try-{number}"] for number in (0, 1)}


@pytest.mark.timeout(600)
def test_two_queued_experiments_have_each_its_own_run_and_scratch(tmp_path: Path) -> None:
    root = tmp_path / "project"
    root.mkdir()
    project = make_witness(root)
    runs = run_two(project, "evaluate.threshold", ("0.25", "0.75"), 300)
    for value, run in runs.items():
        assert run["status"] == "FINISHED"
        assert run["params"]["evaluate.threshold"] == value
        assert run["metrics"]["test.value"] == float(value)
        assert run["tags"]["dvc.experiment"] == run["name"]
    table = project.thaw("runs", COLUMNS="140").stdout
    assert all(value in table for value in runs), table
    assert not list((root / ".thaw" / "experiments").iterdir()), "what has ended leaves nothing"
    assert not (root / ".thaw" / "evaluate").exists(), "nor did it use the project's own scratch"


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_two_queued_trainings_have_each_its_own_model(project: Project) -> None:
    project.thaw("run", *overrides(*SMALL))
    project.run("git", "add", "-A")
    project.run("git", "-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "a first run")
    runs = run_two(project, "fine_tune.learning_rate", ("1e-05", "0.002"), 1200)
    models = set()
    for value, run in runs.items():
        assert run["params"]["fine_tune.learning_rate"] == value
        assert 0 < run["metrics"]["test.accuracy"] <= 1
        assert project.outcomes(run) == {"fine_tune": "ran", "evaluate": "ran"}
        models.add(run["tags"]["dvc.models/fine_tuned"])
    assert len(models) == 2
    table = project.thaw("runs", COLUMNS="140").stdout
    for run in runs.values():
        (line,) = [line for line in table.splitlines() if run["run_id"][:8] in line]
        assert f"{run['metrics']['test.accuracy']:.4f}" in line
        assert f"{float(run['params']['fine_tune.learning_rate']):g}" in line.replace("0.00001", "1e-05")
