"""Parquet with pictures, as Hugging Face's `datasets` writes it: a column of structs `{bytes, path}` and a column of labels.

Read in small batches of rows, so that memory does not grow with the files.
"""

import csv
import io
import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple, Protocol

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from thaw.errors import ThawError
from thaw.intake.samples import Places, Samples, names_beside, split_names
from thaw.intake.tree import Tree
from thaw.signatures import HEAD_BYTES, picture_suffix
from thaw.sources import File

_IMAGE_NAMES = ("image", "img", "picture", "photo", "bytes", "data")
_LABEL_NAMES = ("label", "labels", "class", "class_name", "label_name", "category", "target")
_BATCH_BYTES = 1 << 24
_MOST_BATCH_ROWS = 256
_BUFFER_BYTES = 1 << 20


@dataclass(frozen=True)
class Columns:
    """Which column is what."""

    image: str
    bytes_column: str
    """That of the pictures, or the part of it that holds their bytes."""
    label: str
    names: tuple[str, ...]
    """The classes by index; empty where nobody named them."""
    others: tuple[str, ...]
    """Of simple types: they become columns of metadata.csv."""


class Cell(NamedTuple):
    """A picture in a shard."""

    shard: str
    row: int
    split: str
    label: str | int | None
    stem: tuple[str, str]
    """Name without suffix, and what tells it from others of that name."""
    data: memoryview
    others: list[str]
    """Its other columns as text."""


class Teller(Protocol):
    """What is told where one is, and says so in the error of a picture that is not taken."""

    archive: Any
    member: str

    def refuse(self, reason: str) -> None: ...


def unpack_parquet(
    root: Path,
    shards: Sequence[str],
    tree: Tree,
    on_packed: Callable[[int], None],
    label_column: str = "",
) -> None:
    """Write the pictures of all shards, `[<split>/]<class>/<name>.<suffix>`, and the other columns to `metadata.csv`.

    A split of which no row has a label is written without class folders.

    Args:
        root: the folder of the shards, which may hold a list of the classes.
        shards: the path of each relative to `root`.
        tree: takes them.
        on_packed: called now and then with the number of packed bytes done since.
        label_column: the column of the label; guessed where empty.

    Raises:
        ThawError: there is no column of pictures or of labels, several could be it, or a row lacks one.
    """
    columns = _same_columns(root, shards, label_column, tree)
    samples = Samples(tree, columns.names or names_beside(root))
    with ExitStack() as stack:
        write = stack.enter_context(tree.file("metadata.csv")) if columns.others else None
        if write:
            write(as_csv(["path", *columns.others]))
        for cell in _cells(root, shards, columns, tree, on_packed):
            place = samples.add(cell.split, cell.label, *cell.stem, cell.data)
            if write:
                write(as_csv([place, *cell.others]))


def find_pictures(
    root: File, shards: Sequence[str], tree: Teller, on_packed: Callable[[int], None] = lambda packed_bytes: None
) -> Iterator[tuple[Cell, str, Columns]]:
    """Yield each picture of all shards, its path as `unpack_parquet` gives it, and which column is what.

    Args:
        root, shards, on_packed: as of `unpack_parquet`.
        tree: is told what is read, for messages.

    Raises:
        ThawError: as `unpack_parquet`.
    """
    columns = _same_columns(root, shards, "", tree)
    places = Places(tree.refuse, columns.names or names_beside(root))
    for cell in _cells(root, shards, columns, tree, on_packed):
        suffix = picture_suffix(bytes(cell.data[:HEAD_BYTES]))
        yield cell, places.find(cell.split, cell.label, *cell.stem, suffix), columns


def _cells(
    root: File, shards: Sequence[str], columns: Columns, tree: Teller, on_packed: Callable[[int], None]
) -> Iterator[Cell]:
    splits = split_names(shards, root)
    unlabelled = _splits_without_labels(root, shards, splits, columns)
    for shard, split in zip(shards, splits, strict=True):
        tree.archive = path = root / shard
        for row, (stem, label, data, others) in enumerate(_rows(path, columns, tree, on_packed)):
            yield Cell(shard, row, split, None if split in unlabelled else label, stem, data, others)


def _open(path: File) -> pq.ParquetFile:
    return pq.ParquetFile(path if isinstance(path, Path) else path.open(), pre_buffer=False, buffer_size=_BUFFER_BYTES)


def _same_columns(root: File, shards: Sequence[str], label_column: str, tree: Teller) -> Columns:
    first = None
    for shard in shards:
        tree.archive, tree.member = root / shard, "its columns"
        with _open(root / shard) as file:
            found = _find_columns(file, root / shard, label_column)
        first = first or found
        if found != first:
            raise ThawError(
                f"{root / shard}: its columns or classes are not those of {shards[0]}",
                "Take in one set at a time: put its shards into a folder of their own.",
            )
    assert first is not None
    return first


def _find_columns(file: pq.ParquetFile, path: File, label_column: str) -> Columns:
    schema = file.schema_arrow
    features = _features(schema)
    image = _one_of(
        [field.name for field in schema if _is_picture(field, features, file)],
        _IMAGE_NAMES,
        path,
        "picture",
        schema.names,
    )
    if label_column:
        if label_column not in schema.names:
            raise ThawError(
                f"{path}: no column {label_column!r}", f"Name one of its columns: {', '.join(schema.names)}."
            )
        label = label_column
    else:
        classes = [name for name, feature in features.items() if feature.get("_type") == "ClassLabel"]
        candidates = classes or [name for name in _LABEL_NAMES if name in schema.names][:1]
        label = _one_of(candidates, _LABEL_NAMES, path, "label", schema.names)
    kind = _value_type(schema.field(label).type)
    if not (pa.types.is_integer(kind) or pa.types.is_boolean(kind) or _is_text(kind)):
        raise ThawError(
            f"{path}: column {label!r} holds {kind}, no class", "A label is one number or one name an image."
        )
    others = [
        field.name
        for field in schema
        if field.name not in (image, label, "path") and _is_simple(_value_type(field.type))
    ]
    kind = schema.field(image).type
    bytes_column = f"{image}.bytes" if pa.types.is_struct(kind) else image
    return Columns(image, bytes_column, label, tuple(features.get(label, {}).get("names") or ()), tuple(others))


def _features(schema: pa.Schema) -> dict[str, Any]:
    """Hugging Face's description of the columns; empty without one."""
    try:
        told = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
    except (KeyError, TypeError, ValueError):
        return {}
    return {
        name: feature for name, feature in told.items() if isinstance(feature, dict) and name in schema.names
    }


def _is_picture(field: pa.Field, features: dict[str, Any], file: pq.ParquetFile) -> bool:
    if pa.types.is_struct(field.type):
        return any(child.name == "bytes" and _is_binary(child.type) for child in field.type)
    if not _is_binary(field.type) or file.metadata.num_rows == 0:
        return False
    first = next(file.iter_batches(batch_size=1, columns=[field.name])).column(0)[0].as_py()
    return first is not None and picture_suffix(first[:HEAD_BYTES]) != ""


def _one_of(found: Sequence[str], usual: Sequence[str], path: File, what: str, names: Sequence[str]) -> str:
    """The one column of a kind: the only one, or the one with the usual name."""
    best = list(found) if len(found) == 1 else [name for name in usual if name in found][:1]
    if best:
        return best[0]
    if found:
        cure = (
            "Name the one with --label-column."
            if what == "label"
            else f"Call the one that is meant {usual[0]!r}."
        )
        raise ThawError(f"{path}: {', '.join(found)} could each be the {what}", cure)
    cure = (
        "Name it with --label-column."
        if what == "label"
        else "Pictures must be in the file, as bytes or as structs with `bytes`; `datasets` embeds them with push_to_hub."
    )
    raise ThawError(f"{path}: no column is the {what}; there are {', '.join(names)}", cure)


def _splits_without_labels(
    root: File, shards: Sequence[str], splits: Sequence[str], columns: Columns
) -> set[str]:
    """Splits of which no image has a label (null, or -1 for a named class).

    Raises:
        ThawError: some images of a split have none, or there is no label at all.
    """
    rows: dict[str, int] = defaultdict(int)
    missing: dict[str, int] = defaultdict(int)
    for shard, split in zip(shards, splits, strict=True):
        with _open(root / shard) as file:
            for batch in file.iter_batches(columns=[columns.label]):
                rows[split] += len(batch)
                missing[split] += _count_missing(batch.column(0))
    for split, count in missing.items():
        if 0 < count < rows[split]:
            raise ThawError(
                f"{root}: {count} of {rows[split]} images{f' of {split}' if split else ''} have no label in "
                f"{columns.label!r}",
                "Label them, or leave their rows out.",
            )
    without = {split for split, count in missing.items() if count}
    if without >= set(rows):
        raise ThawError(
            f"{root}: no image has a label in {columns.label!r}", "Name another with --label-column."
        )
    return without


def _count_missing(labels: pa.Array) -> int:
    if pa.types.is_integer(labels.type):
        return int(pc.sum(pc.fill_null(pc.less(labels, 0), True)).as_py() or 0)
    return int(labels.null_count)


def _rows(
    path: File, columns: Columns, tree: Teller, on_packed: Callable[[int], None]
) -> Iterator[tuple[tuple[str, str], str | int | None, memoryview, list[str]]]:
    """Yield of each row (name without suffix, what tells it from others), label, picture, and its other columns as text."""
    packed, number = path.stat().st_size if isinstance(path, Path) else path.size, 0
    with _open(path) as file:
        rows = file.metadata.num_rows
        wanted = [columns.image, columns.label, *columns.others]
        for batch in file.iter_batches(_batch_rows(file), columns=wanted, use_threads=False):
            data, names = _pictures(batch.column(columns.image))
            labels = batch.column(columns.label).to_pylist()
            others = [batch.column(name).to_pylist() for name in columns.others]
            for at in range(len(batch)):
                tree.member = f"row {number}"
                if not data[at].is_valid:
                    tree.refuse("its picture is not in the file, at most a path to it")
                stem = PurePosixPath(names[at] or "").stem or f"{path.name.split('.')[0]}_{number:06d}"
                yield (
                    (stem, f"{number:06d}"),
                    _plain(labels[at]),
                    memoryview(data[at].as_buffer()),
                    [_text(column[at]) for column in others],
                )
                number += 1
            on_packed(packed * number // rows - packed * (number - len(batch)) // rows)


def _batch_rows(file: pq.ParquetFile) -> int:
    """How many rows make about `_BATCH_BYTES`."""
    groups = (file.metadata.row_group(number) for number in range(file.metadata.num_row_groups))
    row_bytes = sum(group.total_byte_size for group in groups) // max(file.metadata.num_rows, 1)
    return max(1, min(_BATCH_BYTES // max(row_bytes, 1), _MOST_BATCH_ROWS))


def _pictures(column: pa.Array) -> tuple[pa.Array, list[str | None]]:
    """The bytes of a batch's pictures, and the paths that they had."""
    if not pa.types.is_struct(column.type):
        return column, [None] * len(column)
    fields = {field.name for field in column.type}
    names = pc.struct_field(column, "path").to_pylist() if "path" in fields else [None] * len(column)
    return pc.struct_field(column, "bytes"), names


def _plain(label: Any) -> str | int | None:
    return str(label).lower() if isinstance(label, bool) else label


def _text(value: Any) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def as_csv(cells: Sequence[str]) -> bytes:
    """A line of `metadata.csv`."""
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(cells)
    return line.getvalue().encode()


def _value_type(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _is_binary(kind: pa.DataType) -> bool:
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)


def _is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def _is_simple(kind: pa.DataType) -> bool:
    tests = (
        pa.types.is_integer,
        pa.types.is_floating,
        pa.types.is_boolean,
        pa.types.is_temporal,
        pa.types.is_decimal,
    )
    return _is_text(kind) or any(test(kind) for test in tests)
