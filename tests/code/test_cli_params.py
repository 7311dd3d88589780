"""`thaw params`: what is in force, and what of it was changed."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from thaw.cli import app

ROOT = Path(__file__).parents[2]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("params.yaml", "dvc.yaml"):
        shutil.copyfile(ROOT / name, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def commit(project: Path) -> None:
    subprocess.run(["git", "init", "-q"], cwd=project, check=True)
    subprocess.run(["git", "add", "-A"], cwd=project, check=True)
    subprocess.run(["git", "-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "one"], cwd=project, check=True)


def edit(project: Path, old: str, new: str) -> None:
    path = project / "params.yaml"
    assert path.read_text().count(old) == 1
    path.write_text(path.read_text().replace(old, new))


def test_what_was_changed_since_the_commit_is_told(project: Path) -> None:
    commit(project)
    assert "No parameter differs" in CliRunner().invoke(app, ["params", "--diff"]).stdout
    edit(project, "image_size: 224", "image_size: 96")
    told = json.loads(CliRunner().invoke(app, ["params", "--diff", "--json"]).stdout)
    assert told == [{"key": "augment.image_size", "value": 96, "default": 224, "committed": 224}]
    (line,) = [line for line in CliRunner().invoke(app, ["params"]).stdout.splitlines() if "image_size" in line]
    assert line.split() == ["augment.image_size", "96", "224", "224"]


def test_without_git_there_is_nothing_to_compare_with(project: Path) -> None:
    assert "augment.image_size" in CliRunner().invoke(app, ["params"]).stdout
    done = CliRunner().invoke(app, ["params", "--diff"])
    assert done.exit_code == 1 and "no commit" in str(done.exception)


def test_what_an_upgrade_brought_is_added(project: Path) -> None:
    text = (project / "params.yaml").read_text()
    line = next(line for line in text.splitlines(keepends=True) if line.startswith("  ema_momentum:"))
    (project / "params.yaml").write_text(text.replace(line, ""))
    told = CliRunner().invoke(app, ["params"])
    assert told.exit_code == 1 and "missing key fine_tune.ema_momentum" in str(told.exception)
    assert CliRunner().invoke(app, ["params", "--add-missing"]).stdout.split() == [
        "Added", "to", "params.yaml:", "fine_tune.ema_momentum:", "0.0",
    ]  # fmt: skip
    assert CliRunner().invoke(app, ["params", "--add-missing"]).stdout == "No parameter is missing.\n"
    assert CliRunner().invoke(app, ["params"]).exit_code == 0
