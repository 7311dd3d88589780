"""Class names that differ by Unicode form or case: one class from split to split, or a command that makes them one."""

import subprocess
import unicodedata
from pathlib import Path

import pandas as pd
import pytest

from tests.code.test_gate_metadata import inspect, make
from thaw.gate.inspection import Inspection
from thaw.gate.report.manifest import write_manifest
from thaw.params import SplitParams
from thaw.splitting.files import read_classes, read_split
from thaw.stages.split import SplitInputs, SplitOutputs, split


def nfc(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def nfd(text: str) -> str:
    return unicodedata.normalize("NFD", text)


def lay_out(tmp_path: Path, folders: list[str]) -> Path:
    return make(tmp_path / "raw", [f"{folder}/{number}.png" for folder in folders for number in range(4)])


def told(inspection: Inspection) -> list[tuple[str, str]]:
    names = ("class_name_collision", "class_sets_differ", "empty_class", "too_few_classes")
    return [(row.check, row.path) for row in inspection.found if row.check in names]


@pytest.mark.parametrize(
    "names",
    [("Café", "Ärger"), ("ñ", "n"), ("각", "가"), ("Đặng", "Å"), ("が", "か"), ("\N{ANGSTROM SIGN}", "ohm \N{OHM SIGN}")],
)
@pytest.mark.parametrize("splits", [("train", "test"), ("train", "val", "test"), ("Train", "VALID")])
def test_one_name_in_two_unicode_forms_is_one_class(tmp_path, names, splits):
    forms = [nfd, str, nfc]
    folders = [f"{split}/{form(name)}" for split, form in zip(splits, forms, strict=False) for name in names]
    root = lay_out(tmp_path, folders)
    inspection = inspect(root)
    assert told(inspection) == []
    assert {split: set(labels) for split, labels in inspection.counts.items()} == {
        split: set(map(nfc, names)) for split in set(inspection.rows.splits)
    }
    write_manifest(tmp_path / "m.parquet", inspection)
    (tmp_path / "findings.json").write_text('{"status": "pass"}')
    files = [tmp_path / f"{name}.csv" for name in ("train", "validation", "test")]
    inputs = SplitInputs(tmp_path / "m.parquet", tmp_path / "findings.json")
    split(SplitParams(), 1, inputs, SplitOutputs(*files, tmp_path / "classes.json"))
    assert read_classes(tmp_path / "classes.json") == sorted(map(nfc, names))
    rows = pd.concat(map(read_split, files))
    assert (rows.groupby("class").size() == 4 * len(splits)).all()
    assert all((root / path).is_file() for path in rows["path"])


@pytest.mark.parametrize(
    ("train", "test"),
    [("Cat", "cat"), ("cat", "CAT"), ("cat", "cat "), ("Straße", "STRASSE"), ("it's", "It's"), (nfd("Öl"), nfc("öl"))],
)
def test_names_that_differ_by_case_get_a_command_that_makes_them_one(tmp_path, train, test):
    root = lay_out(tmp_path, [f"train/{train}", "train/dog", f"test/{test}", "test/dog"])
    inspection = inspect(root, folder=str(root))
    assert told(inspection) == [("class_name_collision", f"test/{test}/")]
    (row,) = [row for row in inspection.found if row.check == "class_name_collision"]
    assert row.severity == "block"
    assert repr(train) in row.reason
    subprocess.run(row.cure.split("`")[1], shell=True, check=True)
    assert sorted(path.name for path in (root / "test").iterdir()) == sorted([train, "dog"])
    assert told(inspect(root)) == []


def test_names_alike_in_one_split_are_nobody_elses_to_merge(tmp_path):
    root = lay_out(tmp_path, ["train/Cat", "train/dog", "test/cat", "test/Cat", "test/dog"])
    inspection = inspect(root)
    assert told(inspection) == [("class_name_collision", "test/Cat/"), ("class_name_collision", "test/cat/")]
    assert not any("mv " in row.cure for row in inspection.found)
    root = lay_out(tmp_path / "forms", [nfc("é"), nfd("é"), "dog"])
    assert told(inspect(root)) == [("class_name_collision", f"{nfd('é')}/"), ("class_name_collision", f"{nfc('é')}/")]


def test_classes_that_may_differ_by_case_are_still_held_against_the_splits(tmp_path):
    root = lay_out(tmp_path, ["train/Cat", "train/dog", "test/cat", "test/dog"])
    assert told(inspect(root, severity={"class_name_collision": "off"})) == [
        ("class_sets_differ", "test/"), ("class_sets_differ", "train/")
    ]  # fmt: skip
    root = lay_out(tmp_path / "lacking", ["train/Cat", "train/dog", "train/Owl", "test/cat", "test/dog"])
    assert ("class_sets_differ", "test/") in told(inspect(root))
