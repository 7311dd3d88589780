"""What shards hold, pictures with labels, as a folder: `[<split>/]<class>/<picture>`."""

import json
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from thaw.errors import ThawError
from thaw.intake.tree import Tree
from thaw.roles import UNLABELLED, resolve, role_in
from thaw.signatures import HEAD_BYTES, picture_suffix

_NAMES_FILES = ("classes.txt", "class_names.txt", "labels.txt")
_INFO_FILES = ("dataset_info.json", "dataset_infos.json")


def role_of(shard: str) -> str:
    """What a shard's path speaks of (`data/train-00000-of-00002.parquet`), its file name before its folders; else empty."""
    words = (role_in(part) for part in reversed(PurePosixPath(shard).parts))
    return next((word for word in words if word and word != UNLABELLED), "")


def split_names(shards: Sequence[str], archive: Path) -> list[str]:
    """The split of each shard; none, where all are of one that is not `train`.

    Raises:
        ThawError: some names tell one, and others do not.
    """
    roles = [role_of(shard) for shard in shards]
    meant = resolve(roles)
    splits = [meant[role] for role in roles]
    if any(splits) and not all(splits):
        told, untold = (splits.index(next(filter(None, splits))), splits.index(""))
        raise ThawError(
            f"{archive}: {shards[told]} is of split {splits[told]}, and the name of {shards[untold]} tells no split",
            "Begin each shard's name with train, validation or test.",
        )
    return splits if len(set(splits)) > 1 or "train" in splits else [""] * len(shards)


def names_beside(folder: Path) -> list[str]:
    """The classes by index, of a file beside the shards: a list of names, a line each, or Hugging Face's dataset info."""
    for name in _NAMES_FILES:
        path = folder / name
        if path.is_file():
            return [
                line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()
            ]
    for name in _INFO_FILES:
        path = folder / name
        if path.is_file():
            return _class_label_names(json.loads(path.read_text(encoding="utf-8")))
    return []


def _class_label_names(info: Any) -> list[str]:
    """The names of the first ClassLabel below `info`."""
    if isinstance(info, dict) and info.get("_type") == "ClassLabel" and isinstance(info.get("names"), list):
        return [str(name) for name in info["names"]]
    children = info.values() if isinstance(info, dict) else info if isinstance(info, list) else ()
    return next((names for child in children if (names := _class_label_names(child))), [])


class Samples:
    """Writes labelled pictures into a tree.

    Args:
        tree: takes them.
        names: the classes by index; empty where labels are names, or indices that nobody has named.
    """

    def __init__(self, tree: Tree, names: Sequence[str] = ()) -> None:
        self._tree = tree
        self._names = names
        self._labels: dict[str, str] = {}
        self._paths: set[str] = set()

    def add(
        self, split: str, label: str | int | None, stem: str, again: str, data: bytes | memoryview
    ) -> str:
        """Write a picture; returns its path.

        Args:
            split: empty without one.
            label: name or index of the class; None writes the picture into no class's folder.
            stem: its file's name without suffix.
            again: is put behind `stem` where another picture of the class has that name.
            data: the picture's file.

        Raises:
            ThawError: it is no picture, or its label no class.
        """
        suffix = picture_suffix(bytes(data[:HEAD_BYTES]))
        if not suffix:
            self._tree.refuse("it is no picture of a format that is read here")
        folder = "/".join(part for part in (split, "" if label is None else self._folder(label)) if part)
        stem = stem.replace("/", "_")
        path = f"{folder}/{stem}{suffix}" if folder else f"{stem}{suffix}"
        if path in self._paths:
            path = path.removesuffix(suffix) + f"_{again}{suffix}"
        with self._tree.file(path) as write:
            write(data)
        self._paths.add(path)
        return path

    def _folder(self, label: str | int) -> str:
        """The class folder of a label; a name that no folder can have is changed, and stays apart from the others."""
        name = self._name(label)
        folder = name.replace("/", "_")
        if not folder or folder.startswith("."):
            folder = f"_{folder}"
        if self._labels.setdefault(folder, name) != name:
            self._tree.refuse(
                f"its class {name!r} would share the folder {folder}/ with class {self._labels[folder]!r}"
            )
        return folder

    def _name(self, label: str | int) -> str:
        text = str(label).strip()
        if not self._names or not text.isdecimal():
            return text
        if int(text) >= len(self._names):
            self._tree.refuse(
                f"its class is number {text}, and there are names for {len(self._names)}, from 0 on"
            )
        return self._names[int(text)]
