"""Versions of data, models and results: the only package that knows DVC."""

from thaw.versioning.code import Code
from thaw.versioning.copying import copy_project
from thaw.versioning.experiment import book_experiment
from thaw.versioning.plan import choose_stages
from thaw.versioning.repo import DvcRepo, preload
from thaw.versioning.snapshot import Snapshot, require_same
from thaw.versioning.spec import StageSpec, read_stage_names
from thaw.versioning.state import current_code, take_state, write_state

__all__ = [
    "Code",
    "DvcRepo",
    "Snapshot",
    "StageSpec",
    "book_experiment",
    "choose_stages",
    "copy_project",
    "current_code",
    "preload",
    "read_stage_names",
    "require_same",
    "take_state",
    "write_state",
]
