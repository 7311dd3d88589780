"""Where a project's folder is, and the places in it that are nobody's output."""

import os
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
