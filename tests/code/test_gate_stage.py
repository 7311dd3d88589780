"""The stage `validate`: its files, the contract in Great Expectations, and that outputs repeat to the byte."""

import json
import shutil
from pathlib import Path

import pytest

from tests.data.dirty import clean_folder, picture
from thaw.errors import ThawError
from thaw.files import read_json
from thaw.gate.findings import GateError
from thaw.params import ComputeParams, ValidateParams
from thaw.stages.validate import ValidateInputs, ValidateOutputs, validate

OUTPUTS = ("manifest.parquet", "findings.json", "gate.md")


def run(
    raw_dir: Path, out_dir: Path, scratch_dir: Path, params: ValidateParams | None = None, workers: int = 0
) -> dict:
    out_dir.mkdir(exist_ok=True)
    inputs = ValidateInputs(raw_dir, raw_dir.parent / "data" / "contract")
    outputs = ValidateOutputs(*(out_dir / name for name in OUTPUTS))
    try:
        validate(params or ValidateParams(), ComputeParams(workers=workers), inputs, outputs, scratch_dir)
    finally:
        findings = read_json(out_dir / "findings.json") if (out_dir / "findings.json").exists() else {}
    return findings


def outputs(out_dir: Path) -> dict[str, bytes]:
    return {name: (out_dir / name).read_bytes() for name in OUTPUTS}


@pytest.fixture
def notebook(tmp_path: Path) -> Path:
    """A folder as in the source notebooks, with a copy that a notebook left."""
    root = clean_folder(tmp_path / "raw")
    hidden = root / "train/cat/.ipynb_checkpoints"
    hidden.mkdir()
    shutil.copy(root / "train/cat/train000.png", hidden / "x.png")
    return root


def test_a_hidden_image_stops_the_run_and_is_named(notebook, tmp_path):
    with pytest.raises(GateError) as raised:
        run(notebook, tmp_path / "out", tmp_path / "scratch")
    said = "Blocked: 1 hidden folder with 1 file: train/cat/.ipynb_checkpoints/. Cure: thaw clean --apply"
    assert str(raised.value) == raised.value.sentence == said
    findings = read_json(tmp_path / "out/findings.json")
    assert findings["status"] == "block"
    (row,) = [row for row in findings["findings"] if row["check"] == "hidden"]
    assert set(row) == {"path", "check", "severity", "value", "threshold", "reason", "cure"}
    assert "(x.png); image_dataset_from_directory takes it for an image of class 'cat'" in row["reason"]
    assert "passes it over" not in row["reason"], "no loader is said to do one thing and the other"
    for name in (*OUTPUTS, "gate.html"):
        assert (tmp_path / "out" / name).stat().st_size > 100


def test_outputs_are_equal_to_the_byte_with_and_without_what_the_scan_kept(tmp_path):
    root = clean_folder(tmp_path / "raw")
    picture(5000).save(root / "train/cat/x.jpg")
    picture(5000).resize((60, 60)).save(root / "train/cat/y.png")
    elsewhere = shutil.copytree(root, tmp_path / "elsewhere" / "other")
    run(root, tmp_path / "a", tmp_path / "scratch")
    run(root, tmp_path / "b", tmp_path / "one", workers=1)
    run(root, tmp_path / "d", tmp_path / "two", workers=2)
    run(elsewhere, tmp_path / "c", tmp_path / "fresh")
    assert outputs(tmp_path / "a") == outputs(tmp_path / "b") == outputs(tmp_path / "c") == outputs(tmp_path / "d")
    assert read_json(tmp_path / "a/findings.json")["checks"] == {"near_duplicate": 1}


def test_the_log_has_thaws_lines_alone(tmp_path, caplog):
    """Great Expectations, which gives one of its loggers a level of its own, tells of each temporary folder."""
    caplog.set_level("INFO")
    run(clean_folder(tmp_path / "raw"), tmp_path / "out", tmp_path / "scratch")
    assert {record.name for record in caplog.records if record.levelname == "INFO"} == {"thaw.validate"}


def test_data_docs_are_built_and_send_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("a connection"))
    root = clean_folder(tmp_path / "raw")
    run(root, tmp_path / "out", tmp_path / "scratch")
    page = next((tmp_path / "scratch/data_docs/validations").rglob("*.html")).read_text()
    assert "found_hidden" in page
    assert (tmp_path / "scratch/data_docs/index.html").is_file()


def suite(folder: Path, content: str) -> ValidateParams:
    path = folder / "data" / "contract" / "suite.json"
    path.parent.mkdir(parents=True)
    path.write_text(content)
    return ValidateParams(expectations="suite.json")


def test_the_users_expectations_join_the_suite(tmp_path):
    root = clean_folder(tmp_path / "raw")
    wide = {"type": "expect_column_values_to_be_between", "kwargs": {"column": "width", "min_value": 500}}
    bright = {"type": "expect_column_mean_to_be_between", "kwargs": {"column": "brightness", "max_value": 1}}
    unknown = {"type": "expect_column_max_to_be_between", "kwargs": {"column": "nope", "max_value": 1}}
    met = {
        "type": "expect_column_values_to_be_in_set",
        "kwargs": {"column": "class", "value_set": ["cat", "dog"]},
    }
    wanted = [wide, bright | {"severity": "warning"}, unknown, met]
    params = suite(tmp_path, json.dumps({"expectations": wanted}))
    with pytest.raises(GateError, match=r"expect_column_values_to_be_between\(column=width"):
        run(root, tmp_path / "out", tmp_path / "scratch", params)
    rows = read_json(tmp_path / "out/findings.json")["findings"]
    assert [(row["severity"], row["reason"].split("(")[0]) for row in rows] == [
        ("block", "expect_column_max_to_be_between"),
        ("block", "expect_column_values_to_be_between"),
        ("warn", "expect_column_mean_to_be_between"),
    ]


@pytest.mark.parametrize(
    "content",
    ["no json", "[]", '{"expectations": 3}', '{"expectations": [{"type": "expect_nonsense", "kwargs": {}}]}'],
)
def test_a_suite_that_cannot_be_used_is_a_clear_error(tmp_path, content):
    root = clean_folder(tmp_path / "raw", 1)
    with pytest.raises(ThawError, match=r"suite\.json|validate\.expectations"):
        run(root, tmp_path / "out", tmp_path / "scratch", suite(tmp_path, content))


def test_a_reference_is_taken_from_its_folder(tmp_path):
    root = clean_folder(tmp_path / "raw", 30, splits=("",))
    run(root, tmp_path / "a", tmp_path / "scratch")
    contract_dir = tmp_path / "data" / "contract"
    contract_dir.mkdir(parents=True)
    shutil.copy(tmp_path / "a" / "manifest.parquet", contract_dir / "before.parquet")
    for image in sorted((root / "cat").iterdir())[5:]:
        image.unlink()
    params = ValidateParams(reference="before.parquet")
    found = run(root, tmp_path / "b", tmp_path / "scratch", params)
    assert found["checks"]["reference_label_shift"] == 1


@pytest.mark.parametrize(
    ("name", "cure"),
    [
        ("/old/a b.parquet", "cp '/old/a b.parquet' data/contract/ && thaw run -S validate.reference='a b.parquet'"),
        ("../last.parquet", "cp ../last.parquet data/contract/ && thaw run -S validate.reference=last.parquet"),
        ("gone.parquet", "cp /path/gone.parquet data/contract/ && thaw run -S validate.reference=gone.parquet"),
        ("..", "data/contract"),
    ],
)
def test_a_name_that_is_no_file_there_is_told_with_a_command(tmp_path, name, cure):
    root = clean_folder(tmp_path / "raw", 1)
    with pytest.raises(ThawError) as raised:
        run(root, tmp_path / "out", tmp_path / "scratch", ValidateParams(reference=name))
    assert "validate.reference" in str(raised.value) and cure in raised.value.cure

