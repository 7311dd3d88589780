"""Archives for tests: random trees, tars and zips made by hand, and what comes of unpacking them."""

import bz2
import gzip
import io
import lzma
import random
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from thaw.errors import ThawError
from thaw.intake.unpacking import is_packed, unpack

TARS: dict[str, Callable[[bytes], bytes]] = {
    "tar": bytes,
    "tar.gz": gzip.compress,
    "tar.bz2": bz2.compress,
    "tar.xz": lzma.compress,
    "tar.zst": lambda data: pa.Codec("zstd").compress(data, asbytes=True),
}


NAMES = (
    "cat",
    "Cat",
    "Ärger",
    "猫",
    "a b",
    "x'y\"z",
    "dog.d",
    "..hidden",
    "back\\slash",
    "emoji🐈",
    "n" * 200,
    "-rf",
)


def content(folder: Path) -> dict[str, bytes | str | None]:
    """Path -> bytes, target of a link, or None for a folder."""
    found: dict[str, bytes | str | None] = {}
    for path in folder.rglob("*"):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = str(path.readlink())
        else:
            found[name] = None if path.is_dir() else path.read_bytes()
    return found


def plant(folder: Path, seed: int) -> Path:
    """A random tree: folders, empty ones too, files of 0 to 300,000 bytes."""
    rng = random.Random(seed)
    folders = [folder]
    folder.mkdir()
    for _ in range(rng.randint(0, 12)):
        made = rng.choice(folders) / rng.choice(NAMES)
        if not made.exists() and len(str(made)) < 900:
            made.mkdir()
            folders.append(made)
    for number in range(rng.randint(1, 25)):
        size = rng.choice((0, 1, 511, 512, 513, 4096, 70_000, 300_000))
        data = rng.randbytes(size) if rng.random() < 0.7 else bytes(size)
        (rng.choice(folders) / f"{number}{rng.choice(NAMES)}").write_bytes(data)
    return folder


def tar_bytes(fill: Callable[[tarfile.TarFile], None], form: int = tarfile.PAX_FORMAT) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w", format=form) as archive:
        fill(archive)
    return data.getvalue()


def add(
    archive: tarfile.TarFile, name: str, data: bytes = b"x", kind: bytes = tarfile.REGTYPE, target: str = ""
) -> None:
    member = tarfile.TarInfo(name)
    member.type, member.linkname, member.size = kind, target, len(data) if kind == tarfile.REGTYPE else 0
    archive.addfile(member, io.BytesIO(data))


def zip_bytes(*members: tuple[str | zipfile.ZipInfo, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", method) as archive:
        for name, payload in members:
            archive.writestr(name, payload)
    return data.getvalue()


def info(name: str, mode: int = 0, system: int = 3) -> zipfile.ZipInfo:
    made = zipfile.ZipInfo(name)
    made.external_attr, made.create_system = mode << 16, system
    return made


def refused(tmp_path: Path, data: bytes, name: str = "bad") -> str:
    """What unpacking says; it leaves nothing, in the folder or around it."""
    home = tmp_path / "home"
    home.mkdir()
    archive, into = home / name, home / "into"
    archive.write_bytes(data)
    into.mkdir()
    assert is_packed(archive)
    with pytest.raises(ThawError) as caught:
        unpack(archive, into)
    assert content(into) == {}
    assert sorted(path.name for path in home.iterdir()) == sorted([name, "into"])
    assert str(archive) in caught.value.reason
    assert caught.value.cure
    return str(caught.value)


def unpacked(tmp_path: Path, data: bytes) -> dict[str, bytes | str | None]:
    archive, into = tmp_path / "archive", tmp_path / "into"
    archive.write_bytes(data)
    into.mkdir()
    assert is_packed(archive)
    unpack(archive, into)
    return content(into)
