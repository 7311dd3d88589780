"""Write what an archive holds below one folder, and nothing anywhere else, whatever the names of its members say."""

import errno
import os
import re
import shlex
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from thaw.errors import ThawError

MAX_RATIO = 200
"""Bytes unpacked for each byte packed: pictures hardly shrink, and flat bitmaps to a hundredth; DEFLATE's limit is 1,032."""
SMALL_BYTES = 100_000_000
"""What any archive may unpack to, whatever the ratio."""
RESERVE_BYTES = 500_000_000
"""Left free on the disk."""
_MEMBER_BYTES = 4096
"""What a member counts at least: an empty file, too, takes room on a disk."""
_CHUNK_BYTES = 1 << 20
_DRIVE = re.compile(r"[A-Za-z]:[/\\]")
_BAD_NAME = {errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL}

AGAIN = "Download it again: it was cut short or damaged on the way."


class Tree:
    """A new tree in an empty folder. Links are made last, so that nothing is ever written through one.

    Args:
        into: an empty folder.
        archive: what is unpacked, for messages; set anew for each of several.
        packed_bytes: of all that is unpacked.
    """

    def __init__(self, into: Path, archive: Path, packed_bytes: int) -> None:
        self.archive = archive
        self.member = ""
        """What is unpacked just now."""
        self._into = into
        self._folders = {""}
        self._links: dict[str, str] = {}
        self._written = 0
        self._room = shutil.disk_usage(into).free - RESERVE_BYTES
        self._most = max(SMALL_BYTES, MAX_RATIO * packed_bytes)

    def folder(self, name: str) -> None:
        """Make the folder `name`, and those above it; the folder that all goes into is there."""
        self._make_folders(self._parts(name))

    @contextmanager
    def file(self, name: str) -> Iterator[Callable[[bytes | memoryview], None]]:
        """Make the file `name`, and the folders above it; yields what writes to it."""
        parts = self._file_parts(name)
        self._make_folders(parts[:-1])
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
        with self._explaining_name(name):
            handle = os.open(self._path(parts), flags, 0o666)
        self.count(_MEMBER_BYTES)
        with os.fdopen(handle, "wb") as file:

            def write(data: bytes | memoryview) -> None:
                self.count(len(data))
                file.write(data)

            yield write

    def copy(self, name: str, source: IO[bytes]) -> None:
        """Make the file `name` of what `source` has left to read."""
        with self.file(name) as write:
            while data := source.read(_CHUNK_BYTES):
                write(data)

    def repeat(self, name: str, earlier: str) -> None:
        """Make the file `name` of the bytes of a file that was written before: a hard link."""
        path = self._path(self._parts(earlier))
        if not path.is_file():
            self.refuse(f"it repeats {earlier!r}, which is no file before it")
        with path.open("rb") as source:
            self.copy(name, source)

    def link(self, name: str, target: str) -> None:
        """Note the symbolic link `name`; `finish` makes it."""
        parts = self._file_parts(name)
        self._make_folders(parts[:-1])
        inside = os.path.normpath("/".join((*parts[:-1], target)))
        if not target or "\0" in target or target.startswith("/") or inside.split("/")[0] == "..":
            self.refuse(f"it is a link to {target!r}, out of the folder")
        place = "/".join(parts)
        if place in self._links:
            self._refuse_twin()
        self.count(_MEMBER_BYTES)
        self._links[place] = target

    def finish(self) -> None:
        """Make the links, and look where they lead once all are there."""
        root = os.path.realpath(self._into)
        for name, target in self._links.items():
            self.member = name
            with self._explaining_name(name):
                (self._into / name).symlink_to(target)
        for name, target in self._links.items():
            self.member = name
            try:
                real = os.path.realpath(self._into / name, strict=True)
            except OSError:
                self.refuse(f"it is a link to {target!r}, which leads nowhere")
            if os.path.commonpath([real, root]) != root:
                self.refuse(f"it is a link to {target!r}, out of the folder")

    def count(self, data_bytes: int) -> None:
        """Count what is about to be written.

        Raises:
            ThawError: it would be more than an archive of that size may unpack to, or than the disk has room for.
        """
        self._written += data_bytes
        if self._written > self._most:
            raise ThawError(
                f"{self.archive}: {self.member}: unpacks to more than {self._most / 1e6:,.0f} MB, {MAX_RATIO} times its size: "
                "a decompression bomb",
                f"If you know what it holds, unpack it yourself. {by_hand(self.archive)}",
            )
        if self._written > self._room:
            raise ThawError(
                f"{self.archive}: {self.member}: the disk of {self._into.parent} has no room for what it unpacks to: "
                f"{max(self._room, 0) / 1e6:,.0f} MB could be used, {RESERVE_BYTES / 1e6:,.0f} MB stay free",
                "Make room on that disk, and try again.",
            )

    def refuse(self, reason: str) -> None:
        """Raise the error of a member that is not unpacked."""
        raise ThawError(
            f"{self.archive}: {self.member!r}: {reason}; nothing was unpacked",
            f"If you trust it, unpack it yourself. {by_hand(self.archive)}",
        )

    def _parts(self, name: str) -> tuple[str, ...]:
        parts = tuple(part for part in name.split("/") if part not in ("", "."))
        if name.startswith("/") or _DRIVE.match(name) or ".." in parts:
            self.refuse("its name leads out of the folder")
        if "\0" in name:
            self.refuse("it has no name that a file can have")
        return parts

    def _file_parts(self, name: str) -> tuple[str, ...]:
        parts = self._parts(name)
        if not parts:
            self.refuse("it has no name that a file can have")
        return parts

    def _path(self, parts: tuple[str, ...]) -> Path:
        return self._into.joinpath(*parts)

    def _make_folders(self, parts: tuple[str, ...]) -> None:
        for depth in range(1, len(parts) + 1):
            name = "/".join(parts[:depth])
            if name in self._folders:
                continue
            with self._explaining_name(name):
                self._path(parts[:depth]).mkdir()
            self.count(_MEMBER_BYTES)
            self._folders.add(name)

    @contextmanager
    def _explaining_name(self, name: str) -> Iterator[None]:
        """What is there already was made of another member: the folder was empty."""
        try:
            yield
        except FileExistsError:
            self._refuse_twin()
        except NotADirectoryError:
            self._refuse_twin()
        except UnicodeEncodeError:
            self.refuse("it has no name that a file can have")
        except OSError as error:
            if error.errno not in _BAD_NAME:
                raise
            self.refuse(f"the disk takes no such name: {error.strerror}")

    def _refuse_twin(self) -> None:
        self.refuse(
            "another member has this name on this disk, which may see no difference in case or Unicode form"
        )


def by_hand(archive: Path) -> str:
    """The commands that unpack an archive of any kind and take in the result."""
    folder = archive.name.split(".")[0] or "unpacked"
    return f"Run `7z x {shlex.quote(str(archive))} -o{shlex.quote(folder)}`, then `thaw data add {shlex.quote(folder)}`."
