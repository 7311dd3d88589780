"""Where each image goes in `data/raw`: class folders that every system can have, names that never meet."""

import hashlib
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from posixpath import basename

from thaw.intake.reading import Undecided
from thaw.layout import name_fault

_MOST_BYTES = 200
_FORBIDDEN = re.compile(r"[/\\\0-\x1f\x7f]")


def class_folders(labels: Iterable[str]) -> tuple[dict[str, str], list[str]]:
    """Label -> the folder that it gets, and a sentence for each label that is written otherwise.

    Two Unicode forms of one text are one class.

    Raises:
        Undecided: labels that differ would share a folder, differ by case alone, or one is too long.
    """
    folders = {label: _safe(label) for label in labels}
    notes = []
    for label, folder in sorted(folders.items()):
        if unicodedata.normalize("NFC", label) != folder:
            notes.append(f"class {label!r} is written {folder!r}, which a folder can be called")
        if len(folder.encode()) > _MOST_BYTES:
            raise Undecided(
                f"the class {label[:40]!r}... is too long for a folder's name",
                advice="Give it a shorter name.",
            )
    alike: dict[str, set[str]] = defaultdict(set)
    for label, folder in folders.items():
        alike[folder.casefold()].add(unicodedata.normalize("NFC", label))
    for name, same in alike.items():
        forms = [label for label, folder in folders.items() if folder.casefold() == name]
        if len(forms) > len(same) == 1:
            notes.append(
                f"class {folders[forms[0]]!r} is spelled in {len(forms)} Unicode forms, which are one class"
            )
        if len(same) > 1:
            raise Undecided(
                f"the classes {', '.join(repr(label) for label in sorted(same))} would share a folder",
                advice="Write one class in one way.",
            )
    return folders, notes


def _safe(label: str) -> str:
    text = _FORBIDDEN.sub("_", unicodedata.normalize("NFC", label).strip())
    if text.startswith("."):
        text = f"_{text.lstrip('.')}"
    while name_fault(text)[0]:  # a leftover's name, as `#1#` or `new.tmp`
        text = f"_{text.rstrip('~#')}_"
    return text


def place(images: Mapping[str, str]) -> tuple[dict[str, str], int]:
    """Image -> its path below a folder, and how many got another name than they had.

    Images that would meet in one folder carry the names of their own folders in front; where that does not part them, a digest
    of their path behind. Which one gets which name does not depend on the order. Names that differ by case or Unicode
    form meet, too.

    Args:
        images: image -> the folder it goes to; empty: none.
    """
    meeting: dict[tuple[str, str], list[str]] = defaultdict(list)
    for image, folder in images.items():
        meeting[folder, _folded(basename(image))].append(image)
    placed, renamed, taken = {}, [], set()
    for (folder, name), group in meeting.items():
        if len(group) == 1:
            placed[group[0]] = f"{folder}/{basename(group[0])}".lstrip("/")
            taken.add((folder, name))
        else:
            renamed += [(image, folder) for image in group]
    for image, folder in sorted(renamed):
        name = image.replace("/", "_")
        if (folder, _folded(name)) in taken or len(name.encode()) > _MOST_BYTES:
            path = PurePosixPath(image)
            name = f"{path.stem[:60]}-{hashlib.sha256(image.encode()).hexdigest()[:12]}{path.suffix}"
        taken.add((folder, _folded(name)))
        placed[image] = f"{folder}/{name}".lstrip("/")
    return placed, len(renamed)


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()
