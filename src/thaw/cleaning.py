"""Move what the gate refuses out of the folder, or rename it in there, and bring it back. Nothing is ever deleted.

Each cleaning is a batch: `<folder>.quarantine/<number>/` with `manifest.json`, written before the first move, and the files
under `files/` with the paths that they had; what was renamed stays in the folder.
"""

import errno
import os
import re
import shlex
from collections.abc import Collection
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from thaw.errors import ThawError
from thaw.files import read_json, write_json
from thaw.gate.checks import CHECKS
from thaw.gate.findings import Finding
from thaw.gate.inspection import Inspection
from thaw.layout import IMAGE_SUFFIXES, is_image_name, printable, promised_format
from thaw.sources import is_indexed, open_index

_MANIFEST = "manifest.json"
_HAND_MADE = {"duplicate_across_classes", "duplicate_across_splits"}
"""A person decides which copy goes: moved only when the check is named."""
_PICTURE_SUFFIX = re.compile(
    rf".+?(?:{'|'.join(re.escape(suffix) for suffixes in IMAGE_SUFFIXES.values() for suffix in suffixes)})(?![a-z0-9])",
    re.IGNORECASE | re.DOTALL,
)
_SPLIT_ORDER = {"test": 0, "validation": 1, "train": 2}


@dataclass(frozen=True)
class Move:
    """A path that leaves the folder, or gets another name in it, and why."""

    path: str
    check: str
    reason: str
    name: str = ""
    """Its bytes in hexadecimal, where it is not UTF-8."""
    target: str = ""
    """Its new path in the folder; empty for one that leaves."""

    @property
    def relative(self) -> str:
        """The path as the system knows it."""
        return os.fsdecode(bytes.fromhex(self.name)) if self.name else self.path


def quarantine_dir(root: Path) -> Path:
    """The folder beside `root` that takes what is moved out."""
    return root.resolve().with_name(f"{root.resolve().name}.quarantine")


def clean_command(root: Path) -> str:
    """What one types to clean the folder."""
    return f"thaw clean {shlex.quote(str(root))}"


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
    path, number = stem + suffix, 2
    while path.casefold() in taken or os.path.lexists(_join(root, path)):
        path, number = f"{stem}_{number}{suffix}", number + 1
    taken.add(path.casefold())
    return path


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


def apply_moves(root: Path, moves: list[Move]) -> Path:
    """Move files out of `root`, or rename them in it; returns the batch's folder. Times and permissions go with them.

    Raises:
        ThawError: the folder is an index, or a file cannot be moved; those that were moved stand in the manifest, and can be
            brought back.
    """
    if is_indexed(root):
        index = open_index(root)
        raise ThawError(
            f"{root}: its images lie in {index.url}, where thaw moves nothing",
            f"Move or delete them there yourself ({index.url}/{moves[0].path} is the first), then run `thaw data update`.",
        )
    home = quarantine_dir(root)
    batch_dir = home / f"{len(_batches(home)) + 1:04d}"
    parents = {os.path.dirname(move.relative.rstrip("/")) for move in moves}  # noqa: PTH120
    times = {
        _json_name(parent): _modified(root, parent)
        for parent in sorted({above for parent in parents for above in _upwards(parent)})
    }
    batch_dir.mkdir(parents=True)
    write_json(
        batch_dir / _MANIFEST, {"undone": False, "moves": [asdict(one) for one in moves], "folders": times}
    )
    for move in moves:
        _rename(root, _join(root, move.relative), _place(root, batch_dir, move))
    return batch_dir


def undo_last(root: Path) -> list[Move]:
    """Bring the last batch that was moved out back to where it was, with its folders' times; returns what came back.

    Raises:
        ThawError: there is no such batch, or another file stands in a place by now; nothing is overwritten.
    """
    home = quarantine_dir(root)
    for batch_dir in reversed(_batches(home)):
        manifest = read_json(batch_dir / _MANIFEST)
        if not manifest["undone"]:
            return _restore(root, batch_dir, manifest)
    raise ThawError(f"{home}: nothing to bring back", f"Only `{clean_command(root)} --apply` puts files there.")


def _restore(root: Path, batch_dir: Path, manifest: dict[str, Any]) -> list[Move]:
    moves = [Move(**one) for one in manifest["moves"]]
    away = [move for move in moves if os.path.lexists(_place(root, batch_dir, move))]
    for move in away:
        if os.path.lexists(_join(root, move.relative)):
            raise ThawError(
                f"{move.path}: another file stands there by now",
                f"Move it away, then run `{clean_command(root)} --undo` again.",
            )
    for move in away:
        _rename(root, _place(root, batch_dir, move), _join(root, move.relative))
    for folder, modified in manifest["folders"].items():
        path = _join(root, _system_name(folder))
        os.utime(path, ns=(os.stat(path).st_atime_ns, modified))  # noqa: PTH116
    write_json(batch_dir / _MANIFEST, manifest | {"undone": True})
    return away


def _place(root: Path, batch_dir: Path, move: Move) -> str:
    """Where a file is once it was moved."""
    return _join(root, move.target) if move.target else _join(batch_dir / "files", move.relative)


def _rename(root: Path, source: str, target: str) -> None:
    os.makedirs(os.path.dirname(target), exist_ok=True)  # noqa: PTH103, PTH120
    try:
        os.rename(source, target)  # noqa: PTH104
    except OSError as error:
        cure = "The folder and its quarantine must be on one disk, and writable."
        if error.errno == errno.EXDEV:
            cure = "The folder is a disk of its own: clean a folder inside it."
        reason = f"{printable(source)}: cannot be moved: {error.strerror}"
        raise ThawError(reason, f"{cure} `{clean_command(root)} --undo` brings back what was moved.") from None


def _batches(home: Path) -> list[Path]:
    return sorted(child for child in home.iterdir() if (child / _MANIFEST).is_file()) if home.is_dir() else []


def _upwards(folder: str) -> list[str]:
    """`folder` and the folders above it, down from the root ("")."""
    parts = folder.split("/") if folder else []
    return ["/".join(parts[:length]) for length in range(len(parts) + 1)]


def _modified(root: Path, folder: str) -> int:
    return os.stat(_join(root, folder)).st_mtime_ns  # noqa: PTH116


def _join(folder: Path, relative: str) -> str:
    return os.path.join(folder, relative.rstrip("/"))  # noqa: PTH118 - a name that is not UTF-8 passes


def _json_name(name: str) -> str:
    """A name as JSON can hold it: as it is, or its bytes in hexadecimal after a zero byte, which no name has."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return f"\0{os.fsencode(name).hex()}"
    return name


def _system_name(text: str) -> str:
    return os.fsdecode(bytes.fromhex(text[1:])) if text.startswith("\0") else text
