"""Move files of an image folder so that all of it can be brought back. Nothing is ever deleted.

Each change is a batch: `<folder>.quarantine/<number>/` with `manifest.json`, written before the first move, and the files
under `files/` with the paths that they had; what was renamed stays in the folder. A file that gets another content goes
there, too, and the new one, which waits under `new/`, takes its place. A batch is only renames: killed anywhere it can be
finished or undone.
"""

import errno
import os
import shlex
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from thaw.errors import ThawError
from thaw.files import digest, read_json, write_json
from thaw.layout import printable
from thaw.sources import is_indexed, open_index

_MANIFEST = "manifest.json"
CLEAN, RELABEL = "clean", "relabel"
"""The commands that make batches."""


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


def command_for(root: Path, command: str) -> str:
    """What one types to have the folder changed."""
    return f"thaw clean {shlex.quote(str(root))}" if command == CLEAN else "thaw relabel"


def free_path(root: Path, stem: str, suffix: str, taken: set[str]) -> str:
    """`stem` and `suffix` with a number between them if need be: a path below `root` that no file has, in whatever case.

    Args:
        taken: paths that are spoken for, in case-folded form; the result is added.
    """
    path, number = stem + suffix, 2
    while path.casefold() in taken or os.path.lexists(_join(root, path)):
        path, number = f"{stem}_{number}{suffix}", number + 1
    taken.add(path.casefold())
    return path


def apply_moves(
    root: Path, moves: list[Move], command: str = CLEAN, contents: Mapping[str, bytes] | None = None
) -> Path:
    """Move files out of `root`, or rename them in it; returns the batch's folder. Times and permissions go with them.

    Args:
        moves: what is to be moved.
        command: the one that undoes it.
        contents: files of the folder that get another content, by path.

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
    home, contents = quarantine_dir(root), contents or {}
    batch_dir = home / f"{len(_batches(home)) + 1:04d}"
    changed = [path for move in moves for path in (move.relative, move.target) if path] + list(contents)
    folders = sorted({above for path in changed for above in _upwards(os.path.dirname(path.rstrip("/")))})  # noqa: PTH120
    there = [folder for folder in folders if os.path.isdir(_join(root, folder))]  # noqa: PTH112
    times = {_json_name(folder): _modified(root, folder) for folder in there}
    for path, content in contents.items():
        place = batch_dir / "new" / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
    batch_dir.mkdir(parents=True, exist_ok=True)
    manifest = {
        "command": command,
        "done": False,
        "undone": False,
        "moves": [asdict(one) for one in moves],
        "folders": times,
        "made": [_json_name(folder) for folder in folders if folder not in there],
        "replaced": {path: [digest(root / path), digest(batch_dir / "new" / path)] for path in contents},
    }
    write_json(batch_dir / _MANIFEST, manifest)
    _carry_out(root, batch_dir, manifest)
    return batch_dir


def unfinished(root: Path, command: str) -> list[Move]:
    """The moves of the last batch where it is of `command` and was killed before its end; else none."""
    batch = _last(root)
    return _moves_of(batch[1]) if batch and batch[1].get("command") == command and not batch[1]["done"] else []


def finish_last(root: Path) -> None:
    """Carry out what is left of a batch that was killed, as `unfinished` tells it.

    Raises:
        ThawError: as `apply_moves`; or a file that gets another content was changed since.
    """
    batch = _last(root)
    if batch:
        _carry_out(root, *batch)


def undo_last(root: Path, command: str = CLEAN) -> list[Move]:
    """Bring the last batch back to where it was, with its folders' times; returns what came back.

    Raises:
        ThawError: there is no such batch, another command made it, or another file stands in a place by now; nothing is
            overwritten.
    """
    batch = _last(root)
    if batch is None:
        cure = f"Only `{command_for(root, command)} --apply` puts files there."
        raise ThawError(f"{quarantine_dir(root)}: nothing to bring back", cure)
    maker = batch[1].get("command", CLEAN)
    if maker != command:
        raise ThawError(
            f"{batch[0]}: the last change of {root} was made by `thaw {maker}`, and undone is the last first",
            f"Run `{command_for(root, maker)} --undo` before.",
        )
    return _restore(root, *batch)


def _last(root: Path) -> tuple[Path, dict[str, Any]] | None:
    """The last batch that was not undone: its folder and its manifest."""
    for batch_dir in reversed(_batches(quarantine_dir(root))):
        manifest: dict[str, Any] = read_json(batch_dir / _MANIFEST)
        if not manifest["undone"]:
            return batch_dir, manifest
    return None


def _moves_of(manifest: Mapping[str, Any]) -> list[Move]:
    return [Move(**one) for one in manifest["moves"]]


def _carry_out(root: Path, batch_dir: Path, manifest: Mapping[str, Any]) -> None:
    """Move what is not moved yet."""
    _require_known(root, batch_dir, manifest)
    undo = f"{command_for(root, manifest['command'])} --undo"
    for move in _moves_of(manifest):
        place, source = _place(root, batch_dir, move), _join(root, move.relative)
        if not os.path.lexists(place):
            _rename(source, place, undo)
        elif os.path.lexists(source):
            raise ThawError(f"{place}: another file stands there by now", f"`{undo}` brings back what was moved.")
    for path in manifest["replaced"]:
        old, new, kept = (str(folder / path) for folder in (root, batch_dir / "new", batch_dir / "files"))
        if os.path.lexists(new):
            if os.path.lexists(old):
                _rename(old, kept, undo)
            _rename(new, old, undo)
    write_json(batch_dir / _MANIFEST, {**manifest, "done": True})


def _restore(root: Path, batch_dir: Path, manifest: dict[str, Any]) -> list[Move]:
    undo = f"{command_for(root, manifest.get('command', CLEAN))} --undo"
    replaced = manifest.get("replaced", {})
    away = [move for move in _moves_of(manifest) if os.path.lexists(_place(root, batch_dir, move))]
    for move in away:
        if os.path.lexists(_join(root, move.relative)):
            raise ThawError(
                f"{move.path}: another file stands there by now", f"Move it away, then run `{undo}` again."
            )
    _require_known(root, batch_dir, manifest)
    for move in away:
        _rename(_place(root, batch_dir, move), _join(root, move.relative), undo)
    for path in replaced:
        old, new, kept = (str(folder / path) for folder in (root, batch_dir / "new", batch_dir / "files"))
        if os.path.lexists(kept):
            if os.path.lexists(old):
                _rename(old, new, undo)
            _rename(kept, old, undo)
    _remove_empty(root, manifest.get("made", ()))
    for folder, modified in manifest["folders"].items():
        path = _join(root, _system_name(folder))
        os.utime(path, ns=(os.stat(path).st_atime_ns, modified))  # noqa: PTH116
    write_json(batch_dir / _MANIFEST, manifest | {"undone": True})
    return away


def _require_known(root: Path, batch_dir: Path, manifest: Mapping[str, Any]) -> None:
    """Refuse where a file that the batch gives another content has neither the one from before nor the new one."""
    for path, digests in manifest.get("replaced", {}).items():
        if (root / path).exists() and digest(root / path) not in digests:
            raise ThawError(
                f"{root / path}: was changed since {batch_dir} was begun, and this change would be lost",
                f"Move it out of the folder and run this again; then write into it what you had changed. "
                f"{batch_dir} holds both versions.",
            )


def _remove_empty(root: Path, folders: Collection[str]) -> None:
    """Remove the folders that the batch had made, where nothing else is in them by now."""
    for folder in sorted(folders, reverse=True):
        path = Path(_join(root, _system_name(folder)))
        if path.is_dir() and not any(path.iterdir()):
            path.rmdir()


def _place(root: Path, batch_dir: Path, move: Move) -> str:
    """Where a file is once it was moved."""
    return _join(root, move.target) if move.target else _join(batch_dir / "files", move.relative)


def _rename(source: str, target: str, undo: str) -> None:
    os.makedirs(os.path.dirname(target), exist_ok=True)  # noqa: PTH103, PTH120
    try:
        os.rename(source, target)  # noqa: PTH104
    except OSError as error:
        cure = "The folder and its quarantine must be on one disk, and writable."
        if error.errno == errno.EXDEV:
            cure = "The folder is a disk of its own: take a folder inside it."
        reason = f"{printable(source)}: cannot be moved: {error.strerror}"
        raise ThawError(reason, f"{cure} `{undo}` brings back what was moved.") from None


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
