"""Which files below a folder are pictures: the rule of the gate, for those who list a folder without it."""

import os
from pathlib import Path

from thaw.layout import is_image_name, is_raw_name, name_fault
from thaw.leftovers import backup_of
from thaw.signatures import HEAD_BYTES, shows_picture
from thaw.sources import File, StoredPath


def pictures_below(folder: File) -> list[File]:
    """The pictures below `folder`, by path; hidden and leftover folders are not entered, links to folders are not followed.

    Of a folder in a store names alone tell what is a picture.
    """
    if isinstance(folder, StoredPath):
        return [file for file in folder.files() if is_image_name(file.name) and not any(map(_is_leftover, file.parts))]
    found = []
    for parent, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not _is_leftover(name)]
        found += [path for name in files if is_picture(path := Path(parent, name))]
    return list[File](sorted(found))


def is_picture(path: Path) -> bool:
    """Whether a file is a picture, by its name or, where its name has no known suffix, by its first bytes.

    A leftover is none, but for a backup copy that is all that is left of a picture.
    """
    if _is_leftover(path.name):
        return is_lone_backup(path) and _holds_picture(path)
    return (is_image_name(path.name) and path.is_file()) or _holds_picture(path)


def is_lone_backup(path: File) -> bool:
    """Whether a file is named as the backup copy of a picture (`photo.jpg~`) that is not beside it any more."""
    original = backup_of(path.name)
    if not is_image_name(original) or _is_leftover(original):
        return False
    beside = path.with_name(original)
    return not (beside.is_file() if isinstance(beside, StoredPath) else os.path.lexists(beside))


def _is_leftover(name: str) -> bool:
    return name_fault(name)[0] in ("hidden", "junk")


def _holds_picture(path: Path) -> bool:
    if is_raw_name(path.name) or not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            return shows_picture(file.read(HEAD_BYTES))
    except OSError:
        return False
