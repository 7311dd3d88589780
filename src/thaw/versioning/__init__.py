"""Versions of data, models and results: the only package that knows DVC."""

from thaw.versioning.books import Books, preload
from thaw.versioning.snapshot import Snapshot, require_same
from thaw.versioning.spec import StageSpec

__all__ = ["Books", "Snapshot", "StageSpec", "preload", "require_same"]
