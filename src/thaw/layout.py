"""Where a path stands in the folder: split, class, and what its name alone says about it."""

from dataclasses import dataclass
from pathlib import PurePosixPath
from posixpath import splitext
from typing import NamedTuple
from unicodedata import normalize

from thaw.leftovers import left_by

SPLITS = {
    "train": "train",
    "test": "test",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
}
METADATA = "metadata.csv"
_TABLE_SUFFIXES = (".csv", ".tsv", ".txt", ".json", ".jsonl", ".parquet", ".xls", ".xlsx", ".ods")
IMAGE_SUFFIXES = {
    "BMP": (".bmp", ".dib"),
    "GIF": (".gif",),
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "PNG": (".png", ".apng"),
    "TIFF": (".tif", ".tiff"),
    "WEBP": (".webp",),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm"),
    "JPEG2000": (".jp2", ".j2k"),
    "AVIF": (".avif",),
}
"""Format, as Pillow names it, to the suffixes that promise it."""
UNSUPPORTED_SUFFIXES = (".heic", ".heif", ".ico", ".jxl", ".jxr", ".psd", ".svg", ".tga")
# fmt: off
_RAW_SUFFIXES = frozenset((
    ".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dcr", ".dng", ".erf", ".fff", ".iiq", ".kdc", ".mef", ".mos", ".mrw",
    ".nef", ".nrw", ".orf", ".pef", ".raf", ".raw", ".rw2", ".rwl", ".sr2", ".srf", ".srw", ".x3f",
))
# fmt: on
_PROMISED = {suffix: name for name, suffixes in IMAGE_SUFFIXES.items() for suffix in suffixes}
_KNOWN_SUFFIXES = _PROMISED.keys() | set(UNSUPPORTED_SUFFIXES)


class Place(NamedTuple):
    """A path's split ("" without one) and class ("" outside of one), and the check that its place or name fails."""

    split: str
    label: str
    check: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Layout:
    """How the folder is laid out: `<class>/*`, or `<split>/<class>/*`."""

    has_splits: bool

    @property
    def depth(self) -> int:
        """Folders above an image."""
        return 2 if self.has_splits else 1

    def place(self, path: str) -> Place:
        """Where the file `path` stands. Its name's own fault goes before that of its place."""
        place = self.place_of_picture(path)
        check, reason = name_fault(path)
        return place._replace(check=check, reason=reason) if check else place

    def place_of_picture(self, path: str) -> Place:
        """Where the file `path` stands, whatever its name says."""
        parts = path.split("/")
        split = SPLITS.get(parts[0].casefold(), "") if self.has_splits else ""
        label = class_name(parts[self.depth - 1]) if len(parts) > self.depth else ""
        if self.has_splits and not split and len(parts) > 1:
            return Place("", label, "mixed_layout", f"{parts[0]}/ stands beside the splits")
        if len(parts) <= self.depth:
            return Place(split, "", "image_outside_class", "an image in no class folder")
        if len(parts) > self.depth + 1:
            folder = "/".join(parts[:-1])
            return Place(split, label, "nested_folder", f"{folder}/ lies below class {label}")
        return Place(split, label)


def class_name(folder: str) -> str:
    """The class that a folder's name means. A name is the same one in every Unicode form: Macs write `é` as two characters."""
    return normalize("NFC", printable(folder))


def is_metadata_name(path: str) -> bool:
    """Whether a file by this name is metadata, whatever its format."""
    stem, suffix = splitext(path.rsplit("/", 1)[-1].casefold())
    return stem == "metadata" and suffix in _TABLE_SUFFIXES


def name_fault(path: str) -> tuple[str, str]:
    """The check that a path's name fails (`hidden`, `junk`, `name_not_utf8`) and why; empty when none."""
    for part in path.split("/"):
        who = left_by(part)
        if part.startswith("."):
            return "hidden", f"{part} is hidden, left by {who}" if who else f"{part} is hidden"
        if who:
            return "junk", f"{part} is left by {who}"
    if not is_utf8(path):
        return "name_not_utf8", "its name is not UTF-8"
    return "", ""


def is_utf8(path: str) -> bool:
    """Whether the system's name for `path` decodes as UTF-8 (Python keeps other bytes as surrogates)."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def printable(path: str) -> str:
    r"""`path` with the bytes that are not UTF-8 written as `\xff`."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def is_image_name(path: str) -> bool:
    """Whether the suffix promises an image."""
    return splitext(path)[1].casefold() in _KNOWN_SUFFIXES


def is_raw_name(path: str) -> bool:
    """Whether the suffix is that of a camera's raw picture: a TIFF by its first bytes, whose first page is a small preview."""
    return splitext(path)[1].casefold() in _RAW_SUFFIXES


def promised_format(path: str) -> str:
    """The format that the suffix promises, as Pillow names it; empty when none of them."""
    return _PROMISED.get(splitext(path)[1].casefold(), "")


def loaders_say(path: str) -> str:
    """What three common loaders make of a hidden or junk file (read in the sources of Keras 3.15 and torchvision)."""
    folders, suffix = path.split("/")[:-1], PurePosixPath(path).suffix.casefold()
    if not folders:
        return "the common loaders pass it over"
    top, crash = folders[0], PurePosixPath(path).name.startswith("._")
    end = ", and fails to decode it" if crash else ""
    lists = {
        "image_dataset_from_directory": (".bmp", ".gif", ".jpeg", ".jpg", ".png"),
        "flow_from_directory": (".png", ".jpg", ".jpeg", ".bmp", ".ppm", ".tif", ".tiff"),
        "ImageFolder": (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp"),
    }
    says = []
    for loader, suffixes in lists.items():
        if loader == "image_dataset_from_directory" and top.startswith("."):
            says.append(f"{loader} passes it over")
        elif suffix in suffixes:
            says.append(f"{loader} takes it for an image of class {top!r}{end}")
        elif name_fault(top)[0]:
            says.append(f"{loader} takes {top!r} for a class")
        else:
            says.append(f"{loader} passes it over")
    return "; ".join(says)
