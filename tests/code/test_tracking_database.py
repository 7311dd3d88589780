"""The project's own MLflow database: made by one process at a time, and whole or not at all."""

import contextlib
import os
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

OPENING = "import sys; from pathlib import Path; from thaw.tracking.store import Store; Store(Path(sys.argv[1]))"


def begin(code: str, *arguments: Path) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", code, *map(str, arguments)], stderr=subprocess.PIPE, text=True)


def tables(path: Path) -> set[str]:
    with contextlib.closing(sqlite3.connect(path)) as database:
        return {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def largest_bytes(folder: Path) -> int:
    with os.scandir(folder) as entries:
        return max((entry.stat().st_size for entry in entries if entry.name.endswith(".db")), default=0)


def test_processes_that_meet_at_the_first_opening_all_open_it(tmp_path: Path) -> None:
    processes = [begin(OPENING, tmp_path) for _ in range(3)]
    for process in processes:
        _, said = process.communicate(timeout=120)
        assert process.returncode == 0, said
    assert not [name for name in tables(tmp_path / "mlruns" / "mlflow.db") if name.startswith("_alembic_tmp")]
    assert [path.name for path in (tmp_path / "mlruns").iterdir()] == ["mlflow.db"]


def test_a_kill_while_it_is_made_leaves_none_in_its_place(tmp_path: Path) -> None:
    home = tmp_path / "mlruns" / "mlflow.db"
    home.parent.mkdir()
    killed = begin(OPENING, tmp_path)
    deadline = time.monotonic() + 60
    while largest_bytes(home.parent) < 200_000:  # some of its tables are there
        assert time.monotonic() < deadline and killed.poll() is None
        time.sleep(0.001)
    killed.kill()
    killed.communicate()
    assert not home.exists()
    again = begin(OPENING, tmp_path)
    _, said = again.communicate(timeout=120)
    assert again.returncode == 0, said
    assert "experiments" in tables(home)
    assert [path.name for path in home.parent.iterdir()] == ["mlflow.db"]
