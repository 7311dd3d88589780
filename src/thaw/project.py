"""Where a project's folder is, and the places in it that are nobody's output."""

import os
import shlex
from pathlib import Path

from thaw.errors import ThawError


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


def scratch_dir(root: Path, stage: str) -> Path:
    """Where a stage keeps checkpoints, caches and its journal: outside its outputs, which DVC removes."""
    return home_dir(root) / ".thaw" / stage


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
