"""Compiled networks kept on disk under a digest of what they were made from."""

import os
import shutil
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from thaw.files import folder_beside, read_json, write_json

if TYPE_CHECKING:
    import keras

_KEPT_NETWORKS = 4


class CompiledNetwork:
    """A network that may stand on disk in an engine's own format, and that `load` makes where it does not."""

    def __init__(self, home_dir: Path, key: str, load: "Callable[[], keras.Model]") -> None:
        self.network_dir = home_dir / key
        self._load = load

    @cached_property
    def model(self) -> "keras.Model":
        """The Keras network, made when it is first asked for."""
        return self._load()

    def ensure(self, convert: "Callable[[keras.Model, Path], None]") -> Path:
        """The folder of the converted network; `convert(model, folder)` fills it where there is none.

        The folder appears whole or not at all, and the oldest beyond a few are removed.
        """
        if not self.network_dir.is_dir():
            with folder_beside(self.network_dir) as temporary:
                try:
                    convert(self.model, temporary)
                    temporary.replace(self.network_dir)
                except OSError:
                    if not self.network_dir.is_dir():  # else another process has just put the same network there
                        raise
            self._remove_oldest()
        os.utime(self.network_dir)
        return self.network_dir

    def read_error(self, name: str) -> float | None:
        """The relative error kept under `name`, if any."""
        path = self.network_dir / f"{name}.json"
        return float(read_json(path)["relative_error"]) if path.is_file() else None

    def write_error(self, name: str, error: float) -> None:
        """Keep a relative error under `name`."""
        write_json(self.network_dir / f"{name}.json", {"relative_error": error})

    def _remove_oldest(self) -> None:
        folders = [path for path in self.network_dir.parent.iterdir() if path.is_dir() and path.name[0] != "."]
        folders.sort(key=lambda path: path.stat().st_mtime)
        for folder in folders[:-_KEPT_NETWORKS]:
            if folder != self.network_dir:
                shutil.rmtree(folder, ignore_errors=True)
