"""Write files whole or not at all: a temporary file beside the target, synced, then renamed."""

import contextlib
import csv
import functools
import hashlib
import json
import os
import re
import secrets
import shutil
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thaw.errors import ThawError

if TYPE_CHECKING:
    import pandas as pd

_TEMPORARY = re.compile(r"\..*\.(?P<host>[0-9a-f]{8})-(?P<pid>\d+)-[0-9a-f]{8}\.part(\..*)?", re.DOTALL)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path` that takes its place when the block ends without an error.

    The parent folder is made. A new file gets the rights that the umask leaves, one that is replaced keeps its own.
    After an error the temporary file is gone and `path` is as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = name_beside(path)
    os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        with contextlib.suppress(FileNotFoundError):
            temporary.chmod(stat.S_IMODE(path.stat().st_mode))
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def folder_beside(path: Path) -> Iterator[Path]:
    """Yield an empty temporary folder beside `path`, to be filled and renamed to it; gone after the block if it was not."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = name_beside(path)
    temporary.mkdir()
    try:
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def name_beside(path: Path) -> Path:
    """A free name beside `path` for what will take its place. It tells its writer, so that leftovers are known as such.

    What writers that are dead by now left in that folder is removed, once a process.
    """
    _remove_leftovers(path.parent.resolve())
    writer = f"{_host()}-{os.getpid()}-{secrets.token_hex(4)}"
    return path.with_name(f".{path.stem[:40]}.{writer}.part{path.suffix}")


@functools.cache
def _remove_leftovers(folder: Path) -> None:
    with os.scandir(folder) as entries:
        leftovers = [entry for entry in entries if _is_leftover(entry.name)]
    for entry in leftovers:
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path, ignore_errors=True)
        else:
            Path(entry.path).unlink(missing_ok=True)


def _is_leftover(name: str) -> bool:
    found = _TEMPORARY.fullmatch(name)
    return found is not None and found["host"] == _host() and not _is_alive(int(found["pid"]))


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        pass
    return True


@functools.cache
def _host() -> str:
    """A digest of where process ids hold: the machine, and the namespace, as containers may share a host's name."""
    try:
        namespace = Path("/proc/self/ns/pid").readlink().name
    except OSError:
        namespace = ""
    return hashlib.sha256(f"{socket.gethostname()} {namespace}".encode()).hexdigest()[:8]


def check_room(folder: Path, needed_bytes: int, what: str, cure: str) -> None:
    """Refuse to begin what the disk of `folder`, which exists, has no room for.

    Args:
        what: needs it, in the plural.

    Raises:
        ThawError: fewer than `needed_bytes` are free.
    """
    free_bytes = shutil.disk_usage(folder).free
    if needed_bytes > free_bytes:
        needed, free = f"{needed_bytes / 1e6:,.0f} MB", f"{free_bytes / 1e6:,.0f} MB"
        raise ThawError(f"{folder}: {what} need {needed}, {free} are free", cure)


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8 with line feeds, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_bytes(text.encode())


def write_csv(path: Path, table: "pd.DataFrame") -> None:
    """Write `table` as CSV, as `write_text` does.

    A carriage return in a name ends a line for those who read, and Python's writer leaves it bare: then all text is in quotes.
    """
    text = table.to_csv(index=False, lineterminator="\n")
    if "\r" in text:
        text = table.to_csv(index=False, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    write_text(path, text)


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON in every language's letters; the same value gives the same bytes."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a UTF-8 JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))


def digest(path: Path, algorithm: str = "sha256") -> str:
    """The hex digest of a file's bytes, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


def digest_folder(folder: Path, pattern: str = "**/*") -> str:
    """The SHA-256 over the names and bytes of the files below `folder` that match `pattern`, hidden ones left out."""
    sha = hashlib.sha256()
    names = sorted(path.relative_to(folder).as_posix() for path in folder.glob(pattern) if path.is_file())
    for name in names:
        if not any(part.startswith(".") for part in name.split("/")):
            sha.update(f"{name}\0{digest(folder / name)}\n".encode())
    return sha.hexdigest()
