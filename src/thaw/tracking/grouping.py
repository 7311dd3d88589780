"""Which stages belong to one run: those that one `dvc repro` or `dvc exp run` starts, each in a process of its own."""

import hashlib
import os
from pathlib import Path

import psutil

from thaw.files import write_text
from thaw.tracking.outbox import Outbox, all_outboxes, create_outbox, find_unfinished

_SHELLS = frozenset({"sh", "bash", "dash", "zsh", "ksh", "fish", "busybox", "cmd.exe", "powershell.exe"})
_FILE = "group"


def is_under_dvc() -> bool:
    """Whether DVC started this process as a stage."""
    return "DVC_STAGE" in os.environ


def group_key(root: Path) -> str:
    """The same for all stages that one DVC process runs in one folder; for a stage started by hand, its own."""
    process = _starter() if is_under_dvc() else psutil.Process()
    return hashlib.sha256(f"{process.pid} {process.create_time()} {root}".encode()).hexdigest()[:16]


def _starter() -> psutil.Process:
    """The nearest ancestor that is no shell."""
    process = psutil.Process()
    for ancestor in process.parents():
        process = ancestor
        if ancestor.name() not in _SHELLS:
            break
    return process


def group_outbox(home: Path, group: str, key: str, fingerprint: str) -> Outbox:
    """The outbox of a group; else the one in which run `key` was killed, with the same `fingerprint`; else a new one."""
    for outbox in reversed(all_outboxes(home)):
        path = outbox.folder / _FILE
        if path.exists() and path.read_text(encoding="utf-8") == group:
            return outbox
    outbox = find_unfinished(home, key, fingerprint) or create_outbox(home)
    write_text(outbox.folder / _FILE, group)
    return outbox
