"""What is to be moved out of an image folder because the gate refuses it, or renamed in there: `thaw.batches` does it."""

import os
import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

from thaw.batches import CLEAN, Move, command_for, free_path
from thaw.errors import ThawError
from thaw.gate.checks import CHECKS
from thaw.gate.findings import Finding
from thaw.gate.inspection import Inspection
from thaw.layout import IMAGE_SUFFIXES, is_image_name, promised_format

_HAND_MADE = {"duplicate_across_classes", "duplicate_across_splits"}
"""A person decides which copy goes: moved only when the check is named."""
_PICTURE_SUFFIX = re.compile(
    rf".+?(?:{'|'.join(re.escape(suffix) for suffixes in IMAGE_SUFFIXES.values() for suffix in suffixes)})(?![a-z0-9])",
    re.IGNORECASE | re.DOTALL,
)
_SPLIT_ORDER = {"test": 0, "validation": 1, "train": 2}


def clean_command(root: Path) -> str:
    """What one types to clean the folder."""
    return command_for(root, CLEAN)


def plan_moves(inspection: Inspection, checks: Collection[str] = ()) -> list[Move]:
    """What a cleaning would move: all that is blocked or quarantined and can be moved, or what fails one of `checks`.

    Of a cluster of equal pictures one stays; of a cluster across splits the copy that is in the test split.

    Raises:
        ThawError: a check is unknown, or no file of it can be moved.
    """
    for check in checks:
        if check not in CHECKS or not CHECKS[check].movable:
            movable = ", ".join(name for name, one in CHECKS.items() if one.movable)
            raise ThawError(f"--check {check}: no check whose files can be moved", f"Name one of: {movable}.")
    chosen: dict[str, Finding] = {}
    kept = _kept(inspection, checks)
    for row in inspection.found:
        wanted = (
            row.check in checks
            if checks
            else (
                row.severity in ("block", "quarantine")
                and CHECKS[row.check].movable
                and row.check not in _HAND_MADE
            )
        )
        if wanted and row.path not in kept:
            chosen.setdefault(row.path, row)
    folders = tuple(path for path in chosen if path.endswith("/"))
    return [
        Move(path, row.check, row.reason, inspection.raw_names.get(path.rstrip("/"), ""))
        for path, row in sorted(chosen.items())
        if not any(path.startswith(folder) and path != folder for folder in folders)
    ]


def plan_renames(inspection: Inspection) -> list[Move]:
    """New names, with the suffix of their format, for pictures whose names have another or none.

    Raises:
        ThawError: metadata.csv knows some of them by the names that they have.
    """
    rows = [row for row in inspection.found if row.check == "wrong_suffix"]
    known = [row.path for row in rows if row.path in inspection.metadata.values]
    if known:
        raise ThawError(
            f"metadata.csv: has rows for {len(known)} of the pictures to rename, {known[0]} among them",
            "A row would lose its picture: change the names in both yourself, or leave them; they train as they are.",
        )
    taken: set[str] = set()
    return [
        Move(row.path, row.check, row.reason, target=_free_name(inspection.root, row, taken))
        for row in sorted(rows, key=lambda row: row.path)
    ]


def _free_name(root: Path, row: Finding, taken: set[str]) -> str:
    """A path in the same folder that no file has; it is added to `taken`."""
    suffix = IMAGE_SUFFIXES[str(row.value)][0]
    named = _PICTURE_SUFFIX.match(os.path.basename(row.path))  # noqa: PTH119
    stem = row.path.rstrip(".")
    if named and promised_format(named[0]) == row.value:
        stem, suffix = os.path.splitext(os.path.join(os.path.dirname(row.path), named[0]))  # noqa: PTH118, PTH120, PTH122
    elif is_image_name(row.path):
        stem = os.path.splitext(row.path)[0]  # noqa: PTH122
    return free_path(root, stem, suffix, taken)


def _kept(inspection: Inspection, checks: Collection[str]) -> set[str]:
    """The copy of each cluster that stays, where clusters across splits or near duplicates are to be moved."""
    split = dict(zip(inspection.rows.paths, inspection.rows.splits, strict=True))
    first: dict[tuple[str, Any], str] = {}
    for row in inspection.found:
        if row.check in checks and row.check.endswith("_across_splits"):
            best = first.setdefault((row.check, row.value), row.path)
            if _SPLIT_ORDER.get(split[row.path], 3) < _SPLIT_ORDER.get(split[best], 3):
                first[(row.check, row.value)] = row.path
    return set(first.values())
