"""Archives become the very tree that was packed, and nothing else: against trees packed by the standard library, by `zip`,
and by hand where no tool would write such a thing."""

import bz2
import gzip
import io
import random
import stat
import struct
import subprocess
import sys
import tarfile
import zipfile
import zlib
from pathlib import Path

import pytest

from tests.code.archives import TARS, add, content, info, plant, refused, tar_bytes, unpacked, zip_bytes
from thaw.intake import tree
from thaw.intake.unpacking import is_packed, unpack


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("form", ["zip", *TARS])
def test_what_was_packed_comes_out_byte_for_byte(tmp_path: Path, form: str, seed: int) -> None:
    source = plant(tmp_path / "source", seed)
    if form == "zip":
        data = io.BytesIO()
        with zipfile.ZipFile(
            data, "w", (zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2)[seed % 3]
        ) as archive:
            for path in source.rglob("*"):
                archive.write(path, path.relative_to(source))
        packed = data.getvalue()
    else:
        kind = (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT)[seed % 2]
        packed = TARS[form](tar_bytes(lambda archive: archive.add(source, "."), kind))
    assert unpacked(tmp_path, packed) == content(source)


def test_a_zip_of_the_zip_command_comes_out_with_its_links(tmp_path: Path) -> None:
    source = plant(tmp_path / "source", 99)
    (source / "link").symlink_to(next(path.name for path in source.iterdir() if path.is_file()))
    subprocess.run(["zip", "-qry", tmp_path / "archive.zip", "."], cwd=source, check=True)
    assert unpacked(tmp_path, (tmp_path / "archive.zip").read_bytes()) == content(source)


def test_links_that_stay_inside_come_out_as_they_are_and_hard_links_as_files(tmp_path: Path) -> None:
    def fill(archive: tarfile.TarFile) -> None:
        add(archive, "images/1.jpg", b"one")
        add(archive, "cat/1.jpg", kind=tarfile.SYMTYPE, target="../images/1.jpg")
        add(archive, "cat/again.jpg", kind=tarfile.LNKTYPE, target="images/1.jpg")

    found = unpacked(tmp_path, tar_bytes(fill))
    assert found["cat/1.jpg"] == "../images/1.jpg"
    assert found["cat/again.jpg"] == b"one"


def test_rights_are_dropped(tmp_path: Path) -> None:
    member = tarfile.TarInfo("run.sh")
    member.mode, member.size = 0o6777, 1
    unpacked(tmp_path, tar_bytes(lambda archive: archive.addfile(member, io.BytesIO(b"x"))))
    assert (tmp_path / "into" / "run.sh").stat().st_mode & (0o111 | stat.S_ISUID | stat.S_ISGID) == 0


@pytest.mark.parametrize(
    "name",
    [
        "../up.jpg",
        "a/../../up.jpg",
        "/tmp/up.jpg",
        "..",
        "a/..",
        "C:\\up.jpg",
        "C:/up.jpg",
        "./../up.jpg",
        "//up.jpg",
    ],
)
def test_no_name_leads_out(tmp_path: Path, name: str) -> None:
    said = refused(tmp_path, tar_bytes(lambda archive: add(archive, name)))
    assert "leads out of the folder" in said
    (tmp_path / "zip").mkdir()
    assert "leads out of the folder" in refused(tmp_path / "zip", zip_bytes((info(name), b"x")))
    (tmp_path / "folder").mkdir()
    folder = tar_bytes(lambda archive: add(archive, name, kind=tarfile.DIRTYPE))
    assert "leads out of the folder" in refused(tmp_path / "folder", folder)


def test_a_zip_of_windows_with_backslashes_is_read_as_folders_and_led_out_of_nowhere(tmp_path: Path) -> None:
    assert unpacked(tmp_path, zip_bytes((info("cat\\1.jpg", system=0), b"x"))) == {
        "cat": None,
        "cat/1.jpg": b"x",
    }
    (tmp_path / "out").mkdir()
    assert "leads out" in refused(tmp_path / "out", zip_bytes((info("..\\..\\up.jpg", system=0), b"x")))


@pytest.mark.parametrize(
    "target", ["/etc/passwd", "../../etc/passwd", "..", "a/../../x", "/", "../into/1.jpg"]
)
def test_no_link_leads_out(tmp_path: Path, target: str) -> None:
    data = tar_bytes(
        lambda archive: (add(archive, "1.jpg"), add(archive, "link", kind=tarfile.SYMTYPE, target=target))
    )
    assert "out of the folder" in refused(tmp_path, data)
    (tmp_path / "zip").mkdir()
    assert "out of the folder" in refused(
        tmp_path / "zip", zip_bytes(("1.jpg", b"x"), (info("link", stat.S_IFLNK | 0o777), target.encode()))
    )


def test_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    """The member behind the link would land in the link's target, were the link there already."""

    def fill(archive: tarfile.TarFile) -> None:
        add(archive, "d", kind=tarfile.DIRTYPE)
        add(archive, "d/out", kind=tarfile.SYMTYPE, target="..")
        add(archive, "d/out/x.jpg")

    assert "another member" in refused(tmp_path, tar_bytes(fill))


def test_links_that_lead_out_together_are_refused(tmp_path: Path) -> None:
    """Each target by itself stays inside; one after the other they do not."""

    def fill(archive: tarfile.TarFile) -> None:
        add(archive, "a/b/x.jpg")
        add(archive, "a/up", kind=tarfile.SYMTYPE, target="b/../..")
        add(archive, "deep/er/here", kind=tarfile.SYMTYPE, target="../../a/up/a/up/../x")

    said = refused(tmp_path, tar_bytes(fill))
    assert "out of the folder" in said or "leads nowhere" in said


@pytest.mark.parametrize(
    ("links", "reason"),
    [
        ([("l", "missing.jpg")], "leads nowhere"),
        ([("a", "b"), ("b", "a")], "leads nowhere"),
        ([("l", "")], "out of the folder"),
        ([("l", "1.jpg"), ("l", "1.jpg")], "another member"),
    ],
)
def test_links_to_nowhere_are_refused(tmp_path: Path, links: list[tuple[str, str]], reason: str) -> None:
    def fill(archive: tarfile.TarFile) -> None:
        add(archive, "1.jpg")
        for name, target in links:
            add(archive, name, kind=tarfile.SYMTYPE, target=target)

    assert reason in refused(tmp_path, tar_bytes(fill))


@pytest.mark.parametrize("target", ["../../../etc/passwd", "/etc/passwd", "later.jpg", "folder"])
def test_a_hard_link_repeats_only_a_file_before_it(tmp_path: Path, target: str) -> None:
    def fill(archive: tarfile.TarFile) -> None:
        add(archive, "folder/1.jpg")
        add(archive, "again.jpg", kind=tarfile.LNKTYPE, target=target)
        add(archive, "later.jpg")

    reason = "leads out" if target.startswith((".", "/")) else f"it repeats '{target}', which is no file before it"
    assert reason in refused(tmp_path, tar_bytes(fill))


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, b"V", b"M"])
def test_no_device_is_made(tmp_path: Path, kind: bytes) -> None:
    assert "no file" in refused(tmp_path, tar_bytes(lambda archive: add(archive, "null", kind=kind)))


@pytest.mark.parametrize("kind", [stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO, stat.S_IFSOCK])
def test_no_device_is_made_of_a_zip(tmp_path: Path, kind: int) -> None:
    assert "no file" in refused(tmp_path, zip_bytes((info("null", kind | 0o666), b"")))


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("names", [("a.jpg", "a.jpg"), ("a", "a/b"), ("a/b", "a"), ("a//b.jpg", "a/./b.jpg")])
def test_no_member_overwrites_another(tmp_path: Path, names: tuple[str, str]) -> None:
    data = tar_bytes(lambda archive: [add(archive, name, name.encode()) for name in names])
    assert "another member" in refused(tmp_path, data)
    (tmp_path / "zip").mkdir()
    assert "another member" in refused(tmp_path / "zip", zip_bytes(*((info(name), b"x") for name in names)))


@pytest.mark.parametrize("form", ["zip", "tar.gz", "tar.bz2", "tar.xz", "tar.zst"])
def test_a_bomb_is_stopped_while_it_is_written(
    tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tree, "SMALL_BYTES", 2_000_000)
    zeros = bytes(20_000_000)
    data = (
        zip_bytes(("zeros", zeros))
        if form == "zip"
        else TARS[form](tar_bytes(lambda archive: add(archive, "zeros", zeros)))
    )
    assert "decompression bomb" in refused(tmp_path, data)


def test_the_bound_is_a_ratio_and_small_archives_are_free(tmp_path: Path) -> None:
    zeros = bytes(90_000_000)  # at 1,000 to 1
    assert unpacked(tmp_path, zip_bytes(("zeros.bmp", zeros))) == {"zeros.bmp": zeros}
    (tmp_path / "large").mkdir()
    assert "200 times" in refused(tmp_path / "large", zip_bytes(("zeros.bmp", zeros), ("more.bmp", zeros)))


def test_empty_members_by_the_million_are_a_bomb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree, "SMALL_BYTES", 2_000_000)
    many = tar_bytes(lambda archive: [add(archive, f"{number}.jpg", b"") for number in range(3000)])
    assert "decompression bomb" in refused(tmp_path, bz2.compress(many))


def test_overlapping_members_are_a_bomb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many entries of the directory that share one stream (Fifield, A better zip bomb, 2019), here under one name."""
    monkeypatch.setattr(tree, "SMALL_BYTES", 2_000_000)
    one = zip_bytes(("a", bytes(1_000_000)))
    start = one.index(b"PK\1\2")
    entry, end = one[start : one.index(b"PK\5\6")], bytearray(one[one.index(b"PK\5\6") :])
    struct.pack_into("<HHI", end, 8, 50, 50, 50 * len(entry))
    assert "another member has this name" in refused(tmp_path, one[:start] + entry * 50 + bytes(end))


def test_a_header_that_asks_for_gigabytes_is_no_header(tmp_path: Path) -> None:
    member = tarfile.TarInfo("pax")
    member.type, member.size = tarfile.XHDTYPE, 1 << 32
    assert "header" in refused(tmp_path, gzip.compress(member.tobuf(tarfile.GNU_FORMAT) + bytes(1 << 20)))


def test_a_full_disk_is_seen_before_it_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree, "RESERVE_BYTES", 1 << 60)
    assert "no room" in refused(tmp_path, zip_bytes(("a.jpg", b"x")))


@pytest.mark.parametrize(
    ("encoding", "names"),
    [
        ("utf-8", ["Grün/Äpfel.jpg", "猫/1.jpg"]),
        ("cp932", ["ネコ/写真.jpg", "犬/001.jpg", "表/ソ1.jpg"]),
        ("gbk", ["猫/照片.jpg", "狗/001.jpg"]),
        ("cp866", ["кот/1.jpg", "собака/2.jpg"]),
        ("cp437", ["Grün/1.jpg", "Größe/Möhre.jpg", "Äpfel/3.jpg", "Été/4.jpg"]),
    ],
)
def test_names_without_the_flag_are_read_by_the_rule(tmp_path: Path, encoding: str, names: list[str]) -> None:
    flagless = b"PK"
    data = io.BytesIO()
    directory = b""
    for name in names:
        raw, at = name.encode(encoding), data.tell()
        shared = struct.pack("<HHHHHIIIHH", 20, 0, 0, 0, 33, zlib.crc32(b"x"), 1, 1, len(raw), 0)
        data.write(flagless + b"\3\4" + shared + raw + b"x")
        directory += (
            flagless
            + b"\1\2"
            + struct.pack("<H", 20 | 3 << 8)
            + shared
            + struct.pack("<HHHII", 0, 0, 0, 0, at)
            + raw
        )
    start = data.tell()
    data.write(
        directory
        + b"PK\5\6"
        + struct.pack("<HHHHIIH", 0, 0, len(names), len(names), len(directory), start, 0)
    )
    found = unpacked(tmp_path, data.getvalue())
    assert sorted(name for name, payload in found.items() if payload) == sorted(names)


def test_macs_folder_is_kept_for_others_to_leave_out(tmp_path: Path) -> None:
    assert "__MACOSX/cat/._1.jpg" in unpacked(
        tmp_path, zip_bytes(("cat/1.jpg", b"x"), ("__MACOSX/cat/._1.jpg", b"y"))
    )


def test_what_is_no_archive_is_not_packed(tmp_path: Path) -> None:
    for number, data in enumerate(
        (b"", b"\xff\xd8\xff\xe0" + bytes(600), bytes(1024), b"PK", b"path,class\n" * 99)
    ):
        (tmp_path / f"{number}.zip").write_bytes(data)
        assert not is_packed(tmp_path / f"{number}.zip")
    assert not is_packed(tmp_path)
    assert not is_packed(tmp_path / "missing")


def test_progress_ends_at_the_whole(tmp_path: Path) -> None:
    rng = random.Random(4)
    for form in ("zip", "tar", "tar.gz"):
        pictures = [(f"{number}.jpg", rng.randbytes(50_000)) for number in range(20)]
        plain = tar_bytes(lambda archive, pictures=pictures: [add(archive, *one) for one in pictures])
        data = zip_bytes(*pictures) if form == "zip" else TARS[form](plain)
        (tmp_path / form).write_bytes(data)
        (tmp_path / f"into {form}").mkdir()
        steps: list[tuple[int, int]] = []
        unpack(
            tmp_path / form,
            tmp_path / f"into {form}",
            lambda done, total, steps=steps: steps.append((done, total)),
        )
        assert {total for _, total in steps} == {len(data)}
        assert [done for done, _ in steps] == sorted(done for done, _ in steps)
        assert len(data) * 0.9 < steps[-1][0] <= len(data)


def test_memory_does_not_grow_with_the_archive(tmp_path: Path) -> None:
    """120 MB of one member, in a process of its own."""
    with tarfile.open(tmp_path / "large.tar.gz", "w:gz", compresslevel=1) as archive:
        member = tarfile.TarInfo("large.bmp")
        member.size = 120_000_000
        with Path("/dev/urandom").open("rb") as noise:
            block = noise.read(4_000_000)
        archive.addfile(member, Repeated(block))  # type: ignore[arg-type]
    (tmp_path / "into").mkdir()
    code = (
        "import resource, sys; from pathlib import Path; from thaw.intake.unpacking import unpack;"
        "kb = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss; before = kb();"
        "unpack(Path(sys.argv[1]), Path(sys.argv[2])); print(kb() - before)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "large.tar.gz", tmp_path / "into"],
        check=True,
        capture_output=True,
        text=True,
    )
    assert (tmp_path / "into" / "large.bmp").stat().st_size == 120_000_000
    assert int(done.stdout) < 40_000


class Repeated(io.RawIOBase):
    """A file that is one block again and again."""

    def __init__(self, block: bytes) -> None:
        self._block, self._at = block, 0

    def read(self, size: int = -1) -> bytes:
        at = self._at % len(self._block)
        data = self._block[at : at + size]
        self._at += len(data)
        return data + self.read(size - len(data)) if len(data) < size else data
