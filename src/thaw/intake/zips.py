"""Zip archives."""

import shlex
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path

from thaw.errors import ThawError
from thaw.intake.tree import Tree, by_hand
from thaw.intake.zip_names import read_names

_ENCRYPTED = 0x1
_READ = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
_METHODS = {9: "Deflate64", 93: "Zstandard", 95: "xz", 98: "PPMd", 99: "AES"}
_MOST_LINK_BYTES = 4096


def unpack_zip(path: Path, tree: Tree, on_packed: Callable[[int], None]) -> None:
    """Unpack a zip; `on_packed` is called with the number of packed bytes of each member.

    Raises:
        ThawError: a member is encrypted, packed in a way that is not read, or leads out of the folder.
        zipfile.BadZipFile, zlib.error, ...: it is damaged.
    """
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        for info, name in zip(members, read_names(members), strict=True):
            tree.member = name
            _check(info, path, name)
            _unpack(archive, info, name, tree)
            on_packed(info.compress_size)


def _check(info: zipfile.ZipInfo, path: Path, name: str) -> None:
    if info.volume:
        whole = path.with_name(f"{path.stem}-whole.zip")
        command = shlex.join(["zip", "-s", "0", str(path), "--out", str(whole)])
        raise ThawError(f"{path}: one part of a divided zip", f"Join its parts: `{command}`.")
    if info.flag_bits & _ENCRYPTED:
        raise ThawError(f"{path}: {name}: encrypted", f"Unpack it with its password. {by_hand(path)}")
    if info.compress_type not in _READ:
        method = _METHODS.get(info.compress_type, str(info.compress_type))
        raise ThawError(f"{path}: {name}: packed by a method that is not read here ({method})", by_hand(path))


def _unpack(archive: zipfile.ZipFile, info: zipfile.ZipInfo, name: str, tree: Tree) -> None:
    kind = stat.S_IFMT(info.external_attr >> 16)
    if name.endswith("/") or kind == stat.S_IFDIR:
        tree.folder(name)
        return
    with archive.open(info) as content:
        if kind == stat.S_IFLNK:
            tree.link(name, content.read(_MOST_LINK_BYTES).decode("utf-8", "surrogateescape"))
        elif kind in (0, stat.S_IFREG):
            tree.copy(name, content)
        else:
            tree.refuse("a pipe, socket or device, no file")
