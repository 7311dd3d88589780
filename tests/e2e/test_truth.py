"""Whatever is edited while a run is at work: what is booked and logged is what was run, or the run says why not."""

import random
import re
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tests.e2e.witness import KEYS, STAGES, Witness, make_witness, start, start_flow

HOLD = "import sys, time; from dvc.repo import Repo\nwith Repo(sys.argv[1]).lock: time.sleep(4)"


@pytest.fixture
def witness(tmp_path: Path) -> Iterator[Witness]:
    root = tmp_path / "projekt %41 å"
    root.mkdir()
    yield make_witness(root)


def edit_params(project: Witness, rng: random.Random) -> None:
    stage = rng.choice(list(STAGES))
    low, high = (2, 50) if stage == "validate" else (0.05, 0.95)
    project.set_param(stage, round(rng.uniform(low, high), 3))


def edit_params_and_back(project: Witness, rng: random.Random) -> None:
    before = (project.root / "params.yaml").read_text()
    edit_params(project, rng)
    time.sleep(rng.uniform(0, 1))
    (project.root / "params.yaml").write_text(before)


def edit_data(project: Witness, rng: random.Random) -> None:
    files = sorted((project.root / "data" / "raw").rglob("*.txt"))
    rng.choice(files).write_text(str(rng.random()))


def edit_data_and_back(project: Witness, rng: random.Random) -> None:
    path = rng.choice(sorted((project.root / "data" / "raw").rglob("*.txt")))
    before = path.read_text()
    path.write_text("for a moment")
    time.sleep(rng.uniform(0, 0.3))
    path.write_text(before)


def add_data(project: Witness, rng: random.Random) -> None:
    (project.root / "data" / "raw" / "class0" / f"{rng.randrange(100)}.txt").write_text("new")


def remove_data(project: Witness, rng: random.Random) -> None:
    files = sorted((project.root / "data" / "raw").rglob("*.txt"))
    if len(files) > 3:
        rng.choice(files).unlink()


def edit_code(project: Witness, rng: random.Random) -> None:
    project.write_stage(rng.choice(list(STAGES)), rng.randrange(1000))


def remove_lock(project: Witness, rng: random.Random) -> None:
    (project.root / "dvc.lock").unlink(missing_ok=True)


def bring_an_old_lock(project: Witness, rng: random.Random) -> None:
    old = project.root / ".thaw" / "old.lock"
    if old.exists():
        shutil.copyfile(old, project.root / "dvc.lock")


def hold_lock(project: Witness, rng: random.Random) -> None:
    subprocess.run([sys.executable, "-c", HOLD, str(project.root)], check=False, capture_output=True)


def remove_store(project: Witness, rng: random.Random) -> None:
    shutil.rmtree(project.root / "mlruns", ignore_errors=True)


def delete_experiment(project: Witness, rng: random.Random) -> None:
    database = project.root / "mlruns" / "mlflow.db"
    if database.exists():
        with closing(sqlite3.connect(database, timeout=30)) as connection, connection:
            connection.execute("UPDATE experiments SET lifecycle_stage = 'deleted' WHERE name != 'Default'")


EDITS: list[Callable[[Witness, random.Random], None]] = [
    edit_params, edit_params, edit_params_and_back, edit_data, edit_data_and_back, add_data, remove_data, edit_code,
    edit_code, remove_lock, bring_an_old_lock, hold_lock, remove_store, delete_experiment,
]  # fmt: skip


def run_with_edits(project: Witness, rng: random.Random, with_dvc: bool) -> str:
    """One run with up to two edits at random moments; what it said.

    Under DVC each edit begins while a stage is at work: in the quarter of a second between the end of `thaw stage` and DVC's
    booking nobody but DVC could see it.
    """
    command = [sys.executable, "-m", "dvc", "repro"]
    edits = rng.choices(EDITS, k=rng.choice([1, 1, 2]))
    edit_code(project, rng)  # something to do
    at_work = start(project, command) if with_dvc else start_flow(project)
    for edit in edits:
        if not with_dvc and rng.random() < 0.3:
            time.sleep(rng.uniform(0, 10))
        else:
            await_stage(project, rng.choice(list(STAGES)), at_work)
            time.sleep(rng.uniform(0, 0.3 if with_dvc else 1))
        edit(project, rng)
    said, _ = at_work.communicate(timeout=300)
    names = ", ".join(edit.__name__ for edit in edits)
    assert "Traceback" not in said, f"{names}\n{said}"
    if not with_dvc and at_work.returncode:
        assert at_work.returncode == 2, f"{names}\n{said}"
        assert re.search(r"error: .*\n.*cure: ", said), f"{names}\n{said}"
    print(f"{names}: {at_work.returncode}\n{said}", flush=True)  # shown when the test fails
    return said


def await_stage(project: Witness, name: str, at_work: "subprocess.Popen[str]") -> None:
    """Wait until a stage is at work, or the command has ended without it."""
    mark, asked = project.root / ".thaw" / name / "began", time.time()
    while at_work.poll() is None and not (mark.exists() and mark.stat().st_mtime > asked):
        time.sleep(0.02)


def check_runs(project: Witness) -> int:
    """Hold what MLflow has of each run against its own parameters; how many runs have a result."""
    judged = 0
    for run in project.runs():
        value = run["metrics"].get("test.value", run["metrics"].get("test/value"))
        if value is not None:
            judged += 1
            assert value == float(run["params"][KEYS["evaluate"]]), run
        parts = run["tags"].get("dvc.data/parts.json")
        if parts and run["status"] == "FINISHED":
            seen = YAML(typ="safe").load(project.cached(parts))
            assert seen["value"] == float(run["params"][KEYS["split"]]), run
    return judged


def run_many(project: Witness, times: int, seed: int) -> None:
    rng, judged = random.Random(seed), {project.data_version()}
    for number in range(times):
        with_dvc = number % 8 == 5  # three processes that load DVC and MLflow each: the slower kind
        said = run_with_edits(project, rng, with_dvc)
        judged |= project.check_books()
        if with_dvc:  # DVC books changed data before it runs the first stage
            judged.add(project.data_version())
        assert project.data_version() in judged, f"raw.dvc holds data that nobody judged\n{said}"
        if number % 5 == 0 and (project.root / "dvc.lock").exists():
            shutil.copyfile(project.root / "dvc.lock", project.root / ".thaw" / "old.lock")
    last = start_flow(project)
    said, _ = last.communicate(timeout=300)
    assert last.returncode == 0, said
    project.check_books()
    assert "up to date" in project.dvc("status").stdout
    assert check_runs(project) >= 1


@pytest.mark.timeout(1200)
def test_eight_runs_with_edits_beside_them_tell_the_truth(witness: Witness) -> None:
    run_many(witness, 8, seed=1)


@pytest.mark.slow
@pytest.mark.timeout(4 * 3600)
def test_two_hundred_runs_with_edits_beside_them_tell_the_truth(witness: Witness) -> None:
    run_many(witness, 200, seed=2)
