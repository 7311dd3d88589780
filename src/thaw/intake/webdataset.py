"""WebDataset: tar shards whose files belong together by what stands before the first point of their names."""

import json
import tarfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, TypeVar

from thaw.errors import ThawError
from thaw.intake.samples import Samples, names_beside, split_names
from thaw.intake.tars import read_members
from thaw.intake.tree import Tree

_PICTURES = ("jpg", "jpeg", "png", "webp", "bmp", "gif", "tif", "tiff", "ppm", "pgm", "jp2", "avif")
_LABELS = ("cls", "label", "class")
_JSON_LABELS = ("label", "class", "class_name", "label_name", "cls")
_MOST_BYTES = 1 << 28
_LOOKED_AT = 64
"""Members of a tar that show whether it is a shard."""

T = TypeVar("T")

Fields = dict[str, bytes]
"""What belongs to one key, by what stands behind the point, in lower case."""


def is_shard(path: Path, compression: str) -> bool:
    """Whether a tar's first sample is a picture with a label beside it."""
    tree = Tree(path.parent, path, path.stat().st_size)
    try:
        for _, fields in _samples(path, compression, tree, most_members=_LOOKED_AT):
            return picture_of(fields) != "" and label_of(fields) is not None
    except (tarfile.TarError, EOFError, OSError, ValueError, ThawError):  # unpacking it says what is wrong
        pass
    return False


def unpack_shards(
    root: Path,
    shards: Sequence[tuple[str, str]],
    tree: Tree,
    on_packed: Callable[[int], None],
) -> None:
    """Write the samples of all shards, `[<split>/]<class>/<key>.<suffix>`.

    Args:
        root: the folder of the shards, which may hold a list of the classes.
        shards: (path relative to `root`, compression) of each.
        tree, on_packed: as `read_members` takes them.

    Raises:
        ThawError: a sample lacks its picture or its label.
    """
    splits = split_names([name for name, _ in shards], root)
    samples = Samples(tree, names_beside(root))
    for (name, compression), split in zip(shards, splits, strict=True):
        tree.archive = path = root / name
        for key, fields in _samples(path, compression, tree, on_packed):
            tree.member = key
            picture, label = picture_of(fields), label_of(fields)
            if not picture:
                _refuse(path, key, f"one picture wanted, found {', '.join(sorted(fields))}")
            if label is None:
                _refuse(path, key, f"no label (.cls, or `label` in .json) among {', '.join(sorted(fields))}")
            samples.add(split, label, key, path.name.split(".")[0], fields[picture])


def _samples(
    path: Path,
    compression: str,
    tree: Tree,
    on_packed: Callable[[int], None] = lambda packed_bytes: None,
    most_members: int = 0,
) -> Iterator[tuple[str, Fields]]:
    """Yield each key and its fields."""

    def files() -> Iterator[tuple[str, bytes]]:
        for number, (member, content) in enumerate(read_members(path, compression, tree, on_packed), 1):
            if content and _part(member.name):
                yield member.name, _read(content, member, path)
            if number == most_members:
                return

    return grouped(files())


def grouped(files: Iterable[tuple[str, T]]) -> Iterator[tuple[str, dict[str, T]]]:
    """Yield each key and its fields, of files by name that follow one another; what is no part of a sample is left out."""
    key, fields = "", dict[str, T]()
    for name, content in files:
        part = _part(name)
        if part is None:
            continue
        if fields and part[0] != key:
            yield key, fields
            fields = {}
        key = part[0]
        fields[part[1]] = content
    if fields:
        yield key, fields


def _part(name: str) -> tuple[str, str] | None:
    """Key and field of a file; folders and what begins with a point or `__` belong to none."""
    folder, _, file = name.rpartition("/")
    stem, point, field = file.partition(".")
    if not (stem and point) or file.startswith("__"):
        return None
    folders = [part for part in folder.split("/") if part not in ("", ".")]
    return "/".join([*folders, stem]), field.casefold()


def is_label_field(name: str) -> bool:
    """Whether a file may hold the label of a sample, by its name."""
    part = _part(name)
    return part is not None and (part[1] == "json" or part[1].split(".")[0] in _LABELS)


def _read(content: IO[bytes], member: tarfile.TarInfo, path: Path) -> bytes:
    if member.size > _MOST_BYTES:
        raise ThawError(
            f"{path}: {member.name}: {member.size / 1e6:,.0f} MB, more than {_MOST_BYTES / 1e6:,.0f} for a part of a sample",
            "Leave it out of the shard.",
        )
    return content.read()


def picture_of(fields: Fields) -> str:
    """The field that is the sample's picture; empty where none is, or several are."""
    found = [field for field in fields if field in _PICTURES] or [
        field for field in fields if field.rpartition(".")[2] in _PICTURES
    ]
    return found[0] if len(found) == 1 else ""


def label_of(fields: Fields) -> str | None:
    """The label of a sample; None where it has none."""
    for field in fields:
        if field.split(".")[0] in _LABELS:
            return fields[field].decode("utf-8").strip() or None
    described: Any = json.loads(fields["json"]) if "json" in fields else None
    if isinstance(described, dict):
        for name in _JSON_LABELS:
            value = described.get(name)
            if isinstance(value, str | int) and value != "":
                return str(value)
    return None


def _refuse(path: Path, key: str, reason: str) -> None:
    raise ThawError(
        f"{path}: sample {key!r}: {reason}",
        "Each sample needs a picture and a .cls or .json of the same name beside it, one after the other in the tar.",
    )
