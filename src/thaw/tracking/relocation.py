"""Keeps the project's own MLflow store true after the project was moved or copied.

MLflow writes absolute paths of files into its database: a moved project would read and write in the old place.
"""

import contextlib
import sqlite3
from pathlib import Path

# Those of MLflow's columns that hold where files lie.
_COLUMNS = {
    "experiments": ("artifact_location",),
    "runs": ("artifact_uri",),
    "logged_models": ("artifact_location",),
    "model_versions": ("source", "storage_location"),
    "trace_tags": ("value",),
}
_ENDING = "/mlruns/artifacts"
_LOCK_SECONDS = 20.0


def relocate(database_path: Path, artifacts_dir: Path) -> None:
    """Point every file of the store to `artifacts_dir`, in one transaction, where the database says another place's `mlruns`.

    Raises:
        sqlite3.Error: the database is locked for long, or none.
    """
    if not database_path.exists():
        return
    here = artifacts_dir.as_uri()
    with contextlib.closing(sqlite3.connect(database_path, _LOCK_SECONDS, isolation_level=None)) as database:
        if not _elsewhere(database, here):
            return
        database.execute("BEGIN IMMEDIATE")
        for there in _elsewhere(database, here):
            for table, column in _held(database):
                database.execute(
                    f"UPDATE {table} SET {column} = ? || substr({column}, ?)"  # noqa: S608
                    f" WHERE {column} = ? OR substr({column}, 1, ?) = ?",
                    (here, len(there) + 1, there, len(there) + 1, f"{there}/"),
                )
        database.execute("COMMIT")


def _elsewhere(database: sqlite3.Connection, here: str) -> list[str]:
    """The other places that experiments of the store keep their files in."""
    if ("experiments", "artifact_location") not in _held(database):
        return []
    found = database.execute("SELECT DISTINCT artifact_location FROM experiments").fetchall()
    return [place for (place,) in found if place and place.endswith(_ENDING) and place != here]


def _held(database: sqlite3.Connection) -> list[tuple[str, str]]:
    """Those tables and columns of `_COLUMNS` that this database has."""
    held = []
    for table, columns in _COLUMNS.items():
        present = {row[1] for row in database.execute(f"PRAGMA table_info({table})")}
        held += [(table, column) for column in columns if column in present]
    return held
