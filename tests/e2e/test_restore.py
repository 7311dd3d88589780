"""An earlier run in the workspace again, as a user brings it back: real runs by the flow and by DVC, real MLflow and Git."""

import re
import shlex
from pathlib import Path

import pytest
from filelock import FileLock
from typer.testing import CliRunner

from flows.run import find_standing_run
from tests.e2e.witness import Witness, make_witness, start_flow
from thaw.cli import app
from thaw.errors import ThawError

MADE = ("params.yaml", "dvc.lock", "data/raw.dvc", "data/manifest.json", "data/parts.json", "reports/metrics.json")


@pytest.fixture(scope="module")
def witness(tmp_path_factory: pytest.TempPathFactory) -> Witness:
    """Three runs: of a clean tree, with another rate and other data, and of a dirty tree by `dvc repro`."""
    root = tmp_path_factory.mktemp("früher") / "project"
    root.mkdir()
    witness = make_witness(root)
    run_flow(witness)
    witness.run("git", "add", "-A")
    witness.run("git", "-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "the first run")
    witness.first = made(witness)
    witness.set_param("split", 0.5)
    (root / "data" / "raw" / "class0" / "0.txt").write_text("another image")
    run_flow(witness)
    witness.second = made(witness)
    witness.write_stage("evaluate", 2)
    (root / "src" / "thaw" / "stages" / "neu.py").write_text("ADDED = 1\n")
    witness.dvc("repro", "-q")
    witness.third = made(witness)
    return witness


def run_flow(witness: Witness) -> None:
    flow = start_flow(witness)
    said, _ = flow.communicate(timeout=200)
    assert flow.returncode == 0, said


def made(witness: Witness) -> dict[str, bytes]:
    found = {name: (witness.root / name).read_bytes() for name in MADE}
    raw_dir = witness.root / "data" / "raw"
    return found | {str(path.relative_to(raw_dir)): path.read_bytes() for path in sorted(raw_dir.rglob("*.txt"))}


def restore(witness: Witness, *arguments: str) -> str:
    """`thaw restore` in this process, which has MLflow and DVC loaded; what it says."""
    done = CliRunner().invoke(app, ["restore", *arguments])
    if done.exception:
        raise done.exception
    return done.output


def run_commands(witness: Witness, said: str) -> None:
    """Type what was said to bring the code back."""
    commands = said.split("To have it too:\n")[1].splitlines()
    for command in (line.strip() for line in commands if line.startswith("  ")):
        assert re.match("git (stash|checkout|apply)|thaw restore", command)
        program, *arguments = shlex.split(command)
        if program == "thaw":
            restore(witness, *arguments[1:])
        else:
            witness.run(program, *arguments)


@pytest.fixture(autouse=True)
def inside(witness: Witness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(witness.root)


def test_each_run_keeps_what_was_booked_and_no_path_of_this_machine(witness: Witness, tmp_path: Path) -> None:
    from thaw.tracking.store import Store

    store = Store(witness.root)
    runs = store.pipeline_runs()
    assert [run["number"] for run in runs] == [3, 2, 1]
    for run, then in zip(runs, (witness.third, witness.second, witness.first), strict=True):
        folder = store.download_folder(run["run_id"], "reproduce", tmp_path / run["run_id"])
        assert folder
        for name in ("params.yaml", "dvc.lock", "data/raw.dvc", "reports/metrics.json"):
            assert (folder / name).read_bytes() == then[name], name
        for path in folder.rglob("*"):
            assert path.is_dir() or str(witness.root).encode() not in path.read_bytes()
        assert (folder / "code.patch").exists() == (run["number"] == 3)
        assert run["tags"].get("dvc.experiment") == (None if run["number"] == 3 else "witness"), "by thaw's own flow"


def test_the_first_of_three_runs_comes_back_with_its_code_and_so_does_the_last(witness: Witness) -> None:
    said = restore(witness, "1", "--yes")
    assert "split.test_fraction: 0.5 -> 0.25" in said
    assert made(witness) == witness.first
    run_commands(witness, said)
    assert made(witness) == witness.first
    assert "up to date" in witness.dvc("status").stdout
    assert not (witness.root / "src" / "thaw" / "stages" / "neu.py").exists()
    (here,) = [run for run in witness.runs() if run["here"]]
    assert here["number"] == 1
    assert find_standing_run(witness.root) == here["run_id"], "`thaw run` has nothing to do"

    run_commands(witness, restore(witness, "3", "--yes"))
    assert made(witness) == witness.third
    assert "up to date" in witness.dvc("status").stdout
    witness.check_books()
    assert (witness.root / "src" / "thaw" / "stages" / "neu.py").read_text() == "ADDED = 1\n"
    said = restore(witness, "dvc repro")
    assert "is at run 3" in said and "The code is that of the run." in said


def test_undo_brings_back_what_was_there(witness: Witness) -> None:
    before = made(witness)
    restore(witness, "2", "--yes")
    assert made(witness) == witness.second
    restore(witness, "--undo", "--yes")
    assert made(witness) == before


def test_what_cannot_be_restored_is_told_in_one_message(witness: Witness) -> None:
    from thaw.tracking.store import Store

    store = Store(witness.root)
    for name, status in (("refused", "FAILED"), ("old", "FINISHED"), ("at work", "RUNNING")):
        run = store.client.create_run(store.experiment_id, tags={"thaw.run": "pipeline"}, run_name=name)
        if status != "RUNNING":
            store.client.set_terminated(run.info.run_id, status)
    before = made(witness)
    for run, message in {
        "refused": "ended as FAILED: it has no result to bring back",
        "at work": "is at work",
        "old": "did not keep what it takes",
        "witness": "2 runs are called so",
        "nobody": "no pipeline run",
        "1": "nobody is there to ask",
    }.items():
        with pytest.raises(ThawError, match=message) as refusal:
            restore(witness, run)
        assert refusal.value.cure
    with (
        FileLock(witness.root / ".thaw" / "run.lock"),
        pytest.raises(ThawError, match="a run of this project is at work"),
    ):
        restore(witness, "1", "--yes")
    assert made(witness) == before
