"""Versions of data, models and results: the only package that knows DVC."""

from thaw.versioning.plan import choose_stages
from thaw.versioning.repo import DvcRepo, preload
from thaw.versioning.snapshot import Snapshot, require_same
from thaw.versioning.spec import StageSpec, read_stage_names
from thaw.versioning.state import kept_state

__all__ = [
    "DvcRepo",
    "Snapshot",
    "StageSpec",
    "choose_stages",
    "kept_state",
    "preload",
    "read_stage_names",
    "require_same",
]
