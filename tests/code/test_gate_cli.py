"""`thaw validate` and `thaw clean` on any folder: exit codes, JSON, files, and what is never imported."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.code.terminal import run_in_terminal, screen
from tests.data.dirty import clean_folder, picture

ROOT = Path(__file__).parents[2]


def thaw(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT / "src"),
        "XDG_CACHE_HOME": str(cwd / "cache"),
        "HOME": str(cwd),
        "COLUMNS": "140",
    }
    command = [sys.executable, "-m", "thaw", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=120)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return clean_folder(tmp_path / "raw")


def test_exit_codes(root, tmp_path):
    assert thaw("validate", root, "--strict", cwd=tmp_path).returncode == 0
    picture(5000).save(root / "train/cat/a.png")
    picture(5000).resize((70, 70)).save(root / "train/cat/b.png")
    assert thaw("validate", root, cwd=tmp_path).returncode == 0
    done = thaw("validate", root, "--strict", cwd=tmp_path)
    assert done.returncode == 1
    assert "near_duplicate" in done.stdout
    (root / "train/cat/c.png").write_bytes(b"")
    done = thaw("validate", root, cwd=tmp_path)
    assert done.returncode == 2
    assert "train/cat/c.png" in done.stdout
    assert "Traceback" not in done.stderr


def test_a_finding_is_one_line_as_wide_as_the_terminal_and_whole_in_a_pipe(root, tmp_path):
    for length in (40, 60):  # of names that fit no terminal
        (root / "train" / "cat" / f"{'x' * length}.png").write_bytes(b"")
    command = [sys.executable, "-m", "thaw", "validate", str(root)]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "src"), "HOME": str(tmp_path)}
    for columns in (80, 120):
        code, written = run_in_terminal(command, environment, tmp_path, columns)
        lines = screen(written)
        assert code == 2 and max(map(len, lines)) <= columns
        (found,) = [line for line in lines if line.startswith("block")]
        assert re.match(r"block +empty_file +2 +train/cat/x+", found)
        assert found.endswith("…" if columns == 80 else "no bytes")
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert f"train/cat/{'x' * 40}.png: the file has no bytes\n" in done.stdout
    assert done.stdout.count("\n") == 5, "verdict, heading, finding, sentence and cure, a line each"


def test_json_html_and_reference(root, tmp_path):
    first = thaw("validate", root, "--manifest", tmp_path / "m.parquet", cwd=tmp_path)
    assert first.returncode == 0
    for path in (root / "test").rglob("*.png"):
        picture(6000 + int(path.stem[-3:]) + 50 * (path.parent.name == "cat")).point(
            lambda level: level // 3
        ).save(path)
    done = thaw(
        "validate",
        root,
        "--json",
        "--html",
        tmp_path / "p.html",
        "--reference",
        tmp_path / "m.parquet",
        cwd=tmp_path,
    )
    summary = json.loads(done.stdout)
    assert summary["totals"]["images"] == 56
    assert {"drift", "reference_drift"} <= set(summary["checks"])
    assert (tmp_path / "p.html").read_text().startswith("<!doctype html>")


def test_clean_is_a_dry_run_until_told(root, tmp_path):
    (root / "train/cat/.x.png").write_bytes(b"x")
    dry = thaw("clean", root, "--json", cwd=tmp_path)
    assert [move["path"] for move in json.loads(dry.stdout)] == ["train/cat/.x.png"]
    assert (root / "train/cat/.x.png").exists()
    assert thaw("clean", root, "--apply", cwd=tmp_path).returncode == 0
    assert not (root / "train/cat/.x.png").exists()
    assert thaw("clean", root, "--undo", cwd=tmp_path).returncode == 0
    assert (root / "train/cat/.x.png").read_bytes() == b"x"


def test_errors_are_one_message(tmp_path):
    done = thaw("validate", tmp_path / "none", cwd=tmp_path)
    assert done.returncode == 2
    assert "no such folder" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_gate_imports_no_framework(root, tmp_path):
    heavy = (
        "tensorflow",
        "keras",
        "mlflow",
        "great_expectations",
        "pandas",
        "matplotlib",
        "prefect",
        "dvc",
    )
    code = (
        "import sys; from pathlib import Path; from thaw.gate.inspection import inspect_folder;"
        "from thaw import cleaning; from thaw.gate.report import page; from thaw.params import ValidateParams;"
        f"inspect_folder(ValidateParams(), Path({str(root)!r}), Path({str(tmp_path / 's')!r}));"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONPATH": "src"},
    )
    assert done.stdout.strip() == "[]"


def write_params(folder: Path, **severities: str) -> None:
    text = (ROOT / "params.yaml").read_text(encoding="utf-8")
    for check, severity in severities.items():
        text = re.sub(rf"( {check}): \w+", rf"\1: {severity}", text)
    (folder / "params.yaml").write_text(text, encoding="utf-8")


def test_the_cure_names_a_command_that_works_as_it_stands(tmp_path):
    root = clean_folder(tmp_path / "my photos", 3)
    (root / "train/cat/broken.png").write_bytes(b"")
    write_params(tmp_path, empty_file="quarantine")
    done = thaw("validate", "my photos", "--params", "params.yaml", "--json", cwd=tmp_path)
    cure = next(row["cure"] for row in json.loads(done.stdout)["findings"] if row["path"] == "train/cat/broken.png")
    look, apply = re.findall("`thaw ([^`]+)`", cure)
    assert look == "clean 'my photos' --params params.yaml"
    assert "train/cat/broken.png" in thaw(*shlex.split(look), cwd=tmp_path).stdout
    assert thaw(*shlex.split(apply), cwd=tmp_path).returncode == 0
    assert not (root / "train/cat/broken.png").exists()
    assert thaw(*shlex.split(look), "--undo", cwd=tmp_path).returncode == 0
    done = thaw(*shlex.split(look), "--undo", cwd=tmp_path)
    assert "thaw clean 'my photos' --apply" in done.stderr


def test_without_a_folder_the_projects_own_is_cleaned_by_its_parameters(tmp_path):
    project = tmp_path / "project"
    root = clean_folder(project / "data" / "raw", 3)
    (root / "train/cat/broken.png").write_bytes(b"")
    (root / "train/cat/.hidden.png").write_bytes(b"")
    (project / "dvc.yaml").write_text("stages: {}\n")
    write_params(project, hidden="warn")
    done = thaw("clean", cwd=project / "data")
    assert (done.returncode, done.stdout.splitlines()[:-1]) == (0, ["train/cat/broken.png  empty_file"])
    done = thaw("clean", cwd=tmp_path)
    assert done.returncode == 2
    assert "Name a folder" in done.stderr
