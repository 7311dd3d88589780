"""Bring a whole folder to its place: the place holds all of it in the end, or what it held before."""

import os
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from thaw.errors import ThawError


class NotPutBackError(ThawError):
    """After a failure the old folder could not be renamed to its place again."""


def copy_tree(source: Path, target: Path, on_file: Callable[[], None]) -> None:
    """Copy a folder so that the copy needs nothing outside itself.

    A link that stays within the folder stays a link, a relative one; of one that leaves it the content is copied.

    Args:
        target: is made.
        on_file: called after each file.

    Raises:
        ThawError: a link leads nowhere or to a folder around the one that is copied, or something is no file.
        OSError: a file cannot be read or written.
    """
    _Copy(on_file).folder(source.resolve(), target)


class _Copy:
    def __init__(self, on_file: Callable[[], None]) -> None:
        self._on_file = on_file
        # The folders that are being copied, and where to: the source, and in it those that links have led to.
        self._open: list[tuple[Path, Path]] = []

    def folder(self, source: Path, target: Path) -> None:
        self._open.append((source, target))
        for folder, folders, files in os.walk(source, onerror=_fail):
            place = target / Path(folder).relative_to(source)
            place.mkdir()
            for name in (*folders, *files):
                path = Path(folder, name)
                if path.is_symlink():
                    self._link(path, place / name)
                elif name in files:
                    self._file(path, place / name)
        self._open.pop()

    def _link(self, link: Path, place: Path) -> None:
        try:
            real = link.resolve(strict=True)
        except (OSError, RuntimeError):
            raise ThawError(
                f"{link}: a link that leads nowhere, which DVC cannot keep", "Mend it, or remove it."
            ) from None
        for source, target in self._open:
            if real.is_relative_to(source):
                place.symlink_to(os.path.relpath(target / real.relative_to(source), place.parent))
                return
        if not real.is_dir():
            self._file(real, place)
            return
        around = [path for pair in self._open for path in pair if path.resolve().is_relative_to(real)]
        if around:
            raise ThawError(f"{link}: leads to {real}, around what is copied or its place", "Remove it.")
        self.folder(real, place)

    def _file(self, path: Path, place: Path) -> None:
        if not stat.S_ISREG(path.stat().st_mode):
            raise ThawError(f"{path}: a pipe, socket or device, no file", "Move it out of the folder.")
        shutil.copy2(path, place)
        self._on_file()


def _fail(error: OSError) -> None:
    raise error


@contextmanager
def taking_place(new: Path, target: Path) -> Iterator[Path | None]:
    """Rename folder `new` to `target`; when that or the block fails, both are where they were.

    Yields:
        where the folder that was there is now (`<name>.old-<number>` beside it), None where none was. It is not deleted,
        unless it is empty.
    """
    old = _move_aside(target) if os.path.lexists(target) else None
    try:
        new.rename(target)
        try:
            yield old
        except BaseException:
            target.rename(new)
            raise
    except BaseException as error:
        if old:
            _put_back(old, target, error)
        raise
    if old and is_empty(old):
        old.rmdir()


def is_empty(path: Path) -> bool:
    """Whether `path` is nothing at all, or a folder without content."""
    return not os.path.lexists(path) or (path.is_dir() and not path.is_symlink() and not any(path.iterdir()))


def _move_aside(target: Path) -> Path:
    number = 1
    while os.path.lexists(aside := target.with_name(f"{target.name}.old-{number}")):
        number += 1
    return target.rename(aside)


def _put_back(old: Path, target: Path, error: BaseException) -> None:
    try:
        old.rename(target)
    except OSError as again:
        raise NotPutBackError(
            f"{error}; and {old}, which holds what was in {target}, could not be put back: {again}",
            f"Rename it to {target}.",
        ) from error


@contextmanager
def unchanged_on_failure(*paths: Path) -> Iterator[None]:
    """When the block fails, small files are again as they were, or missing as they were."""
    before = {path: path.read_bytes() if path.is_file() else None for path in paths}
    try:
        yield
    except BaseException:
        for path, content in before.items():
            if content is None:
                path.unlink(missing_ok=True)
            else:
                path.write_bytes(content)
        raise
