"""Images that stay where they are: a data folder whose one file, the index, says where each image's bytes lie.

Whoever reads images asks `located` for a path of the data folder, and gets a `Path` or, below an indexed folder, a
`StoredPath`, which does what of `Path` reading needs. A folder is known by its path alone in every process: the index is
mapped, never loaded.
"""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from thaw.sources.index import FILE, Index, Row, open_index
from thaw.sources.object_file import open_object
from thaw.sources.reading import read
from thaw.sources.stores import UPDATE, Object, StoreError

__all__ = [
    "FILE", "READERS", "UPDATE", "File", "Index", "Row", "StoreError", "StoredPath", "is_indexed", "located",
    "open_index", "typed",
]  # fmt: skip

READERS = 16
"""Threads that read from a store at once, so that most of its latency is waited for side by side."""


class StoredPath:
    """A file or folder of an indexed data folder, as `Path` would have it where the images were files.

    Args:
        root: the folder of the index.
        path: relative to it, `/` between parts; empty: the folder itself.
    """

    def __init__(self, root: Path, path: str = "") -> None:
        self.root, self.path = root, path

    @property
    def name(self) -> str:
        return PurePosixPath(self.path).name

    @property
    def parts(self) -> tuple[str, ...]:
        return PurePosixPath(self.path).parts

    @property
    def stem(self) -> str:
        return PurePosixPath(self.path).stem

    @property
    def suffix(self) -> str:
        return PurePosixPath(self.path).suffix

    @property
    def size(self) -> int:
        """In bytes."""
        return self._row().size

    def __truediv__(self, name: str) -> "StoredPath":
        return StoredPath(self.root, f"{self.path}/{name}".lstrip("/"))

    def __str__(self) -> str:
        index = open_index(self.root)
        row = index.find(self.path)
        if row is None or row.object in ("", self.path):
            return f"{index.url}/{self.path}"
        return f"{index.url}/{row.object}: {self.path}"

    def absolute(self) -> "StoredPath":
        """The same, wherever a process works."""
        return StoredPath(self.root.absolute(), self.path)

    def with_name(self, name: str) -> "StoredPath":
        return StoredPath(self.root, PurePosixPath(self.path).with_name(name).as_posix())

    def is_file(self) -> bool:
        return open_index(self.root).find(self.path) is not None

    def is_dir(self) -> bool:
        return open_index(self.root).is_folder(self.path)

    def is_symlink(self) -> bool:
        return False

    def iterdir(self) -> Iterator["StoredPath"]:
        """What lies in the folder, by name."""
        return (self / name for name in open_index(self.root).children(self.path))

    def files(self) -> Iterator["StoredPath"]:
        """All files below the folder, by path."""
        return (StoredPath(self.root, path) for path in open_index(self.root).below(self.path))

    def read_bytes(self, most_bytes: int = -1) -> bytes:
        """Its bytes, at most `most_bytes` from the begin where that is not negative.

        Raises:
            FileNotFoundError: the index has no such file.
            StoreError: the store does not give what the index has booked.
        """
        return read(open_index(self.root), self._row(), most_bytes)

    def open(self) -> BinaryIO:
        """The file, to be read in part; one that is an object of its own."""
        row = self._row()
        held = Object(open_index(self.root).address(row), row.etag, row.version)
        return open_object(held, row.size)

    def _row(self) -> Row:
        row = open_index(self.root).find(self.path)
        if row is None:
            raise FileNotFoundError(str(self))
        return row


File = Path | StoredPath


def is_indexed(root: Path) -> bool:
    """Whether the images of a data folder lie elsewhere."""
    return (root / FILE).is_file()


def typed(path: Path) -> File:
    """What a path names that somebody typed: in an indexed folder a file or folder of the index."""
    root = next((root for root in (path, *path.parents) if is_indexed(root)), None)
    relative = path.relative_to(root).as_posix() if root else ""
    return StoredPath(root, "" if relative == "." else relative) if root else path


def located(root: Path, path: str = "") -> File:
    """The file or folder `path` below the data folder `root`, wherever its bytes are."""
    return StoredPath(root, path) if is_indexed(root) else root / path
