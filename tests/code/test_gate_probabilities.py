"""What `probability` in metadata.csv means: decided in the gate, held against the labels, and named in the manifest."""

from pathlib import Path

import pandas as pd
import pytest

from tests.data.dirty import picture
from thaw.gate.inspection import Inspection, inspect_folder
from thaw.gate.report.manifest import write_manifest
from thaw.params import SplitParams, ValidateParams
from thaw.splitting.labelling import label_images

PROBABILITY_CHECKS = ("probability_unclear", "probability_contradicts", "probability_missing", "metadata_invalid")
DEITSCH = {"defective": [1 / 3, 2 / 3, 1, 1], "functional": [0, 0, 0, 0]}
"""Deitsch et al. call every cell defective that is not surely functional: one third is no slip of theirs."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("raw") / "raw"
    for number, label in enumerate(("defective", "functional", "other")):
        (root / label).mkdir(parents=True)
        for image in range(4):
            picture(100 * number + image, side=24).save(root / label / f"{image}.png")
    return root


def inspect(folder: Path, tmp_path: Path, column: str, values: dict[str, list[object]], **severity: str) -> Inspection:
    """Inspect a folder of the classes of `values`, which stand in `column` of metadata.csv; None: the row is missing."""
    root = tmp_path / "raw"
    root.mkdir(exist_ok=True)
    lines = [f"path,{column}"]
    for label, cells in values.items():
        if not (root / label).exists():
            (root / label).mkdir()
            for path in (folder / label).iterdir():
                (root / label / path.name).write_bytes(path.read_bytes())
        lines += [f"{label}/{number}.png,{cell}" for number, cell in enumerate(cells) if cell is not None]
    (root / "metadata.csv").write_text("\n".join(lines) + "\n")
    off = dict.fromkeys(("tiny_class", "low_information", "blurred", "near_duplicate"), "off")
    return inspect_folder(ValidateParams.model_validate({"severity": off | severity}), root, tmp_path / "scratch")


def findings(inspection: Inspection) -> list[tuple[str, str, str]]:
    return [(row.check, row.path, row.reason) for row in inspection.found if row.check in PROBABILITY_CHECKS]


def label(inspection: Inspection, tmp_path: Path) -> tuple[pd.DataFrame, list[str]]:
    write_manifest(tmp_path / "m.parquet", inspection)
    return label_images(pd.read_parquet(tmp_path / "m.parquet"), SplitParams())


@pytest.mark.parametrize("column", ["probability", "probability_defective"])
def test_a_probability_is_of_the_class_that_it_speaks_for(folder, tmp_path, column):
    inspection = inspect(folder, tmp_path, column, DEITSCH)
    against = "labelled 'defective', with a probability of 'defective' of 0.333333"
    assert findings(inspection) == [("probability_contradicts", "defective/0.png", against)]
    assert [row.severity for row in inspection.found] == ["warn"]
    rows, classes = label(inspection, tmp_path)
    assert classes == ["functional", "defective"]
    assert rows["target"].tolist() == pytest.approx([1 / 3, 2 / 3, 1, 1, 0, 0, 0, 0])


def test_it_may_be_of_the_class_that_is_not_the_last_by_name_or_by_its_mean(folder, tmp_path):
    values = {"defective": [0, 0.25, 0.25, 0.25], "functional": [1, 1, 0.75, 0.75]}
    inspection = inspect(folder, tmp_path, "probability", values)
    assert findings(inspection) == []
    rows, classes = label(inspection, tmp_path)
    assert classes == ["defective", "functional"]
    assert rows["target"].tolist() == [0, 0.25, 0.25, 0.25, 1, 1, 0.75, 0.75]


@pytest.mark.parametrize(
    ("column", "values", "reason"),
    [
        ("probability", {"defective": [0.9, 0.8, 0.9, 1], "functional": [0.95, 0.9, 1, 1]}, "functional' above and 0 below"),
        ("probability", {"defective": [0.9, 0.8, 0.9, 1], "functional": [""] * 4}, "4 of 'defective' above and 0 below"),
        ("probability", {"defective": [0.5] * 4, "functional": [0.5] * 4}, "of which class"),
        ("probability_broken", DEITSCH, "no class 'broken'"),
        ("probability", {**DEITSCH, "other": [1] * 4}, "one of two classes, and there are 3"),
        ("probability,probability_defective", {"defective": ["1,1"] * 4, "functional": ["0,0"] * 4}, "one is enough"),
    ],
    ids=["a confidence", "one class alone", "undecided", "no such class", "three classes", "two columns"],
)
def test_what_cannot_be_told_is_refused_and_never_used(folder, tmp_path, column, values, reason):
    inspection = inspect(folder, tmp_path, column, values)
    (check, path, said), *others = findings(inspection)
    assert (check, path, others) == ("probability_unclear", ".", [])
    assert reason in said
    row = next(row for row in inspection.found if row.check == check)
    assert row.severity == "block"
    assert "probability_<class>" in row.cure
    assert "confidence" in row.cure


def test_a_confidence_column_is_taken_for_what_it_is(folder, tmp_path):
    values = {"defective": [0.9, 0.8, 0.9, 1], "functional": [0.95, 0.9, 1, 1]}
    inspection = inspect(folder, tmp_path, "confidence", values)
    assert findings(inspection) == []
    rows, _ = label(inspection, tmp_path)
    assert rows["target"].isna().all()
    assert rows["confidence"].tolist() == [0.9, 0.8, 0.9, 1, 0.95, 0.9, 1, 1]


def test_a_named_class_may_have_them_alone_and_the_others_are_told(folder, tmp_path):
    values = {"defective": [0.9, 0.8, None, 1], "functional": ["", 0, "", 0]}
    inspection = inspect(folder, tmp_path, "probability_defective", values)
    assert [found[:2] for found in findings(inspection)] == [
        ("probability_missing", "functional/0.png"),
        ("probability_missing", "functional/2.png"),
    ]


def test_a_column_without_a_single_value_is_none(folder, tmp_path):
    inspection = inspect(folder, tmp_path, "probability", {"defective": [""] * 4, "functional": [""] * 4})
    assert findings(inspection) == []


def test_contradicting_images_can_be_left_out(folder, tmp_path):
    inspection = inspect(folder, tmp_path, "probability", DEITSCH, probability_contradicts="quarantine")
    assert inspection.findings.verdicts["defective/0.png"][0] == "probability_contradicts"
    assert inspection.counts[""] == {"defective": 3, "functional": 4}


@pytest.mark.parametrize(("column", "cell"), [("weight", "inf"), ("weight", "nan"), ("confidence", "1.1")])
def test_numbers_out_of_range_are_invalid(folder, tmp_path, column, cell):
    inspection = inspect(folder, tmp_path, column, {"defective": [cell, 1, 1, 1], "functional": [1] * 4})
    assert [found[:2] for found in findings(inspection)] == [("metadata_invalid", "defective/0.png")]
