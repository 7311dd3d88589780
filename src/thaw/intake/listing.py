"""The names in a folder, read once; of files whose names tell nothing the first bytes."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from thaw.errors import ThawError
from thaw.layout import is_image_name, is_utf8, name_fault, printable
from thaw.leftovers import awaited_from_icloud
from thaw.pictures import is_picture


@dataclass(frozen=True)
class Listing:
    """What is below `root`; paths are relative to it, `/` between parts, in order.

    Args:
        root: the folder.
        images: by their names, or by their first bytes where a name has no known suffix, as the gate has it.
        others: the other files.
        junk: hidden files, leftovers of systems and editors; a folder of such ends in `/` and is not entered.
        broken: path -> why it cannot be taken in: a link that leads nowhere or in a circle, a pipe, a name that is not UTF-8.
    """

    root: Path
    images: tuple[str, ...]
    others: tuple[str, ...]
    junk: tuple[str, ...]
    broken: dict[str, str]


def list_folder(root: Path) -> Listing:
    """Walk a folder. Links are followed, wherever they lead; one that leads back to a folder around it is broken.

    Raises:
        ThawError: `root`, or a folder below it, cannot be listed.
    """
    walk = _Walk()
    walk.enter(str(root), "", ())
    return Listing(
        root, tuple(sorted(walk.images)), tuple(sorted(walk.others)), tuple(sorted(walk.junk)), walk.broken
    )


class _Walk:
    def __init__(self) -> None:
        self.images: list[str] = []
        self.others: list[str] = []
        self.junk: list[str] = []
        self.broken: dict[str, str] = {}

    def enter(self, folder: str, prefix: str, above: tuple[tuple[int, int], ...]) -> None:
        try:
            with os.scandir(folder) as listing:
                entries = sorted(listing, key=lambda entry: os.fsencode(entry.name))
            status = os.stat(folder)  # noqa: PTH116 - a name that is not UTF-8 passes
        except OSError as error:
            raise ThawError(
                f"{printable(folder)}: {error.strerror}", "Give yourself permission to read it."
            ) from None
        own = (status.st_dev, status.st_ino)
        if own in above:
            self.broken[prefix] = "a link that leads back to a folder around it"
            return
        for entry in entries:
            self._take(entry, prefix + entry.name, (*above, own))

    def _take(self, entry: "os.DirEntry[str]", path: str, above: tuple[tuple[int, int], ...]) -> None:
        is_folder = _is(entry.is_dir)
        if not is_utf8(entry.name):
            self.broken[printable(path)] = "its name is not UTF-8"
        elif is_image_name(awaited_from_icloud(entry.name)):
            self.broken[path] = "iCloud holds this picture: it was not downloaded"
        elif name_fault(entry.name)[0] and (is_folder or not is_picture(Path(entry.path))):
            self.junk.append(f"{path}/" if is_folder else path)
        elif is_folder:
            self.enter(entry.path, f"{path}/", above)
        elif not _is(entry.is_file):
            self.broken[path] = (
                "a link that leads nowhere" if entry.is_symlink() else "a pipe, socket or device"
            )
        elif is_image_name(entry.name) or is_picture(Path(entry.path)):
            self.images.append(path)
        else:
            self.others.append(path)


def _is(question: Callable[[], bool]) -> bool:
    try:
        return question()
    except OSError:  # a link in a circle
        return False
