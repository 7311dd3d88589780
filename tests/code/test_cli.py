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
    ["run", "runs", "stage", "ui", "deploy", "doctor", "demo", "predict", "validate", "clean", "data add"],
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
