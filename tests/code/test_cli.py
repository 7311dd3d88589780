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


@pytest.mark.parametrize("how", ["--copy", "--link"])
def test_data_add_brings_a_folder_in_and_leaves_the_original(project: Path, tmp_path: Path, how: str) -> None:
    source = tmp_path / "mes images"
    (source / "été").mkdir(parents=True)
    (source / "été" / "ä 1.png").write_bytes(b"png")
    done = thaw("data", "add", str(source), how, cwd=project)
    assert done.returncode == 0, done.stderr
    target = project / "data" / "raw" / "été" / "ä 1.png"
    assert target.read_bytes() == b"png"
    assert (source / "été" / "ä 1.png").read_bytes() == b"png"
    assert os.access(source / "été" / "ä 1.png", os.W_OK)
    assert (target.stat().st_nlink > 1 or target.is_symlink()) == (how == "--link")
    assert "thaw run" in done.stdout
    assert "md5:" in (project / "data" / "raw.dvc").read_text()


def test_data_add_never_replaces_data_unasked(project: Path, tmp_path: Path) -> None:
    source = tmp_path / "new"
    (source / "a").mkdir(parents=True)
    (source / "a" / "1.png").write_bytes(b"new")
    old = project / "data" / "raw" / "a" / "1.png"
    old.parent.mkdir(parents=True)
    old.write_bytes(b"old")
    done = thaw("data", "add", str(source), cwd=project)
    assert done.returncode == 2
    assert old.read_bytes() == b"old"
    assert thaw("data", "add", str(source), "--replace", cwd=project).returncode == 0
    assert old.read_bytes() == b"new"
    assert (project / "data" / "raw.old-1" / "a" / "1.png").read_bytes() == b"old"


@pytest.mark.parametrize("name", ["../x", ".hidden", "a/b", ""])
def test_data_add_stays_in_its_folder(project: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / "new").mkdir()
    done = thaw("data", "add", str(tmp_path / "new"), f"--name={name}", cwd=project)
    assert done.returncode == 2
    assert "not a folder's name" in done.stderr


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
