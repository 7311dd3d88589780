"""Versions of data, models and results: the only package that knows DVC."""

from thaw.versioning.copying import copy_project
from thaw.versioning.plan import choose_stages
from thaw.versioning.repo import DvcRepo, preload
from thaw.versioning.snapshot import Snapshot, require_same
from thaw.versioning.spec import StageSpec, read_stage_names

__all__ = [
    "DvcRepo",
    "Snapshot",
    "StageSpec",
    "choose_stages",
    "copy_project",
    "preload",
    "read_stage_names",
    "require_same",
]
