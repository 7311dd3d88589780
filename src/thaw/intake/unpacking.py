"""Archives and shards as a plain folder: zip, tar, WebDataset and Parquet, told by their first bytes."""

import errno
import lzma
import os
import shlex
import shutil
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from thaw.errors import ThawError
from thaw.intake.tree import AGAIN, Tree, by_hand
from thaw.layout import is_image_name, name_fault

Progress = Callable[[int, int], None]
"""Called with the packed bytes that are done, and those that there are."""

_COMPRESSIONS = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\0": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
}
_MAGIC = {
    b"PK\x03\x04": "zip",
    b"PK\x05\x06": "zip",
    b"PK\x07\x08": "zip",
    b"PAR1": "parquet",
    b"7z\xbc\xaf\x27\x1c": "7-Zip",
    b"Rar!\x1a\x07": "RAR",
    b"\x1f\x9d": "compress",
    b"LZIP": "lzip",
    **_COMPRESSIONS,
}
_SHARD_SUFFIXES = (".parquet", ".tar", ".tar.gz", ".tgz", ".tar.zst", ".tar.xz", ".tar.bz2")
_MOST_ILLUSTRATIONS, _OUTWEIGHS = 20, 10
_UNREAD = ("7-Zip", "RAR", "compress", "lzip")
_DAMAGE = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    struct.error,
    NotImplementedError,
    RecursionError,
    OverflowError,
    ValueError,  # of a number, a name or a piece of JSON that makes no sense; pyarrow's are of its kind
)


def is_packed(path: Path) -> bool:
    """Whether `path` is an archive, whatever its name, or a folder that holds its images in shards."""
    return bool(_kind(path)) if path.is_file() else path.is_dir() and bool(_shards(path))


def holds_columns(path: Path) -> bool:
    """Whether what `is_packed` holds for has columns, of which `unpack` asks for the label's: a Parquet."""
    shards = [path] if path.is_file() else [path / shard for shard in _shards(path)]
    return bool(shards) and all(_kind(shard) == "parquet" for shard in shards)


def unpack(path: Path, into: Path, progress: Progress | None = None, label_column: str = "") -> None:
    """Write what an archive or a folder of shards holds as a plain folder.

    A zip or tar gives its own tree. Links stay where they lead within it; rights and times are not kept; archives in it stay
    archives. A WebDataset or Parquet gives `[<split>/]<class>/<picture>`, the split by the shard's name, and `metadata.csv` of
    a Parquet's other columns. Nothing is written outside `into`, and no more than `thaw.intake.tree` allows.

    Args:
        path: one for which `is_packed` holds.
        into: an empty folder.
        progress: called while it works.
        label_column: the label's column in a Parquet; guessed where empty.

    Raises:
        ThawError: it is damaged, cut short, encrypted, packed in a way that is not read, or not safe to unpack. It names the
            member, and the folder is empty again.
    """
    root, shards = (path.parent, [path.name]) if path.is_file() else (path, _shards(path))
    total = sum((root / shard).stat().st_size for shard in shards)
    done = 0

    def advance(packed_bytes: int) -> None:
        nonlocal done
        done += packed_bytes
        if progress:
            progress(done, total)

    tree = Tree(into, path, total)
    try:
        with _explaining_damage(tree):
            _unpack(path, root, shards, tree, advance, label_column)
            tree.finish()
    except BaseException:
        for child in into.iterdir():
            shutil.rmtree(child) if child.is_dir() and not child.is_symlink() else child.unlink()
        raise


def _unpack(
    path: Path, root: Path, shards: list[str], tree: Tree, advance: Callable[[int], None], label_column: str
) -> None:
    kinds = {shard: _kind(root / shard) for shard in shards}
    if set(kinds.values()) == {"parquet"}:
        from thaw.intake.parquet import unpack_parquet

        unpack_parquet(root, shards, tree, advance, label_column)
    elif path.is_dir():
        _unpack_tar_shards(path, kinds, tree, advance)
    elif kinds[path.name] == "zip":
        from thaw.intake.zips import unpack_zip

        unpack_zip(path, tree, advance)
    else:
        _unpack_tar(path, kinds[path.name], tree, advance)


def _unpack_tar_shards(root: Path, kinds: dict[str, str], tree: Tree, advance: Callable[[int], None]) -> None:
    from thaw.intake.webdataset import is_shard, unpack_shards

    if "parquet" in kinds.values():
        raise ThawError(
            f"{root}: holds tar and Parquet files, and no image", "Take in one of both: name its folder."
        )
    compressions = {shard: "" if kind == "tar" else kind for shard, kind in kinds.items()}
    first = next(iter(kinds))
    if not is_shard(root / first, compressions[first]):
        loop = 'for f in *.tar*; do mkdir -p "${f%%.*}" && tar -xf "$f" -C "${f%%.*}"; done'
        raise ThawError(
            f"{root}: {first} is no WebDataset shard: its first picture has no label (.cls or .json) beside it",
            f"If each tar holds one class, run `cd {shlex.quote(str(root))} && {loop}`, then take in the folder.",
        )
    unpack_shards(root, list(compressions.items()), tree, advance)


def _unpack_tar(path: Path, kind: str, tree: Tree, advance: Callable[[int], None]) -> None:
    from thaw.intake.tars import unpack_tar
    from thaw.intake.webdataset import is_shard, unpack_shards

    if kind in _UNREAD:
        raise ThawError(f"{path}: a {kind} archive, which is not read here", by_hand(path))
    compression = "" if kind == "tar" else kind
    if is_shard(path, compression):
        unpack_shards(path.parent, [(path.name, compression)], tree, advance)
    else:
        unpack_tar(path, compression, tree, advance)


def _kind(path: Path) -> str:
    """What a file is packed as; empty where it is no archive."""
    with path.open("rb") as file:
        head = file.read(tarfile.BLOCKSIZE)
    for magic, kind in _MAGIC.items():
        if head.startswith(magic):
            return kind
    try:
        tarfile.TarInfo.frombuf(head, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return ""
    return "tar"


def _shards(root: Path) -> list[str]:
    """The shards of a folder, by path; empty where its images are files.

    A few pictures beside shards that outweigh them by far are those of a description, as of `README.md`.
    """
    found: list[str] = []
    images: list[Path] = []
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if not name_fault(name)[0])
        for name in sorted(files):
            if name_fault(name)[0]:
                continue
            path = Path(folder, name)
            if name.casefold().endswith(_SHARD_SUFFIXES) and path.is_file():
                found.append(path.relative_to(root).as_posix())
            elif is_image_name(name):
                images.append(path)
        if len(images) > _MOST_ILLUSTRATIONS:
            return []
    shards = [shard for shard in sorted(found) if _kind(root / shard) not in ("", "zip", *_UNREAD)]
    image_bytes = sum(path.lstat().st_size for path in images)
    return shards if sum((root / shard).stat().st_size for shard in shards) > _OUTWEIGHS * image_bytes else []


@contextmanager
def _explaining_damage(tree: Tree) -> Iterator[None]:
    """Say which member of which archive a decoder's error is about. An error of the disk passes."""
    try:
        yield
    except (*_DAMAGE, OSError) as error:
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):  # a place before the file's begin
            raise
        at = f"{tree.member}: " if tree.member else ""
        text = str(error) or type(error).__name__
        raise ThawError(f"{tree.archive}: {at}damaged or cut short: {text}", AGAIN) from error
