"""What the tree alone shows: layout, classes, junk and links. Nothing is opened."""

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from thaw.gate.findings import Findings
from thaw.gate.scan import layout as names
from thaw.gate.scan.layout import Layout
from thaw.gate.scan.walking import Entry, walk


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
    sheltered: Counter[str] = field(default_factory=Counter)
    """Hidden or junk folder -> files below it."""

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
                    self.sheltered[shelter] += 1
                    self._refuse_image(entry)
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
            self.sheltered[path] = 0
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
        is_image = names.is_image_name(entry.path)
        place = self.layout.place(entry.path)
        if place.check in ("hidden", "junk", "name_not_utf8"):
            if is_image:
                self._refuse_image(entry)
            else:
                self._refuse_file(entry, place)
            return False
        if not is_image:
            if names.is_metadata_name(entry.path):
                self.tables.append(entry.path)
            elif "/" in entry.path:
                suffix = entry.path.rsplit("/", 1)[-1]
                self.findings.add("foreign_file", entry.path, f"{suffix} is not named as an image")
            return False
        if place.check == "image_outside_class":
            self.findings.add(place.check, entry.path, place.reason, is_image=True)
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
        self.findings.add(entry.kind, path, entry.reason, is_image=is_image)

    def _refuse_image(self, entry: Entry) -> None:
        """An image that its name rules out: it has a row of its own, and a line that says what loaders make of it."""
        if names.is_image_name(entry.path):
            path = names.printable(entry.path)
            self.unread[path] = entry
            self._refuse_file(entry, self.layout.place(entry.path), is_image=True)

    def _refuse_file(self, entry: Entry, place: names.Place, is_image: bool = False) -> None:
        path = names.printable(entry.path)
        says = "" if place.check == "name_not_utf8" else f"; {self._loaders_say(path)}"
        self.findings.add(place.check, path, f"{names.printable(place.reason)}{says}", is_image=is_image)

    def _loaders_say(self, path: str) -> str:
        """A loader is pointed at a split, where there are splits."""
        in_split = self.layout.has_splits and path.split("/")[0].casefold() in names.SPLITS
        return names.loaders_say(path.split("/", 1)[1] if in_split else path)

    def _report_shelters(self) -> None:
        for folder, count in sorted(self.sheltered.items()):
            check, reason = names.name_fault(folder.rstrip("/"))
            noun = "1 file" if count == 1 else f"{count} files"
            says = self._loaders_say(names.printable(folder))
            self.findings.add(check, names.printable(folder), f"{reason}, with {noun} below; {says}", count)


def read_layout(root: Path) -> Layout:
    """Tell `<split>/<class>/*` from `<class>/*`: by a folder `train` that holds class folders and no image."""
    folders = [
        child
        for child in sorted(root.iterdir())
        if child.is_dir() and not child.is_symlink() and not names.name_fault(child.name)[0]
    ]
    splits = {
        names.SPLITS[child.name.casefold()]: child
        for child in folders
        if child.name.casefold() in names.SPLITS
    }
    if "train" not in splits:
        return Layout(has_splits=len(splits) > 1 and len(splits) == len(folders))
    inside = [child for child in splits["train"].iterdir() if not names.name_fault(child.name)[0]]
    holds_classes = any(child.is_dir() for child in inside)
    holds_images = any(child.is_file() and names.is_image_name(child.name) for child in inside)
    others_are_splits = len(splits) > 1 or len(folders) == 1
    return Layout(has_splits=others_are_splits and (holds_classes or not holds_images))
