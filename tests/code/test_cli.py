"""The command line: what newcomers type, and what goes wrong."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from thaw import cli

ROOT = Path(__file__).parents[2]


def thaw(*arguments: str, cwd: Path = ROOT) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "COLUMNS": "120"}
    return subprocess.run(
        [sys.executable, "-m", "thaw", *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        env=environment,
        timeout=120,
    )


@pytest.mark.parametrize(
    "command",
    ["run", "runs", "search", "seeds", "stage", "ui", "deploy", "doctor", "demo", "predict", "validate", "clean", "data add"],
)
def test_every_command_has_help_with_an_example(command: str) -> None:
    done = thaw(*command.split(), "--help")
    assert done.returncode == 0
    assert "Examples" in done.stdout


def test_outside_a_project_the_cure_is_named(tmp_path: Path) -> None:
    done = thaw("run", cwd=tmp_path)
    assert done.returncode == 2
    assert "no dvc.yaml" in done.stderr
    assert "Traceback" not in done.stderr


def test_doctor_reports_as_json() -> None:
    done = thaw("doctor", "--json")
    checks = {check["name"]: check for check in json.loads(done.stdout)}
    assert checks["tensorflow"]["state"] == "ok"
    assert checks["params.yaml"]["state"] == "ok"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    root.mkdir()
    for name in ("dvc.yaml", "params.yaml"):
        (root / name).write_bytes((ROOT / name).read_bytes())
    for command in (["git", "init", "-q"], [sys.executable, "-m", "dvc", "init", "-q"]):
        subprocess.run(command, cwd=root, check=True)
    return root


def test_a_stage_says_what_is_missing_and_where_it_comes_from(project: Path) -> None:
    done = thaw("stage", "split", cwd=project)
    assert done.returncode == 2
    assert "data/manifest.parquet" in done.stderr
    assert "dvc repro" in done.stderr


@pytest.mark.parametrize(("number", "cure"), [(28, "Make room"), (13, "the right"), (30, "read-only")])
def test_a_full_or_forbidden_disk_is_one_message(number, cure, monkeypatch, capsys):
    def fail(*_, **__):
        raise OSError(number, os.strerror(number), "some/file")

    monkeypatch.setattr(cli, "app", fail)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: some/file: {os.strerror(number)}") and cure in said
    assert "Traceback" not in said


def test_the_version_is_told():
    done = thaw("--version")
    assert done.returncode == 0
    assert done.stdout.startswith("thaw 0.")


@pytest.mark.parametrize("port", ["99999", "0", "-1", "http"])
@pytest.mark.parametrize("option", ["--mlflow-port", "--prefect-port"])
def test_a_port_that_is_none_is_told(option: str, port: str) -> None:
    done = thaw("ui", option, port)
    assert done.returncode == 2
    assert option in done.stderr and "Traceback" not in done.stderr


def test_a_host_that_is_not_this_machine_is_told() -> None:
    done = thaw("ui", "--host", "192.0.2.77")
    assert done.returncode == 2
    assert "--host 192.0.2.77: not an address of this machine" in done.stderr


def files(root: Path) -> dict[str, bytes]:
    """Everything in the project but git's and DVC's own folders."""
    kept = (".git/", ".dvc/")
    paths = {path.relative_to(root).as_posix(): path for path in root.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in paths.items() if not name.startswith(kept)}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--only", "finetune"], "Did you mean fine_tune?"),
        (["--from", "finetune"], "Did you mean fine_tune?"),
        (["--only", "split", "--from", "split"], "Give one of them"),
        (["-S", "fine_tune.epoch=1"], "Did you mean fine_tune.epochs?"),
        (["-S", "fine_tune.epochs=["], "not YAML"),
        (["-S", "split.test_fraction=.inf"], "finite number"),
        (["-S", "split.test_fraction=2024-01-01", "--dry-run"], "valid number"),
    ],
)
def test_a_typo_is_told_before_prefect_or_dvc_is_loaded(project: Path, arguments: list[str], said: str) -> None:
    before = files(project)
    code = "import sys; sys.argv[0] = 'thaw'; from thaw.cli import main\ntry: main()\nfinally: print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code, "run", *arguments],
        cwd=project,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
    )
    assert done.returncode == 2
    assert said in done.stderr and "Traceback" not in done.stderr
    assert not {"prefect", "dvc", "mlflow", "numpy"} & set(done.stdout.split())
    assert files(project) == before


def test_a_dry_run_tells_what_would_run_and_changes_nothing(project: Path) -> None:
    (project / "data" / "raw").mkdir(parents=True)
    before = files(project)
    done = thaw("run", "--dry-run", "-S", "fine_tune.epochs=3", cwd=project)
    assert done.returncode == 0, done.stderr
    assert "validate would run" in done.stdout
    assert "models/frozen will change (train_frozen runs)" in done.stdout
    told = thaw("run", "--dry-run", "--json", cwd=project)
    first = json.loads(told.stdout)["stages"][0]
    assert (first["name"], first["runs"]) == ("validate", True)
    refused = thaw("run", "--dry-run", "--from", "fine_tune", cwd=project)
    assert refused.returncode == 2
    assert "--from fine_tune: validate, which it depends on, is out of date" in refused.stderr
    assert files(project) == before


def test_a_missing_folder_for_named_files_is_told_how_to_make(project: Path) -> None:
    (project / "data" / "raw" / "a").mkdir(parents=True)
    done = thaw("stage", "validate", cwd=project)
    assert done.returncode == 2
    assert "data/contract: stage validate needs it" in done.stderr
    assert "mkdir -p data/contract" in done.stderr


@pytest.mark.parametrize("arguments", [["doctor"], ["--help"], ["run"]])
def test_on_windows_one_message_says_where_thaw_runs(arguments: list[str]) -> None:
    pretend = f"import runpy, sys; sys.platform = 'win32'; sys.argv = ['thaw', *{arguments}]"
    code = f"{pretend}; runpy.run_module('thaw', run_name='__main__')"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines()[0] == "error: thaw runs on Linux and macOS, not on Windows"
    assert done.stderr.splitlines()[1].startswith("  cure: ")
    assert len(done.stderr.splitlines()) == 2
