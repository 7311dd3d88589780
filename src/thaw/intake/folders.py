"""What folders say of the images in them: split and class, whatever is wrapped around."""

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath
from posixpath import dirname
from typing import NamedTuple

from thaw.roles import bare_stem, holds_pictures, is_twin, read_siblings, split_word

_FEW = 100
"""Pairs of folders."""


class Spot(NamedTuple):
    """Split of a folder, empty without one, and its folders that say more: none, the class, or more than a class."""

    split: str
    parts: tuple[str, ...]


@dataclass(frozen=True)
class Folders:
    """The folders that hold images directly.

    Args:
        spots: folder -> what it says.
        split_names: the folders' own words for the splits.
        clash: two names of one split, where there are such.
    """

    spots: dict[str, Spot]
    split_names: tuple[str, ...]
    clash: tuple[str, ...] = ()

    @property
    def has_splits(self) -> bool:
        """Whether a folder names a split."""
        return any(spot.split for spot in self.spots.values())

    @property
    def classes(self) -> set[str]:
        """The classes of all splits."""
        return {spot.parts[0] for spot in self.spots.values() if len(spot.parts) == 1}

    def split(self, image: str) -> str:
        """The split of an image."""
        return self.spots[dirname(image)].split

    def label(self, image: str) -> str:
        """The class of an image; empty where its folders name none, or more than one."""
        parts = self.spots[dirname(image)].parts
        return parts[0] if len(parts) == 1 else ""


def read_folders(images: Iterable[str]) -> Folders:
    """Tell splits from classes and from what only wraps them."""
    reader = _Reader({dirname(image) for image in images})
    reader.enter("", "", ())
    return Folders(_unwrap(reader.spots), tuple(sorted(reader.names)), reader.clash)


class _Reader:
    def __init__(self, folders: set[str]) -> None:
        self._folders = folders
        self._children: dict[str, set[str]] = defaultdict(set)
        for folder in folders:
            while folder:
                above, _, name = folder.rpartition("/")
                self._children[above].add(name)
                folder = above
        self.spots: dict[str, Spot] = {}
        self.names: set[str] = set()
        self.clash: tuple[str, ...] = ()

    def enter(self, folder: str, split: str, parts: tuple[str, ...]) -> None:
        if folder in self._folders:
            self.spots[folder] = Spot(split, parts)
        children = self._children.get(folder, set())
        roles = {} if split else read_siblings(children)
        self._note(roles)
        for name in sorted(children):
            path = f"{folder}/{name}" if folder else name
            if name in roles:
                self.enter(path, roles[name], parts)
            elif split and len(children) == 1 and _repeats(name, folder):
                self.enter(path, split, parts)
            else:
                self.enter(path, split, (*parts, name))

    def _note(self, roles: dict[str, str]) -> None:
        self.names |= set(roles)
        words: dict[str, set[str]] = defaultdict(set)
        for name, split in roles.items():
            words[split].add(re.sub(r"[\W\d_]+", "", name).casefold())
        for split, found in words.items():
            if len(found) > 1:
                self.clash = tuple(sorted(name for name in roles if roles[name] == split))


def _repeats(name: str, folder: str) -> bool:
    """Whether the only folder in a split's folder says the split again, as archives do: `train/train`."""
    above = PurePosixPath(folder).name
    return name.casefold() == above.casefold() or (
        split_word(name) != "" and split_word(name) == split_word(above)
    )


def _unwrap(spots: dict[str, Spot]) -> dict[str, Spot]:
    """Leave out the folders that all images of a split have around them: above the classes, or below."""
    unwrapped: dict[str, Spot] = {}
    for split in {spot.split for spot in spots.values()}:
        own = {folder: spot.parts for folder, spot in spots.items() if spot.split == split}
        while _is_deep(own) and _is_constant([parts[-1] for parts in own.values()]):
            own = {folder: parts[:-1] for folder, parts in own.items()}
        while _is_wrapped(split, own):
            own = {folder: parts[1:] for folder, parts in own.items()}
        names = set(own.values())
        if len(names) == 1 and all(len(parts) == 1 and holds_pictures(parts[0]) for parts in names):
            own = dict.fromkeys(own, ())
        unwrapped |= {folder: Spot(split, parts) for folder, parts in own.items()}
    return {folder: unwrapped[folder] for folder in sorted(spots)}


def _is_wrapped(split: str, own: dict[str, tuple[str, ...]]) -> bool:
    """Whether all lie in one folder that is no class; pictures beside the classes may lie in it, where there are no splits."""
    deep = _is_deep(own) or (
        not split and all(own.values()) and any(len(parts) > 1 for parts in own.values())
    )
    return deep and len({parts[0] for parts in own.values()}) == 1


def _is_deep(own: dict[str, tuple[str, ...]]) -> bool:
    return all(len(parts) > 1 for parts in own.values())


def _is_constant(names: list[str]) -> bool:
    """Whether the lowest folders are the same in every class, or only say that there are pictures in them."""
    return (len(names) > 1 and len(set(names)) == 1) or all(holds_pictures(name) for name in names)


def paired_twins(images: Iterable[str]) -> tuple[str, str] | None:
    """Two folders, pictures and what belongs to them one to one by name (`images/`, `masks/`); None without such.

    Folders side by side are compared, and where there are few of them all others too.
    """
    stems: dict[str, set[str]] = defaultdict(set)
    for image in images:
        parts = image.split("/")
        for depth in range(1, len(parts)):
            if is_twin(parts[depth - 1]) or holds_pictures(parts[depth - 1]):
                stems["/".join(parts[:depth])].add(bare_stem("/".join(parts[depth:])))
    twins = [folder for folder in sorted(stems) if is_twin(PurePosixPath(folder).name)]
    pictures = [folder for folder in sorted(stems) if not is_twin(PurePosixPath(folder).name)]
    siblings = defaultdict(list)
    for folder in pictures:
        siblings[dirname(folder)].append(folder)
    pairs = [(folder, twin) for twin in twins for folder in siblings[dirname(twin)]]
    if len(pictures) * len(twins) <= _FEW:
        pairs += [(folder, twin) for twin in twins for folder in pictures]
    for folder, twin in pairs:
        if len(stems[folder] & stems[twin]) > 0.9 * min(len(stems[folder]), len(stems[twin])):
            return folder, twin
    return None
