"""Archives that are cut, mangled, encrypted or of another kind: each is told, and leaves nothing."""

import gzip
import random
import struct
import subprocess
from pathlib import Path

import pytest

from tests.code.archives import TARS, add, content, refused, tar_bytes, unpacked, zip_bytes
from thaw.errors import ThawError
from thaw.intake.unpacking import is_packed, unpack


@pytest.mark.parametrize("form", ["zip", *TARS])
def test_an_archive_cut_short_anywhere_is_told(tmp_path: Path, form: str) -> None:
    rng = random.Random(1)
    pictures = [(f"cat/{number}.jpg", rng.randbytes(1024)) for number in range(6)]
    plain = tar_bytes(lambda archive: [add(archive, name, data) for name, data in pictures])
    whole = zip_bytes(*pictures) if form == "zip" else TARS[form](plain)
    content_end = len(plain.rstrip(b"\0")) if form == "tar" else len(whole) - 1  # a tar may lack what pads it
    cuts = sorted(
        {*rng.sample(range(520, content_end), 30), *(range(1536, content_end, 1536) if form == "tar" else ())}
    )
    for number, cut in enumerate(cuts):
        folder = tmp_path / str(number)
        folder.mkdir()
        said = refused(folder, whole[:cut])
        assert "damaged or cut short" in said
        assert "Download it again" in said


@pytest.mark.parametrize("form", ["zip", "tar.gz", "tar.xz"])
def test_a_flipped_byte_is_told_or_changes_nothing(tmp_path: Path, form: str) -> None:
    rng = random.Random(2)
    pictures = [(f"cat/{number}.jpg", rng.randbytes(1024)) for number in range(4)]
    whole = (
        zip_bytes(*pictures)
        if form == "zip"
        else TARS[form](tar_bytes(lambda a: [add(a, n, d) for n, d in pictures]))
    )
    for number in range(60):
        home = tmp_path / str(number)
        (home / "into").mkdir(parents=True)
        at = rng.randrange(520, len(whole))
        (home / "archive").write_bytes(
            whole[:at] + bytes([whole[at] ^ (1 << rng.randrange(8))]) + whole[at + 1 :]
        )
        try:
            unpack(home / "archive", home / "into")
        except ThawError:
            assert content(home / "into") == {}
        else:
            found = content(home / "into")
            assert sorted(data for data in found.values() if data) == sorted(data for _, data in pictures)


@pytest.mark.parametrize("form", ["zip", "tar", "tar.gz", "tar.zst"])
def test_a_mangled_archive_is_an_error_of_the_users_and_leaves_nothing(tmp_path: Path, form: str) -> None:
    """Bytes changed, lost and put in anywhere, headers and directories included."""
    rng = random.Random(5)
    pictures = [(f"cat/{number}.jpg", rng.randbytes(300)) for number in range(4)]
    plain = tar_bytes(lambda archive: [add(archive, name, data) for name, data in pictures])
    whole = zip_bytes(*pictures) if form == "zip" else TARS[form](plain)
    for number in range(60):
        data = bytearray(whole)
        for _ in range(rng.choice((1, 3, 20))):
            at = rng.randrange(8, len(data))
            data[at : at + rng.choice((0, 1, 1, 30))] = rng.randbytes(rng.choice((0, 1, 1, 9)))
        home = tmp_path / str(number)
        (home / "into").mkdir(parents=True)
        (home / "archive").write_bytes(data)
        try:
            unpack(home / "archive", home / "into")
        except ThawError:
            assert content(home / "into") == {}
        assert sorted(path.name for path in home.iterdir()) == ["archive", "into"]


def test_what_lies_behind_the_end_of_a_tar_is_not_passed_over(tmp_path: Path) -> None:
    one = tar_bytes(lambda archive: add(archive, "1.jpg"))
    assert "more follows" in refused(tmp_path, one + tar_bytes(lambda archive: add(archive, "2.jpg")))


def test_a_lost_header_in_the_middle_is_told(tmp_path: Path) -> None:
    data = bytearray(tar_bytes(lambda archive: [add(archive, f"{number}.jpg") for number in range(3)]))
    data[1024:1034] = b"garbage..."
    assert "header is missing or damaged" in refused(tmp_path, bytes(data))


def test_two_streams_one_after_the_other_are_one_archive(tmp_path: Path) -> None:
    plain = tar_bytes(lambda archive: [add(archive, f"{number}.jpg", bytes(9000)) for number in range(3)])
    for form in ("tar.gz", "tar.bz2", "tar.xz", "tar.zst"):
        (tmp_path / form).mkdir()
        halves = TARS[form](plain[:5000]) + TARS[form](plain[5000:])
        assert len(unpacked(tmp_path / form, halves)) == 3, form


def test_an_encrypted_member_is_named(tmp_path: Path) -> None:
    (tmp_path / "1.jpg").write_bytes(b"secret")
    subprocess.run(["zip", "-qP", "word", "e.zip", "1.jpg"], cwd=tmp_path, check=True)
    said = refused(tmp_path, (tmp_path / "e.zip").read_bytes())
    assert "1.jpg: encrypted" in said
    assert "7z x" in said


def test_a_method_that_is_not_read_is_named(tmp_path: Path) -> None:
    data = bytearray(zip_bytes(("1.jpg", b"x")))
    for at in (8, data.index(b"PK\1\2") + 10):
        struct.pack_into("<H", data, at, 9)
    assert "Deflate64" in refused(tmp_path, bytes(data))


def test_a_part_of_a_divided_zip_is_named(tmp_path: Path) -> None:
    (tmp_path / "1.jpg").write_bytes(random.Random(3).randbytes(200_000))
    subprocess.run(
        ["zip", "-q", "-s", "65536", "s.zip", "1.jpg"], cwd=tmp_path, check=True, stderr=subprocess.DEVNULL
    )
    said = (
        refused(tmp_path, (tmp_path / "s.zip").read_bytes()) if is_packed(tmp_path / "s.zip") else "zip -s 0"
    )
    assert "zip -s 0" in said or "cut short" in said


@pytest.mark.parametrize(
    ("magic", "name"),
    [(b"7z\xbc\xaf\x27\x1c", "7-Zip"), (b"Rar!\x1a\x07\0", "RAR"), (b"\x1f\x9d\x90", "compress")],
)
def test_an_archive_of_another_kind_gets_its_command(tmp_path: Path, magic: bytes, name: str) -> None:
    said = refused(tmp_path, magic + bytes(600), "my pets.7z")
    assert f"a {name} archive" in said
    assert "-o'my pets'" in said


def test_a_compressed_file_that_is_no_tar_is_refused(tmp_path: Path) -> None:
    assert "damaged or cut short" in refused(tmp_path, gzip.compress(b"path,class\n" * 100))
