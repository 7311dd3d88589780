"""The index of a data folder whose images lie elsewhere: a row an image, sorted by path, mapped into memory."""

import functools
import hashlib
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from thaw.errors import ThawError
from thaw.files import replacing

FILE = "thaw-index.arrow"
_TEXT = pa.dictionary(pa.int32(), pa.string())
_SCHEMA = pa.schema(
    [
        ("path", pa.large_string()),
        ("object", _TEXT),
        ("offset", pa.int64()),
        ("size", pa.int64()),
        ("etag", _TEXT),
        ("version", _TEXT),
        ("column", _TEXT),
    ]
)
_URL, _FORMAT, _INLINE = b"thaw.url", b"thaw.format", b"thaw.file."
_BATCH = 4096


class Row(NamedTuple):
    """Where the bytes of an image lie."""

    path: str
    """As the stages know it: relative to the data folder, `/` between parts."""
    object: str
    """What holds it, relative to the index's address: an object of the store, or a shard; empty: the index itself."""
    offset: int
    """Where in the object its bytes begin."""
    size: int
    """In bytes."""
    etag: str
    """The object's, as the store tells it: it changes when the bytes do."""
    version: str
    """The object's version, where the store keeps versions; else empty."""
    column: str = ""
    """Of a Parquet: the column that holds the bytes, and `offset` is the row; else empty."""

    def mark(self) -> int:
        """A number that changes when the bytes may have changed."""
        text = f"{self.object}\0{self.offset}\0{self.etag}\0{self.version}\0{self.column}"
        return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


class Index(Sequence[Row]):
    """The rows of a file that `write_index` made. Nothing of it is copied into memory.

    Args:
        path: the file.

    Raises:
        ThawError: it is no index, or damaged.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._table = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
        except (pa.ArrowInvalid, OSError) as error:
            raise ThawError(f"{path}: cannot be read: {error}", "Bring it back with `dvc checkout`.") from None
        metadata = self._table.schema.metadata or {}
        if metadata.get(_FORMAT) != b"1" or not self._table.schema.equals(_SCHEMA):
            raise ThawError(f"{path}: is no index of images that this version of thaw reads", "Make it with `thaw data add`.")
        self.url = metadata[_URL].decode()
        """What the objects are relative to: `s3://bucket/folder`."""
        chunks = self._table["path"].chunks
        self._paths: pa.Array = chunks[0] if chunks else pa.array([], pa.large_string())

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, at: int) -> Row:  # type: ignore[override]  # a slice of it is not needed
        if not 0 <= at < len(self):
            raise IndexError(at)
        return Row(*(column[at].as_py() for column in self._table.columns))

    def __iter__(self) -> Iterator[Row]:
        for batch in self._table.to_batches(_BATCH):
            yield from map(Row, *(_plain(column).to_pylist() for column in batch.columns))

    def find(self, path: str) -> Row | None:
        """The row of `path`; None where there is none."""
        at = self._from(path)
        return self[at] if at < len(self) and self._path(at) == path else None

    def children(self, folder: str) -> Iterator[str]:
        """The names in a folder (empty: the uppermost), sorted; found by jumps from one to the next."""
        prefix = f"{folder}/" if folder else ""
        at, names = self._from(prefix), set()
        while at < len(self) and (path := self._path(at)).startswith(prefix):
            name, slash, _ = path[len(prefix) :].partition("/")
            names.add(name)
            at = self._from(f"{prefix}{name}0") if slash else at + 1  # "0" is what follows "/"
        return iter(sorted(names))

    def below(self, folder: str) -> Iterator[str]:
        """The paths of the files below a folder (empty: the uppermost), in order."""
        prefix = f"{folder}/" if folder else ""
        at = self._from(prefix)
        while at < len(self) and (path := self._path(at)).startswith(prefix):
            yield path
            at += 1

    def is_folder(self, path: str) -> bool:
        """Whether files lie below `path` (empty: the uppermost folder)."""
        prefix = f"{path}/" if path else ""
        at = self._from(prefix)
        return at < len(self) and self._path(at).startswith(prefix)

    def inline(self, path: str) -> bytes:
        """The bytes of a file that the index itself holds."""
        return bytes(self._table.schema.metadata[_INLINE + path.encode()])

    def address(self, row: Row) -> str:
        """Of the object that holds a row's bytes, for those who look for it in the store."""
        return f"{self.url}/{row.object}"

    def _path(self, at: int) -> str:
        return str(self._paths[at].as_py())

    def _from(self, path: str) -> int:
        """Where the first path stands that is not before `path`."""
        return bisect_left(range(len(self)), path, key=self._path)


def write_index(folder: Path, url: str, rows: Sequence[Row], inline: Mapping[str, bytes] | None = None) -> None:
    """Write an index; what is the same gives the same bytes.

    Args:
        folder: is made where it is not there.
        url: what the objects of the rows are relative to.
        rows: sorted by path, each path once.
        inline: the files that the index itself holds, for which `rows` has those that `inline_row` gives.
    """
    columns = list(zip(*rows, strict=True)) or [()] * len(_SCHEMA)
    arrays = [_array(column, field.type) for column, field in zip(columns, _SCHEMA, strict=True)]
    held = {_INLINE + path.encode(): data for path, data in sorted((inline or {}).items())}
    schema = _SCHEMA.with_metadata({_URL: url.encode(), _FORMAT: b"1", **held})
    with replacing(folder / FILE) as temporary, pa.ipc.new_file(str(temporary), schema) as writer:
        writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=schema))


def inline_row(path: str, data: bytes) -> Row:
    """The row of a file that the index itself holds."""
    return Row(path, "", 0, len(data), hashlib.blake2b(data, digest_size=16).hexdigest(), "")


def _array(column: Sequence[object], kind: pa.DataType) -> pa.Array:
    return pa.array(column, pa.string()).dictionary_encode() if kind == _TEXT else pa.array(column, kind)


def _plain(column: pa.Array) -> pa.Array:
    return column.dictionary_decode() if isinstance(column, pa.DictionaryArray) else column


def open_index(folder: Path) -> Index:
    """The index of a data folder, mapped once a process for as long as the file is the same."""
    path = folder / FILE
    status = path.stat()
    return _open(path, status.st_ino, status.st_mtime_ns)


@functools.lru_cache(maxsize=4)
def _open(path: Path, inode: int, mtime_ns: int) -> Index:
    return Index(path)
