"""A run killed at work: nothing trains on beside it, and the next run goes on where it stood."""

import contextlib
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.e2e.conftest import SMALL, Project

# A key may be given once.
OTHERS = [assignment for assignment in SMALL if not assignment.startswith(("train_frozen.epochs", "fine_tune.epochs"))]
LONG = [
    part
    for assignment in (*OTHERS, "train_frozen.epochs=3", "fine_tune.epochs=8")
    for part in ("-S", assignment)
]


@pytest.mark.timeout(1800)
def test_a_killed_run_goes_on_in_the_same_mlflow_run_and_ends_with_the_same_bytes(project: Project) -> None:
    journal = project.root / ".thaw" / "fine_tune" / "journal.jsonl"
    flow = subprocess.Popen(
        [sys.executable, "-m", "thaw", "run", *LONG],
        cwd=project.root,
        env=project.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_for(lambda: journal.exists() and len(journal.read_text().splitlines()) >= 2, 900)
    os.kill(flow.pid, signal.SIGKILL)
    flow.wait()
    wait_for(lambda: not stages_at_work(project.root), 15)
    killed = project.runs()[0]
    wait_for(lambda: project.runs()[0]["status"] == "KILLED", 60)

    result = json.loads(project.thaw("run", "--json").stdout)
    assert result["run_id"] == killed["run_id"]
    steps = steps_of(project, result["run_id"])
    assert steps == list(range(1, 3 + 8 + 1)), "no gap and no repeat over both phases"
    resumed = weights(project)
    project.dvc("repro", "--force", "--no-run-cache", "--single-item", "fine_tune")
    assert weights(project) == resumed, "an uninterrupted training gives the same bytes"
    assert "up to date" in project.dvc("status").stdout


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_twenty_kills_of_any_process_change_no_byte(project: Project) -> None:
    """Kills of the flow, of `dvc repro` and of the stage alone, at any moment of both phases."""
    long = [*OTHERS, "train_frozen.epochs=30", "fine_tune.epochs=8"]
    options = [part for assignment in long for part in ("-S", assignment)]
    project.thaw("run", "--force", *options)
    expected = (project.root / "dvc.lock").read_bytes()
    for folder in (project.root / "models" / "frozen", project.root / "models" / "fine_tuned"):
        shutil.rmtree(folder)
    (project.root / "dvc.lock").unlink()
    shutil.rmtree(project.root / ".dvc" / "cache" / "runs", ignore_errors=True)

    rng, commands = random.Random(1), {"flow": ["thaw", "run"], "dvc": ["dvc", "repro"]}
    for _ in range(20):
        at_work = subprocess.Popen(
            [sys.executable, "-m", *commands[rng.choice(["flow", "dvc"])]],
            cwd=project.root,
            env=project.environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(rng.uniform(3, 20))
        stages = stages_at_work(project.root)
        for pid in stages if stages and rng.random() < 0.4 else [at_work.pid]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(rng.uniform(0, 1))
        at_work.kill()
        at_work.wait()
    wait_for(lambda: not stages_at_work(project.root), 15)
    project.thaw("run")
    assert (project.root / "dvc.lock").read_bytes() == expected
    assert "up to date" in project.dvc("status").stdout


def stages_at_work(root: Path) -> list[int]:
    """Processes that work in the project and are no part of MLflow's shipping."""
    found = []
    for process in psutil.process_iter(["pid", "cwd", "cmdline"]):
        command = " ".join(process.info["cmdline"] or [])
        if (
            process.info["cwd"] == str(root)
            and ("multiprocessing" in command or "thaw stage" in command)
            and "resource_tracker" not in command
        ):
            found.append(process.info["pid"])
    return found


def steps_of(project: Project, run_id: str) -> list[int]:
    from thaw.tracking.store import Store

    return [metric.step for metric in Store(project.root).client.get_metric_history(run_id, "train/loss")]


def weights(project: Project) -> str:
    return hashlib.sha256(
        (project.root / "models" / "fine_tuned" / "model.weights.h5").read_bytes()
    ).hexdigest()


def wait_for(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.2)
