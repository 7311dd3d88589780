"""Checkpoints: written whole, kept in pairs, and never taken for another training's."""

import io
import json
import logging
import os
import zipfile
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from thaw.devices import backend_distributions
from thaw.files import digest, replacing
from thaw.fingerprint import code_digest, content_key, library_versions
from thaw.project import FINISHED

_log = logging.getLogger("thaw.training")
_KEPT = 2


def training_key(stage: str, *parts: object) -> str:
    """All that decides the result of a stage that trains: `parts`, the code that it runs, and the libraries' versions."""
    code = code_digest("augmentation", "backends", "engines", "models", "training", f"stages/{stage}.py")
    libraries = library_versions("keras", *backend_distributions(), "numpy", "openvino")
    return content_key(stage, *parts, code, libraries)


@dataclass(frozen=True)
class Checkpoint:
    """Where a training stands."""

    step: int
    """Steps done, over all epochs."""
    arrays: dict[str, np.ndarray]
    facts: dict[str, Any]
    """JSON: the journal's rows, early stopping's state."""


class Checkpoints:
    """The checkpoints of one training in `home_dir`.

    A file is named by its step and by the digest of its content, so that a torn one is told from a whole one; the one
    before it is used then. Those of another `key` (other parameters, data, weights or code) are removed.
    """

    def __init__(self, home_dir: Path, key: str) -> None:
        self.home_dir = home_dir
        self.key = content_key(key)[:16]

    def save(self, checkpoint: Checkpoint) -> None:
        """Write a checkpoint, then remove all but the last two."""
        facts = json.dumps({"step": checkpoint.step, **checkpoint.facts}).encode()
        self.home_dir.mkdir(parents=True, exist_ok=True)
        (self.home_dir / FINISHED).unlink(missing_ok=True)
        with replacing(self.home_dir / "new.npz") as temporary:
            np.savez(temporary, allow_pickle=False, facts=np.frombuffer(facts, np.uint8), **checkpoint.arrays)
            name = f"{self.key}-{checkpoint.step:010d}-{digest(temporary)[:16]}.npz"
        (self.home_dir / "new.npz").replace(self.home_dir / name)
        _sync_folder(self.home_dir)
        for path in self._files()[:-_KEPT]:
            path.unlink()

    def load(self) -> Checkpoint | None:
        """The last whole checkpoint of this training, if any."""
        for path in self.home_dir.glob("*.npz"):
            if not path.name.startswith(self.key):
                path.unlink(missing_ok=True)  # another process of the training group may do the same
        for path in reversed(self._files()):
            data = path.read_bytes()
            if sha256(data).hexdigest()[:16] != path.stem.rsplit("-", 1)[1]:
                _log.warning("%s is torn: the checkpoint before it is used", path.name)
                continue
            try:
                with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
                    content = dict(arrays)
            except (ValueError, zipfile.BadZipFile):
                _log.warning("%s cannot be read: the checkpoint before it is used", path.name)
                continue
            facts = json.loads(content.pop("facts").tobytes())
            return Checkpoint(facts.pop("step"), content, facts)
        return None

    def finish(self) -> None:
        """Say that the training is done. The last checkpoint stays until its result is booked, by `forget_finished`."""
        self.home_dir.mkdir(parents=True, exist_ok=True)
        (self.home_dir / FINISHED).touch()

    def _files(self) -> list[Path]:
        return sorted(self.home_dir.glob(f"{self.key}-*.npz"))


def _sync_folder(folder: Path) -> None:
    """Have the folder's entries on disk, so that a renamed file is still there after a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
