"""The rows of an index: the objects below an address or, where these are shards, the images that lie in them."""

import tarfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import NamedTuple, NoReturn

from thaw.errors import ThawError
from thaw.intake.samples import Places, names_beside, split_names
from thaw.intake.webdataset import Fields, grouped, is_label_field, label_of, picture_of
from thaw.layout import METADATA, is_image_name, is_utf8
from thaw.signatures import HEAD_BYTES, picture_suffix
from thaw.sources import File, Row, located
from thaw.sources.index import inline_row, write_index
from thaw.sources.listing import is_path, list_objects
from thaw.sources.object_file import open_object
from thaw.sources.stores import Object

_TAR, _PARQUET = ".tar", ".parquet"
_PACKED = (".tar.gz", ".tgz", ".tar.zst", ".tar.xz", ".tar.bz2")
_SHARDS_AT_ONCE = 8
_MOST_LABEL_BYTES = 1 << 20


class Member(NamedTuple):
    """A file in a tar."""

    name: str
    offset: int
    size: int
    label: bytes
    """The content of what may be a label; of other files none."""
    suffix: str
    """Of the picture that its first bytes show; empty where they show none."""


class Contents(NamedTuple):
    """What an index is written of: its rows, by path, and the files that it holds itself."""

    rows: list[Row]
    inline: dict[str, bytes]


def list_images(address: str, on_objects: Callable[[int], None] = lambda count: None) -> Contents:
    """What an index of `address` holds.

    Shards are told by their names, where no object beside them is named as an image. Of a WebDataset's samples the paths are
    those that unpacking gives, `[<split>/]<class>/<key>.<suffix>`; of another tar those that its members have. A Parquet's
    other columns become `metadata.csv`, in the index.

    Args:
        address: a folder of a store, or of this machine (`file://`).
        on_objects: called with how many objects were listed so far.

    Raises:
        ThawError: as of `list_objects`; a shard is packed, cut short or damaged, or two images have one path.
    """
    objects = list_objects(address, on_objects)
    packed = [row for row in objects if row.path.casefold().endswith(_PACKED)]
    tars, tables = ([row for row in objects if row.path.casefold().endswith(suffix)] for suffix in (_TAR, _PARQUET))
    if any(is_image_name(row.path) for row in objects) or not (tars or tables or packed):
        return Contents(objects, {})
    if tars and tables:
        raise ThawError(f"{address}: holds tar and Parquet files", "Name the folder of one of both.")
    if packed:
        raise ThawError(
            f"{address}/{packed[0].path}: is compressed, and nothing in it can be found by its place",
            "Unpack it to a plain tar (`gzip -d`, `zstd -d`), or take it in as a copy: `thaw data add` of a local folder.",
        )
    beside = [row for row in objects if row.path == METADATA]
    with TemporaryDirectory() as folder:
        write_index(Path(folder), address, objects)
        root = located(Path(folder))
        if tars:
            return Contents(_unique([*beside, *_images_in_tars(address, tars, root)], address), {})
        rows, metadata = _cells(tables, root)
        inline = {METADATA: metadata} if metadata and not beside else {}
        held = [inline_row(path, data) for path, data in inline.items()]
        return Contents(_unique([*beside, *held, *rows], address), inline)


class _Place:
    """Where one is, for the error of an image that is not taken."""

    def __init__(self, archive: object = "", member: str = "") -> None:
        self.archive, self.member = archive, member

    def refuse(self, reason: str) -> NoReturn:
        raise ThawError(f"{self.archive}: {self.member}: {reason}", "Mend it in the shard, or leave it out of it.")


def _cells(shards: Sequence[Row], root: File) -> tuple[list[Row], bytes]:
    """The rows of the pictures, and their other columns as `metadata.csv`; empty where there are none."""
    from thaw.intake.parquet import as_csv, find_pictures

    held, place = {row.path: row for row in shards}, _Place()
    rows: list[Row] = []
    lines: list[bytes] = []
    try:
        for cell, path, columns in find_pictures(root, list(held), place):
            shard, size = held[cell.shard], len(cell.data)
            rows.append(shard._replace(path=path, offset=cell.row, size=size, column=columns.bytes_column))
            if columns.others:
                lines += [] if lines else [as_csv(["path", *columns.others])]
                lines.append(as_csv([path, *cell.others]))
    except (OSError, ValueError) as error:  # pyarrow's are of these kinds
        raise ThawError(
            f"{place.archive}: is damaged or cut short: {error}", "Write it anew, or download it again."
        ) from None
    return rows, b"".join(lines)


def _images_in_tars(address: str, shards: Sequence[Row], beside: File) -> Iterator[Row]:
    at = _Place()
    places = Places(at.refuse, names_beside(beside))
    splits: list[str] = []
    with ThreadPoolExecutor(_SHARDS_AT_ONCE) as pool:
        read = pool.map(lambda row: read_members(address, row), shards)
        for number, (shard, members) in enumerate(zip(shards, read, strict=True)):
            if not _is_web_dataset(members):
                yield from (_row(shard, member, _tree_path(address, shard, member)) for member in members)
                continue
            splits = splits or split_names([row.path for row in shards], address)
            for key, fields in grouped((member.name, member) for member in members):
                at.archive, at.member, contents = f"{address}/{shard.path}", f"sample {key!r}", _contents(fields)
                picture, label = picture_of(contents), label_of(contents)
                if not picture or label is None:
                    at.refuse(f"one picture and a label (.cls or .json) wanted, found {', '.join(sorted(fields))}")
                stem = PurePosixPath(shard.path).name.split(".")[0]
                yield _row(shard, fields[picture], places.find(splits[number], label, key, stem, fields[picture].suffix))


def read_members(address: str, shard: Row) -> list[Member]:
    """The files in a tar, found by its headers; of the pictures only the first bytes are read.

    Raises:
        ThawError: it is no tar, is damaged, cut short, or holds links, whose bytes are elsewhere.
    """
    place = f"{address}/{shard.path}"
    file = open_object(Object(place, shard.etag, shard.version), shard.size)
    found: list[Member] = []
    try:
        archive = tarfile.TarFile(fileobj=file, errors="surrogateescape")
        while member := archive.next():
            archive.members.clear()  # type: ignore[attr-defined]  # which keeps every header it has read
            if member.isdir():
                continue
            if not member.isreg() or member.sparse is not None or not is_utf8(member.name):
                raise ThawError(
                    f"{place}: {member.name!r}: is no plain file with a name in UTF-8",
                    "Pack the files anew: `thaw data pack DIR --to OUT`.",
                )
            file.seek(member.offset_data)
            label = file.read(min(member.size, _MOST_LABEL_BYTES)) if is_label_field(member.name) else b""
            suffix = "" if label else picture_suffix(file.read(min(member.size, HEAD_BYTES)))
            found.append(Member(member.name, member.offset_data, member.size, label, suffix))
        file.seek(archive.offset)
        if file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
            raise tarfile.ReadError("the next header is missing or damaged")
    except (tarfile.TarError, EOFError, ValueError) as error:
        at = f"behind {found[-1].name!r}" if found else "at its begin"
        raise ThawError(
            f"{place}: is damaged or cut short {at}: {error}", "Write it anew, or download it again."
        ) from None
    return found


def _is_web_dataset(members: Sequence[Member]) -> bool:
    for _, fields in grouped((member.name, member) for member in members):
        contents = _contents(fields)
        try:
            return picture_of(contents) != "" and label_of(contents) is not None
        except ValueError:
            return False
    return False


def _contents(fields: dict[str, Member]) -> Fields:
    return {field: member.label for field, member in fields.items()}


def _tree_path(address: str, shard: Row, member: Member) -> str:
    path = member.name.removeprefix("./")
    if not is_path(path):
        raise ThawError(f"{address}/{shard.path}: {member.name!r}: is no path of a file", "Pack the files anew.")
    return path


def _row(shard: Row, member: Member, path: str) -> Row:
    return shard._replace(path=path, offset=member.offset, size=member.size)


def _unique(rows: list[Row], address: str) -> list[Row]:
    rows.sort()
    for one, other in pairwise(rows):
        if one.path == other.path:
            raise ThawError(
                f"{address}: {one.object} and {other.object} both hold {one.path}", "Leave it out of one of them."
            )
    return rows
