"""WebDataset's tar shards become the samples that they were written with by the standard library."""

import io
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tests.code.shards import parquet, picture, refused, unpacked
from thaw.intake.samples import role_of
from thaw.intake.unpacking import is_packed


def shard(path: Path, members: Sequence[tuple[str, bytes]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz" if path.name.endswith("gz") else "w") as archive:
        for name, data in members:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def test_shards_become_splits_and_classes(tmp_path: Path) -> None:
    root = tmp_path / "set"
    for name, numbers in (
        ("train-000000", range(4)),
        ("train-000001", range(4, 8)),
        ("val-000000", range(8, 10)),
    ):
        members = []
        for at in numbers:
            members += [
                (f"{at:06d}.cls", b"%d\n" % (at % 2)),
                (f"{at:06d}.jpg", picture(at)),
                (f"{at:06d}.txt", b"a"),
            ]
        shard(root / f"{name}.tar", members)
    (root / "classes.txt").write_text("cat\ndog\n")
    expected = {f"train/{('cat', 'dog')[at % 2]}/{at:06d}.jpg": picture(at) for at in range(8)}
    expected |= {f"validation/{('cat', 'dog')[at % 2]}/{at:06d}.jpg": picture(at) for at in range(8, 10)}
    assert unpacked(root, tmp_path / "into") == expected


@pytest.mark.parametrize(
    ("fields", "folder"),
    [
        ({"cls": b"3"}, "3"),
        ({"cls": b"cat\n"}, "cat"),
        ({"CLS": b"cat"}, "cat"),
        ({"label": b"dog"}, "dog"),
        ({"json": b'{"label": "rust", "x": 1}'}, "rust"),
        ({"json": b'{"class": 7}'}, "7"),
        ({"json": b'{"id": 1}', "cls": b"b"}, "b"),
        ({"cls.txt": b"hot/cold"}, "hot_cold"),
    ],
)
@pytest.mark.parametrize("order", [1, -1])
def test_a_label_is_read_wherever_it_lies(
    tmp_path: Path, fields: dict[str, bytes], folder: str, order: int
) -> None:
    members = [
        ("a/b.1/key.png", picture(1, "PNG")),
        *((f"a/b.1/key.{name}", data) for name, data in fields.items()),
    ]
    source = shard(tmp_path / "one.tar.gz", members[::order])
    assert unpacked(source, tmp_path / "into") == {f"{folder}/a_b.1_key.png": picture(1, "PNG")}


def test_keys_that_begin_anew_in_each_shard_stay_apart(tmp_path: Path) -> None:
    for number in range(2):
        shard(tmp_path / f"set/{number:05d}.tar", [("0.jpg", picture(number)), ("0.cls", b"a")])
    assert unpacked(tmp_path / "set", tmp_path / "into") == {
        "a/0.jpg": picture(0),
        "a/0_00001.jpg": picture(1),
    }


def test_a_tar_of_class_folders_is_no_shard(tmp_path: Path) -> None:
    members = [
        ("cat/1.jpg", picture(1)),
        ("cat/1.json", b'{"shapes": [{"label": "eye"}]}'),
        ("dog/2.jpg", picture(2)),
    ]
    assert unpacked(shard(tmp_path / "one.tar", members), tmp_path / "into") == dict(members)


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ([("1.jpg", picture(1)), ("1.txt", b"a cat on a mat")], "has no label"),
        ([("0.jpg", picture(0)), ("0.cls", b"a"), ("1.jpg", picture(1))], "sample '1': no label"),
        ([("0.jpg", picture(0)), ("0.cls", b"a"), ("1.cls", b"a")], "sample '1': one picture wanted"),
        ([("0.jpg", picture(0)), ("0.cls", b"a"), ("1.jpg", b"<html>"), ("1.cls", b"a")], "no picture"),
        ([("0.jpg", picture(0)), ("0.cls", b"a"), ("1.json", b"{"), ("1.jpg", picture(1))], "damaged"),
    ],
)
def test_what_is_no_labelled_sample_is_refused(tmp_path: Path, members: Any, reason: str) -> None:
    shard(tmp_path / "set/0.tar", members)
    assert reason in refused(tmp_path / "set", tmp_path / "into")


def test_a_second_picture_of_a_sample_is_told_from_the_first(tmp_path: Path) -> None:
    members = [("0.jpg", picture(0)), ("0.mask.png", picture(1, "PNG")), ("0.cls", b"a")]
    assert unpacked(shard(tmp_path / "one.tar", members), tmp_path / "into") == {"a/0.jpg": picture(0)}


@pytest.mark.parametrize(("names", "splits"), [
    (("train-0", "eval-0", "test-0"), {"train", "validation", "test"}),
    (("train-0", "eval-0"), {"train", "test"}),
    (("training-0", "holdout-0"), {"train", "test"}),
])  # fmt: skip
def test_what_is_held_out_is_told_as_of_folders(tmp_path: Path, names: tuple[str, ...], splits: set[str]) -> None:
    for at, name in enumerate(names):
        shard(tmp_path / f"set/{name}.tar", [(f"{at}.jpg", picture(at)), (f"{at}.cls", b"a")])
    assert {path.split("/")[0] for path in unpacked(tmp_path / "set", tmp_path / "into")} == splits


def test_shards_of_which_some_tell_a_split_are_refused(tmp_path: Path) -> None:
    for name in ("train-0", "rest-0"):
        shard(tmp_path / f"set/{name}.tar", [("0.jpg", picture(0)), ("0.cls", b"a")])
    assert "tells no split" in refused(tmp_path / "set", tmp_path / "into")


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("data/train-00000-of-00002.parquet", "train"),
        ("imagenet1k-validation-000000.tar", "validation"),
        ("default/test/0000.parquet", "test"),
        ("Testing_01.tar", "test"),
        ("val2017.tar", "validation"),
        ("pretrained-0000.tar", ""),
        ("contest-0000.tar", ""),
        ("train/dev-0.tar", "validation"),
        ("0000.tar", ""),
        ("predictions-0000.tar", ""),
        ("train-from-val/0.tar", ""),
        ("my_val_set/0.tar", "validation"),
    ],
)
def test_the_split_is_read_from_the_name(name: str, split: str) -> None:
    assert role_of(name) == split


def test_an_image_folder_with_a_table_is_no_folder_of_shards(tmp_path: Path) -> None:
    parquet(tmp_path / "set/manifest.parquet", {"path": pa.array(["cat/1.jpg"])})
    assert is_packed(tmp_path / "set")
    (tmp_path / "set/cat").mkdir()
    (tmp_path / "set/cat/1.jpg").write_bytes(picture(1))
    assert not is_packed(tmp_path / "set")
