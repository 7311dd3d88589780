"""What a shell completes, asked as the shell asks: `_THAW_COMPLETE`, `COMP_WORDS`, `COMP_CWORD`."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from thaw.files import write_json

ROOT = Path(__file__).parents[2]
CODE = "import sys; sys.argv[0] = 'thaw'; from thaw.cli import main\ntry: main()\nfinally: print(*sys.modules, file=sys.stderr)"
HEAVY = {"mlflow", "dvc", "prefect", "tensorflow", "keras", "numpy", "pandas", "great_expectations"}


def complete(cwd: Path, line: str) -> list[str]:
    words = line.split(" ")
    asked = {"_THAW_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    done = subprocess.run(
        [sys.executable, "-c", CODE],
        cwd=cwd,
        capture_output=True,
        text=True,
        env={**os.environ, **asked, "PYTHONPATH": str(ROOT / "src")},
        timeout=60,
    )
    assert "Traceback" not in done.stderr
    assert not HEAVY & set(done.stderr.split()), "it would take seconds"
    return done.stdout.split()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name in ("dvc.yaml", "params.yaml"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    write_json(tmp_path / ".thaw" / "outbox" / "1" / "run_ids.json", {"experiment": "1", "pipeline": "cafe01"})
    write_json(tmp_path / ".thaw" / "outbox" / "2" / "run_ids.json", {"experiment": "1", "pipeline": "babe02"})
    return tmp_path


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("thaw run --only s", ["split"]),
        ("thaw run --from tr", ["train_frozen"]),
        ("thaw stage ev", ["evaluate"]),
        ("thaw run -S fine_tune.le", ["fine_tune.learning_rate="]),
        ("thaw run -S see", ["seed="]),
        ("thaw predict --run ", ["babe02", "cafe01"]),
        ("thaw explain ca", ["cafe01"]),
        ("thaw model show lene", ["lenet5"]),
        ("thaw demo d", ["digits"]),
        ("thaw mo", ["model"]),
        ("thaw run --dr", ["--dry-run"]),
    ],
)
def test_names_are_completed_without_a_heavy_import(project: Path, line: str, expected: list[str]) -> None:
    assert complete(project, line) == expected


@pytest.mark.parametrize("line", ["thaw run --only s", "thaw run -S s", "thaw predict --run "])
def test_outside_a_project_nothing_is_completed_and_nothing_said(tmp_path: Path, line: str) -> None:
    assert complete(tmp_path, line) == []
