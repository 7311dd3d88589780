"""Checks of the set: structure, layouts, metadata, drift, a reference, and severities."""

import os
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from tests.data.dirty import clean_folder, picture
from thaw.errors import ThawError
from thaw.gate.checks import CHECKS
from thaw.gate.checks.drift import critical_distance, distribution_distance
from thaw.gate.inspection import Inspection, inspect_folder
from thaw.gate.report.manifest import write_manifest
from thaw.gate.scan.survey import read_layout
from thaw.layout import Layout
from thaw.params import ValidateParams
from thaw.params.gate import LimitParams, SeverityParams


def inspect(root: Path, reference_path: Path | None = None, **params) -> Inspection:
    scratch_dir = root.parent / f"scratch_{root.name}"
    return inspect_folder(ValidateParams(**params), root, scratch_dir, reference_path=reference_path)


def found(inspection: Inspection) -> set[tuple[str, str]]:
    return {(row.check, row.path) for row in inspection.found}


def test_checks_and_severities_name_the_same():
    assert set(SeverityParams.model_fields) == set(CHECKS)


@pytest.mark.parametrize(
    ("folders", "has_splits"),
    [
        (["train/cat", "test/cat"], True),
        (["Train/cat", "VAL/cat"], True),
        (["train/cat", "valid/cat", "test/cat"], True),
        (["train/cat"], True),
        (["train", "bus"], False),
        (["cat", "dog"], False),
        (["test/cat", "val/cat"], True),
    ],
)
def test_layout_is_told_by_folders(tmp_path, folders, has_splits):
    for number, folder in enumerate(folders):
        (tmp_path / folder).mkdir(parents=True)
        picture(number).save(tmp_path / folder / "a.png")
    assert read_layout(tmp_path) == Layout(has_splits)


def test_validation_goes_by_three_names(tmp_path):
    root = clean_folder(tmp_path / "raw", splits=("train", "valid", "test"))
    assert set(inspect(root).rows.splits) == {"train", "validation", "test"}


def test_one_class_and_empty_class_and_imbalance(tmp_path):
    root = clean_folder(tmp_path / "raw", splits=("",))
    shutil.rmtree(root / "dog")
    (root / "dog").mkdir()
    assert {("too_few_classes", "."), ("empty_class", "dog/")} <= found(inspect(root))
    for number in range(2):
        picture(900 + number).save(root / "dog" / f"{number}.png")
    assert ("imbalance", ".") in found(inspect(root, limits=LimitParams(max_imbalance=5)))
    assert ("tiny_class", "dog/") in found(inspect(root))


@pytest.mark.parametrize(
    ("folders", "check", "severity"),
    [
        (["train", "test"], "splits_as_classes", "block"),
        (["Training", "Testing", "holdout"], "splits_as_classes", "block"),
        (["train", "plane"], "", ""),
        (["train_images", "test_images"], "splits_as_classes", "block"),
        (["seg_train", "seg_test", "seg_pred"], "splits_as_classes", "block"),
        (["train", "test", "extra"], "splits_as_classes", "block"),
        (["valid", "invalid"], "", ""),
        (["images", "masks"], "twins_as_classes", "block"),
        (["train/images", "train/labels", "test/images", "test/labels"], "twins_as_classes", "block"),
        (["imgs", "GT"], "twins_as_classes", "block"),
        (["photos", "portraits"], "", ""),
    ],
)
def test_folders_that_name_no_classes_are_told(tmp_path, folders, check, severity):
    for number, folder in enumerate(folders):
        for name in ("a", "b", "c"):
            path = tmp_path / folder / f"{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            picture(np.random.default_rng([number, ord(name)])).save(path)
    named = {row.check: row.severity for row in inspect(tmp_path).found if row.check.endswith("_as_classes")}
    assert named == ({check: severity} if check else {})


def test_no_cure_puts_a_test_picture_into_a_class_or_merges_classes(tmp_path):
    root = tmp_path / "raw"
    clean_folder(root / "train", images=4, splits=("train",))
    (root / "test").mkdir()
    for number in range(3):
        picture(700 + number).save(root / "test" / f"{number}.png")
    cures = {row.check: row.cure for row in inspect(root).found}
    assert "sets images without a label aside" in cures["image_outside_class"]
    for check in ("image_outside_class", "nested_folder"):
        assert "`thaw data add data/raw --replace`" in cures[check]
    assert not any("erge" in check.cure for name, check in CHECKS.items() if name != "class_name_collision")


def test_masks_whose_names_do_not_pair_are_a_warning(tmp_path):
    for number, path in enumerate(("images/a.png", "images/b.png", "masks/c.png", "masks/d.png")):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        picture(np.random.default_rng(number)).save(tmp_path / path)
    assert ("twins_as_classes", "warn") in {(row.check, row.severity) for row in inspect(tmp_path).found}


def test_a_missing_folder_and_a_file_are_clear_errors(tmp_path):
    with pytest.raises(ThawError, match="no such folder"):
        inspect(tmp_path / "none")
    (tmp_path / "file").write_text("x")
    with pytest.raises(ThawError, match="not a folder"):
        inspect(tmp_path / "file")


def test_an_empty_folder_has_too_few_classes(tmp_path):
    (tmp_path / "raw").mkdir()
    inspection = inspect(tmp_path / "raw")
    assert found(inspection) == {("too_few_classes", ".")}
    write_manifest(tmp_path / "m.parquet", inspection)
    assert pq.read_table(tmp_path / "m.parquet").num_rows == 0


def test_metadata_becomes_columns(tmp_path):
    root = clean_folder(tmp_path / "raw", splits=("",))
    paths = sorted(path.relative_to(root).as_posix() for path in root.rglob("*.png"))
    lines = ["﻿path,weight,type"] + [f"./{path},0.25,mono" for path in paths[1:]] + [f"{paths[0]},,"]
    (root / "metadata.csv").write_text("\r\n".join(lines), encoding="utf-8")
    inspection = inspect(root)
    assert inspection.found == []
    write_manifest(tmp_path / "m.parquet", inspection)
    rows = pq.read_table(tmp_path / "m.parquet").to_pylist()
    assert [row["meta_weight"] for row in rows] == [None] + [0.25] * (len(paths) - 1)
    assert [row["meta_type"] for row in rows] == [""] + ["mono"] * (len(paths) - 1)


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"a,b\n1,2\n", "path"),
        (b"path,x\n\0\xfe,1\n", "zero bytes"),
        (b"path,x\na,b,c\n", "line 2"),
        (b"", "empty"),
        (b"path,x,x\na,b,c\n", "twice"),
        (b"path,Group,group\na,b,c\n", "group twice"),
    ],
)
def test_bad_metadata_blocks(tmp_path, content, word):
    root = clean_folder(tmp_path / "raw", splits=("",))
    (root / "metadata.csv").write_bytes(content)
    rows = [row for row in inspect(root).found if row.check == "metadata_invalid"]
    assert len(rows) == 1
    assert word in rows[0].reason


def test_the_manifest_says_which_images_are_alike(tmp_path):
    root = clean_folder(tmp_path / "raw", splits=("",))
    first = picture(77)
    first.save(root / "cat" / "first.png")
    shutil.copy(root / "cat" / "first.png", root / "cat" / "same.png")
    first.save(root / "dog" / "alike.jpg", quality=60)
    write_manifest(tmp_path / "m.parquet", inspect(root))
    rows = {row["path"]: row["cluster"] for row in pq.read_table(tmp_path / "m.parquet").to_pylist()}
    alike = {"cat/first.png", "cat/same.png", "dog/alike.jpg"}
    assert {path for path, cluster in rows.items() if cluster} == alike
    assert {rows[path] for path in alike} == {"cat/first.png"}


def test_manifest_follows_the_contract(tmp_path):
    root = clean_folder(tmp_path / "raw")
    (root / "train/cat/bad.png").write_bytes(b"bad")
    inspection = inspect(root)
    write_manifest(tmp_path / "m.parquet", inspection)
    table = pq.read_table(tmp_path / "m.parquet")
    assert table.column_names[:11] == [
        "path",
        "class",
        "split",
        "bytes",
        "sha256",
        "format",
        "mode",
        "width",
        "height",
        "verdict",
        "reason",
    ]
    rows = table.to_pylist()
    assert [row["path"] for row in rows] == sorted(row["path"] for row in rows)
    assert {row["verdict"] for row in rows if row["path"] != "train/cat/bad.png"} == {"ok"}
    bad = next(row for row in rows if row["path"] == "train/cat/bad.png")
    assert bad["verdict"] == "not_a_picture"
    assert bad["reason"]
    good = rows[0]
    assert (good["class"], good["split"], good["format"], good["mode"], good["width"]) == (
        "cat",
        "test",
        "PNG",
        "RGB",
        96,
    )


def test_kolmogorov_smirnov_agrees_with_scipy():
    from scipy.stats import ks_2samp

    rng = np.random.default_rng(0)
    first, second = rng.normal(size=300), rng.normal(0.3, 1, size=200)
    assert distribution_distance(first, second) == pytest.approx(ks_2samp(first, second).statistic)
    exceeded = [
        distribution_distance(rng.normal(size=200), rng.normal(size=150)) > critical_distance(200, 150)
        for _ in range(2000)
    ]
    assert np.mean(exceeded) < 0.005


def drifted(root: Path, images: int = 30) -> Path:
    clean_folder(root, images)
    for path in sorted((root / "test").rglob("*.png")):
        dim = Image.open(path).point(lambda level: level // 2).resize((200, 200))
        dim.save(path)
    for path in sorted((root / "test" / "cat").glob("*.png"))[5:]:
        path.unlink()
    return root


def test_drift_and_label_shift_between_splits(tmp_path):
    rows = [row for row in inspect(drifted(tmp_path / "raw")).found if row.path == "test/"]
    assert {row.check for row in rows} == {"drift", "label_shift"}
    told = " ".join(row.reason for row in rows)
    for word in ("grey level", "side in pixels", "class cat is 14% here, 50% in train"):
        assert word in told


def test_reference_tells_what_changed(tmp_path):
    old = clean_folder(tmp_path / "old", 30, splits=("",))
    inspection = inspect(old)
    write_manifest(tmp_path / "old.parquet", inspection)
    assert inspect(old, reference_path=tmp_path / "old.parquet").found == []
    new = drifted(tmp_path / "new") / "test"
    checks = {row.check for row in inspect(new, reference_path=tmp_path / "old.parquet").found}
    assert {"reference_drift", "reference_label_shift"} <= checks


@pytest.mark.parametrize("content", [None, b"no parquet"])
def test_a_reference_that_is_no_manifest_is_a_clear_error(tmp_path, content):
    root = clean_folder(tmp_path / "raw", 1, splits=("",))
    if content:
        (tmp_path / "old.parquet").write_bytes(content)
    with pytest.raises(ThawError, match=r"old\.parquet"):
        inspect(root, reference_path=tmp_path / "old.parquet")


def test_severity_decides_the_verdict(tmp_path):
    root = clean_folder(tmp_path / "raw", splits=("",))
    Image.new("RGB", (96, 96), (9, 9, 9)).save(root / "cat" / "same.png")
    severities = {"quarantine": {"cat/same.png"}, "block": {"cat/same.png"}, "warn": set(), "off": set()}
    for severity, unfit in severities.items():
        inspection = inspect(root, severity=SeverityParams(constant=severity))
        assert set(inspection.findings.verdicts) == unfit
        rows = [row.severity for row in inspection.found if row.check == "constant"]
        assert rows == ([] if severity == "off" else [severity])


def test_deep_folders_do_not_break_the_walk(tmp_path):
    root = clean_folder(tmp_path / "raw", 1, splits=("",))
    folders = [str(root / "cat")]
    for _ in range(1100):  # beyond Python's recursion limit
        folders.append(f"{folders[-1]}/d")
        os.mkdir(folders[-1])  # noqa: PTH102 - pathlib would recurse
    picture(1).save(f"{folders[-1]}/x.png")
    try:
        assert any(row.check == "nested_folder" for row in inspect(root).found)
    finally:  # pytest's own clearing up would recurse too, and fail every later session
        os.remove(f"{folders[-1]}/x.png")  # noqa: PTH107
        for folder in reversed(folders[1:]):
            os.rmdir(folder)  # noqa: PTH106


def test_what_training_reads_is_not_refused(tmp_path):
    root = clean_folder(tmp_path / "raw", splits=("",))
    for number, suffix in enumerate(("jpg", "webp", "tiff", "bmp", "ppm", "jp2", "avif")):
        picture(7000 + number).save(root / "cat" / f"x.{suffix}")
    picture(7100).save(root / "cat" / "phone.jpg", format="MPO", save_all=True, append_images=[picture(7101)])
    assert inspect(root).findings.verdicts == {}
    (root / "cat" / "drawing.svg").write_text("<svg/>")
    assert inspect(root).findings.verdicts["cat/drawing.svg"][0] == "unsupported_format"
