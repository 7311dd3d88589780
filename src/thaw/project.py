"""Where a project's folder is, and the places in it that are nobody's output."""

import hashlib
import os
import re
import secrets
import shlex
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from thaw.errors import ThawError
from thaw.files import read_json, write_json

CHECKPOINTS = "checkpoints"
"""The folder of a stage's scratch that holds where its training stands."""
FINISHED = "finished"
"""A file among the checkpoints: the training is done, its result perhaps not booked yet."""


def find_root(start: Path | None = None) -> Path:
    """The nearest folder upwards that holds `dvc.yaml`.

    Raises:
        ThawError: there is none.
    """
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents):
        if (folder / "dvc.yaml").is_file():
            return folder
    raise ThawError(f"{here}: no dvc.yaml here or above", "Run thaw inside the project's folder.")


def home_dir(root: Path) -> Path:
    """The folder that outlives temporary copies: `DVC_ROOT`'s, where an experiment runs in a copy of the project."""
    return Path(os.environ.get("DVC_ROOT") or root)


def run_lock(root: Path) -> FileLock:
    """Held by the one run, or restoring of a run, that is at work in a project's folder."""
    return FileLock(root / ".thaw" / "run.lock")


@contextmanager
def holding(root: Path) -> Iterator[None]:
    """Hold the project's folder, as a run does.

    Raises:
        ThawError: a run is at work in it.
    """
    lock = run_lock(root)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise ThawError("a run of this project is at work", "Wait for it, or end it. Nothing was changed.") from None
    try:
        yield
    finally:
        lock.release()


def scratch_dir(root: Path, stage: str) -> Path:
    """Where a stage keeps checkpoints, caches and its journal: outside its outputs, which DVC removes.

    An experiment in a copy of the project has a scratch of its own, by its parameters and data: two that run side by side do
    not meet, and the same one goes on where it was killed.
    """
    home = home_dir(root) / ".thaw"
    return (home / "experiments" / _experiment(root) if _in_copy(root) else home) / stage


def _in_copy(root: Path) -> bool:
    return home_dir(root).resolve() != root.resolve()


def _experiment(root: Path) -> str:
    sha = hashlib.sha256()
    for path in (root / "params.yaml", *sorted((root / "data").glob("*.dvc"))):
        sha.update(path.read_bytes() if path.is_file() else b"")
    return sha.hexdigest()[:16]


def forget_experiment(root: Path) -> None:
    """Remove the scratch of an experiment in a copy of the project, which has ended; elsewhere nothing."""
    if _in_copy(root):
        shutil.rmtree(scratch_dir(root, ""), ignore_errors=True)


def forget_finished(root: Path, stage: str) -> None:
    """Remove the checkpoints of a training that is done and booked; those of one in progress stay."""
    folder = scratch_dir(root, stage) / CHECKPOINTS
    if (folder / FINISHED).exists():
        shutil.rmtree(folder)


def project_name(home: Path) -> str:
    """The project's name where several projects share a server: its folder's and six signs of its own.

    It is made when it is first asked for and stays when the project is moved; a copy gets a name of its own.
    """
    path = home / ".thaw" / "project.json"
    place = str(home.resolve())
    name, known_place = _read_project(path)
    if known_place == place:
        return name
    copied = bool(name) and _read_project(Path(known_place) / ".thaw" / "project.json")[0] == name
    if not name or copied:
        name = _new_name(home)
    write_json(path, {"name": name, "place": place})
    return name


def _read_project(path: Path) -> tuple[str, str]:
    """The name and the place that a project's file holds; empty ones where there is none."""
    try:
        known = read_json(path)
        return str(known["name"]), str(known["place"])
    except (OSError, ValueError, KeyError, TypeError):
        return "", ""


def _new_name(home: Path) -> str:
    folder = re.sub(r"[^\w\-]+", "-", home.resolve().name).strip("-")[:80]
    return f"{folder or 'project'}-{secrets.token_hex(3)}"


def named_file(key: str, name: str, folder_dir: Path) -> Path | None:
    """The file in `folder_dir` that the parameter `key` names; None where the name is empty.

    A parameter takes no path: DVC would know the path and not what is in the file. The folder is a dependency as a whole.

    Raises:
        ThawError: `name` is no file's name, or there is no such file.
    """
    if not name:
        return None
    place, plain = f"{folder_dir.parent.name}/{folder_dir.name}", Path(name).name
    if name != plain or name.startswith("."):
        source = name if plain.strip(".") else "/path/FILE"
        raise ThawError(f"{key}: {name!r} is no name of a file in {place}", _how_to_bring(key, source, place))
    if not (folder_dir / name).is_file():
        raise ThawError(f"{key}: {place}/{name}: no such file", _how_to_bring(key, f"/path/{name}", place))
    return folder_dir / name


def _how_to_bring(key: str, source: str, place: str) -> str:
    quoted, name = shlex.quote(source), shlex.quote(Path(source).name)
    return f"Run `cp {quoted} {place}/ && thaw run -S {key}={name}`."
