"""Experiments that DVC runs side by side: each has a run, a scratch and a result of its own."""

import contextlib
import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.code.prefect_server import free_port
from tests.e2e.conftest import SMALL, Project
from tests.e2e.test_pipeline import overrides
from tests.e2e.witness import make_witness, start_flow


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
        assert run["metrics"]["test/value"] == float(value)
        assert run["tags"]["dvc.experiment"] == run["name"]
    table = project.thaw("runs", COLUMNS="140").stdout
    assert all(value in table for value in runs), table
    assert not list((root / ".thaw" / "experiments").iterdir()), "what has ended leaves nothing"
    assert not (root / ".thaw" / "evaluate").exists(), "nor did it use the project's own scratch"


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_two_queued_trainings_have_each_its_own_model(project: Project, tmp_path: Path) -> None:
    # DVC's queue writes the cache's path in ASCII: in a folder whose name is not, every queued experiment fails.
    project = Project(shutil.copytree(project.root, tmp_path / "thaw", symlinks=True))
    project.thaw("run", *overrides(*SMALL))
    project.run("git", "add", "-A")
    project.run("git", "-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "a first run")
    runs = run_two(project, "fine_tune.learning_rate", ("1e-05", "0.002"), 1200)
    models = set()
    for value, run in runs.items():
        assert run["params"]["fine_tune.learning_rate"] == value
        assert 0 < run["metrics"]["test/accuracy"] <= 1
        assert project.outcomes(run) == dict.fromkeys(["fine_tune", "evaluate", "report"], "ran")
        models.add(run["tags"]["dvc.models/fine_tuned"])
    assert len(models) == 2
    table = project.thaw("runs", COLUMNS="140").stdout
    for run in runs.values():
        (line,) = [line for line in table.splitlines() if run["run_id"][:8] in line]
        assert f"{run['metrics']['test/accuracy']:.4f}" in line
        assert f"{float(run['params']['fine_tune.learning_rate']):g}" in line.replace("0.00001", "1e-05")


@contextlib.contextmanager
def mlflow_server(folder: Path) -> Iterator[str]:
    """A real MLflow server on loopback; its address."""
    url = f"http://127.0.0.1:{free_port()}"
    command = [sys.executable, "-m", "mlflow", "server", "--port", url.rsplit(":", 1)[1], "--workers", "1"]
    server = subprocess.Popen(
        [*command, "--backend-store-uri", f"sqlite:///{folder}/server.db"], cwd=folder,
        env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 240
        while True:
            assert server.poll() is None and time.monotonic() < deadline
            with contextlib.suppress(urllib.error.URLError), urllib.request.urlopen(f"{url}/health", timeout=2):
                break
            time.sleep(0.3)
        yield url
    finally:
        server.terminate()
        server.wait()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_projects_side_by_side_on_one_server_have_each_their_own_runs(tmp_path: Path) -> None:
    """Two projects whose folders have one name."""
    projects = []
    for number in (0, 1):
        root = tmp_path / f"place{number}" / "cells"
        root.mkdir(parents=True)
        projects.append(make_witness(root))
        projects[-1].set_param("evaluate", 0.25 + number / 2)
    with mlflow_server(tmp_path) as url:
        flows = [start_flow(project, MLFLOW_TRACKING_URI=url) for project in projects]
        for flow in flows:
            said, _ = flow.communicate(timeout=300)
            assert flow.returncode == 0, said
        for number, project in enumerate(projects):
            (run,) = project.runs(MLFLOW_TRACKING_URI=url)
            assert run["metrics"]["test/value"] == 0.25 + number / 2
