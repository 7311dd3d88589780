"""What the tree shows: layout, classes, leftovers and links. Only of files without a known suffix are the first bytes read."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from thaw import layout as names
from thaw import sources
from thaw.gate.checks import UNLABELLED_CURE
from thaw.gate.findings import Findings
from thaw.gate.scan.ahead import read_inside
from thaw.gate.scan.walking import Entry, walk
from thaw.layout import Layout
from thaw.leftovers import awaited_from_icloud
from thaw.pictures import is_lone_backup
from thaw.signatures import HEAD_BYTES, shows_picture

_ICLOUD = (
    "On the Mac that the folder comes from, run `find . -name '*.icloud' -exec brctl download {} \\;` in it, wait until the "
    "pictures are there, and copy it again."
)
_RAW = "Develop it, `darktable-cli OLD NEW.jpg`, or move it out of the folder."


@dataclass
class Shelter:
    """What lies below a hidden folder or one that is a leftover, and is not opened."""

    files: int = 0
    pictures: int = 0
    first: str = ""
    """The first picture, by name."""


class Spelling(NamedTuple):
    """A class folder: its split, and its path as the disk has it."""

    split: str
    path: str


@dataclass
class Survey:
    """The tree of an image folder, in one pass of `files`.

    Args:
        root: the folder.
        findings: where what is wrong goes.
    """

    root: Path
    findings: Findings
    layout: Layout = field(init=False)
    classes: dict[str, set[str]] = field(default_factory=dict)
    """split ("" without splits) -> its classes."""
    spellings: list[Spelling] = field(default_factory=list)
    """Every class folder."""
    tables: list[str] = field(default_factory=list)
    """Files that are metadata by name."""
    unread: dict[str, Entry] = field(default_factory=dict)
    """Images that are not opened, for their name or their kind; path -> entry."""
    shelters: dict[str, Shelter] = field(default_factory=dict)
    """By the folder's path."""
    raw_names: dict[str, str] = field(default_factory=dict)
    """Path as reported -> its bytes in hexadecimal, where it is not UTF-8."""
    nested: set[str] = field(default_factory=set)
    """Folders below a class folder that hold images."""

    def __post_init__(self) -> None:
        self.layout = read_layout(self.root)

    def files(self) -> Iterator[Entry]:
        """Yield the images to open; the rest of the tree is judged on the way."""
        shelter = ""
        for entry in walk(self.root):
            if not names.is_utf8(entry.path):
                self.raw_names[names.printable(entry.path)] = os.fsencode(entry.path).hex()
            if shelter and entry.path.startswith(shelter):
                if entry.kind not in ("folder", "empty_folder"):
                    self._shelter(self.shelters[shelter], entry)
                continue
            shelter = ""
            if entry.kind in ("folder", "empty_folder"):
                shelter = self._enter_folder(entry)
            elif entry.kind != "file":
                self._refuse(entry)
            elif self._is_fit(entry):
                yield entry
        self._report_shelters()

    def _enter_folder(self, entry: Entry) -> str:
        """Judge a folder; the path that shelters its content from being opened, when it is hidden or junk."""
        if entry.kind == "empty_folder":
            folder = entry.path.rstrip("/")
            if folder.count("/") + 1 != self.layout.depth:
                self.findings.add("empty_folder", names.printable(entry.path), "the folder is empty", 0)
            return ""
        name = entry.path.rsplit("/", 1)[-1]
        check, _ = names.name_fault(name)
        path = entry.path + "/"
        if check == "name_not_utf8":
            self.findings.add(check, names.printable(path), "its name is not UTF-8")
        elif check:
            self.shelters[path] = Shelter()
            return path
        parts = entry.path.split("/")
        split = names.SPLITS.get(parts[0].casefold(), "") if self.layout.has_splits else ""
        if self.layout.has_splits and not split:
            if len(parts) == 1:
                self.findings.add(
                    "mixed_layout", names.printable(path), f"{parts[0]}/ stands beside the splits"
                )
        elif len(parts) == self.layout.depth:
            self.classes.setdefault(split, set()).add(names.class_name(name))
            self.spellings.append(Spelling(split, names.printable(entry.path)))
        elif len(parts) < self.layout.depth:
            self.classes.setdefault(split, set())
        return ""

    def _is_fit(self, entry: Entry) -> bool:
        """Whether the file is an image in its place."""
        place = self.layout.place(entry.path)
        if place.check == "junk" and is_lone_backup(sources.located(self.root, entry.path)) and self._holds_picture(entry):
            place = self.layout.place_of_picture(entry.path)
        is_image = names.is_image_name(entry.path)
        if place.check in ("hidden", "junk", "name_not_utf8"):
            if is_image:
                self._refuse_image(entry, place)
            else:
                self._refuse_file(entry, place)
            return False
        if not is_image and not self._holds_picture(entry):
            if names.is_metadata_name(entry.path):
                self.tables.append(entry.path)
            elif "/" in entry.path:
                self._refuse_foreign(entry.path)
            return False
        if place.check == "image_outside_class":
            is_test = place.split not in ("", "train")
            cure = UNLABELLED_CURE if is_test else ""  # nobody but its owner knows the class of a test picture
            self.findings.add(place.check, entry.path, place.reason, is_image=True, cure=cure)
        elif place.check:
            self.findings.mark(place.check, entry.path, place.reason)
            folder = entry.path.rsplit("/", 1)[0] + "/"
            if place.check == "nested_folder" and folder not in self.nested:
                self.nested.add(folder)
                self.findings.add("nested_folder", folder, place.reason)
        return True

    def _refuse(self, entry: Entry) -> None:
        """A link, a special file, or what cannot be listed."""
        path = names.printable(entry.path)
        is_image = names.is_image_name(entry.path)
        if is_image:
            self.unread[path] = entry
        cure = sources.UPDATE if sources.is_indexed(self.root) else ""
        self.findings.add(entry.kind, path, entry.reason, is_image=is_image, cure=cure)

    def _holds_picture(self, entry: Entry) -> bool:
        """By its first bytes: training reads a picture whatever its name is."""
        if names.is_raw_name(entry.path):
            return False
        try:
            return shows_picture(read_inside(self.root, entry.path, HEAD_BYTES))
        except OSError:
            return False

    def _shelter(self, shelter: Shelter, entry: Entry) -> None:
        """Count a file below a leftover folder, which is reported as a whole; an image has a row, and never trains."""
        shelter.files += 1
        if names.is_image_name(entry.path):
            path, place = names.printable(entry.path), self.layout.place(entry.path)
            shelter.pictures += 1
            shelter.first = shelter.first or path
            self.unread[path] = entry
            self.findings.mark(place.check, path, names.printable(place.reason))

    def _refuse_image(self, entry: Entry, place: names.Place) -> None:
        """An image that its name rules out: it has a row of its own, and a line that says what loaders make of it."""
        self.unread[names.printable(entry.path)] = entry
        self._refuse_file(entry, place, is_image=True)

    def _refuse_file(self, entry: Entry, place: names.Place, is_image: bool = False) -> None:
        path = names.printable(entry.path)
        awaited = awaited_from_icloud(entry.path.rsplit("/", 1)[-1])
        if names.is_image_name(awaited):
            self.findings.add("pointer_file", path, f"iCloud holds {awaited}: it was not downloaded", cure=_ICLOUD)
            return
        says = "" if place.check == "name_not_utf8" else f"; {self._loaders_say(path)}"
        self.findings.add(place.check, path, f"{names.printable(place.reason)}{says}", is_image=is_image)

    def _refuse_foreign(self, path: str) -> None:
        name = path.rsplit("/", 1)[-1]
        if names.is_raw_name(path):
            self.findings.add(
                "foreign_file", path, f"{name} is a camera's raw picture, which is not read", cure=_RAW
            )
        else:
            self.findings.add("foreign_file", path, f"{name} is no picture, by its name and its first bytes")

    def _loaders_say(self, path: str) -> str:
        """A loader is pointed at a split, where there are splits."""
        in_split = self.layout.has_splits and path.split("/")[0].casefold() in names.SPLITS
        return names.loaders_say(path.split("/", 1)[1] if in_split else path)

    def _report_shelters(self) -> None:
        for folder, shelter in sorted(self.shelters.items()):
            check, reason = names.name_fault(folder.rstrip("/"))
            noun = "1 file" if shelter.files == 1 else f"{shelter.files} files"
            named = "1 named as a picture" if shelter.pictures == 1 else f"{shelter.pictures} named as pictures"
            first = shelter.first.rsplit("/", 1)[-1] + (", ..." if shelter.pictures > 1 else "")
            pictures = f", {named} ({first})" if shelter.pictures else ""
            says = self._loaders_say(shelter.first or names.printable(folder))
            reason = f"{names.printable(reason)}, with {noun} below{pictures}; {says}"
            self.findings.add(check, names.printable(folder), reason, shelter.files)


def read_layout(root: Path) -> Layout:
    """Tell `<split>/<class>/*` from `<class>/*`: by a folder `train` that holds class folders and no image."""
    folders = [
        child
        for child in _list(sources.located(root))
        if child.is_dir() and not child.is_symlink() and not names.name_fault(child.name)[0]
    ]
    splits = {
        names.SPLITS[child.name.casefold()]: child
        for child in folders
        if child.name.casefold() in names.SPLITS
    }
    if "train" not in splits:
        return Layout(has_splits=len(splits) > 1 and len(splits) == len(folders))
    inside = [child for child in _list(splits["train"]) if not names.name_fault(child.name)[0]]
    holds_classes = any(child.is_dir() for child in inside)
    holds_images = any(child.is_file() and names.is_image_name(child.name) for child in inside)
    others_are_splits = len(splits) > 1 or len(folders) == 1
    return Layout(has_splits=others_are_splits and (holds_classes or not holds_images))


def _list(folder: sources.File) -> list[sources.File]:
    return sorted(folder.iterdir(), key=lambda child: child.name)
