"""Write a folder of images as a few tar shards, whose bytes follow from the names and bytes of the files alone."""

import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from thaw.errors import ThawError
from thaw.files import folder_beside
from thaw.layout import is_utf8, name_fault, printable
from thaw.sources import File, StoredPath, typed
from thaw.trees import is_empty


def pack(folder: Path, target: Path, shard_bytes: int, on_file: Callable[[int, int], None]) -> list[str]:
    """Write `<target>/<target's name>-00000.tar` and so on: the files in order of their paths, with no time, owner or rights.

    Args:
        folder: in the layout of `data/raw`, or the index of one; it is not touched.
        target: is made, and is not there yet or empty.
        shard_bytes: a shard ends with the file with which it reaches them.
        on_file: called with how many files are done, and how many there are.

    Returns:
        the names of the shards.

    Raises:
        ThawError: a name in the folder is a leftover's or not UTF-8, something in it is no file, or the target holds files.
    """
    if not is_empty(target):
        raise ThawError(f"{target}: holds files already", "Name a folder that is not there yet.")
    source = typed(folder)
    paths = _files(source)
    with folder_beside(target) as temporary:
        names: list[str] = []
        start = 0
        while start < len(paths):
            names.append(f"{target.name}-{len(names):05d}.tar")
            start = _write(temporary / names[-1], source, paths, start, shard_bytes, on_file)
        if target.exists():
            target.rmdir()
        temporary.rename(target)
    return names


def _write(
    shard: Path, folder: File, paths: list[str], start: int, shard_bytes: int, on_file: Callable[[int, int], None]
) -> int:
    """Write the shard that begins with file `start`; the number of the file that the next one begins with."""
    with tarfile.open(shard, "w", format=tarfile.PAX_FORMAT) as archive:
        for number in range(start, len(paths)):
            member = tarfile.TarInfo(paths[number])
            with _open(folder / paths[number]) as file:
                member.size = file.seek(0, os.SEEK_END)
                file.seek(0)
                archive.addfile(member, file)
            on_file(number + 1, len(paths))
            if archive.offset >= shard_bytes:
                return number + 1
    return len(paths)


def _open(file: File) -> BinaryIO:
    return file.open("rb") if isinstance(file, Path) else io.BytesIO(file.read_bytes())


def _files(folder: File) -> list[str]:
    if not folder.is_dir():
        raise ThawError(f"{folder}: no such folder", "Name a folder of images, as <class>/* or <split>/<class>/*.")
    if isinstance(folder, StoredPath):
        return [_checked(file.path, folder) for file in folder.files()]
    found = []
    for parent, folders, files in os.walk(folder, onerror=_refuse):
        for name in (*folders, *files):
            path = Path(parent, name)
            _checked(path.relative_to(folder).as_posix(), folder)
            if (name in folders and path.is_symlink()) or (name in files and not path.is_file()):
                raise ThawError(f"{path}: no plain file", "Move it out of the folder.")
        found += [Path(parent, name).relative_to(folder).as_posix() for name in files]
    if not found:
        raise ThawError(f"{folder}: holds no file", "Name a folder of images.")
    return sorted(found)


def _checked(path: str, folder: File) -> str:
    for name in path.split("/"):
        if not is_utf8(name) or name_fault(name)[0]:
            raise ThawError(
                f"{folder}: {printable(path)}: {name_fault(name)[1] or 'its name is not UTF-8'}",
                f"Shards keep what they were written with: `thaw validate {folder}` says how to be rid of it.",
            )
    return path


def _refuse(error: OSError) -> None:
    raise ThawError(f"{error.filename}: {error.strerror}", "Give yourself permission to read it.")
