"""Shards read where they lie: the same images as unpacking gives, and what is packed is read as the folder was."""

import io
import json
import os
import tarfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.code.shards import parquet, picture, unpacked
from thaw.augmentation.shards import write_views
from thaw.compute import Local
from thaw.errors import ThawError
from thaw.gate.inspection import inspect_folder
from thaw.gate.report.manifest import write_manifest
from thaw.intake.in_place import list_images
from thaw.intake.packing import pack
from thaw.params import AugmentParams, ValidateParams
from thaw.sources import StoreError, cells, located, open_index
from thaw.sources.index import write_index


def tar(path: Path, files: Mapping[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def booked(shards: Path, root: Path) -> Path:
    write_index(root, f"file://{shards}", *list_images(f"file://{shards}"))
    return root


def contents(root: Path) -> dict[str, bytes]:
    return {row.path: located(root, row.path).read_bytes() for row in open_index(root)}


def sample(number: int, label: str, form: str = "JPEG") -> dict[str, bytes]:
    return {f"{number:04d}.jpg": picture(number, form), f"{number:04d}.cls": label.encode()}


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    rng = np.random.default_rng(1)
    for number in range(24):
        path = tmp_path / "cells" / ("cat", "dog é" + "x" * 120)[number % 2] / f"{number} %.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (40, 30, 3), np.uint8)).save(path)
    (tmp_path / "cells" / "metadata.csv").write_text("path,group\ncat/0 %.png,1\n")
    return tmp_path / "cells"


def test_what_was_packed_is_read_as_the_folder_was_and_packs_to_the_same_bytes(pets: Path, tmp_path: Path) -> None:
    names = pack(pets, tmp_path / "out", 20_000, lambda done, total: None)
    assert names[:2] == ["out-00000.tar", "out-00001.tar"] and 2 < len(names) < 24
    for path in pets.rglob("*"):
        os.utime(path, (1, 1))
        path.chmod(0o700)
    (tmp_path / "again").mkdir()
    pack(pets, tmp_path / "again" / "out", 20_000, lambda done, total: None)
    for name in names:
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "again" / "out" / name).read_bytes()
    files = {path.relative_to(pets).as_posix(): path.read_bytes() for path in pets.rglob("*") if path.is_file()}
    root = booked(tmp_path / "out", tmp_path / "raw")
    assert contents(root) == files
    (tmp_path / "third").mkdir()
    assert pack(root, tmp_path / "third" / "out", 20_000, lambda done, total: None) == names
    for name in names:
        assert (tmp_path / "third" / "out" / name).read_bytes() == (tmp_path / "out" / name).read_bytes()
    made = []
    for name, folder in (("folder", pets), ("shards", root)):
        inspection = inspect_folder(ValidateParams(), folder, tmp_path / name, executor=Local(1))
        write_manifest(tmp_path / name / "manifest.parquet", inspection)
        small = AugmentParams(image_size=16, views=2)
        write_views(small, 1, folder, inspection.rows.paths, [], 3, tmp_path / name / "v", Local(1))
        views = {path.name: path.read_bytes() for path in (tmp_path / name / "v").iterdir()}
        made.append((inspection.summary()["totals"], (tmp_path / name / "manifest.parquet").read_bytes(), views))
    assert made[0] == made[1]


def test_a_web_dataset_holds_in_place_what_unpacking_gives(tmp_path: Path) -> None:
    shards = tmp_path / "shards"
    for split, numbers in (("train", range(30)), ("val", range(100, 110))):
        for part in range(2):
            files: dict[str, bytes] = {}
            for number in numbers[part::2]:
                files |= sample(number, str(number % 3), ("JPEG", "PNG")[number % 2])
            files |= {"a/0001.jpg": picture(part), "a/0001.cls": b"1", "__readme.txt": b"no part of a sample"}
            tar(shards / f"{split}-{part:05d}.tar", files)
    (shards / "classes.txt").write_text("cat\ndog\nfox\n")
    expected = unpacked(shards, tmp_path / "unpacked")
    assert len(expected) == 44
    assert contents(booked(shards, tmp_path / "raw")) == expected


@pytest.mark.parametrize("form", ["structs", "bytes"])
def test_a_parquet_holds_in_place_what_unpacking_gives(form: str, tmp_path: Path) -> None:
    shards, described = tmp_path / "shards", {"label": {"_type": "ClassLabel", "names": ["cat", "dog"]}}
    for split, numbers in (("train", range(23)), ("test", range(100, 107))):
        pictures = [picture(number, ("JPEG", "PNG")[number % 2]) for number in numbers]
        column = pictures if form == "bytes" else [
            {"bytes": data, "path": f"{number // 2}.jpg"} for number, data in zip(numbers, pictures, strict=True)
        ]  # fmt: skip
        parquet(
            shards / "data" / f"{split}-00000-of-00001.parquet",
            {"image": column, "label": [number % 2 for number in numbers], "site": [f"s, {number}" for number in numbers]},
            {b"huggingface": json.dumps({"info": {"features": described}}).encode()},
        )
    expected = unpacked(shards, tmp_path / "unpacked")
    assert len(expected) == 31 and any(path.startswith("train/cat/") for path in expected)
    assert b'"s, 101"' in expected["metadata.csv"]
    root = booked(shards, tmp_path / "raw")
    assert contents(root) == expected
    assert [row.size for row in open_index(root)] == [len(expected[row.path]) for row in open_index(root)]
    file = shards / "data" / "test-00000-of-00001.parquet"
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(ThawError, match=r"test-00000-of-00001\.parquet: is damaged or cut short"):
        list_images(f"file://{shards}")
    cells._kept.clear()  # as in another process
    cells._open.cache_clear()
    with pytest.raises(StoreError, match=r"test-00000-of-00001\.parquet: changed in the store"):
        contents(root)


def test_a_shard_that_is_cut_short_is_named_wherever_it_is_cut(tmp_path: Path) -> None:
    whole = tar(tmp_path / "whole" / "x.tar", {f"cat/{number}.jpg": picture(number) for number in range(3)}).read_bytes()
    end = whole.rindex(picture(2)) + len(picture(2))
    for size in (1, 511, 512, 700, 1024, whole.index(b"cat/1.jpg"), end - 1, end, end - end % -512):
        shards = tmp_path / str(size)
        shards.mkdir()
        (shards / "a.tar").write_bytes(whole[:size])
        with pytest.raises(ThawError, match=r"a\.tar: is damaged or cut short") as caught:
            list_images(f"file://{shards}")
        assert caught.value.cure


def test_a_shard_that_was_cut_after_it_was_booked_is_an_error_that_names_it(tmp_path: Path) -> None:
    shard = tar(tmp_path / "shards" / "x.tar", {f"cat/{number}.jpg": picture(number) for number in range(3)})
    root = booked(tmp_path / "shards", tmp_path / "raw")
    times = shard.stat()
    shard.write_bytes(shard.read_bytes()[:2000])
    with pytest.raises(StoreError, match=r"x\.tar: changed in the store"):
        located(root, "cat/2.jpg").read_bytes()
    found = inspect_folder(ValidateParams(), root, tmp_path / "scratch", executor=Local(1)).found
    assert {row.path for row in found if "x.tar changed" in row.reason} == {f"cat/{number}.jpg" for number in range(3)}
    os.utime(shard, ns=(times.st_atime_ns, times.st_mtime_ns))
    with pytest.raises(StoreError, match=r"x\.tar: ends before"):
        located(root, "cat/2.jpg").read_bytes()


def test_what_cannot_be_read_in_place_is_refused(tmp_path: Path, pets: Path) -> None:
    jpeg = picture(1)
    cases = {
        "is compressed": {"a.tar.gz": tar(tmp_path / "t.tar", {"cat/1.jpg": jpeg}).read_bytes()},
        "both hold cat/1.jpg": {f"{n}.tar": tar(tmp_path / "t.tar", {"cat/1.jpg": jpeg}).read_bytes() for n in "ab"},
        "is no path of a file": {"a.tar": tar(tmp_path / "t.tar", {"../cat/1.jpg": jpeg}).read_bytes()},
        "is damaged or cut short": {"a.tar": b"no tar at all" * 100},
        "sample '0002': one picture and a label": {
            "a.tar": tar(tmp_path / "t.tar", sample(1, "cat") | {"0002.jpg": jpeg}).read_bytes()
        },
    }
    for number, (told, files) in enumerate(cases.items()):
        folder = tmp_path / f"case{number}"
        folder.mkdir()
        for name, data in files.items():
            (folder / name).write_bytes(data)
        with pytest.raises(ThawError, match=told) as caught:
            list_images(f"file://{folder}")
        assert caught.value.cure
    link = tarfile.TarInfo("cat/2.jpg")
    link.type, link.linkname = tarfile.SYMTYPE, "1.jpg"
    (tmp_path / "linked").mkdir()
    with tarfile.open(tmp_path / "linked" / "a.tar", "w") as archive:
        archive.addfile(link)
    with pytest.raises(ThawError, match="is no plain file"):
        list_images(f"file://{tmp_path / 'linked'}")
    (pets / "cat" / ".ipynb_checkpoints").mkdir()
    with pytest.raises(ThawError, match=r"\.ipynb_checkpoints.*"):
        pack(pets, tmp_path / "never", 1, lambda done, total: None)
    assert not (tmp_path / "never").exists()
