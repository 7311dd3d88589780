"""What systems and programs leave among pictures, and pictures without a picture's name: told, and never in silence."""

import io
from pathlib import Path

import pytest

from tests.data.dirty import clean_folder, picture
from thaw import images
from thaw.compute import Local
from thaw.gate.inspection import Inspection, inspect_folder
from thaw.intake.listing import list_folder
from thaw.layout import name_fault
from thaw.leftovers import copy_of, left_by
from thaw.params import ValidateParams
from thaw.pictures import pictures_below
from thaw.signatures import HEAD_BYTES, picture_suffix, shows_picture

FOLDERS = (
    "@Recycle", "#recycle", "@eaDir", ".@__thumb", "lost+found", ".AppleDouble", "Network Trash Folder", "Temporary Items",
    "$RECYCLE.BIN", "System Volume Information", ".Trash-1000", ".Spotlight-V100", ".fseventsd", "__MACOSX", ".dropbox.cache",
    ".ipynb_checkpoints", "#snapshot", "@tmp", ".thumbnails", ".picasaoriginals", ".stversions", "__pycache__", "FOUND.000",
)  # fmt: skip
FILES = (
    ".DS_Store", "._000.jpg", "Thumbs.db", "ehthumbs.db", "desktop.ini", "Picasa.ini", ".picasa.ini", "ZbThumbnail.info",
    "000.jpg:Zone.Identifier", "000.jpg\uf03aZone.Identifier", "000.jpg:com.dropbox.attributes", "000.jpg@SynoEAStream",
    "Icon\r",
    ".~lock.list.csv#", "~$list.xlsx", ".nfs0000000000a1b2c3", ".fuse_hidden0001", ".dropbox", ".dropbox.attr", ".nomedia",
    "notes.gdoc", "list.gsheet", "000.jpg.crdownload", "000.jpg.part", "000.jpg.partial", "000.jpg.!qB", "000.jpg.aria2",
    "SyncToy_0a1b2c3d.dat", "~syncthing~000.jpg.tmp", "x~", ".x.swp", "#x#", "pspbrwse.jbf", ".BridgeSort", "descript.ion",
    "MVI_0001.THM", "train000.png~", "train000.png.bak", "train000.png_original",
)  # fmt: skip
NO_LEFTOVERS = (
    "cat", "recycle", "recycled", "Trash", "photo.jpg", "photo.jpeg", "IMG_0001 (1).jpg", "part", "download", "#1.jpg",
    "@home.jpg",
    "thumbs.jpg", "desktop.jpg", "a:b.jpg", "lost", "snapshot.png", "~a.jpg", "icon.png", "cvs.jpg", "1.jpg?w=600",
    "photo.jpg!d",
)  # fmt: skip
UNNAMED = (
    "crawl", "photo.jpg_large", "photo.jpg?w=600", "photo.jpg!d", "photo.jpeg_", "photo.jpeg~", "photo.jpg&h=2",
    "photo.jpg;v=1",
    "photo.jpg@2x", "photo.jpg-orig", "0a1b2c3d4e5f", "image.php", "photo.jpg%3Fw", "photo.jpg.1", "photo.",
)  # fmt: skip


def jpeg(seed: int) -> bytes:
    data = io.BytesIO()
    picture(seed).save(data, "JPEG", quality=95)
    return data.getvalue()


def inspect(root: Path) -> Inspection:
    return inspect_folder(ValidateParams(), root, root.parent / "scratch", executor=Local(1))


@pytest.mark.parametrize("name", [*FOLDERS, *FILES])
def test_leftovers_are_known_by_name_in_any_case(name: str) -> None:
    for spelled in (name, name.upper(), name.lower()):
        assert name_fault(f"cat/{spelled}")[0] == ("hidden" if name.startswith(".") else "junk"), spelled


@pytest.mark.parametrize("name", NO_LEFTOVERS)
def test_other_names_are_not(name: str) -> None:
    assert left_by(name) == ""
    assert name_fault(f"cat/{name}") == ("", "")


def test_a_leftover_folder_is_one_finding_with_its_count(tmp_path: Path) -> None:
    root = clean_folder(tmp_path / "raw")
    for folder in FOLDERS:
        for home in (root, root / "train" / "cat"):
            for number in range(3):
                place = home / folder / "deep" / f"{number}.jpg"
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(jpeg(9000 + number))
            (home / folder / "x").write_bytes(b"x")
    found = [row for row in inspect(root).found if row.severity != "warn"]
    assert {row.path for row in found} == {
        f"{home}{folder}/" for folder in FOLDERS for home in ("", "train/cat/")
    }
    assert {row.value for row in found} == {4}
    assert len(found) == 2 * len(FOLDERS)
    row = next(row for row in found if row.path == "train/cat/@eaDir/")
    assert "Synology" in row.reason
    assert "4 files below, 3 named as pictures (0.jpg, ...)" in row.reason
    assert "image_dataset_from_directory takes it for an image of class 'cat'" in row.reason


def test_leftover_files_block_and_their_pictures_never_train(tmp_path: Path) -> None:
    root = clean_folder(tmp_path / "raw")
    for number, name in enumerate(FILES):
        (root / "train" / "cat" / name).write_bytes(jpeg(9100 + number))
    inspection = inspect(root)
    blocked = {row.path for row in inspection.found if row.severity == "block"}
    assert blocked == {f"train/cat/{name}" for name in FILES}
    assert inspection.counts["train"]["cat"] == 14


def test_a_picture_without_a_pictures_name_trains_with_a_warning(tmp_path: Path) -> None:
    root = clean_folder(tmp_path / "raw", images=11)
    for number, name in enumerate(UNNAMED):
        (root / "train" / "cat" / name).write_bytes(jpeg(9200 + number))
    inspection = inspect(root)
    assert {(row.severity, row.check, row.path) for row in inspection.found if row.check != "label_shift"} == {
        ("warn", "wrong_suffix", f"train/cat/{name}") for name in UNNAMED
    }
    assert inspection.counts["train"]["cat"] == 11 + len(UNNAMED)
    paths = {root / "train" / "cat" / name for name in UNNAMED}
    assert paths <= set(pictures_below(root))
    assert {images.load(path, 8, 8, 3).shape for path in paths} == {(8, 8, 3)}


def test_no_picture_is_left_out_for_its_place_in_silence(tmp_path: Path) -> None:
    root = clean_folder(tmp_path / "raw", images=11)
    (root / "train" / "crawl").write_bytes(jpeg(9300))
    (root / "crawl").write_bytes(jpeg(9301))
    (root / "README").write_text("P1 is the first patient.\nBM stands for bone marrow.")
    found = {(row.check, row.path) for row in inspect(root).found if row.severity == "block"}
    assert found == {("image_outside_class", "crawl"), ("image_outside_class", "train/crawl")}


def test_a_backup_copy_counts_only_where_its_picture_is_gone(tmp_path: Path) -> None:
    root = clean_folder(tmp_path / "raw", images=11)
    cat = root / "train" / "cat"
    (cat / "a.jpg~").write_bytes(jpeg(9400))
    (cat / "b.jpg").write_bytes(jpeg(9401))
    (cat / "b.jpg~").write_bytes(jpeg(9402))
    (cat / "c.jpg~").write_bytes(b"no picture")
    found = {(row.check, row.path) for row in inspect(root).found}
    assert found == {
        ("wrong_suffix", "train/cat/a.jpg~"),
        ("junk", "train/cat/b.jpg~"),
        ("junk", "train/cat/c.jpg~"),
    }
    assert {path.name for path in pictures_below(cat) if "jpg" in path.name} == {"a.jpg~", "b.jpg"}


def test_a_picture_that_icloud_holds_has_its_own_sentence_and_cure(tmp_path: Path) -> None:
    root = clean_folder(tmp_path / "raw", images=11)
    names = (".001.jpg.icloud", "001.jpg.icloud", ".IMG 1.HEIC.icloud")
    for name in names:
        (root / "train" / "cat" / name).write_bytes(b"bplist00" + bytes(100))
    found = inspect(root).found
    assert {(row.check, row.severity, row.path) for row in found} == {
        ("pointer_file", "block", f"train/cat/{name}") for name in names
    }
    for row in found:
        assert "iCloud holds" in row.reason
        assert "brctl download {} \\;`" in row.cure


def test_taking_in_says_so_too(tmp_path: Path) -> None:
    root = clean_folder(tmp_path / "raw", images=1)
    (root / "train" / "cat" / "x.jpg.icloud").write_bytes(b"bplist00")
    (root / "train" / "cat" / "crawl").write_bytes(jpeg(9600))
    listing = list_folder(root)
    assert list(listing.broken) == ["train/cat/x.jpg.icloud"]
    assert "train/cat/crawl" in listing.images


def test_a_raw_picture_is_not_read_as_the_small_preview_in_it(tmp_path: Path) -> None:
    root = clean_folder(tmp_path / "raw", images=11)
    names = ("x.dng", "x.NEF", "x.cr2")
    for name in names:
        picture(9500).save(root / "train" / "cat" / name, "TIFF")
    found = inspect(root).found
    assert {(row.check, row.path) for row in found} == {
        ("foreign_file", f"train/cat/{name}") for name in names
    }
    assert all("camera's raw picture" in row.reason for row in found)
    assert not any(path.name.startswith("x.") for path in pictures_below(root))


@pytest.mark.parametrize(
    "form", ["JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "JPEG2000", "AVIF", "DIB"]
)
def test_every_format_is_known_by_its_first_bytes(tmp_path: Path, form: str) -> None:
    path = tmp_path / "x"
    picture(1).save(path, form)
    assert (picture_suffix(path.read_bytes()[:HEAD_BYTES]) != "") is (
        form != "DIB"
    )  # which has no magic number


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"BM",
        b"P1 and P2",
        b"P3\n",
        b"II",
        b"RIFF0000WAVE",
        b"\0\0\0\x18ftypmp42",
        b"{}",
        b"path,class\n",
        b"%PDF-1.4",
    ],
)
def test_other_files_are_no_pictures(data: bytes) -> None:
    assert not shows_picture(data)


@pytest.mark.parametrize(
    ("name", "original"),
    [
        ("002 (1).jpg", "002.jpg"), ("002(2).jpg", "002.jpg"), ("002 - Copy.jpg", "002.jpg"),
        ("002 - Copy (3).jpg", "002.jpg"),
        ("002 copy.jpg", "002.jpg"), ("002 copy 2.jpg", "002.jpg"), ("002 (copy).jpg", "002.jpg"),
        ("Copy of 002.jpg", "002.jpg"),
        ("002 (conflicted copy).jpg", "002.jpg"), ("002 (Ada's conflicted copy 2024-05-01).jpg", "002.jpg"),
        ("002 (conflicted copy 2024-05-01 101112).jpg", "002.jpg"), ("002 (Case Conflict).jpg", "002.jpg"),
        ("002.sync-conflict-20240501-101112-ABCDEFG.jpg", "002.jpg"), ("002_NAS_Oct-24-112233-2019_Conflict.jpg", "002.jpg"),
        ("002 (SFConflict ada@x.org 2024-05-01-10-11-12).jpg", "002.jpg"),
        ("002.jpg", ""), ("(1).jpg", ""), ("cat (tabby).jpg", ""), ("conflict.jpg", ""), ("copy.jpg", ""),
        ("photocopy 2.jpg", ""),
    ],
)  # fmt: skip
def test_the_marks_of_copies_are_known(name: str, original: str) -> None:
    assert copy_of(name) == original


def test_copies_by_name_are_the_ones_that_go(tmp_path: Path) -> None:
    root = clean_folder(tmp_path / "raw", images=11)
    cat = root / "train" / "cat"
    marked = ("train000 (1).png", "train001 - Copy.png", "train002 (conflicted copy).png", "Copy of train003.png", "c (2).png")
    for number, name in enumerate(marked):
        (cat / name).write_bytes((cat / f"train00{number}.png").read_bytes())
    found = inspect(root).found
    assert {(row.check, row.severity, row.path) for row in found if row.check == "duplicate"} == {
        ("duplicate", "quarantine", f"train/cat/{name}") for name in marked
    }
    first = next(row for row in found if row.path == "train/cat/train000 (1).png")
    assert first.reason == "equals train/cat/train000.png; a copy of train000.png by its name"
