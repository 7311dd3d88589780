"""Parquet shards become the pictures, labels and columns that pyarrow wrote them with, as Hugging Face does."""

import csv
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.code.shards import parquet, picture, refused, unpacked
from thaw import cli
from thaw.errors import ThawError
from thaw.intake.unpacking import unpack

CLASSES = ("cat", "hot/cold", ".hidden")


IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def features(**columns: Any) -> dict[bytes, bytes]:
    """The schema's metadata as `datasets` writes it."""
    return {b"huggingface": json.dumps({"info": {"features": columns}}).encode()}


LABELLED = features(image={"_type": "Image"}, label={"names": list(CLASSES), "_type": "ClassLabel"})


def images(count: int, start: int = 0, paths: bool = True, form: str = "JPEG") -> pa.Array:
    rows = [
        {"bytes": picture(start + at, form), "path": f"{start + at}.jpg" if paths else None}
        for at in range(count)
    ]
    return pa.array(rows, IMAGE)


def test_a_download_of_hugging_face_becomes_splits_and_classes(tmp_path: Path) -> None:
    root = tmp_path / "set"
    for number, start in enumerate((0, 12)):
        labels = pa.array([at % 3 for at in range(12)], pa.int64())
        name = f"data/train-0000{number}-of-00002.parquet"
        parquet(root / name, {"image": images(12, start), "label": labels}, LABELLED)
    parquet(
        root / "data/test-00000-of-00001-b42a775f407cee45.parquet",
        {"image": images(3, 100), "label": pa.array([0, 1, 2], pa.int64())},
        LABELLED,
    )
    (root / "assets").mkdir()
    (root / "assets/example.png").write_bytes(picture(0, "PNG"))
    (root / "README.md").write_text("---\nlicense: mit\n---")
    (root / ".cache/huggingface").mkdir(parents=True)
    folders = ("cat", "hot_cold", "_.hidden")
    expected = {f"train/{folders[at % 3]}/{at}.jpg": picture(at) for at in range(24)}
    expected |= {f"test/{folders[at]}/{100 + at}.jpg": picture(100 + at) for at in range(3)}
    assert unpacked(root, tmp_path / "into") == expected


@pytest.mark.parametrize(
    ("label", "metadata", "folders"),
    [
        (pa.array(["ok", "rust", "ok"]), None, ("ok", "rust", "ok")),
        (pa.array(["ok", "rust", "ok"]).dictionary_encode(), None, ("ok", "rust", "ok")),
        (pa.array([2, 10, 2], pa.int32()), None, ("2", "10", "2")),
        (pa.array([True, False, True]), None, ("true", "false", "true")),
        (pa.array([1, 0, 1], pa.uint8()), LABELLED, ("hot_cold", "cat", "hot_cold")),
        (pa.array(["0", "x", "0"], pa.large_string()), None, ("0", "x", "0")),
    ],
)
def test_labels_of_every_type_are_read(
    tmp_path: Path, label: pa.Array, metadata: Any, folders: Sequence[str]
) -> None:
    source = parquet(tmp_path / "one.parquet", {"image": images(3), "label": label}, metadata)
    assert unpacked(source, tmp_path / "into") == {f"{folders[at]}/{at}.jpg": picture(at) for at in range(3)}


def test_a_file_whose_name_says_nothing_is_one(tmp_path: Path) -> None:
    source = parquet(tmp_path / "weights.bin", {"image": images(2), "label": pa.array(["a", "b"])})
    assert sorted(unpacked(source, tmp_path / "into")) == ["a/0.jpg", "b/1.jpg"]


def test_plain_bytes_named_by_nobody_get_the_suffix_of_their_format(tmp_path: Path) -> None:
    data = {
        "img": pa.array([picture(0, "PNG"), picture(1, "WEBP")], pa.binary()),
        "target": pa.array(["a", "b"]),
    }
    source = parquet(tmp_path / "one.parquet", data)
    expected = {"a/one_000000.png": picture(0, "PNG"), "b/one_000001.webp": picture(1, "WEBP")}
    assert unpacked(source, tmp_path / "into") == expected


def test_pictures_of_one_name_stay_apart(tmp_path: Path) -> None:
    rows = pa.array([{"bytes": picture(at), "path": "x/image.jpg"} for at in range(3)], IMAGE)
    source = parquet(tmp_path / "one.parquet", {"image": rows, "label": pa.array(["a", "a", "b"])})
    found = unpacked(source, tmp_path / "into")
    assert found == {"a/image.jpg": picture(0), "a/image_000001.jpg": picture(1), "b/image.jpg": picture(2)}


def test_other_columns_become_metadata(tmp_path: Path) -> None:
    columns = {
        "image": images(3),
        "group": pa.array(["p1", None, 'a,"b"']),
        "age": pa.array([1.5, 2.0, None]),
        "seen": pa.array([True, False, True]),
        "boxes": pa.array([[1], [2], [3]]),
        "label": pa.array(["a", "b", "a"]),
    }
    into = tmp_path / "into"
    unpacked(parquet(tmp_path / "train.parquet", columns), into)
    with (into / "metadata.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert rows == [
        ["path", "group", "age", "seen"],
        ["train/a/0.jpg", "p1", "1.5", "true"],
        ["train/b/1.jpg", "", "2.0", "false"],
        ["train/a/2.jpg", 'a,"b"', "", "true"],
    ]


def test_a_split_without_labels_has_no_class_folders(tmp_path: Path) -> None:
    root = tmp_path / "set"
    parquet(root / "train.parquet", {"image": images(2), "label": pa.array([0, 1], pa.int64())}, LABELLED)
    parquet(
        root / "test.parquet", {"image": images(2, 50), "label": pa.array([-1, -1], pa.int64())}, LABELLED
    )
    found = unpacked(root, tmp_path / "into")
    assert sorted(found) == ["test/50.jpg", "test/51.jpg", "train/cat/0.jpg", "train/hot_cold/1.jpg"]


def test_the_label_can_be_named(tmp_path: Path) -> None:
    kinds = {name: {"names": ["x", "y"], "_type": "ClassLabel"} for name in ("fine", "coarse")}
    numbers = pa.array([0, 1], pa.int64())
    source = parquet(
        tmp_path / "c.parquet", {"img": images(2), "fine": numbers, "coarse": numbers}, features(**kinds)
    )
    assert "fine, coarse could each be the label" in refused(source, tmp_path / "refused")
    found = unpacked(source, tmp_path / "into", label_column="coarse")
    assert {name for name in found if name != "metadata.csv"} == {"x/0.jpg", "y/1.jpg"}


def test_classes_named_beside_the_shards_count(tmp_path: Path) -> None:
    root = tmp_path / "set"
    parquet(root / "a.parquet", {"image": images(2), "label": pa.array([1, 0])})
    (root / "classes.txt").write_text("cat\ndog\n")
    assert sorted(unpacked(root, tmp_path / "into")) == ["cat/1.jpg", "dog/0.jpg"]
    (root / "classes.txt").write_text("cat\n")
    assert "number 1, and there are names for 1" in refused(root, tmp_path / "refused")


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"text": ["a"], "label": [0]}, "no column is the picture"),
        ({"image": images(1)}, "no column is the label"),
        ({"image": images(1), "mask": images(1), "depth": images(1), "label": ["a"]}, ""),
        ({"left": images(1), "right": images(1), "label": ["a"]}, "left, right could each be the picture"),
        ({"image": images(1), "label": [[0, 1]]}, "holds list"),
        ({"image": images(1), "label": [0.5]}, "holds double"),
        ({"image": images(2), "label": ["a", None]}, "1 of 2 images have no label"),
        ({"image": images(2), "label": pa.array([None, None], pa.int64())}, "no image has a label"),
        ({"image": pa.array([{"bytes": None, "path": "a.jpg"}], IMAGE), "label": ["a"]}, "not in the file"),
        ({"image": pa.array([{"bytes": b"<html>", "path": "a.jpg"}], IMAGE), "label": ["a"]}, "no picture"),
        ({"image": pa.array([None], IMAGE), "label": ["a"]}, "not in the file"),
    ],
)
def test_what_is_no_labelled_picture_is_refused_with_its_reason(
    tmp_path: Path, columns: Any, reason: str
) -> None:
    source = parquet(tmp_path / "one.parquet", columns)
    if reason:
        assert reason in refused(source, tmp_path / "into")
    else:
        assert sorted(unpacked(source, tmp_path / "into")) == ["a/0.jpg"]


@pytest.mark.parametrize("name", ["../../../up", "..", "a/../..", "/etc/passwd", "\0"])
def test_no_name_of_a_parquet_leads_out(tmp_path: Path, name: str) -> None:
    """Neither a picture's own name nor its class."""
    home = tmp_path / "home"
    rows = pa.array([{"bytes": picture(0), "path": name}], IMAGE)
    parquet(home / "one.parquet", {"image": rows, "label": pa.array([name])})
    (home / "into").mkdir()
    try:
        unpack(home / "one.parquet", home / "into")
    except ThawError:
        assert list((home / "into").iterdir()) == []
    else:
        (made,) = [path for path in (home / "into").rglob("*") if path.is_file()]
        assert made.read_bytes() == picture(0)
        assert len(made.relative_to(home / "into").parts) == 2
    assert sorted(path.name for path in home.iterdir()) == ["into", "one.parquet"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home"]


def test_a_parquet_cut_short_is_told(tmp_path: Path) -> None:
    source = parquet(tmp_path / "one.parquet", {"image": images(20), "label": pa.array(["a", "b"] * 10)})
    whole = source.read_bytes()
    for number, cut in enumerate(range(600, len(whole), 1500)):
        source.write_bytes(whole[:cut])
        assert "damaged or cut short" in refused(source, tmp_path / str(number))


def test_shards_of_two_sets_are_not_mixed(tmp_path: Path) -> None:
    parquet(tmp_path / "set/a.parquet", {"image": images(1), "label": pa.array(["a"])})
    parquet(tmp_path / "set/b.parquet", {"image": images(1), "kind": pa.array([1]), "label": pa.array(["a"])})
    assert "one set at a time" in refused(tmp_path / "set", tmp_path / "into")


def test_memory_does_not_grow_with_a_parquet(tmp_path: Path) -> None:
    """Four and sixteen row groups of 16 MB each, as `datasets` writes them: 192 MB more may cost little more memory."""

    def peak(groups: int) -> int:
        rows = pa.array(
            [{"bytes": b"\xff\xd8\xff" + os.urandom(4_000_000), "path": None} for _ in range(4)], IMAGE
        )
        batch = pa.table({"image": rows, "label": pa.array(["a", "b"] * 2)})
        with pq.ParquetWriter(tmp_path / f"{groups}.parquet", batch.schema) as writer:
            for _ in range(groups):
                writer.write_table(batch)
        (tmp_path / str(groups)).mkdir()
        code = (
            "import resource, sys; from pathlib import Path; from thaw.intake.unpacking import unpack;"
            "unpack(Path(sys.argv[1]), Path(sys.argv[2]));"
            "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
        )
        command = [sys.executable, "-c", code, tmp_path / f"{groups}.parquet", tmp_path / str(groups)]
        return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

    few, many = peak(4), peak(16)
    assert many - few < 40_000


def test_data_add_reads_shards_by_the_column_that_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kinds = {name: {"names": [f"{name} 0", f"{name} 1"], "_type": "ClassLabel"} for name in ("fine", "coarse")}
    numbers = pa.array([0, 1] * 12, pa.int64())
    columns = {"img": images(24), "fine": numbers, "coarse": numbers}
    parquet(tmp_path / "set/data/train-00000-of-00001.parquet", columns, features(**kinds))
    with pytest.raises(ThawError, match="--label-column"):
        cli.app(["data", "add", str(tmp_path / "set"), "--dry-run"], standalone_mode=False)
    command = ["data", "add", str(tmp_path / "set"), "--dry-run", "--json", "--label-column", "coarse"]
    cli.app(command, standalone_mode=False)
    told = json.loads(capsys.readouterr().out)
    assert sorted(told["classes"]["train"]) == ["coarse 0", "coarse 1"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["set"]
