"""Which image a path in a table means, written as it may be: on Windows, on a Mac, from another folder."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import NamedTuple
from unicodedata import normalize


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
            ("case", _fold(plain), lambda: self._folded, lambda: self._folded_ends),
        ):
            found = full().get(key)
            if found:
                return Match(found, how)
            found = _behind_folders(key, full()) or ends().get(key)
            if found:
                return Match(found, "case" if how else "folders")
        return Match(())

    @cached_property
    def _full(self) -> dict[str, tuple[str, ...]]:
        return _index(self._paths, _plain, lambda key: [key])

    @cached_property
    def _ends(self) -> dict[str, tuple[str, ...]]:
        return _index(self._paths, _plain, _proper_ends)

    @cached_property
    def _folded(self) -> dict[str, tuple[str, ...]]:
        return _index(self._paths, _fold, lambda key: [key])

    @cached_property
    def _folded_ends(self) -> dict[str, tuple[str, ...]]:
        return _index(self._paths, _fold, _proper_ends)


def _plain(path: str) -> str:
    parts = normalize("NFC", path.strip()).replace("\\", "/").split("/")
    return "/".join(part for part in parts if part not in ("", "."))


def _fold(path: str) -> str:
    return normalize("NFC", _plain(path).casefold())


def _proper_ends(path: str) -> list[str]:
    """What is left of a path when its first folders are taken off."""
    parts = path.split("/")
    return ["/".join(parts[cut:]) for cut in range(1, len(parts))]


def _behind_folders(path: str, full: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
    """The images that the longest end of `path` names in full."""
    return next((full[end] for end in _proper_ends(path) if end in full), ())


def _index(
    paths: Sequence[str], key_of: Callable[[str], str], keys: Callable[[str], list[str]]
) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = defaultdict(list)
    for path in paths:
        for key in keys(key_of(path)):
            found[key].append(path)
    return {key: tuple(images) for key, images in found.items()}
