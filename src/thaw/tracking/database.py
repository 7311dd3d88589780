"""Makes the project's own MLflow database, which is whole or not there.

MLflow makes its tables in some fifty migrations that no transaction holds together: two processes that meet in them, or one
that is killed in their midst, leave a database that MLflow can never open again.
"""

from pathlib import Path
from urllib.parse import quote

from filelock import FileLock

from thaw.files import replacing


def create_database(database_path: Path, lock_path: Path) -> None:
    """Make an empty store where there is none; other processes wait until it is there.

    Args:
        lock_path: a file that those who make it lock.

    Raises:
        sqlalchemy.exc.SQLAlchemyError, OSError: the folder cannot be written to.
    """
    if database_path.exists():
        return
    import mlflow.db

    lock_path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(lock_path):
        if database_path.exists():
            return
        with replacing(database_path) as temporary:
            mlflow.db.upgrade.callback(database_uri(temporary))


def database_uri(database_path: Path) -> str:
    """The address of a SQLite store.

    Its path is quoted, or a folder called `My%20Project` would be another. The driver is named because MLflow makes the
    parent folder of what follows a plain `sqlite:///`, quoted as it is.
    """
    return f"sqlite+pysqlite:///{quote(str(database_path))}"
