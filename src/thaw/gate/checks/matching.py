"""Which image a path in a table means, written as it may be: on Windows, on a Mac, from another folder."""

import re
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import NamedTuple
from unicodedata import normalize

_ODD_PARTS = re.compile(r"\\|(^|/)\.?(/|$)")


class Match(NamedTuple):
    """What a path was found to mean."""

    images: tuple[str, ...]
    """One where it is clear, none where nothing fits, several where it is not clear."""
    how: str = ""
    """What was looked past beyond slashes, `./` and Unicode form: `folders` before or left off, `case`."""


class Images:
    """The images of a folder, to be found by what others call them.

    Args:
        paths: relative to the folder, `/` between parts.
    """

    def __init__(self, paths: Sequence[str]) -> None:
        self._paths = paths
        self._known = set(paths)

    def find(self, written: str) -> Match:
        r"""The image that `written` means: the first of these ways that finds any, and only where it finds a single one.

        The path itself; the path with `\` for `/`, `./` or another Unicode form (NFC, NFD); with folders before it
        (`data/raw/`, an absolute path) or the first ones left off; any of the last but in another case.
        """
        if written in self._known:
            return Match((written,))
        plain = _plain(written)
        for how, key, full, ends in (
            ("", plain, lambda: self._full, lambda: self._ends),
            ("case", _fold(written), lambda: self._folded, lambda: self._folded_ends),
        ):
            found = full().get(key)
            if found:
                return Match(found, how)
            found = _behind_folders(key, full()) or ends().get(key)
            if found:
                return Match(found, "case" if how else "folders")
        return Match(())

    @cached_property
    def _full(self) -> "_Index":
        return _Index(self._paths, _plain, lambda key: [key])

    @cached_property
    def _ends(self) -> "_Index":
        return _Index(self._paths, _plain, _proper_ends)

    @cached_property
    def _folded(self) -> "_Index":
        return _Index(self._paths, _fold, lambda key: [key])

    @cached_property
    def _folded_ends(self) -> "_Index":
        return _Index(self._paths, _fold, _proper_ends)


class _Index:
    """Paths by their keys; most keys have one, and a list for each of a million would cost more than all else."""

    def __init__(
        self, paths: Sequence[str], key_of: Callable[[str], str], keys: Callable[[str], Sequence[str]]
    ) -> None:
        self._first: dict[str, str] = {}
        self._several: dict[str, list[str]] = {}
        for path in paths:
            for key in keys(key_of(path)):
                first = self._first.setdefault(key, path)
                if first is not path:
                    self._several.setdefault(key, [first]).append(path)

    def get(self, key: str) -> tuple[str, ...]:
        """All paths that have the key."""
        if key in self._several:
            return tuple(self._several[key])
        return (self._first[key],) if key in self._first else ()


def _plain(path: str) -> str:
    path = path.strip()
    if not path.isascii():
        path = normalize("NFC", path)
    if _ODD_PARTS.search(path):
        path = "/".join(part for part in path.replace("\\", "/").split("/") if part not in ("", "."))
    return path


def _fold(path: str) -> str:
    folded = _plain(path).casefold()
    return folded if folded.isascii() else normalize("NFC", folded)


def _proper_ends(path: str) -> list[str]:
    """What is left of a path when its first folders are taken off, the longest first."""
    ends, at = [], path.find("/")
    while at >= 0:
        ends.append(path[at + 1 :])
        at = path.find("/", at + 1)
    return ends


def _behind_folders(path: str, full: _Index) -> tuple[str, ...]:
    """The images that the longest end of `path` names in full."""
    return next((found for end in _proper_ends(path) if (found := full.get(end))), ())
